#!/bin/sh
# Unpacks the sources of packages of Debian, as their authors have published them, each under a
# directory of its name. What Debian adds to them is left out.
# usage: sh tools/source.sh DIRECTORY PACKAGE...

set -eu

directory=$1
shift

apt() {
  apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$directory/sources.list" \
    -o Dir::Etc::sourceparts=/dev/null -o Dir::State::Lists="$directory/lists" "$@"
}

mkdir -p "$directory/lists/partial"
cd "$directory"
# shellcheck disable=SC2016
apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' \
  'Created-By: Packages' | sort -u >sources.list
apt update
for package; do
  apt --download-only source "$package" || true
  mkdir -p "$package"
  tar -xzf "$package"_*.orig.tar.gz -C "$package" --strip-components=1
done
