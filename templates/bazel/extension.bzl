"""The module extension. `cotter.MODULE.bazel` shows how it is used."""

load(":repositories.bzl", "LANGUAGES", "cotter_repositories")

# What the main module names, if it does: a label of a repository that it does not name says so in its text.
_MODULES = {
    "cc": str(Label("@rules_cc//cc:defs.bzl")),
    "python": str(Label("@rules_python//python:defs.bzl")),
    "shell": str(Label("@rules_shell//shell:toolchain_type")),
}

# The first versions of Bazel without rules of a language.
_SINCE = {"cc": 9, "python": 8}

def _major():
    """The version of Bazel; 0 where it does not tell, as those do not that distributions make."""
    major = getattr(native, "bazel_version", "").split(".")[0]
    return int(major) if major.isdigit() else 0

def _cotter(ctx):
    named = {name: label for name, label in _MODULES.items() if "[unknown" not in label}
    for language, since in _SINCE.items():
        if language in LANGUAGES and language not in named and _major() >= since:
            fail("Bazel {} brings no rules of {} along.\nAdd to MODULE.bazel: bazel_dep(name = \"rules_{}\", version = \"...\")".format(_major(), language, language))
    cotter_repositories(named)

    # All that it does follows from the lock and from MODULE.bazel: nothing for MODULE.bazel.lock.
    return ctx.extension_metadata(reproducible = True)

cotter = module_extension(implementation = _cotter)
