#!/bin/sh
# Puts Lua of Debian sid under a directory, where it disturbs nothing of the system: its headers in
# include/ and its static library, liblua5.4.a or liblua5.5.a. Its program may want a newer libc than this system's.
# usage: sh tools/sid.sh 5.4 | 5.5 DIRECTORY

set -eu

version=$1
mkdir -p "$2"
directory=$(cd "$2" && pwd)
[ -f "$directory/liblua$version.a" ] && exit

mkdir -p "$directory/state/lists/partial" "$directory/cache/archives/partial" "$directory/root"
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
echo "deb $mirror sid main" >"$directory/sources.list"

apt() {
  apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$directory/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State="$directory/state" \
    -o Dir::Cache="$directory/cache" "$@"
}

if ! apt update || ! (cd "$directory" && apt download "liblua$version-dev"); then
  echo "tools/sid.sh: no Lua $version from $mirror: it needs apt-get and the network" >&2
  exit 1
fi
dpkg -x "$directory/liblua$version-dev"_*.deb "$directory/root"
cp -R "$directory/root/usr/include/lua$version" "$directory/include"
find "$directory/root/usr/include" -name "lua$version-*.h" -exec cp {} "$directory/include" \;
find "$directory/root" -name "liblua$version.a" -exec cp {} "$directory/liblua$version.a" \;
rm -rf "$directory"/*.deb "$directory/state" "$directory/cache" "$directory/root"
