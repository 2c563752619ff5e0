#!/bin/sh
# Installs what `make test` and `make demo` need, where it is missing.
# usage: [LUA_VERSION=5.5] sh tools/setup.sh [ci | libraries]
#   ci: also what lint, asan, tsan, models, the rock and Lua 5.5 need
#   libraries: also what `make libraries` uses in threads, on Debian

set -u

version=${LUA_VERSION:-5.4}
short=${version%.*}${version#*.}

has() {
  command -v "$1" >/dev/null 2>&1
}

find_lua() {
  for lua in "lua$version" "lua$short" "lua-$version" lua; do
    "$lua" -e "os.exit(_VERSION == 'Lua $version')" 2>/dev/null && return
  done
  lua=lua$version
  return 1
}

has_headers() {
  for name in "lua$version" "lua-$version" "lua$short" lua; do
    pkg-config --exists "$name >= $version $name < 5.$((${version#*.} + 1))" 2>/dev/null && return
  done
  return 1
}

# For Lua 5.5 luassert is enough, also that for 5.4: see spec/support/runner.lua.
has_busted() {
  "$lua" -e 'require "busted.runner"' 2>/dev/null ||
    { [ "$version" = 5.5 ] && [ -d /usr/share/lua/5.4/luassert ]; }
}

has_socket() {
  [ "$version" = 5.5 ] && has apt-get && return # Debian has none for it
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
  for name in libcurl4-openssl-dev libsqlite3-dev libuv1-dev; do # examples/blocking.c is made with them
    dpkg -s "$name" >/dev/null 2>&1 || missing="$missing $name"
  done
}

# The Debian packages of what is missing.
find_missing() {
  missing=
  compiles cc || missing="$missing gcc libc6-dev"
  has make || missing="$missing make"
  has pkg-config || missing="$missing pkg-config"
  find_lua || missing="$missing lua$version"
  has_headers || missing="$missing liblua$version-dev"
  has_busted || missing="$missing lua-busted"
  has_socket || missing="$missing lua-socket"
  if [ "$what" = ci ]; then
    compiles clang -fsanitize=address,undefined || missing="$missing clang libclang-rt-dev"
    has llvm-symbolizer || missing="$missing llvm"
    has clang-tidy || missing="$missing clang-tidy"
    has clang-format || missing="$missing clang-format"
    has g++ || missing="$missing g++"
    has luacheck || missing="$missing lua-check"
    has spin || missing="$missing spin"
    has luarocks || missing="$missing luarocks"
    has pandoc || missing="$missing pandoc"
    has dpkg-source || missing="$missing dpkg-dev"
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
case $version in
  5.4 | 5.5) ;;
  *) fail "LUA_VERSION=$version is unknown (5.4, 5.5)" ;;
esac
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

# What of Lua these systems have:
#   Fedora: lua, which is 5.4 up to Fedora 44 and 5.5 from 45 on; no busted.
#   Alpine: one package for each version.
#   Arch: lua is 5.5, lua54 is 5.4.
#   Homebrew: lua is 5.5, lua@5.4 is not linked.
rocks() {
  printf 'luarocks --lua-version %s %sinstall %s\n' "$version" "$1" busted
  printf '  luarocks --lua-version %s %sinstall %s\n' "$version" "$1" luasocket
}

if has dnf; then
  fail_with "dnf install gcc make pkgconf-pkg-config lua lua-devel luarocks  # Lua 5.4 up to Fedora 44, then 5.5" \
    "$(rocks '')"
elif has apk; then
  fail_with "apk add gcc musl-dev make pkgconf lua$version lua$version-dev lua$version-busted lua$version-socket"
elif has pacman; then
  [ "$version" = 5.4 ] && prefix=lua54 || prefix=lua
  fail_with "pacman -S --needed gcc make pkgconf $prefix $prefix-busted $prefix-socket"
elif has brew || [ "$(uname -s)" = Darwin ]; then
  [ "$version" = 5.4 ] && formula=lua@5.4 || formula=lua
  prefix="\$(brew --prefix $formula)"
  fail_with 'xcode-select --install' \
    "brew install $formula luarocks pkgconf" \
    "$(rocks "--lua-dir \"$prefix\" ")" \
    "export PATH=\"$prefix/bin:\$PATH\"" \
    "export PKG_CONFIG_PATH=\"$prefix/lib/pkgconfig\""
else
  fail "install Lua $version, its headers, busted, LuaSocket, a C compiler, make and pkg-config"
fi
