# Written by `cotter emit bazel`; what is changed here is lost.

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
path=$runfiles/@REPOSITORY@/stdlib:$runfiles
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

def _stdlib(ctx):
    compiler = ctx.file.compiler
    out = ctx.actions.declare_file("stdlib/{}.zip".format(ctx.attr.cache_tag))
    ctx.actions.run(
        executable = compiler,
        arguments = [
            "-B",
            "-S",
            ctx.file._script.path,
            compiler.owner.workspace_root + "/" + ctx.attr.library,
            out.path,
        ],
        env = {"PYTHONHASHSEED": "0"},
        inputs = [ctx.file._script] + ctx.files.compiler_files,
        mnemonic = "PyStdlib",
        outputs = [out],
        progress_message = "Compiling Python's standard library",
    )
    return [DefaultInfo(files = depset([out]))]

_py_stdlib = rule(
    doc = "The standard library as one file of bytecode, by an interpreter of the same version for the machine that builds.",
    implementation = _stdlib,
    attrs = {
        "cache_tag": attr.string(doc = "What the interpreter calls its bytecode."),
        "compiler": attr.label(allow_single_file = True, cfg = "exec"),
        "compiler_files": attr.label(cfg = "exec"),
        "library": attr.string(doc = "The directory of the standard library in the tree."),
        "_script": attr.label(default = "//bazel/cotter:compile_stdlib.py", allow_single_file = True),
    },
)

def cotter_py_toolchain(version, compiler):
    """The runtime of a tree, its headers and what compiles extensions against them, in the tree's own package.

    Args:
      version: the interpreter's version, such as "3.11".
      compiler: the label of the interpreter's name in the hub: that of the machine that builds.
    """
    visibility = ["//visibility:public"]

    # Directories, not the thousands of files below them: one symlink each in a sandbox.
    native.filegroup(
        name = "files",
        srcs = native.glob(["usr/lib", "usr/share", "etc", "usr/bin/.python*.real"], exclude_directories = 0),
        visibility = visibility,
    )
    native.filegroup(
        name = "interpreter",
        srcs = ["usr/bin/python" + version],
        visibility = visibility,
    )
    _py_stdlib(
        name = "stdlib",
        cache_tag = "cpython-" + version.replace(".", ""),
        compiler = compiler,
        compiler_files = compiler + "_files",
        library = "usr/lib/python" + version,
    )
    native.py_runtime(
        name = "runtime",
        files = [
            "stdlib/sitecustomize.py",
            ":files",
            ":stdlib",
        ],
        interpreter = ":interpreter",
        python_version = "PY3",
        stub_shebang = _STUB.replace("@REPOSITORY@", native.repository_name().lstrip("@")),
        visibility = visibility,
    )
    py_runtime_pair(
        name = "runtime_pair",
        py3_runtime = ":runtime",
        visibility = visibility,
    )
    native.cc_library(
        name = "headers",
        hdrs = native.glob(["usr/include/**/*.h"]),
        includes = [
            "usr/include/python" + version,
            "usr/include",
        ],
        visibility = visibility,
    )
