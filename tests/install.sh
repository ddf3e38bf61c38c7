#!/bin/sh
# Installs what the tests need on Debian 12, where it is missing. The program itself needs none of this.
set -eu
packages="bubblewrap qemu-user nix-bin strace util-linux binutils xz-utils git bsdutils mmdebstrap gpg gpg-agent gpgv sqv zsh fish direnv python3-venv"
missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -q
  # shellcheck disable=SC2086  # a list of words
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $missing
fi
