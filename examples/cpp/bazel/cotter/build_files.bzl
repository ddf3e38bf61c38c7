# Written by `cotter emit bazel`; what is changed here is lost.

"""The BUILD files of the repositories, out of what stands in the trees."""

load(":packages.bzl", "read_packages")
load(":python_packages.bzl", "script_text")

_TRIPLES = {"aarch64-linux": "aarch64-linux-gnu", "x86_64-linux": "x86_64-linux-gnu"}
_CPUS = {"aarch64-linux": "aarch64", "x86_64-linux": "k8"}
_CONSTRAINTS = {"aarch64-linux": "aarch64", "x86_64-linux": "x86_64"}

# The libraries of a compiler's tree that its programs may need when they run; the rest serve the compiler itself.
_RUNTIME = "BrokenLocale anl asan atomic c crypt dl gcc_s gomp itm lsan m mvec nsl nss_compat nss_dns nss_files nss_hesiod pthread quadmath resolv rt stdc++ tsan ubsan util".split(" ")

def _names(directory):
    return sorted([entry.basename for entry in directory.readdir()]) if directory.exists else []

def _is_shared(name):
    return name.startswith("ld-linux") or (".so." in name and name[len("lib"):].split(".so")[0] in _RUNTIME)

def _walk(tree, path):
    for part in path.split("/"):
        tree = tree.get_child(part)
    return tree

def parts(tree, kind, target):
    """What a tree holds.

    Args:
      tree: its directory.
      kind: cc, python, tool or library.
      target: the platform that it makes programs for, or whose programs it serves.

    Returns:
      A struct: `links`, more links that the repository needs, and facts for `build_file`.
    """
    triple = _TRIPLES[target]
    if kind == "cc" and _walk(tree, "bin/zig").exists:
        home = "ziglang/" if tree.get_child("ziglang").exists else ""
        return struct(cpu = _CPUS[target], entries = _names(tree), lib = home + "lib", links = {}, triple = triple)
    if kind == "cc":
        cross = "usr/" + triple
        is_cross = _walk(tree, "usr/lib/gcc-cross/" + triple).exists
        libraries = cross + "/lib" if is_cross else "usr/lib/" + triple
        gcc = ("usr/lib/gcc-cross/" if is_cross else "usr/lib/gcc/") + triple
        versions = _names(_walk(tree, gcc))
        if not versions:
            fail("there is no {}/<version> in {}: this is no GCC that cotter knows".format(gcc, tree))
        version = versions[0]
        if is_cross:
            cpp = [cross + "/include/c++/" + version, cross + "/include/c++/" + version + "/" + triple, cross + "/include/c++/" + version + "/backward"]
            c = [gcc + "/" + version + "/include", cross + "/include"]
        else:
            cpp = ["usr/include/c++/" + version, "usr/include/" + triple + "/c++/" + version, "usr/include/c++/" + version + "/backward"]
            c = [gcc + "/" + version + "/include", "usr/include/" + triple, "usr/include"]
        runtime = [name for name in _names(_walk(tree, libraries)) if _is_shared(name)]
        return struct(
            c = c,
            cpp = [d for d in cpp if _walk(tree, d).exists],
            links = {"runtime/" + name: _walk(tree, libraries + "/" + name) for name in runtime},
            prefix = triple + "-" if is_cross else "",
            triple = triple,
            cpu = _CPUS[target],
        )
    if kind == "python":
        versions = [name[len("python"):] for name in _names(_walk(tree, "usr/lib")) if name.startswith("python3.")]
        if not versions:
            fail("there is no usr/lib/python3.* in {}".format(tree))
        return struct(links = {}, version = versions[0])
    if kind == "packages":
        return struct(links = {}, index = tree.get_child("packages.json"))
    return struct(links = {}, entries = [name for name in _names(tree)], bin = _names(_walk(tree, "bin")), triple = triple, tree = tree)

def _compatible(target):
    """Constraints as they are spelled where this folder is the main repository's, for other repositories."""
    return [str(Label("@platforms//cpu:" + _CONSTRAINTS[target])), str(Label("@platforms//os:linux"))]

def _call(name, arguments):
    lines = ["    {} = {},".format(key, repr(value)) for key, value in arguments.items()]
    return "\n".join([name + "("] + lines + [")", ""])

