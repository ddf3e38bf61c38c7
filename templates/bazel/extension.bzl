"""The module extension. `cotter.MODULE.bazel` shows how it is used."""

load(":repositories.bzl", "cotter_repositories")

# What the main module names, if it does: a label of a repository that it does not name says so in its text.
_MODULES = {
    "cc": str(Label("@rules_cc//cc:defs.bzl")),
    "python": str(Label("@rules_python//python:defs.bzl")),
    "shell": str(Label("@rules_shell//shell:toolchain_type")),
}

def _cotter(ctx):
    named = {name: label for name, label in _MODULES.items() if "[unknown" not in label}
    major = getattr(native, "bazel_version", "").split(".")[0]
    if major.isdigit() and int(major) >= 9 and "cc" not in named:
        fail("Bazel {} brings no rules of C++ along.\nAdd to MODULE.bazel: bazel_dep(name = \"rules_cc\", version = \"...\"), and for Python the same with rules_python".format(major))
    cotter_repositories(named)

    # All that it does follows from the lock and from MODULE.bazel: nothing for MODULE.bazel.lock.
    return ctx.extension_metadata(reproducible = True)

cotter = module_extension(implementation = _cotter)
