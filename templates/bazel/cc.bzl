"""A C++ toolchain with GCC from a pinned tree: every path in a command line is relative to the execution root."""

load(":cc_features.bzl", "ALL_COMPILE", "ALL_CPP", "ALL_LINK", "CPP_RUNTIME", "LINK_SHARED", "PREPROCESSED", "SANITIZED_OR_STATIC", "both", "declare_cpp_runtime", "declare_toolchain", "environment", "flags", "flags_for", "library_paths", "modes", "standards", "switch", "wanted_by_name")
load(":pinned_libc.bzl", "cotter_pinned_libc")
load(":rules.bzl", "cc")

def _isystem(root, dirs):
    return [flag for d in dirs for flag in ["-isystem", root + "/" + d]]

# A header is compiled by itself only to find its errors: it is included into an empty source file and compiled to assembler, which is discarded.
_HEADER = [cc.actions.cpp_header_parsing]
_NOT_HEADER = [action for action in ALL_COMPILE if action not in _HEADER]

def _features(ctx, root):
    return modes() + [
        # Debug information and __FILE__ contain paths relative to the execution root, so they do not depend on its place.
        switch("reproducible_paths", [
            flags(ALL_COMPILE, ["-fno-canonical-system-headers", "-ffile-prefix-map=/proc/self/cwd=."]),
            flags(ALL_COMPILE + ALL_LINK, ["-no-canonical-prefixes"]),
        ], env_sets = environment(ALL_COMPILE + ALL_LINK, {"PWD": "/proc/self/cwd"}), enabled = True),
        switch("reproducible_time", [flags(ALL_COMPILE, [
            "-Wno-builtin-macro-redefined",
            "-D__DATE__=\"redacted\"",
            "-D__TIMESTAMP__=\"redacted\"",
            "-D__TIME__=\"redacted\"",
        ])], enabled = True),
        switch("default_compile_flags", [
            flags(ALL_COMPILE, ["-fdiagnostics-color=always", "-fstack-protector", "-Wall", "-Wunused-but-set-parameter", "-Wno-free-nonheap-object", "-fno-omit-frame-pointer"]),
            flags(ALL_COMPILE, ["-g"], with_features = ["dbg"]),
            flags(ALL_COMPILE, ["-g0", "-O2", "-DNDEBUG", "-ffunction-sections", "-fdata-sections"], with_features = ["opt"]),
        ], enabled = True),
        switch("fortify", [flags(ALL_COMPILE, ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"], with_features = ["opt"])], enabled = True),
        library_paths(ALL_LINK),
    ] + standards() + wanted_by_name() + [
        # Only these relative directories, in this order, and none of the directories that are compiled into the compiler.
        switch("tree_includes", [
            flags(PREPROCESSED, ["-nostdinc"]),
            flags([a for a in ALL_CPP if a != cc.actions.cpp_module_codegen], ["-nostdinc++"] + _isystem(root, ctx.attr.cpp_includes)),
            flags(PREPROCESSED, _isystem(root, ctx.attr.includes)),
        ], enabled = True),
        switch("default_link_flags", [
            # The directory in which the compiler searches for the assembler and the linker first. The compiler finds its sysroot by its own place.
            flags(ALL_LINK + ALL_COMPILE, ["-B" + root + "/usr/bin/" + ctx.attr.tool_prefix]),
            flags(ALL_LINK, ["-Wl,-z,relro,-z,now", "-Wl,--as-needed", "-pass-exit-codes", "-Wl,--build-id=none"]),
            flags(ALL_LINK, ["-Wl,--gc-sections"], with_features = ["opt"]),
        ], enabled = True),
        switch("treat_warnings_as_errors", [flags(ALL_COMPILE, ["-Werror"]), flags(ALL_LINK, ["-Wl,-fatal-warnings"])]),
        both("lto", ["-flto=auto", "-fno-fat-lto-objects"], link = ["-flto=auto", "-fuse-linker-plugin"]),
        both("asan", ["-fsanitize=address", "-fno-common", "-fno-omit-frame-pointer", "-DADDRESS_SANITIZER"], link = ["-fsanitize=address", "-static-libasan"], provides = SANITIZED_OR_STATIC),
        both("ubsan", ["-fsanitize=undefined", "-fno-sanitize-recover=all"], link = ["-fsanitize=undefined", "-static-libubsan"]),
        both("tsan", ["-fsanitize=thread", "-DTHREAD_SANITIZER"], link = ["-fsanitize=thread", "-static-libtsan"], provides = SANITIZED_OR_STATIC),
        # Debug information in separate files, for --fission. Bazel's own features would request an index that only gold can make.
        switch("per_object_debug_info", [flags_for(ALL_COMPILE, ["-gsplit-dwarf", "-g"], "per_object_debug_info_file")], enabled = True),
        switch("fission_support", [], enabled = True),
        # For --process_headers_in_dependencies.
        switch("parse_headers", []),
        switch("compiler_input_flags", [
            flags_for(_NOT_HEADER, ["-c", "%{source_file}"], "source_file"),
            flags_for(_HEADER, ["-S", "-include", "%{source_file}", root + "/empty.cc"], "source_file"),
        ], enabled = True),
        switch("static_libgcc_libstdcxx", [flags(ALL_LINK, ["-static-libgcc", "-l:libstdc++.a"])]),
        switch("fully_static_link", [flags([cc.actions.cpp_link_executable], ["-static"])], provides = SANITIZED_OR_STATIC),
        switch("static_link_cpp_runtimes", [flags(ALL_LINK, ["-static-libgcc"], with_features = ["static_linking_mode"])]),
        switch("default_libraries", [
            flags(ALL_LINK, ["-lstdc++", "-lm"], without = ["static_libgcc_libstdcxx", "static_link_cpp_runtimes"]),
            flags(ALL_LINK, ["-lm"], with_features = ["static_libgcc_libstdcxx", "static_link_cpp_runtimes"]),
        ], enabled = True),
        # Libraries are found through the program that loads them. DT_RUNPATH in a library would prevent that.
        switch("pinned_libc", [flags(LINK_SHARED, ["-Wl,--disable-new-dtags"])], enabled = True),
    ]

def _config_impl(ctx):
    root = ctx.label.workspace_root
    tools = {name: "usr/bin/" + ctx.attr.tool_prefix + tool for name, tool in {
        "ar": "ar",
        "cpp": "cpp",
        "dwp": "dwp",
        "gcc": "gcc",
        "gcov": "gcov",
        "ld": "ld",
        "nm": "nm",
        "objcopy": "objcopy",
        "objdump": "objdump",
        "strip": "strip",
    }.items()}
    return cc.common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = ctx.attr.identifier,
        host_system_name = "local",
        target_system_name = ctx.attr.triple,
        target_cpu = ctx.attr.cpu,
        target_libc = "glibc",
        compiler = "gcc",
        abi_version = "gcc",
        abi_libc_version = "glibc",
        features = _features(ctx, root),
        cxx_builtin_include_directories = ctx.attr.cpp_includes + ctx.attr.includes,
        tool_paths = [cc.config.tool_path(name = name, path = path) for name, path in tools.items()],
    )

_cc_toolchain_config = rule(
    implementation = _config_impl,
    attrs = {
        "cpp_includes": attr.string_list(),
        "cpu": attr.string(),
        "identifier": attr.string(),
        "includes": attr.string_list(),
        "tool_prefix": attr.string(),
        "triple": attr.string(),
    },
    provides = [cc.config_info],
)

def cotter_cc_toolchain(name, inputs, **kwargs):
    """Declares the cc_toolchain of a tree, and the library with which programs contain their own libc, in the package of the tree.

    Args:
      name: the target's name.
      inputs: what of the tree is an input of an action, as directories.
      **kwargs: facts of the tree, see the rule above.
    """
    _cc_toolchain_config(name = name + "_config", **kwargs)
    declare_toolchain(
        name = name,
        identifier = kwargs["identifier"],
        inputs = inputs + ["empty.cc"],
        more = ["runtime"],
        supports_header_parsing = True,
        **CPP_RUNTIME
    )
    declare_cpp_runtime()
    cotter_pinned_libc(name = "pinned_libc", runtime = ["runtime"], visibility = ["//visibility:public"])
