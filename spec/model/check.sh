#!/bin/sh
# Checks the models with spin: each as it is, where no error may be found, and once with each macro
# WITHOUT_<STEP> in it, which takes a step out, where one must be.
# usage: sh spec/model/check.sh [model.pml...]     without any: all

set -u

directory=$(dirname "$0")
scratch=$(mktemp -d) || exit
trap 'rm -rf "$scratch"' EXIT
failed=0

# verify model [-DMACRO]: leaves what the verifier says in $scratch/out; true if it has searched.
verify() {
  model=$(realpath "$1")
  rm -rf "$scratch/work"
  mkdir "$scratch/work"
  (
    cd "$scratch/work" &&
      spin -a ${2+"$2"} "$model" &&
      ${CC:-cc} -O2 -w -DMEMLIM=2048 -DCOLLAPSE -o pan pan.c &&
      timeout 300 ./pan -a -m1000000
  ) >"$scratch/out" 2>&1
}

says() {
  grep -q -e "$1" "$scratch/out"
}

report() {
  verdict=$1
  shift
  printf '%-7s %s\n' "$verdict" "$*"
  if [ "$verdict" = FAILED ]; then
    tail -n 40 "$scratch/out" | sed 's/^/        /'
    failed=1
  fi
}

states() {
  sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$scratch/out"
}

check_whole() {
  if verify "$1" && says 'errors: 0$' && ! says 'max search depth too small' && ! says 'Search not completed'; then
    report ok "$name: no error in $(states) states"
  else
    report FAILED "$name: not without an error"
  fi
}

check_without() {
  if verify "$1" "-D$2" && says 'errors: [1-9]'; then
    report ok "$name $2: $(sed -n 's/^pan:1: \(.*\) (at depth .*/\1/p' "$scratch/out")"
  else
    report FAILED "$name $2: no error was found"
  fi
}

[ $# -gt 0 ] || set -- "$directory"/*.pml
for file in "$@"; do
  name=$(basename "$file" .pml)
  check_whole "$file"
  for macro in $(grep -o 'WITHOUT_[A-Z0-9_]*' "$file" | sort -u); do
    check_without "$file" "$macro"
  done
done
exit $failed
