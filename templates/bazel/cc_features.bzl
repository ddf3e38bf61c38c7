"""What the C++ toolchains share: the actions, short names for features and their flags, and the declaration itself."""

load(":rules.bzl", "cc")

_ACTIONS = cc.actions

PREPROCESSED = [
    _ACTIONS.c_compile,
    _ACTIONS.cpp_compile,
    _ACTIONS.preprocess_assemble,
    _ACTIONS.linkstamp_compile,
    _ACTIONS.cpp_header_parsing,
    _ACTIONS.cpp_module_compile,
    _ACTIONS.clif_match,
]
ALL_COMPILE = PREPROCESSED + [_ACTIONS.assemble, _ACTIONS.cpp_module_codegen, _ACTIONS.lto_backend]
ALL_CPP = [
    _ACTIONS.cpp_compile,
    _ACTIONS.linkstamp_compile,
    _ACTIONS.cpp_header_parsing,
    _ACTIONS.cpp_module_compile,
    _ACTIONS.cpp_module_codegen,
    _ACTIONS.clif_match,
]
ALL_LINK = [
    _ACTIONS.cpp_link_executable,
    _ACTIONS.cpp_link_dynamic_library,
    _ACTIONS.cpp_link_nodeps_dynamic_library,
]
LINK_SHARED = ALL_LINK[1:]

def flags(actions, values, with_features = [], without = []):
    """Returns flags for some actions: always, or in the named modes.

    Args:
      actions: the names of the actions.
      values: the flags.
      with_features: features one of which must be on.
      without: features all of which must be off.

    Returns:
      A flag set.
    """
    conditions = [cc.config.with_feature_set(features = [f]) for f in with_features]
    if without:
        conditions.append(cc.config.with_feature_set(not_features = without))
    return cc.config.flag_set(
        actions = actions,
        flag_groups = [cc.config.flag_group(flags = values)] if values else [],
        with_features = conditions,
    )

def flags_for(actions, values, variable, each = False):
    """Returns flags for some actions, which apply if Bazel sets a variable.

    Args:
      actions: the names of the actions.
      values: the flags, with the variable between `%{` and `}`.
      variable: its name.
      each: whether the variable is a list, and the flags are wanted once for each of its items.

    Returns:
      A flag set.
    """
    return cc.config.flag_set(actions = actions, flag_groups = [cc.config.flag_group(
        flags = values,
        expand_if_available = variable,
        iterate_over = variable if each else None,
    )])

def switch(name, flag_sets, **kwargs):
    """Returns a feature."""
    return cc.config.feature(name = name, flag_sets = flag_sets, **kwargs)

def both(name, values, link = None, **kwargs):
    """Returns a feature that compiles and links with the same flags."""
    return switch(name, [flags(ALL_COMPILE, values), flags(ALL_LINK, values if link == None else link)], **kwargs)

# What both provide that cannot be had together: programs that are linked statically, and sanitizers that replace functions of the C library. Bazel then says which features these are.
SANITIZED_OR_STATIC = ["sanitized_or_static"]

def modes():
    """Returns the features that Bazel uses for its compilation modes, and those that declare the abilities of a toolchain."""
    return [
        cc.config.feature(name = "dbg"),
        cc.config.feature(name = "opt"),
        cc.config.feature(name = "fastbuild"),
        cc.config.feature(name = "supports_pic", enabled = True),
        cc.config.feature(name = "supports_dynamic_linker", enabled = True),
        cc.config.feature(name = "static_linking_mode"),
        cc.config.feature(name = "dynamic_linking_mode"),
    ]

def environment(actions, values):
    """Returns environment variables for some actions.

    Args:
      actions: the names of the actions.
      values: the variables.

    Returns:
      A list for `env_sets`.
    """
    entries = [cc.config.env_entry(key, value) for key, value in values.items()]
    return [cc.config.env_set(actions = actions, env_entries = entries)]

def standards():
    """Returns one feature for each language standard. The first one of each language is the default, and any other one replaces it."""
    cpp = ["c++17", "c++11", "c++14", "c++20", "c++23", "gnu++11", "gnu++14", "gnu++17", "gnu++20", "gnu++23"]
    c = ["c17", "c99", "c11", "c2x", "gnu99", "gnu11", "gnu17", "gnu2x"]
    out = [switch("default_standard", [
        flags([a for a in ALL_CPP if a != _ACTIONS.cpp_module_codegen], ["-std=" + cpp[0]], without = cpp),
    ], enabled = True)]
    for names, actions in [(cpp, ALL_CPP), (c, [_ACTIONS.c_compile])]:
        for name in names:
            out.append(switch(name, [flags(actions, ["-std=" + name])]))
    return out

def wanted_by_name():
    """Returns features that are disabled by default: a map of the link, and headers of other repositories as system headers."""
    return [
        switch("generate_linkmap", [flags_for([_ACTIONS.cpp_link_executable], ["-Wl,-Map=%{output_execpath}.map"], "output_execpath")]),
        switch("external_include_paths", [flags_for(PREPROCESSED, ["-isystem", "%{external_include_paths}"], "external_include_paths", each = True)]),
    ]

def library_paths(actions):
    """Returns the feature by which programs find the shared libraries of their targets, relative to their own place.

    Bazel's own feature of this name would let tests search in `$EXEC_ORIGIN` if `static_link_cpp_runtimes` is on. The loader of glibc does not know this name.

    Args:
      actions: the names of the actions that link.

    Returns:
      The feature.
    """
    directories = "runtime_library_search_directories"
    return switch(directories, [flags_for(actions, ["-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/%{" + directories + "}"], directories, each = True)], enabled = True)

# What replaces the C++ library of the system, for the feature `static_link_cpp_runtimes`: Bazel links the archive into programs that are linked statically, and the shared libraries
# join the runfiles of the others.
CPP_RUNTIME = {
    "dynamic_runtime_lib": ":cpp_runtime_shared",
    "static_runtime_lib": ":cpp_runtime_static",
}

def declare_cpp_runtime():
    """Declares the libraries that `CPP_RUNTIME` names."""
    native.filegroup(name = "cpp_runtime_shared", srcs = native.glob(["cpp_runtime/*.so.*"], allow_empty = True))
    native.filegroup(name = "cpp_runtime_static", srcs = native.glob(["cpp_runtime/*.a"], allow_empty = True))

def declare_toolchain(name, inputs, identifier, more = [], **kwargs):
    """Declares the cc_toolchain of a tree, in the package of the tree. Its configuration is the target with `_config` added to its name.

    Args:
      name: the target's name.
      inputs: what of the tree is an input of each action, as directories.
      identifier: what Bazel calls the toolchain.
      more: what else belongs to the toolchain, without being an input of its actions.
      **kwargs: as of cc_toolchain.
    """
    for group, srcs in [("files", inputs), ("all_files", [":files"] + more)]:
        native.filegroup(name = group, srcs = srcs, visibility = ["//visibility:public"])
    for use in ["ar", "as", "compiler", "coverage", "dwp", "linker", "objcopy", "strip"]:
        kwargs[use + "_files"] = ":files"

    # Bazel names the directory of a toolchain's shared libraries after its target, without the repository. Two toolchains in one build must not share it.
    own = name + "_" + identifier
    native.alias(name = name, actual = ":" + own, visibility = ["//visibility:public"])
    cc.toolchain(
        name = own,
        all_files = ":all_files",
        supports_param_files = True,
        toolchain_config = ":" + name + "_config",
        toolchain_identifier = identifier,
        visibility = ["//visibility:public"],
        **kwargs
    )
