#!/bin/sh
# Builds Lua and LuaSocket of Debian's sources with musl-gcc under a directory, where they disturb
# nothing of the system. It leaves there: lua, liblua.a, include/, kernel/ (the headers of the
# kernel, which musl has not), lib/ (modules in C).
# usage: sh tools/musl.sh DIRECTORY

set -eu

mkdir -p "$1"
directory=$(cd "$1" && pwd)
lua=$directory/lua
[ -x "$lua" ] && exit

apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$directory/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::Lists="$directory/lists" "$@"
}

# What the package of a source adds to it for Debian is not needed.
unpack() {
  apt --download-only source "$1" || true
  mkdir -p "$directory/$1"
  tar -xzf "$directory/$1"_*.orig.tar.gz -C "$directory/$1" --strip-components=1
}

mkdir -p "$directory/lists/partial" "$directory/include" "$directory/kernel" \
  "$directory/lib/socket" "$directory/lib/mime"
cd "$directory"
# shellcheck disable=SC2016
apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' \
  'Created-By: Packages' | sort -u >sources.list
apt update
unpack lua5.4
unpack luasocket

for name in lua.h luaconf.h lualib.h lauxlib.h; do
  cp "lua5.4/src/$name" include/
done
cp lua5.4/src/lua.hpp include/ 2>/dev/null || true
ln -sfn /usr/include/linux kernel/linux
ln -sfn /usr/include/asm-generic kernel/asm-generic
ln -sfn "/usr/include/$(gcc -print-multiarch)/asm" kernel/asm

(
  cd lua5.4/src
  rm -f luac.c
  musl-gcc -std=gnu99 -O2 -DLUA_USE_LINUX -c ./*.c
  mv lua.o main.o
  ar rcs "$directory/liblua.a" l*.o
)

# module OUTPUT sources...
module() {
  output=$directory/lib/$1
  shift
  (cd luasocket/src && musl-gcc -O2 -fPIC -shared -D_GNU_SOURCE -DLUASOCKET_NODEBUG \
    -idirafter "$directory/kernel" -I"$directory/include" -o "$output" "$@")
}
module socket/core.so luasocket.c timeout.c buffer.c io.c auxiliar.c compat.c options.c inet.c \
  usocket.c except.c select.c tcp.c udp.c
module socket/unix.so buffer.c auxiliar.c options.c timeout.c io.c usocket.c unixstream.c \
  unixdgram.c compat.c unix.c
module mime/core.so mime.c compat.c

musl-gcc -O2 -Wl,-E -o "$lua" lua5.4/src/main.o liblua.a -lm -ldl