def build_file(ctx, found):
    """The BUILD file of a tree.

    Args:
      ctx: the repository's context.
      found: what `parts` returned.

    Returns:
      The text.
    """
    kind = ctx.attr.kind
    load_line = "load(\"" + ctx.attr.folder + ":{}\", \"{}\")\n"
    visible = ["//visibility:public"]
    if kind == "cc" and hasattr(found, "lib"):
        return "".join([
            load_line.format("zig.bzl", "cotter_zig_toolchain"),
            _call("filegroup", {"name": "files", "srcs": found.entries, "visibility": visible}),
            _call("cotter_zig_toolchain", {
                "name": "cc_toolchain",
                "cpu": found.cpu,
                "identifier": ctx.attr.toolchain + "-" + ctx.attr.target,
                "lib": found.lib,
                "triple": found.triple,
            }),
        ])
    if kind == "cc":
        return "".join([
            load_line.format("cc.bzl", "cotter_cc_toolchain\", \"cotter_pinned_libc"),
            # `lib` and `lib64` are links into `usr`, which glibc's linker scripts name.
            "filegroup(\n    name = \"files\",\n    srcs = glob([\"lib\", \"lib64\", \"usr/*\"], exclude_directories = 0),\n    visibility = [\"//visibility:public\"],\n)\n\n",
            _call("cotter_cc_toolchain", {
                "name": "cc_toolchain",
                "cpp_includes": found.cpp,
                "cpu": found.cpu,
                "identifier": ctx.attr.toolchain + "-" + ctx.attr.target,
                "includes": found.c,
                "tool_prefix": found.prefix,
                "triple": found.triple,
            }),
            _call("cotter_pinned_libc", {"name": "pinned_libc", "visibility": visible}),
        ])
    if kind == "python":
        return load_line.format("python.bzl", "cotter_py_toolchain") + _call("cotter_py_toolchain", {
            "compiler": "@{}//:{}".format(ctx.attr.hub, ctx.attr.toolchain),
            "version": found.version,
        })
    if kind == "packages":
        index = json.decode(ctx.read(found.index))
        packages = {}
        for name, facts in index["packages"].items():
            packages[name] = {"entries": facts["entries"], "scripts": sorted(facts["scripts"].keys())}
            for script, target in facts["scripts"].items():
                ctx.file("cotter_scripts/cotter_script_{}.py".format(script), script_text(target))
        return load_line.format("python_packages.bzl", "cotter_packages") + _call("cotter_packages", {
            "compiler": "@{}//:{}".format(ctx.attr.hub, ctx.attr.python),
            "packages": packages,
            "python": index["python"],
            "requires": ctx.attr.requires,
        })
    if kind == "library":
        return load_line.format("libraries.bzl", "cotter_libraries") + _call("cotter_libraries", {
            "name": ctx.attr.toolchain,
            "compatible": _compatible(ctx.attr.target),
            "packages": read_packages(ctx, found.tree, found.triple),
            "triple": found.triple,
        })
    return "".join([
        load_line.format("tools.bzl", "cotter_tools"),
        _call("cotter_tools", {
            "name": ctx.attr.toolchain,
            # Where there is `usr`, the rest are links into it.
            "srcs": ["usr"] if "usr" in found.entries else found.entries,
            "bin": "usr/bin" if "usr" in found.entries else "bin",
            "variable": ctx.attr.toolchain.upper().replace("-", "_") + "_BIN",
            "visibility": visible,
        }),
    ])

# What the hub calls the targets of a tree: the suffix there, and the target here; {} is the toolchain's name.
_HUB_TARGETS = {
    "cc": {"": "files", "_toolchain": "cc_toolchain", "_pinned_libc": "pinned_libc"},
    "library": {"": "{}", "_static": "{}_static"},
    "packages": {},
    "python": {"": "interpreter", "_files": "files", "_headers": "headers", "_runtime": "runtime"},
    "tool": {"_for_platform": "{}"},
}

def hub_build_file(trees, hub, folder):
    """The BUILD file of the repository that has a name for each toolchain.

    Args:
      trees: the trees of the lock.
      hub: the repository's name.
      folder: the package of these files.

    Returns:
      The text.
    """
    out = [
        "load(\"{}:tools.bzl\", \"cotter_exec_tools\")\n".format(folder),
        "package(default_visibility = [\"//visibility:public\"])\n",
    ]
    aliases = {}
    for platform in sorted(_TRIPLES):
        out.append(_call("config_setting", {"name": platform, "constraint_values": _compatible(platform)}))
    native = [item for item in trees.items() if item[1]["target"] == item[1]["platform"]]
    cross = [item for item in trees.items() if item[1]["target"] != item[1]["platform"]]
    for key, tree in native + cross:
        for suffix, target in _HUB_TARGETS[tree["kind"]].items():
            names = [tree["name"] + suffix]
            if suffix == "_pinned_libc":
                # Of the first compiler for a platform; a cross compiler's where there is no other.
                names.append("pinned_libc")
            for name in names:
                choices = aliases.setdefault(name, {})
                choices.setdefault(":" + tree["target"], "@{}_{}//:{}".format(hub, key.replace("-", "_"), target.format(tree["name"])))
    for name, choices in aliases.items():
        message = "toolchains.toml asks for no {} for this platform: add it to `platforms`, then type `cotter lock` and `cotter emit bazel`".format(name)
        out.append("alias(\n    name = {},\n    actual = select({}, no_match_error = {}),\n)\n".format(repr(name), repr(choices), repr(message)))
    for name in sorted({tree["name"]: None for tree in trees.values() if tree["kind"] == "tool"}):
        out.append(_call("cotter_exec_tools", {"name": name, "tools": ":" + name + "_for_platform"}))
    return "\n".join(out)

def packages_build_file(trees, packages, hub, set, folder):
    """The BUILD file of the repository that has a name for each package of a set.

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
    out = ["package(default_visibility = [\"//visibility:public\"])\n"]
    aliases = {}
    for key, tree in mine.items():
        setting = tree["platform"] + ("-" + tree["python"] if several else "")
        version = [folder + ":is_" + tree["python"]] if several else []
        out.append(_call("config_setting", {"name": setting, "constraint_values": _compatible(tree["platform"]) + version}))
        for name in packages[key]:
            aliases.setdefault(name, {})[":" + setting] = "@{}_{}//:{}".format(hub, key.replace("-", "_"), name)
    for name in sorted(aliases):
        message = "[requirements.{}] holds no {} for this platform and interpreter".format(set, name)
        out.append("alias(\n    name = {},\n    actual = select({}, no_match_error = {}),\n)\n".format(repr(name), repr(aliases[name]), repr(message)))
    return "\n".join(out)
