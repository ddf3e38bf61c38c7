# Written by `cotter emit bazel`; what is changed here is lost.

"""What the C++ toolchains share: the actions, and how a feature is said."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "with_feature_set",
)

PREPROCESSED = [
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.preprocess_assemble,
    ACTION_NAMES.linkstamp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.cpp_module_compile,
    ACTION_NAMES.clif_match,
]
ALL_COMPILE = PREPROCESSED + [ACTION_NAMES.assemble, ACTION_NAMES.cpp_module_codegen, ACTION_NAMES.lto_backend]
ALL_CPP = [
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.linkstamp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.cpp_module_compile,
    ACTION_NAMES.cpp_module_codegen,
    ACTION_NAMES.clif_match,
]
ALL_LINK = [
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]
LINK_SHARED = ALL_LINK[1:]

def flags(actions, values, with_features = [], without = []):
    """Flags for some actions: always, or in the modes that are named."""
    conditions = [with_feature_set(features = [f]) for f in with_features]
    if without:
        conditions.append(with_feature_set(not_features = without))
    return flag_set(actions = actions, flag_groups = [flag_group(flags = values)] if values else [], with_features = conditions)

def switch(name, flag_sets, **kwargs):
    """A feature."""
    return feature(name = name, flag_sets = flag_sets, **kwargs)

def both(name, values, link = None, **kwargs):
    """A feature that compiles and links with the same flags."""
    return switch(name, [flags(ALL_COMPILE, values), flags(ALL_LINK, values if link == None else link)], **kwargs)

def standards():
    """One feature for each language standard. The first of each language is the default, and gives way to any other."""
    cpp = ["c++17", "c++11", "c++14", "c++20", "c++23", "gnu++11", "gnu++14", "gnu++17", "gnu++20", "gnu++23"]
    c = ["c17", "c99", "c11", "c2x", "gnu99", "gnu11", "gnu17", "gnu2x"]
    out = [switch("default_standard", [
        flags([a for a in ALL_CPP if a != ACTION_NAMES.cpp_module_codegen], ["-std=" + cpp[0]], without = cpp),
    ], enabled = True)]
    for names, actions in [(cpp, ALL_CPP), (c, [ACTION_NAMES.c_compile])]:
        for name in names:
            out.append(switch(name, [flags(actions, ["-std=" + name])]))
    return out
