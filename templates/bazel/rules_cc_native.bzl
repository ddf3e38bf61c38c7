"""The rules for C++ that Bazel contains. This file is used for WORKSPACE, and for modules of Bazel 7 and 8 that do not name rules_cc. Newer versions of Bazel never load it."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "action_config",
    "env_entry",
    "env_set",
    "feature",
    "feature_set",
    "flag_group",
    "flag_set",
    "tool",
    "tool_path",
    "with_feature_set",
)
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

cc = struct(
    actions = ACTION_NAMES,
    common = cc_common,
    config = struct(
        action_config = action_config,
        env_entry = env_entry,
        env_set = env_set,
        feature = feature,
        feature_set = feature_set,
        flag_group = flag_group,
        flag_set = flag_set,
        tool = tool,
        tool_path = tool_path,
        with_feature_set = with_feature_set,
    ),
    config_info = CcToolchainConfigInfo,
    find_toolchain = find_cpp_toolchain,
    import_ = native.cc_import,
    info = CcInfo,
    library = native.cc_library,
    toolchain = native.cc_toolchain,
)
