"""The library with which programs contain their own libc."""

load(":labels.bzl", "own_repository")
load(":rules.bzl", "cc")

# The linker reserves this many characters in DT_RPATH. The start code replaces them with the directory of the run-time files.
_RUNTIME_MARK = "/cotter-runtime/" + "x" * 496

def cotter_pinned_libc(name, visibility):
    """Declares a library that makes a program run with the loader and the libraries of its compiler's tree, which are part of its runfiles.

    Args:
      name: the target's name.
      visibility: who may depend on it.
    """
    runtime = own_repository() + "/runtime"
    cc.library(
        name = name,
        srcs = ["start.c"],
        copts = [
            "-O2",
            "-std=c17",
            "-ffreestanding",
            "-fno-builtin",
            "-fno-lto",
            "-fno-profile-arcs",
            "-fno-sanitize=all",
            "-fno-stack-protector",
            "-fno-test-coverage",
            "-fPIC",
            "-fvisibility=hidden",
            "-U_FORTIFY_SOURCE",
        ],
        data = ["runtime"],
        # Any compiler may compile it, so it has no option that only one of them knows.
        features = ["-coverage", "-cs_fdo_instrument", "-fdo_instrument", "-lto", "-thin_lto"],
        linkopts = [
            "-Wl,-e,cotter_start",
            "-Wl,-u,cotter_start",
            "-Wl,--no-dynamic-linker",
            "-Wl,--disable-new-dtags",
            "-Wl,-rpath," + _RUNTIME_MARK,
        ],
        linkstatic = True,
        local_defines = ["COTTER_RUNTIME=\\\"" + runtime + "\\\""],
        alwayslink = True,
        visibility = visibility,
    )
