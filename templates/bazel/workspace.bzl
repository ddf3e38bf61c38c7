"""For WORKSPACE. The lines to write there are in docs/bazel.md of cotter; they load `cotter_register` and `cotter_toolchains` from this file."""

load(":lock.bzl", "FOLDER", "TOOLCHAINS")
load(":repositories.bzl", "cotter_repositories")

def cotter_toolchains():
    """Declares one repository for each tree of the lock, and one that contains a name for each toolchain."""

    # Builds by distributions do not reveal their version.
    version = getattr(native, "bazel_version", "")
    if version and version[0].isdigit() and int(version.split(".")[0]) < 4:
        fail("cotter's toolchains need Bazel 4.2 or newer; this is {}. Type: bazelisk, with USE_BAZEL_VERSION=7.x".format(version))
    cotter_repositories({})

def cotter_register():
    """Registers the toolchains for C and C++, for Python and for the shell."""
    native.register_toolchains(*["@" + FOLDER + ":" + name for name in TOOLCHAINS])
