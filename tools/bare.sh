#!/bin/sh
# Follows README.md on a bare system: sets up a Debian of its own in a folder and runs there what the
# README says, as a newcomer would. Wants root, debootstrap and the network.
# usage: sh tools/bare.sh bookworm|trixie folder

set -eu

suite=$1
root=$2/$suite
here=$(cd "$(dirname "$0")/.." && pwd)

if [ ! -d "$root/usr/bin" ]; then
  debootstrap --variant=minbase "$suite" "$root" >"$2/$suite.log"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT

rm -rf "$root/root/lthread"
mkdir "$root/root/lthread"
git -C "$here" archive HEAD | tar -x -C "$root/root/lthread"

# The commands of the README, those of the shell only.
in_root() {
  echo "bare $suite: $*"
  chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 sh -c "cd /root/lthread && $*"
}

in_root 'sh tools/setup.sh && make demo'
in_root "lua5.4 -e 'print(require \"lthread\")'"
in_root 'sh tools/setup.sh && make test ARGS=spec/sync'
in_root 'make && make install PREFIX=/usr/local'
in_root "cd / && lua5.4 -e 'assert(require \"lthread\" == require \"_thread\")'"
in_root 'apt-get -qq install --yes --no-install-recommends luarocks >/dev/null &&
  luarocks --lua-version 5.4 make --local rockspec/lthread-scm-1.rockspec'
echo "bare $suite: passed"
