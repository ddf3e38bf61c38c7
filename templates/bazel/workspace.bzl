"""For WORKSPACE. docs/bazel.md of cotter has the lines to write there: they load `cotter_register` and `cotter_toolchains` of this file."""

load(":lock.bzl", "FOLDER", "TOOLCHAINS")
load(":repositories.bzl", "cotter_repositories")

def cotter_toolchains():
    """Declares one repository for each tree of the lock, and one with a name for each toolchain."""

    # Builds that distributions make do not tell their version.
    version = getattr(native, "bazel_version", "")
    if version and version[0].isdigit() and int(version.split(".")[0]) < 4:
        fail("cotter's toolchains need Bazel 4.2 or newer; this is {}. Type: bazelisk, with USE_BAZEL_VERSION=7.x".format(version))
    cotter_repositories({})

def cotter_register():
    """Registers the toolchains: C and C++, Python, the shell."""
    native.register_toolchains(*["@" + FOLDER + ":" + name for name in TOOLCHAINS])
