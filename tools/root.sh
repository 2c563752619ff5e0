#!/bin/sh
# Puts Lua, busted and LuaSocket of Debian for another processor under a directory, where they
# disturb nothing of the system: with their libc, a program 'lua' that runs them, and 'run' for others.
# usage: sh tools/root.sh i386 | arm64 | s390x DIRECTORY

set -eu

architecture=$1
mkdir -p "$2"
directory=$(cd "$2" && pwd)
root=$directory/root
lua=$directory/lua
[ -x "$lua" ] && [ -x "$directory/run" ] && exit

apt() {
  apt-get -qq -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o Dir::State="$directory/state" -o Dir::State::status="$directory/status" \
    -o Dir::Cache="$directory/cache" "$@"
}

mkdir -p "$directory/state/lists/partial" "$directory/cache/archives/partial" "$root"
: >"$directory/status"
apt update || true
apt --yes --no-install-recommends --download-only install lua5.4 liblua5.4-dev lua-busted lua-socket
for package in "$directory"/cache/archives/*.deb; do
  dpkg -x "$package" "$root"
done

# Links that begin at the system's root lead to this one.
find "$root" -type l -lname '/*' | while read -r link; do
  ln -sfn "$root$(readlink "$link")" "$link"
done

case $architecture in
  i386) set -- "$root/lib/ld-linux.so.2" --library-path \
    "$root/lib/i386-linux-gnu:$root/usr/lib/i386-linux-gnu" ;;
  arm64) set -- qemu-aarch64-static -L "$root" ;;
  s390x) set -- qemu-s390x-static -L "$root" ;;
esac
printf '#!/bin/sh\nexec %s "$@"\n' "$*" >"$directory/run"
printf '#!/bin/sh\nexec %s "$@"\n' "$* $root/usr/bin/lua5.4" >"$lua"
chmod +x "$directory/run" "$lua"
