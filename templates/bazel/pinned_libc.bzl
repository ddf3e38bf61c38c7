"""The library with which programs contain their own libc."""

load(":rules.bzl", "cc")

# The linker reserves this many characters in DT_RPATH. The start code replaces them with the directory of the run-time files.
_RUNTIME_MARK = "/cotter-runtime/" + "x" * 496

_RuntimeInfo = provider(
    doc = "The run-time files of a compiler.",
    fields = {"path": "Their directory within the runfiles."},
)

def _runtime(ctx):
    found = ctx.files.runtime
    if not found:
        toolchain = cc.find_toolchain(ctx)
        found = [file for file in toolchain.all_files.to_list() if file.owner.name == "runtime" and not file.owner.package]
        if len(found) != 1:
            fail("the compiler {} has no libc that a program could bring along: Zig's programs run with that of the system, and those of other toolchains are not known. Link with another compiler, or without the pinned libc".format(toolchain.compiler))
    return [
        DefaultInfo(files = depset(found), runfiles = ctx.runfiles(found)),
        _RuntimeInfo(path = found[0].short_path[len("../"):]),
    ]

_cotter_runtime = rule(
    doc = "The directory of the loader and the libraries of a compiler: the one that is named, or that of the compiler by which the target is built. Only the repository of this compiler is fetched.",
    implementation = _runtime,
    attrs = {
        "runtime": attr.label_list(allow_files = True, doc = "The directory, or nothing."),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

def _start_code(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".c")
    ctx.actions.expand_template(
        output = out,
        substitutions = {"@COTTER_RUNTIME@": ctx.attr.runtime[_RuntimeInfo].path},
        template = ctx.file._template,
    )
    return [DefaultInfo(files = depset([out]))]

_cotter_start_code = rule(
    doc = "The start code, which knows where the run-time files are within the runfiles.",
    implementation = _start_code,
    attrs = {
        "runtime": attr.label(providers = [_RuntimeInfo]),
        "_template": attr.label(default = ":start.c", allow_single_file = True),
    },
)

def cotter_pinned_libc(name, visibility, runtime = []):
    """Declares a library that makes a program run with the loader and the libraries of a compiler's tree, which are part of its runfiles.

    Args:
      name: the target's name.
      visibility: who may depend on it.
      runtime: the directory of these files, or nothing for that of the compiler by which the program is built.
    """
    _cotter_runtime(name = name + "_runtime", runtime = runtime)
    _cotter_start_code(name = name + "_start", runtime = ":" + name + "_runtime")
    cc.library(
        name = name,
        srcs = [":" + name + "_start"],
        # Whatever warnings a project wants are not meant for this code.
        copts = [
            "-w",
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
        data = [":" + name + "_runtime"],
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
        alwayslink = True,
        visibility = visibility,
    )
