#!/bin/sh
# Builds LuaSocket of Debian's source for a Lua that Debian has none for, under a directory: its
# modules in C come into lib/. Those in Lua are the same for every Lua: lua-socket's.
# usage: CC=compiler CFLAGS=flags sh tools/luasocket.sh DIRECTORY INCLUDES

set -eu

directory=$(cd "$1" && pwd)
includes=$2
[ -f "$directory/lib/mime/core.so" ] && exit

sh "$(dirname "$0")/source.sh" "$directory" luasocket
mkdir -p "$directory/lib/socket" "$directory/lib/mime"
cd "$directory"

# module OUTPUT sources...
module() {
  output=$directory/lib/$1
  shift
  # shellcheck disable=SC2086
  (cd luasocket/src && ${CC:-cc} -O2 -fPIC -shared -D_GNU_SOURCE -DLUASOCKET_NODEBUG ${CFLAGS:-} -I"$includes" -o "$output" "$@")
}
module socket/core.so luasocket.c timeout.c buffer.c io.c auxiliar.c compat.c options.c inet.c \
  usocket.c except.c select.c tcp.c udp.c
module socket/unix.so buffer.c auxiliar.c options.c timeout.c io.c usocket.c unixstream.c \
  unixdgram.c compat.c unix.c
module mime/core.so mime.c compat.c
