#!/bin/bash
# gather.sh --coverage_dir=DIR --output_file=FILE ...
for argument; do
  case $argument in
    --coverage_dir=*) dir=${argument#*=} ;;
    --output_file=*) out=${argument#*=} ;;
  esac
done
find "$dir" -name '*.dat' -exec cat {} + > "$out"
