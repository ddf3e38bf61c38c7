#!/bin/sh
# Builds main.c with the pinned compiler and libraries: `cotter exec -- sh build.sh OUTPUT [FLAGS...]`
set -eu
out=$1
shift
# shellcheck disable=SC2046  # the flags are words
gcc "$@" main.c -o "$out" $(pkg-config --cflags --libs libpq openssl zlib)
