#!/bin/sh
# Puts Lua 5.5 of Debian sid under a directory, where it disturbs nothing of the system: its headers
# in include/ and its static library, liblua5.5.a. Its program may want a newer libc than this system's.
# usage: sh tools/lua55.sh DIRECTORY

set -eu

mkdir -p "$1"
directory=$(cd "$1" && pwd)
[ -f "$directory/liblua5.5.a" ] && exit

mkdir -p "$directory/state/lists/partial" "$directory/cache/archives/partial" "$directory/root"
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
echo "deb $mirror sid main" >"$directory/sources.list"

apt() {
  apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$directory/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State="$directory/state" \
    -o Dir::Cache="$directory/cache" "$@"
}

if ! apt update || ! (cd "$directory" && apt download liblua5.5-dev); then
  echo "tools/lua55.sh: no Lua 5.5 from $mirror: it needs apt-get and the network" >&2
  exit 1
fi
dpkg -x "$directory"/liblua5.5-dev_*.deb "$directory/root"
cp -R "$directory"/root/usr/include/lua5.5 "$directory/include"
find "$directory/root/usr/include" -name 'lua5.5-*.h' -exec cp {} "$directory/include" \;
find "$directory/root" -name liblua5.5.a -exec cp {} "$directory/liblua5.5.a" \;
rm -rf "$directory"/*.deb "$directory/state" "$directory/cache" "$directory/root"
