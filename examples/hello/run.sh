#!/bin/sh
# Compiles and runs a C++ and a Python program with the pinned toolchains: `cotter exec -- sh examples/hello/run.sh`
set -eu
here=$(dirname "$0")
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
g++ -O2 -specs=pinned-libc.specs "$here/hello.cc" -o "$out/hello"
"$out/hello"
python3 "$here/hello.py"
