"""The BUILD files of the repositories: a load, and one call of a macro with the facts of the tree."""

load(":labels.bzl", "PLATFORMS", "constraints")
load(":starlark.bzl", "call_text", "load_text", "select_text")

def _cc(ctx, facts):
    if facts["form"] == "zig":
        return load_text(ctx.attr.folder + ":zig.bzl", "cotter_zig_toolchain") + call_text(
            "cotter_zig_toolchain",
            name = "cc_toolchain",
            cpu = PLATFORMS[ctx.attr.target].cpu,
            identifier = ctx.attr.toolchain + "-" + ctx.attr.target,
            inputs = facts["inputs"],
            lib = facts["lib"],
            triple = facts["triple"],
        )
    if facts["form"] == "clang":
        return load_text(ctx.attr.folder + ":clang.bzl", "cotter_clang_toolchain") + call_text(
            "cotter_clang_toolchain",
            name = "cc_toolchain",
            cpp_includes = facts["cpp_includes"],
            cpu = PLATFORMS[ctx.attr.target].cpu,
            home = facts["home"],
            identifier = ctx.attr.toolchain + "-" + ctx.attr.target,
            includes = facts["c_includes"],
            inputs = facts["inputs"],
            libcxx_includes = facts["libcxx_includes"],
            # The first directory is that of the compiler's own headers.
            resources = facts["c_includes"][0].rpartition("/")[0],
            tools = facts["tools"],
            triple = facts["triple"],
        )
    return load_text(ctx.attr.folder + ":cc.bzl", "cotter_cc_toolchain") + call_text(
        "cotter_cc_toolchain",
        name = "cc_toolchain",
        cpp_includes = facts["cpp_includes"],
        cpu = PLATFORMS[ctx.attr.target].cpu,
        identifier = ctx.attr.toolchain + "-" + ctx.attr.target,
        includes = facts["c_includes"],
        inputs = facts["inputs"],
        tool_prefix = facts["tool_prefix"],
        triple = facts["triple"],
    )

def _python(ctx, facts):
    return load_text(ctx.attr.folder + ":python.bzl", "cotter_py_toolchain") + call_text(
        "cotter_py_toolchain",
        cache_tag = facts["cache_tag"],
        compiler = "@{}//:{}".format(ctx.attr.hub, ctx.attr.toolchain),
        coverage = ctx.attr.coverage,
        folder = ctx.attr.folder,
        includes = facts["includes"],
        inputs = facts["inputs"],
        interpreter = facts["interpreter"],
        stdlib = facts["stdlib"],
        version = facts["version"],
    )

def _packages(ctx, facts):
    packages = {}
    for name, package in facts["packages"].items():
        packages[name] = {"entries": package["entries"], "scripts": sorted(package["scripts"].keys())}
    return load_text(ctx.attr.folder + ":python_packages.bzl", "cotter_packages") + call_text(
        "cotter_packages",
        compiler = "@{}//:{}".format(ctx.attr.hub, ctx.attr.python),
        packages = packages,
        python = facts["python"],
        requires = ctx.attr.requires,
    )

def _library(ctx, facts):
    return load_text(ctx.attr.folder + ":libraries.bzl", "cotter_libraries") + call_text(
        "cotter_libraries",
        name = ctx.attr.toolchain,
        compatible = constraints(ctx.attr.target),
        includes = facts["includes"],
        packages = facts["packages"],
        runtime = facts["runtime"],
        shared = facts["shared"],
        static = facts["static"],
    )

def _sysroot(_ctx, facts):
    # Compilers take the directory of the package as their sysroot.
    return call_text("filegroup", name = "sysroot", srcs = facts["inputs"], visibility = ["//visibility:public"])

def _tool(ctx, facts):
    return load_text(ctx.attr.folder + ":tools.bzl", "cotter_tools") + call_text(
        "cotter_tools",
        name = ctx.attr.toolchain,
        srcs = facts["inputs"],
        bin = facts["bin"],
        variable = ctx.attr.toolchain.upper().replace("-", "_") + "_BIN",
        visibility = ["//visibility:public"],
    )

# For each kind: the function that writes the BUILD file of a tree, and the names of the tree's targets in the hub: the suffix there, and the
# target here. {} stands for the name of the toolchain.
_KINDS = {
    "cc": struct(build = _cc, names = {"": "files", "_toolchain": "cc_toolchain", "_pinned_libc": "pinned_libc"}),
    "library": struct(build = _library, names = {"": "{}", "_static": "{}_static"}),
    "packages": struct(build = _packages, names = {}),
    "python": struct(build = _python, names = {"": "interpreter", "_files": "files", "_headers": "headers", "_runtime": "runtime"}),
    "sysroot": struct(build = _sysroot, names = {"": "sysroot"}),
    "tool": struct(build = _tool, names = {"_for_platform": "{}"}),
}

