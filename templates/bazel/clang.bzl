"""A C++ toolchain with Clang from a pinned tree: every path in a command line is relative to the execution root."""

load(":cc_features.bzl", "ALL_COMPILE", "ALL_CPP", "ALL_LINK", "CPP_RUNTIME", "LINK_SHARED", "PREPROCESSED", "SANITIZED_OR_STATIC", "both", "declare_cpp_runtime", "declare_toolchain", "environment", "flags", "flags_for", "library_paths", "modes", "standards", "switch", "wanted_by_name")
load(":pinned_libc.bzl", "cotter_pinned_libc")
load(":rules.bzl", "cc")

# The links that only write an index for ThinLTO.
_INDEX = ["lto-index-for-executable", "lto-index-for-dynamic-library", "lto-index-for-nodeps-dynamic-library"]
_LINK = ALL_LINK + _INDEX
_LTO_BACKEND = [cc.actions.lto_backend]
_COMPILE = [a for a in ALL_COMPILE if a not in _LTO_BACKEND]
_HEADER = [cc.actions.cpp_header_parsing]
_NOT_HEADER = [action for action in _COMPILE if action not in _HEADER]
_MODULE_USERS = [cc.actions.c_compile] + [a for a in ALL_CPP if a not in [cc.actions.linkstamp_compile, cc.actions.cpp_module_codegen, cc.actions.clif_match]]

def _isystem(root, dirs):
    return [flag for d in dirs for flag in ["-isystem", root + "/" + d]]

def _sanitizer(name, group, values = [], provides = []):
    """Returns the feature of a sanitizer, whose run-time library the compiler links statically."""
    return switch(name, [
        flags(ALL_COMPILE, ["-fsanitize=" + group, "-fno-omit-frame-pointer"] + values),
        flags(_LINK, ["-fsanitize=" + group]),
    ], provides = provides)

def _profiles():
    """Returns the features for profiles that programs or samples gave. All but one exclude each other."""
    return [
        switch("fdo_instrument", [flags(ALL_COMPILE + _LINK, ["-fprofile-generate=%{fdo_instrument_path}"])], provides = ["profile"]),
        switch("fdo_optimize", [
            flags_for(_COMPILE + _LTO_BACKEND, ["-fprofile-use=%{fdo_profile_path}", "-Wno-profile-instr-unprofiled", "-Wno-profile-instr-out-of-date"], "fdo_profile_path"),
        ], provides = ["profile"]),
        switch("cs_fdo_instrument", [flags(ALL_COMPILE + _LINK, ["-fcs-profile-generate=%{cs_fdo_instrument_path}"])], provides = ["csprofile"]),
        switch("autofdo", [
            flags_for(_COMPILE + _LTO_BACKEND, ["-fprofile-sample-use=%{fdo_profile_path}", "-gmlt"], "fdo_profile_path"),
        ], provides = ["profile"]),
    ]

def _thin_lto():
    """Returns the feature with which Bazel indexes all objects of a program and then optimizes each in an action of its own."""
    plugin = "-Wl,-plugin-opt,"
    return switch("thin_lto", [
        flags(_COMPILE + _INDEX + ALL_LINK, ["-flto=thin"]),
        flags_for([cc.actions.c_compile, cc.actions.cpp_compile], ["-Xclang", "-fthin-link-bitcode=%{lto_indexing_bitcode_file}"], "lto_indexing_bitcode_file"),
        flags(_INDEX, [
            plugin + "thinlto-index-only%{thinlto_optional_params_file}",
            plugin + "thinlto-emit-imports-files",
            plugin + "thinlto-prefix-replace=%{thinlto_prefix_replace}",
        ]),
        flags_for(_INDEX, [plugin + "thinlto-object-suffix-replace=%{thinlto_object_suffix_replace}"], "thinlto_object_suffix_replace"),
        flags_for(_INDEX, [plugin + "obj-path=%{thinlto_merged_object_file}"], "thinlto_merged_object_file"),
        flags_for(_LTO_BACKEND, [
            "-c",
            "-fthinlto-index=%{thinlto_index}",
            "-o",
            "%{thinlto_output_object_file}",
            "-x",
            "ir",
            "%{thinlto_input_bitcode_file}",
        ], "thinlto_index"),
    ])

def _module_maps():
    """Returns the features that let the compiler check which headers a target may include: those of its direct dependencies, and those of the tree."""
    return [
        switch("module_maps", [], enabled = True),
        cc.config.feature(
            name = "use_module_maps",
            flag_sets = [
                flags_for(_MODULE_USERS, ["-fmodule-name=%{module_name}"], "module_name"),
                flags_for(_MODULE_USERS, ["-fmodule-map-file=%{module_map_file}"], "module_map_file"),
            ],
            requires = [cc.config.feature_set(features = ["module_maps"])],
        ),
        switch("layering_check", [
            flags(_MODULE_USERS, ["-fmodules-strict-decluse", "-Wprivate-header"]),
            flags_for(_MODULE_USERS, ["-fmodule-map-file=%{dependent_module_map_files}"], "dependent_module_map_files", each = True),
        ], implies = ["use_module_maps"]),
    ]

