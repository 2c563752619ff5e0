#!/bin/sh
# Runs specs under wine, each file in a process of its own that ends after a minute at the latest, and
# prints a line for each file and the sum. What tools/windows.sh has left in the directory is used.
# usage: sh tools/wine.sh DIRECTORY LTHREAD_DLL [files and folders]

set -u

directory=$1
dll=$2
shift 2
[ $# -gt 0 ] || set -- spec
cp "$dll" "$directory/lib/lthread.dll" || exit

export WINEDEBUG=-all WINEPREFIX="$directory/wine"
export LUA_PATH='./lua/?.lua;./spec/?.lua;Z:/usr/share/lua/5.4/?.lua;Z:/usr/share/lua/5.4/?/init.lua'
export LUA_CPATH="Z:$directory/lib/?.dll"
LTHREAD_LUA=$(printf 'Z:%s/lua.exe' "$directory" | tr / '\\')
export LTHREAD_LUA

begin=$(date +%s)
output=$(mktemp) || exit
trap 'rm -f "$output"' EXIT
passed=0 failed=0 errors=0 unfinished=0
for file in $(find "$@" -name '*_spec.lua' | sort); do
  timeout -k 5 60 wine "$directory/lua.exe" spec/run.lua "$file" >"$output" 2>&1 </dev/null
  found=$(sed -En 's|^([0-9]+) success.* / ([0-9]+) failure.* / ([0-9]+) error.* / .*|\1 \2 \3|p' "$output" | tail -n 1)
  echo "$file: ${found:-did not end}"
  if [ -n "$found" ]; then
    # shellcheck disable=SC2086
    set -- $found
    passed=$((passed + $1)) failed=$((failed + $2)) errors=$((errors + $3))
  else
    unfinished=$((unfinished + 1))
  fi
done
echo "$passed successes / $failed failures / $((errors + unfinished)) errors / 0 pending : $(($(date +%s) - begin)) seconds"
[ $((failed + errors + unfinished)) -eq 0 ]