def build_file(ctx, facts):
    """Returns the BUILD file of a tree.

    Args:
      ctx: the repository's context.
      facts: what `read_facts` returned.

    Returns:
      The text.
    """
    return _KINDS[ctx.attr.kind].build(ctx, facts)

def hub_build_file(trees, hub, folder, sh_toolchain_type):
    """Returns the BUILD file of the repository that contains a name for each toolchain.

    Args:
      trees: the trees of the lock.
      hub: the repository's name.
      folder: the package of these files.
      sh_toolchain_type: the label of the type of shells.

    Returns:
      The text.
    """
    out = [load_text(folder + ":tools.bzl", "cotter_exec_tools"), call_text("package", default_visibility = ["//visibility:public"])]
    out.append(call_text("alias", name = "sh_toolchain_type", actual = sh_toolchain_type))
    aliases = {}
    for platform in sorted(PLATFORMS):
        out.append(call_text("config_setting", name = platform, constraint_values = constraints(platform)))
    native = [item for item in trees.items() if item[1]["target"] == item[1]["platform"]]
    cross = [item for item in trees.items() if item[1]["target"] != item[1]["platform"]]
    for key, tree in native + cross:
        for suffix, target in _KINDS[tree["kind"]].names.items():
            choices = aliases.setdefault(tree["name"] + suffix, {})
            choices.setdefault(":" + tree["target"], "@{}_{}//:{}".format(hub, key.replace("-", "_"), target.format(tree["name"])))
    for name, choices in aliases.items():
        message = "toolchains.toml asks for no {} for this platform: add it to `platforms`, then type `cotter lock` and `cotter emit bazel`".format(name)
        out.append(call_text("alias", name = name, actual = select_text(choices, message)))
    if [tree for tree in trees.values() if tree["kind"] == "cc"]:
        out.insert(0, load_text(folder + ":pinned_libc.bzl", "cotter_pinned_libc"))
        out.append(call_text("cotter_pinned_libc", name = "pinned_libc", visibility = ["//visibility:public"]))
    for name in sorted({tree["name"]: None for tree in trees.values() if tree["kind"] == "tool"}):
        out.append(call_text("cotter_exec_tools", name = name, tools = ":" + name + "_for_platform"))
    return "\n".join(out)

def packages_build_file(trees, packages, hub, set, folder):
    """Returns the BUILD file of the repository that contains a name for each package of a set.

    Args:
      trees: the trees of the lock.
      packages: by tree, the packages and what they need.
      hub: what the names of the trees' repositories begin with.
      set: the set's name.
      folder: the package of these files.

    Returns:
      The text.
    """
    mine = {key: tree for key, tree in trees.items() if tree["kind"] == "packages" and tree["set"] == set}
    several = len({tree["python"]: None for tree in mine.values()}) > 1
    out = [call_text("package", default_visibility = ["//visibility:public"])]
    aliases = {}
    for key, tree in mine.items():
        setting = tree["platform"] + ("-" + tree["python"] if several else "")
        version = [folder + ":is_" + tree["python"]] if several else []
        out.append(call_text("config_setting", name = setting, constraint_values = constraints(tree["platform"]) + version))
        for name in packages[key]:
            aliases.setdefault(name, {})[":" + setting] = "@{}_{}//:{}".format(hub, key.replace("-", "_"), name)
    for name in sorted(aliases):
        message = "[requirements.{}] holds no {} for this platform and interpreter".format(set, name)
        out.append(call_text("alias", name = name, actual = select_text(aliases[name], message)))
    return "\n".join(out)

def rules_file(folder, language, symbol, is_named):
    """Returns the file from which the other files load the rules of a language: those of a module, or those that Bazel contains.

    Args:
      folder: the package of these files.
      language: cc or python.
      symbol: what the files that are chosen from both define.
      is_named: whether the main module names the module of rules.

    Returns:
      The text.
    """
    file = "{}:rules_{}_{}.bzl".format(folder, language, "loaded" if is_named else "native")
    return "load({}, _{} = {})\n\n{} = _{}\n".format(repr(file), symbol, repr(symbol), symbol, symbol)

def script_text(target):
    """Returns the program of a script.

    Args:
      target: `module:attribute`.

    Returns:
      Its text.
    """
    module, attribute = target.split(":")
    return "import sys\n\nfrom {} import {}\n\nsys.exit({}())\n".format(module.strip(), attribute.strip().split(".")[0], attribute.strip())