def _libraries(ctx, root):
    """Returns the features that choose the C++ library. Few systems have libc++, so programs contain it."""
    cpp = [a for a in ALL_CPP if a != cc.actions.cpp_module_codegen]
    out = [
        flags(PREPROCESSED, ["-nostdinc"]),
        flags(cpp, ["-nostdinc++"]),
        flags(cpp, _isystem(root, ctx.attr.cpp_includes), without = ["libc++"]),
    ]
    link = [
        flags(_LINK, ["-lstdc++", "-lm"], without = ["libc++", "static_libgcc_libstdcxx", "static_link_cpp_runtimes"]),
        flags(_LINK, ["-lm"], with_features = ["libc++", "static_libgcc_libstdcxx", "static_link_cpp_runtimes"]),
    ]
    features = [switch("static_libgcc_libstdcxx", [
        flags(_LINK, ["-static-libgcc"]),
        flags(_LINK, ["-l:libstdc++.a"], without = ["libc++"]),
    ]), switch("static_link_cpp_runtimes", [flags(_LINK, ["-static-libgcc"], with_features = ["static_linking_mode"])])]
    if ctx.attr.libcxx_includes:
        out.append(flags(cpp, _isystem(root, ctx.attr.libcxx_includes), with_features = ["libc++"]))
        features.append(switch("libc++", [
            flags(_LINK, ["-L{}/{}/lib".format(root, ctx.attr.home), "-l:libc++.a", "-l:libc++abi.a", "-lpthread"]),
        ]))
    return [
        # Only these relative directories, in this order, and none of the directories that are compiled into the compiler.
        switch("tree_includes", out + [flags(PREPROCESSED, _isystem(root, ctx.attr.includes))], enabled = True),
    ] + features + [switch("default_libraries", link, enabled = True)]

