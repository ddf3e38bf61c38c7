"""A C++ toolchain with Zig from a pinned tree: every path in a command line is relative to the execution root."""

load(":cc_features.bzl", "ALL_COMPILE", "ALL_LINK", "both", "declare_toolchain", "environment", "flags", "modes", "standards", "switch", "wanted_by_name")
load(":rules.bzl", "cc")

# Zig builds stubs of the C library and libc++ at the first link for a target, which takes a minute or two, and keeps them here.
_CACHE = "/tmp/cotter-zig"

def _features(root, lib):
    everywhere = ALL_COMPILE + ALL_LINK + [cc.actions.cpp_link_static_library]
    return modes() + [
        switch("zig_directories", [], env_sets = environment(everywhere, {
            "ZIG_GLOBAL_CACHE_DIR": _CACHE,
            "ZIG_LIB_DIR": root + "/" + lib,
            "ZIG_LOCAL_CACHE_DIR": _CACHE,
        }), enabled = True),
        # Debug information and __FILE__ contain paths relative to the execution root, so they do not depend on its place.
        switch("reproducible_paths", [
            flags(ALL_COMPILE, ["-ffile-prefix-map=/proc/self/cwd=.", "-no-canonical-prefixes"]),
        ], env_sets = environment(everywhere, {"PWD": "/proc/self/cwd"}), enabled = True),
        switch("reproducible_time", [flags(ALL_COMPILE, [
            "-Wno-builtin-macro-redefined",
            "-D__DATE__=\"redacted\"",
            "-D__TIMESTAMP__=\"redacted\"",
            "-D__TIME__=\"redacted\"",
        ])], enabled = True),
        switch("default_compile_flags", [
            flags(ALL_COMPILE, ["-fcolor-diagnostics", "-Wall", "-fno-omit-frame-pointer", "-fno-sanitize=undefined"]),
            flags(ALL_COMPILE, ["-g"], with_features = ["dbg"]),
            flags(ALL_COMPILE, ["-g0", "-O2", "-DNDEBUG", "-ffunction-sections", "-fdata-sections"], with_features = ["opt"]),
        ], enabled = True),
    ] + standards() + wanted_by_name() + [
        switch("default_link_flags", [
            flags(ALL_LINK, ["-Wl,--as-needed", "-Wl,--build-id=none"]),
            # The debug information of libc++ contains the directory in which Zig built it.
            flags(ALL_LINK, ["-s"], without = ["dbg"]),
            flags(ALL_LINK, ["-Wl,--gc-sections"], with_features = ["opt"]),
        ], enabled = True),
        switch("treat_warnings_as_errors", [flags(ALL_COMPILE, ["-Werror"])]),
        both("lto", ["-flto"]),
    ]

def _config_impl(ctx):
    return cc.common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = ctx.attr.identifier,
        host_system_name = "local",
        target_system_name = ctx.attr.triple,
        target_cpu = ctx.attr.cpu,
        target_libc = "glibc",
        compiler = "clang",
        abi_version = "clang",
        abi_libc_version = "glibc",
        # All other arguments are passed to the C++ compiler.
        action_configs = [cc.config.action_config(
            action_name = name,
            enabled = True,
            implies = [
                "legacy_compile_flags",
                "user_compile_flags",
                "sysroot",
                "unfiltered_compile_flags",
                "compiler_input_flags",
                "compiler_output_flags",
            ],
            tools = [cc.config.tool(path = "bin/cc")],
        ) for name in [cc.actions.c_compile, cc.actions.assemble, cc.actions.preprocess_assemble]],
        features = _features(ctx.label.workspace_root, ctx.attr.lib),
        cxx_builtin_include_directories = [ctx.attr.lib],
        tool_paths = [cc.config.tool_path(name = name, path = "bin/" + tool) for name, tool in {
            "ar": "ar",
            "cpp": "c++",
            "dwp": "zig",
            "gcc": "c++",
            "gcov": "zig",
            "ld": "c++",
            "nm": "zig",
            "objcopy": "objcopy",
            "objdump": "zig",
            "strip": "objcopy",
        }.items()],
    )

_zig_toolchain_config = rule(
    implementation = _config_impl,
    attrs = {
        "cpu": attr.string(),
        "identifier": attr.string(),
        "lib": attr.string(),
        "triple": attr.string(),
    },
    provides = [cc.config_info],
)

def _no_pinned_libc(ctx):
    fail("{} has no libc that a program could bring along: Zig's programs run with that of the system. Take the pinned_libc of a GCC, or none".format(ctx.label.workspace_root))

_zig_no_pinned_libc = rule(implementation = _no_pinned_libc, provides = [cc.info])

def cotter_zig_toolchain(name, inputs, **kwargs):
    """Declares the cc_toolchain of a tree, in the package of the tree.

    Args:
      name: the target's name.
      inputs: what of the tree is an input of an action, as directories.
      **kwargs: facts of the tree, see the rule above.
    """
    _zig_toolchain_config(name = name + "_config", **kwargs)
    declare_toolchain(
        name = name,
        identifier = kwargs["identifier"],
        inputs = inputs,
    )
    _zig_no_pinned_libc(
        name = "pinned_libc",
        tags = ["manual"],
        visibility = ["//visibility:public"],
    )
