#!/bin/sh
# Builds Lua and LuaSocket of Debian's sources with musl-gcc under a directory, where they disturb
# nothing of the system. It leaves there: lua, liblua.a, include/, kernel/ (the headers of the
# kernel, which musl has not), lib/ (modules in C).
# usage: sh tools/musl.sh DIRECTORY

set -eu

tools=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
directory=$(cd "$1" && pwd)
lua=$directory/lua
[ -x "$lua" ] && exit

sh "$tools/source.sh" "$directory" lua5.4
mkdir -p "$directory/include" "$directory/kernel"
cd "$directory"

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

CC=musl-gcc CFLAGS="-idirafter $directory/kernel" sh "$tools/luasocket.sh" "$directory" "$directory/include"

musl-gcc -O2 -Wl,-E -o "$lua" lua5.4/src/main.o liblua.a -lm -ldl
