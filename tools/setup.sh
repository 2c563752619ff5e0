#!/bin/sh
# Installs what `make test` and `make demo` need, where it is missing.
# usage: sh tools/setup.sh [ci | libraries]
#   ci: also what lint, asan, tsan, models and the rock need
#   libraries: also what `make libraries` uses in threads, on Debian

set -u

has() {
  command -v "$1" >/dev/null 2>&1
}

find_lua() {
  for lua in lua5.4 lua54 lua-5.4 lua; do
    "$lua" -e 'os.exit(_VERSION == "Lua 5.4")' 2>/dev/null && return
  done
  lua=lua5.4
  return 1
}

has_headers() {
  for name in lua5.4 lua-5.4 lua54 lua; do
    pkg-config --exists "$name >= 5.4 $name < 5.5" 2>/dev/null && return
  done
  return 1
}

has_busted() {
  "$lua" -e 'require "busted.runner"' 2>/dev/null
}

has_socket() {
  "$lua" -e 'require "socket"; require "socket.unix"' 2>/dev/null
}

# A compiler with its libc: sanitizers and headers come in packages of their own.
compiles() {
  compiled=$(mktemp) || exit
  printf '#include <stdlib.h>\nint main(void) { return 0; }\n' |
    "$@" -x c -o "$compiled" - >/dev/null 2>&1
  status=$?
  rm -f "$compiled"
  return $status
}

# Those of them that are for Lua 5.4, or written in Lua.
find_missing_libraries() {
  for name in argparse basexx binaryheap cjson cliargs copas cqueues dkjson expat fifo filesystem \
    http inifile inspect logging lpeg lpeg-patterns luaossl luassert luv mediator messagepack \
    penlight redis rex-pcre2 rex-posix say sec socket sql-sqlite3 system term unit yaml zlib; do
    dpkg -s "lua-$name" >/dev/null 2>&1 || missing="$missing lua-$name"
  done
}

# The Debian packages of what is missing.
find_missing() {
  missing=
  compiles cc || missing="$missing gcc libc6-dev"
  has make || missing="$missing make"
  has pkg-config || missing="$missing pkg-config"
  find_lua || missing="$missing lua5.4"
  has_headers || missing="$missing liblua5.4-dev"
  has_busted || missing="$missing lua-busted"
  has_socket || missing="$missing lua-socket"
  if [ "$what" = ci ]; then
    compiles clang -fsanitize=address,undefined || missing="$missing clang libclang-rt-dev"
    has llvm-symbolizer || missing="$missing llvm"
    has clang-tidy || missing="$missing clang-tidy"
    has clang-format || missing="$missing clang-format"
    has luacheck || missing="$missing lua-check"
    has spin || missing="$missing spin"
    has luarocks || missing="$missing luarocks"
    has pandoc || missing="$missing pandoc"
  fi
  [ "$what" = libraries ] && find_missing_libraries
  return 0
}

fail() {
  printf 'tools/setup.sh: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    fail "not root, and no sudo, to install:$missing"
  fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >/dev/null ||
    fail "apt-get $1 failed; what is missing:$missing"
}

what=${1:-}
case $what in
  '' | ci | libraries) ;;
  *) fail "usage: sh tools/setup.sh [ci | libraries]" ;;
esac

find_missing
[ -z "$missing" ] && exit

if has apt-get; then
  echo "installs$missing"
  apt update
  # shellcheck disable=SC2086
  apt install --yes --no-install-recommends $missing
  find_missing
  [ -z "$missing" ] || fail "installed, but not found by this script:$missing"
  exit
fi

fail_with() {
  printf 'tools/setup.sh: something is missing. Install what is needed with\n\n' >&2
  printf '  %s\n' "$@" >&2
  exit 1
}

if has dnf; then
  fail_with 'dnf install gcc make pkgconf-pkg-config lua lua-devel luarocks' \
    'luarocks --lua-version 5.4 install busted' 'luarocks --lua-version 5.4 install luasocket'
elif has apk; then
  fail_with 'apk add gcc musl-dev make pkgconf lua5.4 lua5.4-dev lua5.4-busted lua5.4-socket'
elif has pacman; then
  fail_with 'pacman -S --needed gcc make pkgconf lua54 lua54-busted lua54-socket'
elif has brew || [ "$(uname -s)" = Darwin ]; then
  fail_with 'xcode-select --install' \
    'brew install lua@5.4 luarocks pkgconf' \
    'luarocks --lua-version 5.4 --lua-dir "$(brew --prefix lua@5.4)" install busted' \
    'luarocks --lua-version 5.4 --lua-dir "$(brew --prefix lua@5.4)" install luasocket' \
    'export PATH="$(brew --prefix lua@5.4)/bin:$PATH"' \
    'export PKG_CONFIG_PATH="$(brew --prefix lua@5.4)/lib/pkgconfig"'
else
  fail "install Lua 5.4, its headers, busted, LuaSocket, a C compiler, make and pkg-config"
fi
