#!/bin/sh
# Checks the litmus tests with herd7, by the memory model of C11 as repaired (rc11): what a test asks
# for, and a race for plain data, may not come about as it stands; and must, once each step that is
# marked "key" is relaxed.
# usage: HERD=herd7 sh spec/litmus/check.sh [test.litmus...]     without any: all

set -u

directory=$(dirname "$0")
scratch=$(mktemp -d) || exit
trap 'rm -rf "$scratch"' EXIT
failed=0

# observe file: "Never", or what comes about: "Race", "Sometimes", "Always"
observe() {
  sed 's|// key||' "$1" >"$scratch/test.litmus"
  "${HERD:-herd7}" -model rc11.cat "$scratch/test.litmus" >"$scratch/out" 2>&1
  if grep -q '^Flag \*undef\*' "$scratch/out"; then
    echo Race
  else
    sed -n 's/^Observation [^ ]* \([A-Z][a-z]*\) .*/\1/p' "$scratch/out"
  fi
}

# report what seen pattern
# shellcheck disable=SC2254
report() {
  case $2 in
    $3) printf 'ok      %s: %s\n' "$1" "$2" ;;
    *)
      printf 'FAILED  %s: %s\n' "$1" "${2:-no answer}"
      sed 's/^/        /' "$scratch/out"
      failed=1
      ;;
  esac
}

[ $# -gt 0 ] || set -- "$directory"/*.litmus
for file in "$@"; do
  name=$(basename "$file" .litmus)
  report "$name" "$(observe "$file")" Never
  for line in $(grep -n '// key' "$file" | cut -d : -f 1); do
    sed "${line}s/memory_order_[a-z_]*/memory_order_relaxed/g" "$file" >"$scratch/weak"
    report "$name with line $line relaxed" "$(observe "$scratch/weak")" '[RSA]*'
  done
done
exit $failed
