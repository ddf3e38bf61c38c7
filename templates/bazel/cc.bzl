"""A C++ toolchain of GCC out of a pinned tree: every path in a command line is relative to the execution root."""

load(":cc_features.bzl", "ALL_COMPILE", "ALL_CPP", "ALL_LINK", "LINK_SHARED", "PREPROCESSED", "both", "environment", "flags", "flags_for", "modes", "standards", "switch", "wanted_by_name")
load(":labels.bzl", "own_repository")
load(":rules.bzl", "cc")

def _isystem(root, dirs):
    return [flag for d in dirs for flag in ["-isystem", root + "/" + d]]

# A header is compiled as a whole source file, for nothing but its errors: included into a file without a line, and to assembler, which is thrown away.
_HEADER = [cc.actions.cpp_header_parsing]
_NOT_HEADER = [action for action in ALL_COMPILE if action not in _HEADER]

def _features(ctx, root):
    return modes() + [
        # Debug information and __FILE__ name files relative to the execution root, wherever that lies.
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
    ] + standards() + wanted_by_name() + [
        # No directory that the compiler was built with: only these, relative, in this order.
        switch("tree_includes", [
            flags(PREPROCESSED, ["-nostdinc"]),
            flags([a for a in ALL_CPP if a != cc.actions.cpp_module_codegen], ["-nostdinc++"] + _isystem(root, ctx.attr.cpp_includes)),
            flags(PREPROCESSED, _isystem(root, ctx.attr.includes)),
        ], enabled = True),
        switch("default_link_flags", [
            # Where the compiler looks for assembler and linker first. Its sysroot it knows itself: where it lies.
            flags(ALL_LINK + ALL_COMPILE, ["-B" + root + "/usr/bin/" + ctx.attr.tool_prefix]),
            flags(ALL_LINK, ["-Wl,-z,relro,-z,now", "-Wl,--as-needed", "-pass-exit-codes", "-Wl,--build-id=none"]),
            flags(ALL_LINK, ["-Wl,--gc-sections"], with_features = ["opt"]),
        ], enabled = True),
        switch("treat_warnings_as_errors", [flags(ALL_COMPILE, ["-Werror"]), flags(ALL_LINK, ["-Wl,-fatal-warnings"])]),
        both("lto", ["-flto=auto", "-fno-fat-lto-objects"], link = ["-flto=auto", "-fuse-linker-plugin"]),
        both("asan", ["-fsanitize=address", "-fno-common", "-fno-omit-frame-pointer", "-DADDRESS_SANITIZER"], link = ["-fsanitize=address", "-static-libasan"]),
        both("ubsan", ["-fsanitize=undefined", "-fno-sanitize-recover=all"], link = ["-fsanitize=undefined", "-static-libubsan"]),
        both("tsan", ["-fsanitize=thread", "-DTHREAD_SANITIZER"], link = ["-fsanitize=thread", "-static-libtsan"]),
        # Debug information in files of its own, for --fission. Bazel's own features would ask for an index that only gold makes.
        switch("per_object_debug_info", [flags_for(ALL_COMPILE, ["-gsplit-dwarf", "-g"], "per_object_debug_info_file")], enabled = True),
        switch("fission_support", [], enabled = True),
        # For --process_headers_in_dependencies.
        switch("parse_headers", []),
        switch("compiler_input_flags", [
            flags_for(_NOT_HEADER, ["-c", "%{source_file}"], "source_file"),
            flags_for(_HEADER, ["-S", "-include", "%{source_file}", root + "/empty.cc"], "source_file"),
        ], enabled = True),
        switch("static_libgcc_libstdcxx", [flags(ALL_LINK, ["-static-libgcc", "-l:libstdc++.a"])]),
        switch("fully_static_link", [flags([cc.actions.cpp_link_executable], ["-static"])]),
        switch("default_libraries", [flags(ALL_LINK, ["-lstdc++", "-lm"], without = ["static_libgcc_libstdcxx"]), flags(ALL_LINK, ["-lm"], with_features = ["static_libgcc_libstdcxx"])], enabled = True),
        # Libraries leave the search to the program that loads them: DT_RUNPATH would end it.
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
    """The cc_toolchain of a tree and the library by which programs bring their libc along, in the tree's own package.

    Args:
      name: the target's name.
      inputs: what of the tree is an input of an action, as directories.
      **kwargs: facts of the tree, see the rule above.
    """
    _cc_toolchain_config(name = name + "_config", **kwargs)
    native.filegroup(
        name = "files",
        srcs = inputs + ["empty.cc"],
        visibility = ["//visibility:public"],
    )
    cc.toolchain(
        name = name,
        all_files = ":files",
        ar_files = ":files",
        as_files = ":files",
        compiler_files = ":files",
        coverage_files = ":files",
        dwp_files = ":files",
        linker_files = ":files",
        objcopy_files = ":files",
        strip_files = ":files",
        supports_header_parsing = True,
        supports_param_files = True,
        toolchain_config = ":" + name + "_config",
        toolchain_identifier = kwargs["identifier"],
        visibility = ["//visibility:public"],
    )
    _pinned_libc(name = "pinned_libc", visibility = ["//visibility:public"])

# The linker reserves this much of DT_RPATH; the start code writes over it where the run-time files are.
_RUNTIME_MARK = "/cotter-runtime/" + "x" * 496

def _pinned_libc(name, visibility):
    """A library that makes a program run with the loader and the libraries of its compiler's tree, which travel in its runfiles.

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
            "-fno-tree-loop-distribute-patterns",
            "-fPIC",
            "-fvisibility=hidden",
            "-U_FORTIFY_SOURCE",
        ],
        data = ["runtime"],
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
