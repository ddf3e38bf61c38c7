"""A Python toolchain out of a pinned tree."""

load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

# What stands first in the executable of a py_binary: a shell finds the runfiles and starts the pinned interpreter right on the main file,
# in the environment that Bazel's own start code would make. To Python, which reads it where that start code is wanted after all (zip
# files, coverage), all of it is one string. Bazel fills in what stands between percent signs.
_STUB = """#!/bin/sh
''''true
self=$0
case $self in
  /*) ;;
  */*) self=$PWD/$self ;;
  *) self=$(command -v -- "$self") ;;
esac
runfiles=
while :; do
  if [ -d "$self.runfiles" ]; then runfiles=$self.runfiles; break; fi
  case $self in *.runfiles/*) runfiles=${self%.runfiles/*}.runfiles; break ;; esac
  [ -L "$self" ] || break
  link=$(readlink "$self") || break
  case $link in /*) self=$link ;; *) self=${self%/*}/$link ;; esac
done
if [ -z "$runfiles" ]; then echo "$0: there is no directory $0.runfiles" >&2; exit 1; fi
python=$runfiles/%python_binary%
if [ -n "${PYTHON_COVERAGE-}" ]; then exec "$python" "$self" "$@"; fi
path=$runfiles
imports="%imports%"
set -f; ifs=$IFS; IFS=:
for import in $imports; do path=$path:$runfiles/$import; done
set +f; IFS=$ifs
if [ %import_all% = True ]; then
  for repository in "$runfiles"/*/; do path=$path:${repository%/}; done
else
  path=$path:$runfiles/%workspace_name%
fi
export PYTHONPATH="$path${PYTHONPATH:+:$PYTHONPATH}"
if [ -z "${RUNFILES_DIR-}${RUNFILES_MANIFEST_FILE-}" ]; then export RUNFILES_DIR="$runfiles"; fi
exec "$python" "$runfiles/%main%" "$@"
'''"""

def cotter_py_toolchain(version):
    """The runtime of a tree, its headers and what compiles extensions against them, in the tree's own package.

    Args:
      version: the interpreter's version, such as "3.11".
    """
    native.py_runtime(
        name = "runtime",
        # Directories, not the thousands of files below them: one symlink each in a sandbox.
        files = native.glob(["usr/lib", "usr/share", "etc", "usr/bin/.python*.real"], exclude_directories = 0),
        interpreter = "usr/bin/python" + version,
        python_version = "PY3",
        stub_shebang = _STUB,
        visibility = ["//visibility:public"],
    )
    py_runtime_pair(
        name = "runtime_pair",
        py3_runtime = ":runtime",
        visibility = ["//visibility:public"],
    )
    native.cc_library(
        name = "headers",
        hdrs = native.glob(["usr/include/**/*.h"]),
        includes = ["usr/include/python" + version, "usr/include"],
        visibility = ["//visibility:public"],
    )
    native.filegroup(
        name = "interpreter",
        srcs = ["usr/bin/python" + version],
        visibility = ["//visibility:public"],
    )
