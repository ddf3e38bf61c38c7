#! @shell@
set -eu -o pipefail
out=@out@
extra=() directories=() static=
for parameter in "$@"; do
  case "$parameter" in
    -L/*) directories+=("${parameter#-L}") ;;
    -static | -shared | -r) static=1 ;;
  esac
done
if [[ -z "$static" ]]; then
  extra+=(-dynamic-linker "$(< "$out/nix-support/dynamic-linker")")
fi
# The directories of the store become search paths.
if [[ "${NIX_DONT_SET_RPATH-}" != 1 ]]; then
  for directory in "${directories[@]}"; do
    [[ "$directory" != /nix/store/* ]] || extra+=(-rpath "$directory")
  done
fi
exec @prog@ "$@" "${extra[@]}" ${NIX_LDFLAGS-}
