"""The rules for C++ of the module rules_cc. This file is used if the main module names it."""

load("@rules_cc//cc:action_names.bzl", "ACTION_NAMES")
load(
    "@rules_cc//cc:cc_toolchain_config_lib.bzl",
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
load("@rules_cc//cc:defs.bzl", "CcInfo", "CcToolchainConfigInfo", "cc_common", "cc_import", "cc_library", "cc_toolchain")
load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cc_toolchain")

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
    find_toolchain = find_cc_toolchain,
    import_ = cc_import,
    info = CcInfo,
    library = cc_library,
    toolchain = cc_toolchain,
)
