# Written by `cotter emit bazel`; what is changed here is lost.

"""Repositories over the store: one for each tree of the lock, and one with a name for each toolchain."""

load(":build_files.bzl", "build_file", "hub_build_file", "packages_build_file", "parts")
load(":lock.bzl", "HUB", "MANIFEST", "PACKAGES", "TREES")

_ENVIRON = ["COTTER", "COTTER_STORE", "HOME", "PATH", "XDG_DATA_HOME"]

def _store(ctx):
    env = ctx.os.environ
    if env.get("COTTER_STORE"):
        return env["COTTER_STORE"]
    data = env.get("XDG_DATA_HOME") or env.get("HOME", "") + "/.local/share"
    return data + "/cotter"

def _cotter(ctx):
    named = ctx.os.environ.get("COTTER")
    return ctx.path(named) if named else ctx.which("cotter")

def _run(ctx, cotter, arguments):
    """Runs cotter on the manifest that this folder was made from. Returns nothing, or what went wrong."""
    manifest = str(ctx.path(ctx.attr._lock).dirname) + "/" + MANIFEST
    result = ctx.execute([cotter, "--quiet", "--manifest", manifest, "--store", _store(ctx)] + arguments, timeout = 3600)
    return None if result.return_code == 0 else result.stderr.strip()

def _tree(ctx):
    """The directory of the tree: out of the store, or made there by cotter."""
    want = [ctx.attr.toolchain, "--platform", ctx.attr.platform]
    command = "cotter setup " + " ".join(want)
    tree = ctx.path(_store(ctx) + "/store/" + ctx.attr.store_name)
    cotter = _cotter(ctx)
    if not tree.exists:
        if not cotter:
            fail("\n{} is not in the store {}, and there is no cotter on PATH.\nType: {}\nor name the program in the variable COTTER, the store in COTTER_STORE.".format(ctx.attr.store_name, _store(ctx), command))
        ctx.report_progress(command)
        wrong = _run(ctx, cotter, ["--locked", "setup"] + want)
        if wrong:
            fail("\n`{}` failed:\n{}".format(command, wrong))
        if not tree.exists:
            fail("\ntoolchains.lock no longer names {}.\nType: cotter emit bazel".format(ctx.attr.store_name))
    elif cotter:
        wrong = _run(ctx, cotter, ["verify"] + want)
        if wrong:
            fail("\n{} is damaged, or the lock is newer than this folder:\n{}\nType: cotter verify --repair {}, or cotter emit bazel".format(tree, wrong, ctx.attr.toolchain))
    if not tree.get_child("usr").exists and not tree.readdir():
        fail("\n{} is empty.\nType: cotter verify --repair {}".format(tree, ctx.attr.toolchain))
    return tree

def _cotter_tree(ctx):
    tree = _tree(ctx)
    for entry in tree.readdir():
        ctx.symlink(entry, entry.basename)
    found = parts(tree, ctx.attr.kind, ctx.attr.target)
    for name, target in found.links.items():
        ctx.symlink(target, name)
    if ctx.attr.kind == "cc":
        ctx.symlink(ctx.attr._start, "start.c")
    if ctx.attr.kind == "python":
        ctx.symlink(ctx.attr._sitecustomize, "stdlib/sitecustomize.py")
    ctx.file("BUILD.bazel", build_file(ctx, found))

cotter_tree = repository_rule(
    doc = "A tree of the lock.",
    implementation = _cotter_tree,
    attrs = {
        "folder": attr.string(doc = "The package of these files, as a label can be made of it anywhere."),
        "hub": attr.string(doc = "The repository that has a name for each toolchain."),
        "kind": attr.string(doc = "cc, python, tool or library."),
        "platform": attr.string(doc = "The platform that the tree's programs run on."),
        "python": attr.string(doc = "For Python packages: the toolchain of their interpreter."),
        "requires": attr.string_list_dict(doc = "For Python packages: what each needs."),
        "store_name": attr.string(doc = "The name of the tree in the store: hash, toolchain, version, platform."),
        "target": attr.string(doc = "The platform that a compiler makes programs for."),
        "toolchain": attr.string(doc = "The name of the toolchain in toolchains.toml."),
        "_lock": attr.label(default = "//bazel/cotter:lock.bzl"),
        "_sitecustomize": attr.label(default = "//bazel/cotter:sitecustomize.py"),
        "_start": attr.label(default = "//bazel/cotter:start.c"),
    },
    environ = _ENVIRON,
)

def _cotter_hub(ctx):
    ctx.file("BUILD.bazel", hub_build_file(TREES, HUB, ctx.attr.folder))

cotter_hub = repository_rule(
    doc = "A name for each toolchain, that stands for the tree of the platform.",
    implementation = _cotter_hub,
    attrs = {
        "folder": attr.string(doc = "The package of these files, as a label can be made of it anywhere."),
        "lock": attr.string(doc = "Changes when the lock does."),
    },
)

def _cotter_packages_hub(ctx):
    ctx.file("BUILD.bazel", packages_build_file(TREES, PACKAGES, HUB, ctx.attr.set, ctx.attr.folder))

cotter_packages_hub = repository_rule(
    doc = "A name for each package of a set, that stands for that of the platform and the interpreter.",
    implementation = _cotter_packages_hub,
    attrs = {
        "folder": attr.string(doc = "The package of these files, as a label can be made of it anywhere."),
        "lock": attr.string(doc = "Changes when the lock does."),
        "set": attr.string(doc = "The set's name in toolchains.toml."),
    },
)

def cotter_repositories():
    """Declares the repositories."""
    folder = str(Label("//bazel/cotter:lock.bzl"))
    if folder.startswith("//"):
        folder = "@" + folder
    folder = folder[:-len(":lock.bzl")]
    for key, tree in TREES.items():
        cotter_tree(
            name = HUB + "_" + key.replace("-", "_"),
            folder = folder,
            hub = HUB,
            kind = tree["kind"],
            platform = tree["platform"],
            python = tree.get("python", ""),
            requires = PACKAGES.get(key, {}),
            store_name = tree["store"],
            target = tree["target"],
            toolchain = tree["name"],
        )
    cotter_hub(name = HUB, folder = folder, lock = str([tree["store"] for tree in TREES.values()]))
    for set in sorted({tree["set"]: None for tree in TREES.values() if "set" in tree}):
        cotter_packages_hub(
            name = HUB + "_" + set.replace("-", "_"),
            folder = folder,
            lock = str([tree["store"] for tree in TREES.values() if tree.get("set") == set]),
            set = set,
        )
