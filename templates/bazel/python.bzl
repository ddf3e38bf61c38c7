"""A Python toolchain from a pinned tree."""

load(":labels.bzl", "IS_CANONICAL", "NO_TOOLCHAIN", "own_repository")
load(":rules.bzl", "cc", "py")

# The beginning of the executable of a py_binary. A shell finds the runfiles and starts the pinned interpreter with the main file, in the
# environment that Bazel's own start code would make. That start code is still used for zip files, where Python reads this text as a single
# string. Bazel replaces the words between percent signs. The main file is a link, and an interpreter would first search the directory to
# which it leads, which may contain files that no target declares. The interpreter is told to leave that directory out, and searches the
# directory of the main file in the runfiles instead.
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
main=$runfiles/%main%
if [ -n "${PYTHON_COVERAGE-}" ]; then exec "$python" "$self" "$@"; fi
path=$runfiles/@REPOSITORY@/start:${main%/*}:$runfiles
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
if [ -n "${COVERAGE_DIR-}" ]; then
  for site in "$runfiles"/@COVERAGE@/lib/python*/site-packages; do
    if [ -d "$site/coverage" ]; then exec "$python" @SAFE@"$runfiles/@REPOSITORY@/start/run_coverage.py" "$site" "$runfiles" "$main" "$@"; fi
  done
  echo "$0: its coverage is not measured: add coverage to a set of [requirements] for this interpreter, then type: cotter lock" >&2
fi
@GUARD@exec "$python" @SAFE@"$main" "$@"
'''"""

def _stdlib(ctx):
    compiler = ctx.file.compiler
    out = ctx.actions.declare_file("start/{}.zip".format(ctx.attr.cache_tag))
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
        **NO_TOOLCHAIN
    )
    if ctx.configuration.coverage_enabled and not ctx.attr.measures_coverage:
        # buildifier: disable=print
        print("the coverage of Python is not measured: add coverage to a set of [requirements] for this interpreter, then type `cotter lock` and `cotter emit bazel`")
    return [DefaultInfo(files = depset([out]))]

_py_stdlib = rule(
    doc = "The standard library as one file of bytecode, by an interpreter of the same version for the machine that builds.",
    implementation = _stdlib,
    attrs = {
        "cache_tag": attr.string(doc = "What the interpreter calls its bytecode."),
        "compiler": attr.label(allow_single_file = True, cfg = "exec"),
        "compiler_files": attr.label(cfg = "exec"),
        "library": attr.string(doc = "The directory of the standard library in the tree."),
        "measures_coverage": attr.bool(doc = "Whether a set of packages holds what measures coverage."),
        "_script": attr.label(default = ":compile_stdlib.py", allow_single_file = True),
    },
)

def cotter_py_toolchain(version, interpreter, stdlib, cache_tag, inputs, includes, compiler, coverage, folder):
    """Declares the runtime of a tree, its headers, and the library with which extensions are compiled, in the package of the tree.

    Args:
      version: the interpreter's version, such as "3.11".
      interpreter: its file.
      stdlib: the directory of its standard library.
      cache_tag: what it calls its bytecode.
      inputs: what it needs beside its file, as directories: one symlink each in a sandbox.
      includes: the directories of its headers; empty if there are none.
      compiler: the label of the interpreter's name in the hub: that of the machine that builds.
      coverage: the repository of the packages that hold coverage.py for it; empty if there is none.
      folder: the package of the rules.
    """
    visibility = ["//visibility:public"]
    native.filegroup(
        name = "files",
        srcs = inputs,
        visibility = visibility,
    )
    native.filegroup(
        name = "interpreter",
        srcs = [interpreter],
        visibility = visibility,
    )
    _py_stdlib(
        name = "stdlib",
        cache_tag = cache_tag,
        compiler = compiler,
        compiler_files = compiler + "_files",
        library = stdlib,
        measures_coverage = bool(coverage),
    )

    # Since 3.11, a flag tells the interpreter not to search the directory of the main file. For older versions, `sitecustomize.py` removes it.
    is_safe = [int(part) for part in version.split(".")] >= [3, 11]
    measures = ["start/run_coverage.py", "@{}//:_files_coverage".format(coverage)] if coverage else []
    if IS_CANONICAL and measures:
        # Old versions of Bazel also make toolchains for the machine that builds, for which coverage is never requested.
        measures = select({folder + ":coverage": measures, "//conditions:default": []})
    py.runtime(
        name = "runtime",
        files = [
            "start/sitecustomize.py",
            ":files",
            ":stdlib",
        ] + measures,
        interpreter = ":interpreter",
        python_version = "PY3",
        stub_shebang = _STUB
            .replace("@COVERAGE@", _beside(own_repository(), coverage) if coverage else ".")
            .replace("@GUARD@", "" if is_safe else "export COTTER_MAIN=\"$main\"\n")
            .replace("@REPOSITORY@", own_repository())
            .replace("@SAFE@", "-P " if is_safe else ""),
        visibility = visibility,
    )
    py.runtime_pair(
        name = "runtime_pair",
        py3_runtime = ":runtime",
        visibility = visibility,
    )
    cc.library(
        name = "headers",
        hdrs = native.glob([directory + "/**/*.h" for directory in includes], allow_empty = True),
        includes = includes,
        visibility = visibility,
    )

def _beside(repository, other):
    """Returns the canonical name of another repository of the same extension. The names differ only after the last separator."""
    end = max(repository.rfind("~"), repository.rfind("+"))
    return repository[:end + 1] + other
