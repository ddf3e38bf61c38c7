"""The targets of the package of these files: constraints, platforms and toolchains."""

load(":labels.bzl", "constraints")

def _sh_toolchain(ctx):
    return [platform_common.ToolchainInfo(path = ctx.attr.path)]

_cotter_sh = rule(
    doc = "A shell that lies at the same place on every machine.",
    implementation = _sh_toolchain,
    attrs = {"path": attr.string(doc = "The absolute path.")},
)

# COTTER names the program if it is not on PATH, as for the repositories of the trees.
_COMPILE_COMMANDS = """#!{shell}
cd "${{BUILD_WORKSPACE_DIRECTORY:?start it with bazel run}}" || exit
exec "${{COTTER:-cotter}}" compile-commands "$@"
"""

def _compile_commands(ctx):
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(script, _COMPILE_COMMANDS.format(shell = ctx.attr.shell), is_executable = True)
    return [DefaultInfo(executable = script)]

_cotter_compile_commands = rule(
    doc = "`bazel run` writes compile_commands.json into the workspace; it takes targets, and flags of `cotter compile-commands`.",
    implementation = _compile_commands,
    attrs = {"shell": attr.string(doc = "The absolute path of the shell.")},
    executable = True,
)

def cotter_package(trees, hub, shell):
    """Declares the targets of the package.

    Args:
      trees: the trees of the lock.
      hub: the repository that has a name for each toolchain.
      shell: the absolute path of the shell of genrules and tests.
    """
    native.constraint_setting(name = "libc", default_constraint_value = ":glibc")
    native.constraint_value(name = "glibc", constraint_setting = ":libc")

    # A platform selects the interpreter; otherwise it is the first one.
    pythons = sorted({tree["name"]: None for tree in trees.values() if tree["kind"] == "python"})
    if len(pythons) > 1:
        native.constraint_setting(name = "python_version", default_constraint_value = ":is_" + pythons[0])
        for python in pythons:
            native.constraint_value(name = "is_" + python, constraint_setting = ":python_version")
    for platform in sorted({platform: None for tree in trees.values() for platform in [tree["platform"], tree["target"]]}):
        native.platform(name = platform, constraint_values = [":glibc"] + constraints(platform))
        for python in pythons[1:]:
            native.platform(name = platform + "-" + python, constraint_values = [":is_" + python], parents = [":" + platform])
    for key, tree in trees.items():
        repository = "@{}_{}".format(hub, key.replace("-", "_"))
        if tree["kind"] == "cc":
            native.toolchain(
                name = key,
                exec_compatible_with = constraints(tree["platform"]),
                target_compatible_with = constraints(tree["target"]),
                toolchain = repository + "//:cc_toolchain",
                toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
            )
        if tree["kind"] == "python":
            native.toolchain(
                name = key,
                target_compatible_with = constraints(tree["platform"]) + ([":is_" + tree["name"]] if len(pythons) > 1 else []),
                toolchain = repository + "//:runtime_pair",
                toolchain_type = "@bazel_tools//tools/python:toolchain_type",
            )

    _cotter_sh(name = "sh_path", path = shell)
    native.toolchain(
        name = "sh",
        toolchain = ":sh_path",
        toolchain_type = "@{}//:sh_toolchain_type".format(hub),
    )

    _cotter_compile_commands(name = "compile_commands", shell = shell, tags = ["manual"])

    # `bazel coverage` sets this value.
    native.config_setting(name = "coverage", values = {"collect_code_coverage": "true"})
