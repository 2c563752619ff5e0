#!/bin/sh
# Builds Lua and LuaSocket of Debian's sources for Windows by mingw-w64 under a directory, where they
# disturb nothing of the system. It leaves there: lua.exe, lua54.dll and its import library
# liblua54.a, include/, lib/ (modules in C).
# usage: sh tools/windows.sh DIRECTORY

set -eu

mkdir -p "$1"
directory=$(cd "$1" && pwd)
[ -x "$directory/lua.exe" ] && exit

cc=${CC:-x86_64-w64-mingw32-gcc}
sh "$(dirname "$0")/source.sh" "$directory" lua5.4 luasocket
mkdir -p "$directory/include" "$directory/lib/socket" "$directory/lib/mime"
cd "$directory"

for name in lua.h luaconf.h lualib.h lauxlib.h lua.hpp; do
  cp "lua5.4/src/$name" include/
done

(
  cd lua5.4/src
  rm -f luac.c
  $cc -std=gnu99 -O2 -DLUA_BUILD_AS_DLL -c ./*.c
  mv lua.o main.o
  $cc -shared -o "$directory/lua54.dll" l*.o -Wl,--out-implib,"$directory/liblua54.a"
)

# module OUTPUT sources...
module() {
  output=$directory/lib/$1
  shift
  (cd luasocket/src && $cc -O2 -shared -D_WIN32_WINNT=0x0602 -DLUASOCKET_NODEBUG -DLUA_BUILD_AS_DLL \
    -DLUASOCKET_API='__declspec(dllexport)' -DMIME_API='__declspec(dllexport)' -I"$directory/include" \
    -o "$output" "$@" -L"$directory" -llua54 -lws2_32)
}
module socket/core.dll luasocket.c timeout.c buffer.c io.c auxiliar.c compat.c options.c inet.c \
  wsocket.c except.c select.c tcp.c udp.c
module mime/core.dll mime.c compat.c

$cc -o lua.exe.new lua5.4/src/main.o -L. -llua54
mv lua.exe.new lua.exe
