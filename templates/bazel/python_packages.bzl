"""Targets for the packages of a set, in the package of their tree, and names for them in the repository of the set."""

load(":labels.bzl", "NO_TOOLCHAIN")
load(":rules.bzl", "py")

def _bytecode(ctx):
    compiler = ctx.file.compiler
    out = ctx.actions.declare_file("bytecode/{}.{}".format(ctx.attr.package, ctx.attr.cache_tag))
    arguments = ctx.actions.args()
    arguments.add_all(["-B", "-S", ctx.file._script.path, ctx.label.workspace_root + "/" + ctx.attr.site, out.path])
    arguments.add_all([ctx.label.workspace_root + "/" + entry for entry in ctx.attr.entries])
    ctx.actions.run(
        executable = compiler,
        arguments = [arguments],
        env = {"PYTHONHASHSEED": "0"},
        inputs = [ctx.file._script] + ctx.files.srcs + ctx.files.compiler_files,
        mnemonic = "PyBytecode",
        outputs = [out],
        progress_message = "Compiling the Python package " + ctx.attr.package,
        **NO_TOOLCHAIN
    )
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

_py_bytecode = rule(
    doc = "The bytecode of a package as one file, by an interpreter of the same version for the machine that builds.",
    implementation = _bytecode,
    attrs = {
        "cache_tag": attr.string(doc = "What the interpreter calls its bytecode."),
        "compiler": attr.label(allow_single_file = True, cfg = "exec"),
        "compiler_files": attr.label(cfg = "exec"),
        "entries": attr.string_list(doc = "The package's files and directories."),
        "package": attr.string(),
        "site": attr.string(doc = "The directory of packages in the tree."),
        "srcs": attr.label_list(allow_files = True),
        "_script": attr.label(default = ":compile_packages.py", allow_single_file = True),
    },
)

def _closure(package, requires):
    """Returns a package and everything that it needs. Packages may need each other."""
    found = {package: None}
    todo = [package]

    # Starlark has no unbounded loops, so the loop runs once for each package.
    for _ in range(len(requires) + 1):
        if not todo:
            break
        todo = {need: None for name in todo for need in requires.get(name, []) if need not in found}.keys()
        for name in todo:
            found[name] = None
    return sorted(found)

def cotter_packages(python, packages, requires, compiler):
    """Declares a py_library for each package, and a py_binary for each script.

    Args:
      python: the interpreter's version, such as "3.11".
      packages: by name, a dictionary of `entries` and `scripts`.
      requires: by name, the names of the packages that it needs.
      compiler: the label of the interpreter's name in the hub: that of the machine that builds.
    """
    site = "lib/python{}/site-packages".format(python)
    for name, facts in packages.items():
        native.filegroup(
            name = "_files_" + name,
            srcs = facts["entries"],
            # The runtime of the interpreter needs the files of coverage.
            visibility = ["//visibility:public"],
        )
        _py_bytecode(
            name = "_bytecode_" + name,
            cache_tag = "cpython-" + python.replace(".", ""),
            compiler = compiler,
            compiler_files = compiler + "_files",
            entries = [entry for entry in facts["entries"] if entry.startswith(site)],
            package = name,
            site = site,
            srcs = [":_files_" + name],
        )
    for name, facts in packages.items():
        needs = _closure(name, requires)
        py.library(
            name = name,
            data = [":_files_" + need for need in needs] + [":_bytecode_" + need for need in needs],
            imports = [site],
            visibility = ["//visibility:public"],
        )
        for script in facts["scripts"]:
            py.binary(
                name = "bin_" + script,
                # The directory is the first one on sys.path, so the name of the file must not be the name of a module.
                srcs = ["cotter_scripts/cotter_script_{}.py".format(script)],
                main = "cotter_scripts/cotter_script_{}.py".format(script),
                visibility = ["//visibility:public"],
                deps = [":" + name],
            )