def _features(ctx, root):
    has_lld = "ld.lld" in ctx.attr.tools
    lld = ["-fuse-ld=lld"] if has_lld else []
    return modes() + ([switch("supports_start_end_lib", [], enabled = True)] if has_lld else []) + [
        # Debug information, __FILE__ and the maps of coverage contain paths relative to the execution root, so they do not depend on its place.
        switch("reproducible_paths", [
            flags(_COMPILE, ["-ffile-prefix-map=/proc/self/cwd=."]),
            flags(ALL_COMPILE + _LINK, ["-no-canonical-prefixes"]),
        ], env_sets = environment(ALL_COMPILE + _LINK, {"PWD": "/proc/self/cwd"}), enabled = True),
        switch("reproducible_time", [flags(_COMPILE, [
            "-Wno-builtin-macro-redefined",
            "-D__DATE__=\"redacted\"",
            "-D__TIMESTAMP__=\"redacted\"",
            "-D__TIME__=\"redacted\"",
        ])], enabled = True),
        switch("default_compile_flags", [
            flags(_COMPILE, ["-fcolor-diagnostics", "-fstack-protector", "-Wall", "-Wthread-safety", "-Wself-assign", "-fno-omit-frame-pointer"]),
            flags(_COMPILE, ["-g"], with_features = ["dbg"]),
            flags(ALL_COMPILE, ["-O2"], with_features = ["opt"]),
            flags(_COMPILE, ["-g0", "-DNDEBUG", "-ffunction-sections", "-fdata-sections"], with_features = ["opt"]),
        ], enabled = True),
        switch("fortify", [flags(_COMPILE, ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"], with_features = ["opt"])], enabled = True),
        library_paths(_LINK),
    ] + standards() + wanted_by_name() + _libraries(ctx, root) + [
        # The compiler would find its own directory by its absolute path, and so would report the lists of what sanitizers leave out.
        switch("resource_directory", [flags(ALL_COMPILE + _LINK, ["-resource-dir={}/{}".format(root, ctx.attr.resources)])], enabled = True),
        switch("default_link_flags", [
            # The program that links is that for C. Options of the user may ask for a sanitizer, which then also has its part for C++.
            flags(_LINK, ["-fsanitize-link-c++-runtime"]),
            flags(_LINK, lld + ["-Wl,-z,relro,-z,now", "-Wl,--as-needed", "-Wl,--build-id=none"]),
            flags(_LINK, ["-Wl,--gc-sections"], with_features = ["opt"]),
        ], enabled = True),
        switch("treat_warnings_as_errors", [flags(_COMPILE, ["-Werror"]), flags(_LINK, ["-Wl,--fatal-warnings"])]),
        both("lto", ["-flto"]),
        _sanitizer("asan", "address", ["-fno-common", "-DADDRESS_SANITIZER"], SANITIZED_OR_STATIC),
        _sanitizer("lsan", "leak"),
        _sanitizer("msan", "memory", ["-fsanitize-memory-track-origins", "-DMEMORY_SANITIZER"], SANITIZED_OR_STATIC),
        _sanitizer("tsan", "thread", ["-DTHREAD_SANITIZER"], SANITIZED_OR_STATIC),
        _sanitizer("ubsan", "undefined", ["-fno-sanitize-recover=all"]),
        switch("per_object_debug_info", [flags_for(ALL_COMPILE, ["-gsplit-dwarf", "-g"], "per_object_debug_info_file")], enabled = True),
        switch("fission_support", [], enabled = True),
        # For --process_headers_in_dependencies.
        switch("parse_headers", []),
        switch("compiler_input_flags", [
            flags_for(_NOT_HEADER, ["-c", "%{source_file}"], "source_file"),
            flags_for(_HEADER, ["-S", "-include", "%{source_file}", root + "/empty.cc"], "source_file"),
        ], enabled = True),
        switch("fully_static_link", [flags([cc.actions.cpp_link_executable, _INDEX[0]], ["-static"])], provides = SANITIZED_OR_STATIC),
        # Libraries are found through the program that loads them. DT_RUNPATH in a library would prevent that.
        switch("pinned_libc", [flags(LINK_SHARED, ["-Wl,--disable-new-dtags"])], enabled = True),
    ] + _profiles() + _module_maps() + ([_thin_lto()] if has_lld else [])

def _first(tools, names):
    """Returns the path of the first of some programs that the tree has."""
    for name in names:
        if name in tools:
            return tools[name]
    return "usr/bin/" + names[-1]

def _config_impl(ctx):
    tools = ctx.attr.tools
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
        features = _features(ctx, ctx.label.workspace_root),
        # The compiler reports the lists of what sanitizers leave out as if they were headers.
        cxx_builtin_include_directories = ctx.attr.libcxx_includes + ctx.attr.cpp_includes + ctx.attr.includes + [ctx.attr.resources + "/share"],
        tool_paths = [cc.config.tool_path(name = name, path = path) for name, path in {
            "ar": _first(tools, ["llvm-ar", "ar"]),
            "cpp": _first(tools, ["clang-cpp"]),
            "dwp": _first(tools, ["llvm-dwp", "dwp"]),
            "gcc": "usr/bin/clang",
            "gcov": _first(tools, ctx.attr.gcov),
            "ld": _first(tools, ["ld.lld", "ld"]),
            "llvm-cov": _first(tools, ["llvm-cov"]),
            "llvm-profdata": _first(tools, ["llvm-profdata"]),
            "nm": _first(tools, ["llvm-nm", "nm"]),
            "objcopy": _first(tools, ["llvm-objcopy", "objcopy"]),
            "objdump": _first(tools, ["llvm-objdump", "objdump"]),
            "strip": _first(tools, ["llvm-strip", "strip"]),
        }.items()],
    )

_clang_toolchain_config = rule(
    implementation = _config_impl,
    attrs = {
        "cpp_includes": attr.string_list(),
        "cpu": attr.string(),
        "gcov": attr.string_list(doc = "The names of the tool for coverage, of which the first counts that the tree has."),
        "home": attr.string(),
        "identifier": attr.string(),
        "includes": attr.string_list(),
        "libcxx_includes": attr.string_list(),
        "resources": attr.string(doc = "The directory of the compiler's own headers, libraries and lists."),
        "tools": attr.string_dict(),
        "triple": attr.string(),
    },
    provides = [cc.config_info],
)

def cotter_clang_toolchain(name, inputs, **kwargs):
    """Declares the cc_toolchain of a tree, and the library with which programs contain their own libc, in the package of the tree.

    Args:
      name: the target's name.
      inputs: what of the tree is an input of an action, as directories.
      **kwargs: facts of the tree, see the rule above.
    """

    # With LLVM's own maps, Bazel's script for coverage starts the tool `gcov` to merge profiles.
    native.config_setting(name = "_merges_profiles", values = {"experimental_use_llvm_covmap": "true"})
    _clang_toolchain_config(
        name = name + "_config",
        gcov = select({":_merges_profiles": ["llvm-profdata"], "//conditions:default": ["llvm-cov", "gcov"]}),
        **kwargs
    )
    declare_toolchain(
        name = name,
        identifier = kwargs["identifier"],
        inputs = inputs + ["empty.cc", "headers.cppmap"],
        more = ["runtime"],
        module_map = "headers.cppmap",
        supports_header_parsing = True,
        **CPP_RUNTIME
    )
    declare_cpp_runtime()
    cotter_pinned_libc(name = "pinned_libc", runtime = ["runtime"], visibility = ["//visibility:public"])
