#!/bin/sh
# Fetches Debian source packages through this machine's apt, which checks their signatures: source.sh DIR PACKAGE...
set -eu
dir=$1
shift
mkdir -p "$dir/lists/partial" "$dir/none"
cd "$dir"
find_mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e debug | head -n 1
}
mirror=$(find_mirror)
# Where apt has no lists yet, it names no mirror.
[ -n "$mirror" ] || { apt-get -qq update && mirror=$(find_mirror); }
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" > sources.list
options="-qq -o Dir::Etc::SourceList=$dir/sources.list -o Dir::Etc::SourceParts=$dir/none -o Dir::State::Lists=$dir/lists -o Acquire::Languages=none -o APT::Sandbox::User=root"
# shellcheck disable=SC2086  # a list of words
apt-get $options update
for package in "$@"; do
  # shellcheck disable=SC2086
  apt-get $options source --download-only --tar-only "$package"
  mkdir -p "$package"
  tar -xf "$package"_*.orig.tar.* -C "$package" --strip-components=1
done
