#!/bin/sh
# Makes the root of a machine that has Bazel and a JDK, but no compiler, no interpreter and no headers: bazel-root.sh SUITE DIR [PACKAGE,...]
# With packages, the machine has these, too, and nothing is removed.
# Debian's bookworm has Bazel 4.2.3, forky 7.7.1. The mirror is the one that this machine's apt uses.
set -eu
suite=$1 dir=$2
packages=bazel-bootstrap,bubblewrap,strace
[ "$suite" = bookworm ] || packages=$packages,bazel-rules-python,bazel-rules-shell,bazel-java-tools
find_mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e debug | head -n 1
}
packages=$packages${3:+,$3}
mirror=$(find_mirror)
# Where apt has no lists yet, it names no mirror.
[ -n "$mirror" ] || { apt-get -qq update && mirror=$(find_mirror); }
rm -rf "$dir.new"
mmdebstrap --quiet --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' --include="$packages,ca-certificates" "$suite" "$dir.new" "$mirror"
if [ -n "${3-}" ]; then mv "$dir.new" "$dir"; exit; fi
cd "$dir.new"
# What a build must not find.
for name in 'python*' 'pydoc*' 'gcc*' 'g++*' 'c++*' cc 'c[89]9*' 'cpp*' 'ld*' as ar nm 'ranlib*' strip objcopy objdump gold 'gcov*' 'clang*' 'perl*' 'x86_64-linux-gnu-*' make; do
  find usr/bin usr/local/bin -name "$name" ! -name ldd -exec rm -f {} +
done
rm -rf usr/include usr/lib/gcc usr/libexec/gcc usr/lib/python3* usr/lib/x86_64-linux-gnu/*.o usr/share/perl* usr/lib/x86_64-linux-gnu/perl* var/cache/apt var/lib/apt/lists
mv "$dir.new" "$dir"
