"""The module extension. `cotter.MODULE.bazel` shows how it is used."""

load(":repositories.bzl", "LANGUAGES", "cotter_repositories")

# The modules that the main module may name. The text of a label shows whether its repository is named.
_MODULES = {
    "cc": str(Label("@rules_cc//cc:defs.bzl")),
    "python": str(Label("@rules_python//python:defs.bzl")),
    "shell": str(Label("@rules_shell//shell:toolchain_type")),
}

# The first versions of Bazel without rules for a language.
_SINCE = {"cc": 9, "python": 8}

def _major():
    """Returns the version of Bazel, or 0 if it is unknown, as in builds by distributions."""
    major = getattr(native, "bazel_version", "").split(".")[0]
    return int(major) if major.isdigit() else 0

def _cotter(ctx):
    named = {name: label for name, label in _MODULES.items() if "[unknown" not in label}
    for language, since in _SINCE.items():
        if language in LANGUAGES and language not in named and _major() >= since:
            fail("Bazel {} brings no rules of {} along.\nAdd to MODULE.bazel: bazel_dep(name = \"rules_{}\", version = \"...\")".format(_major(), language, language))
    cotter_repositories(named)

    # The result depends only on the lock and on MODULE.bazel, so MODULE.bazel.lock needs no entry for it.
    return ctx.extension_metadata(reproducible = True)

cotter = module_extension(implementation = _cotter)
