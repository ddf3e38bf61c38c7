#!/bin/bash
# gather.sh --coverage_dir=DIR --output_file=FILE ...
for argument; do
  case $argument in
    --coverage_dir=*) dir=${argument#*=} ;;
    --output_file=*) out=${argument#*=} ;;
  esac
done
# Bazel's own tool would translate what gcov writes: a document for each file by that of GCC, and text by that of LLVM.
find "$dir" \( -name '*.dat' -o -name '*.gcov' \) -exec cat {} + > "$out"
find "$dir" -name '*.gcov.json.gz' -exec zcat {} + >> "$out"
