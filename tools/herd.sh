#!/bin/sh
# Puts herd7, the simulator of memory models, from Debian's sid under a directory, with the libraries
# that it wants, where they disturb nothing of the system: DIRECTORY/herd7.
# usage: sh tools/herd.sh DIRECTORY

set -eu

mkdir -p "$1"
directory=$(cd "$1" && pwd)
herd=$directory/herd7
[ -x "$herd" ] && exit

apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$directory/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State="$directory/state" -o Dir::State::status="$directory/status" \
    -o Dir::Cache="$directory/cache" "$@"
}

mkdir -p "$directory/state/lists/partial" "$directory/cache/archives/partial" "$directory/root"
: >"$directory/status"
signed=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$signed] http://deb.debian.org/debian sid main" >"$directory/sources.list"
apt update
(cd "$directory/cache/archives" && apt download herdtools7 libc6 libgmp10)
for package in "$directory"/cache/archives/*.deb; do
  dpkg -x "$package" "$directory/root"
done

libraries=$directory/root/usr/lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)
set -- "$libraries"/ld-linux-*
printf '#!/bin/sh\nexec %s --library-path %s %s -set-libdir %s "$@"\n' "$1" "$libraries" \
  "$directory/root/usr/bin/herd7" "$directory/root/usr/share/herdtools7/herd" >"$herd"
chmod +x "$herd"
