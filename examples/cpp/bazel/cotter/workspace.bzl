# Written by `cotter emit bazel`; what is changed here is lost.

"""For WORKSPACE:

    load("//bazel/cotter:workspace.bzl", "cotter_register", "cotter_toolchains")

    cotter_toolchains()

    cotter_register()
"""

load(":lock.bzl", "TOOLCHAINS")
load(":repositories.bzl", "cotter_repositories")

def cotter_toolchains():
    """Declares one repository for each tree of the lock, and one with a name for each toolchain."""
    cotter_repositories()

def cotter_register():
    """Registers the toolchains: C and C++, Python, the shell."""
    native.register_toolchains(*["@//bazel/cotter:" + name for name in TOOLCHAINS])
