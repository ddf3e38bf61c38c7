# Written by `cotter emit bazel`; what is changed here is lost.

"""A C++ toolchain of GCC out of a pinned tree: every path in a command line is relative to the execution root."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "env_entry",
    "env_set",
    "feature",
    "feature_set",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)

_PREPROCESSED = [
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.preprocess_assemble,
    ACTION_NAMES.linkstamp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.cpp_module_compile,
    ACTION_NAMES.clif_match,
]
_COMPILE = _PREPROCESSED + [ACTION_NAMES.assemble, ACTION_NAMES.cpp_module_codegen, ACTION_NAMES.lto_backend]
_CPP = [
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.linkstamp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.cpp_module_compile,
    ACTION_NAMES.cpp_module_codegen,
    ACTION_NAMES.clif_match,
]
_C = [ACTION_NAMES.c_compile, ACTION_NAMES.preprocess_assemble]
_LINK = [
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]
_LINK_SHARED = _LINK[1:]

def _flags(actions, flags, with_features = [], without = []):
    """Flags for some actions: always, or in the modes that are named."""
    conditions = [with_feature_set(features = [f]) for f in with_features]
    if without:
        conditions.append(with_feature_set(not_features = without))
    return flag_set(actions = actions, flag_groups = [flag_group(flags = flags)] if flags else [], with_features = conditions)

def _switch(name, flag_sets, **kwargs):
    return feature(name = name, flag_sets = flag_sets, **kwargs)

def _both(name, flags, link = None, **kwargs):
    """A feature that compiles and links with the same flags."""
    return _switch(name, [_flags(_COMPILE, flags), _flags(_LINK, flags if link == None else link)], **kwargs)

def _standards():
    """One feature for each language standard. The first of each language is the default, and gives way to any other."""
    cpp = ["c++17", "c++11", "c++14", "c++20", "c++23", "gnu++11", "gnu++14", "gnu++17", "gnu++20", "gnu++23"]
    c = ["c17", "c99", "c11", "c2x", "gnu99", "gnu11", "gnu17", "gnu2x"]
    out = [_switch("default_standard", [
        _flags([a for a in _CPP if a != ACTION_NAMES.cpp_module_codegen], ["-std=" + cpp[0]], without = cpp),
    ], enabled = True)]
    for names, actions in [(cpp, _CPP), (c, [ACTION_NAMES.c_compile])]:
        for name in names:
            out.append(_switch(name, [_flags(actions, ["-std=" + name])]))
    return out

def _isystem(root, dirs):
    return [flag for d in dirs for flag in ["-isystem", root + "/" + d]]

def _features(ctx, root):
    return [
        # What the modes are called; Bazel enables one of them.
        feature(name = "dbg"),
        feature(name = "opt"),
        feature(name = "fastbuild"),
        feature(name = "supports_pic", enabled = True),
        feature(name = "supports_dynamic_linker", enabled = True),
        # Debug information and __FILE__ name files relative to the execution root, wherever that lies.
        _switch("reproducible_paths", [
            _flags(_COMPILE, ["-fno-canonical-system-headers", "-ffile-prefix-map=/proc/self/cwd=."]),
            _flags(_COMPILE + _LINK, ["-no-canonical-prefixes"]),
        ], env_sets = [env_set(actions = _COMPILE + _LINK, env_entries = [env_entry("PWD", "/proc/self/cwd")])], enabled = True),
        _switch("reproducible_time", [_flags(_COMPILE, [
            "-Wno-builtin-macro-redefined",
            "-D__DATE__=\"redacted\"",
            "-D__TIMESTAMP__=\"redacted\"",
            "-D__TIME__=\"redacted\"",
        ])], enabled = True),
        _switch("default_compile_flags", [
            _flags(_COMPILE, ["-fdiagnostics-color=always", "-fstack-protector", "-Wall", "-Wunused-but-set-parameter", "-Wno-free-nonheap-object", "-fno-omit-frame-pointer"]),
            _flags(_COMPILE, ["-g"], with_features = ["dbg"]),
            _flags(_COMPILE, ["-g0", "-O2", "-DNDEBUG", "-ffunction-sections", "-fdata-sections"], with_features = ["opt"]),
        ], enabled = True),
        _switch("fortify", [_flags(_COMPILE, ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"], with_features = ["opt"])], enabled = True),
    ] + _standards() + [
        # No directory that the compiler was built with: only these, relative, in this order.
        _switch("tree_includes", [
            _flags(_PREPROCESSED, ["-nostdinc"]),
            _flags([a for a in _CPP if a != ACTION_NAMES.cpp_module_codegen], ["-nostdinc++"] + _isystem(root, ctx.attr.cpp_includes)),
            _flags(_PREPROCESSED, _isystem(root, ctx.attr.includes)),
        ], enabled = True),
        _switch("default_link_flags", [
            # Where the compiler looks for assembler and linker first. Its sysroot it knows itself: where it lies.
            _flags(_LINK + _COMPILE, ["-B" + root + "/usr/bin/" + ctx.attr.tool_prefix]),
            _flags(_LINK, ["-Wl,-z,relro,-z,now", "-Wl,--as-needed", "-pass-exit-codes", "-Wl,--build-id=none"]),
            _flags(_LINK, ["-Wl,--gc-sections"], with_features = ["opt"]),
        ], enabled = True),
        _switch("treat_warnings_as_errors", [_flags(_COMPILE, ["-Werror"]), _flags(_LINK, ["-Wl,-fatal-warnings"])]),
        _both("lto", ["-flto=auto", "-fno-fat-lto-objects"], link = ["-flto=auto", "-fuse-linker-plugin"]),
        _both("asan", ["-fsanitize=address", "-fno-common", "-fno-omit-frame-pointer", "-DADDRESS_SANITIZER"], link = ["-fsanitize=address", "-static-libasan"]),
        _both("ubsan", ["-fsanitize=undefined", "-fno-sanitize-recover=all"], link = ["-fsanitize=undefined", "-static-libubsan"]),
        _both("tsan", ["-fsanitize=thread", "-DTHREAD_SANITIZER"], link = ["-fsanitize=thread", "-static-libtsan"]),
        _switch("static_libgcc_libstdcxx", [_flags(_LINK, ["-static-libgcc", "-l:libstdc++.a"])]),
        _switch("fully_static_link", [_flags([ACTION_NAMES.cpp_link_executable], ["-static"])]),
        _switch("default_libraries", [_flags(_LINK, ["-lstdc++", "-lm"], without = ["static_libgcc_libstdcxx"]), _flags(_LINK, ["-lm"], with_features = ["static_libgcc_libstdcxx"])], enabled = True),
        # Libraries leave the search to the program that loads them: DT_RUNPATH would end it.
        _switch("pinned_libc", [_flags(_LINK_SHARED, ["-Wl,--disable-new-dtags"])], enabled = True),
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
    return cc_common.create_cc_toolchain_config_info(
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
        tool_paths = [tool_path(name = name, path = path) for name, path in tools.items()],
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
    provides = [CcToolchainConfigInfo],
)

def cotter_cc_toolchain(name, **kwargs):
    """The cc_toolchain of a tree, in the tree's own package.

    Args:
      name: the target's name.
      **kwargs: facts of the tree, see the rule above.
    """
    _cc_toolchain_config(name = name + "_config", **kwargs)
    native.cc_toolchain(
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
        supports_param_files = True,
        toolchain_config = ":" + name + "_config",
        toolchain_identifier = kwargs["identifier"],
        visibility = ["//visibility:public"],
    )

# The linker reserves this much of DT_RPATH; the start code writes over it where the run-time files are.
_RUNTIME_MARK = "/cotter-runtime/" + "x" * 496

def cotter_pinned_libc(name, visibility):
    """A library that makes a program run with the loader and the libraries of its compiler's tree, which travel in its runfiles.

    Args:
      name: the target's name.
      visibility: as ever.
    """
    runtime = native.repository_name().lstrip("@") + "/runtime"
    native.cc_library(
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
            "-pie",
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
