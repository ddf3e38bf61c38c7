#! @shell@
set -eu -o pipefail
out=@out@
# The compiler is configured for another place.
export GCC_EXEC_PREFIX=@gcc@/lib/gcc/
links=1 cxx=
[[ @prog@ != *++ ]] || cxx=1
for parameter in "$@"; do
  case "$parameter" in
    -c | -S | -E | -M | -MM | -fsyntax-only | --version) links= ;;
    -nostdinc*) nostdinc=1 ;;
  esac
done
before=(-B"$out/bin/") after=()
if [[ -z "${nostdinc-}" ]]; then
  [[ -z "$cxx" ]] || after+=($(< "$out/nix-support/libcxx-cxxflags"))
  after+=($(< "$out/nix-support/libc-cflags"))
fi
after+=($(< "$out/nix-support/libc-crt1-cflags") ${NIX_CFLAGS_COMPILE-})
if [[ -n "$links" ]]; then
  after+=($(< "$out/nix-support/libc-ldflags") $(< "$out/nix-support/cc-ldflags"))
fi
exec @prog@ "${before[@]}" "$@" "${after[@]}"
