"""Repositories for the store: one for each tree of the lock, and those that contain names for toolchains and packages."""

load(":build_files.bzl", "build_file", "hub_build_file", "packages_build_file", "rules_file", "script_text")
load(":facts.bzl", "cpp_runtime", "facts_of", "list_names", "module_map", "read_facts", "read_file", "variables_text")
load(":labels.bzl", "IS_CANONICAL", "folder")
load(":lock.bzl", "HUB", "MANIFEST", "PACKAGES", "TREES")

# The languages with whose rules the targets of the trees are made.
LANGUAGES = ["cc"] + (["python"] if [tree for tree in TREES.values() if tree["kind"] in ("packages", "python")] else [])

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

def _manifest(ctx):
    """Returns the path of the manifest from which this folder was made."""
    directory = ctx.path(ctx.attr._lock).dirname
    for _ in range(MANIFEST.count("../")):
        directory = directory.dirname
    return directory.get_child(MANIFEST.split("/")[-1])

def _run(ctx, cotter, arguments):
    """Runs cotter on the manifest. Returns None, or the error."""
    result = ctx.execute([cotter, "--quiet", "--manifest", _manifest(ctx), "--store", _store(ctx)] + arguments, timeout = 3600)
    return None if result.return_code == 0 else result.stderr.strip()

def _had_tree(ctx):
    """Whether the project used the tree before, which means that one of the roots of the store names it."""
    roots = ctx.path(_store(ctx) + "/roots")
    for name in list_names(ctx, roots):
        text = read_file(ctx, roots.get_child(name))
        if "project {}\n".format(_manifest(ctx)) in text and ctx.attr.store_name in text:
            return True
    return False

def _watch(ctx, path):
    """Makes Bazel fetch the repository again when the path disappears or reappears. Versions before 7.1 cannot do this."""
    if hasattr(ctx, "watch"):
        ctx.watch(path)

def _reproducible(ctx):
    """Returns the result of a repository rule that gives the same files for the same attributes. Before 8.3, there is no such result."""
    return ctx.repo_metadata(reproducible = True) if hasattr(ctx, "repo_metadata") else None

def _tree(ctx):
    """Returns the directory of the tree in the store, where cotter makes it if it is missing. The manifest becomes a root of the store, so `cotter gc` keeps its trees."""
    want = [ctx.attr.toolchain, "--platform", ctx.attr.platform]
    command = "cotter setup " + " ".join(want)
    tree = ctx.path(_store(ctx) + "/store/" + ctx.attr.store_name)
    cotter = _cotter(ctx)
    if not tree.exists and not cotter:
        fail("\n{} is not in the store {}, and there is no cotter on PATH.\nType: {}\nor name the program in the variable COTTER, the store in COTTER_STORE.".format(ctx.attr.store_name, _store(ctx), command))
    if cotter:
        was_there = tree.exists
        is_lost = not was_there and _had_tree(ctx)
        if not was_there:
            ctx.report_progress(command)
        wrong = _run(ctx, cotter, ["--locked", "setup"] + want)
        if wrong and was_there:
            # The manifest is newer than the lock. The tree belongs to a root nevertheless.
            _run(ctx, cotter, ["--frozen", "setup"] + want)
        if not tree.exists:
            fail("\n`{}` failed:\n{}".format(command, wrong) if wrong else "\ntoolchains.lock no longer names {}.\nType: cotter emit bazel".format(ctx.attr.store_name))
        if is_lost:
            # Until the end of a command, Bazel relies on what it knew of the files of the tree at its start.
            fail("\n{} was deleted from the store while Bazel was using it. It was made anew just now.\nType the same command again".format(ctx.attr.store_name))
        if was_there:
            wrong = _run(ctx, cotter, ["verify"] + want)
            if wrong:
                fail("\n{} is damaged, or the lock is newer than this folder:\n{}\nType: cotter verify --repair {}, or cotter emit bazel".format(tree, wrong, ctx.attr.toolchain))
    if not list_names(ctx, tree):
        fail("\n{} is empty.\nType: cotter verify --repair {}".format(tree, ctx.attr.toolchain))
    _watch(ctx, tree)
    return tree

def _told_facts(ctx):
    """Returns the facts of the tree that cotter derives if the store does not record them, or None."""
    cotter = _cotter(ctx)
    if not cotter:
        return None
    want = ["--frozen", "setup", "--json", ctx.attr.toolchain, "--platform", ctx.attr.platform]
    result = ctx.execute([cotter, "--manifest", _manifest(ctx), "--store", _store(ctx)] + want, timeout = 3600)
    if result.return_code:
        return None
    for tree in json.decode(result.stdout)["trees"]:
        if tree["path"].endswith("/" + ctx.attr.store_name):
            return facts_of(tree.get("facts"))
    return None

def _cotter_tree(ctx):
    tree = _tree(ctx)
    for name in list_names(ctx, tree):
        ctx.symlink(tree.get_child(name), name)

    # A store that cannot be written may have no facts, or those of another version of cotter.
    facts = read_facts(ctx, _store(ctx)) or _told_facts(ctx)
    if not facts:
        fail("\nThe facts of {} are not in the store {}.\nType: cotter setup {} --platform {}".format(ctx.attr.store_name, _store(ctx), ctx.attr.toolchain, ctx.attr.platform))
    if ctx.attr.kind == "cc":
        ctx.file("empty.cc", "")
        ctx.file("headers.cppmap", module_map(facts))
        for path in facts.get("runtime", []):
            ctx.symlink(str(tree) + "/" + path, "runtime/" + path.split("/")[-1])
        if facts["form"] != "zig":
            archives, shared = cpp_runtime(facts)
            for path in archives + shared:
                if ctx.path(str(tree) + "/" + path).exists:
                    ctx.symlink(str(tree) + "/" + path, "cpp_runtime/" + path.split("/")[-1])
    if ctx.attr.kind == "library" and facts["runtime"]:
        ctx.template("environment.c", ctx.attr._environment, {
            "@REPOSITORY@": ctx.name,
            "@VARIABLES@": variables_text(facts),
        })
    if ctx.attr.kind == "python":
        ctx.symlink(ctx.attr._coverage, "start/run_coverage.py")
        ctx.symlink(ctx.attr._sitecustomize, "start/sitecustomize.py")
    if ctx.attr.kind == "packages":
        for package in facts["packages"].values():
            for script, target in package["scripts"].items():
                ctx.file("cotter_scripts/cotter_script_{}.py".format(script), script_text(target))
    ctx.file("BUILD.bazel", build_file(ctx, facts))
    return _reproducible(ctx)

cotter_tree = repository_rule(
    doc = "A tree of the lock.",
    implementation = _cotter_tree,
    attrs = {
        "coverage": attr.string(doc = "For an interpreter: the repository of packages that hold coverage.py."),
        "folder": attr.string(doc = "The package of these files, as a label can be made of it anywhere."),
        "hub": attr.string(doc = "The repository that has a name for each toolchain."),
        "kind": attr.string(doc = "cc, library, packages, python, sysroot or tool."),
        "platform": attr.string(doc = "The platform that the tree's programs run on."),
        "python": attr.string(doc = "For Python packages: the toolchain of their interpreter."),
        "requires": attr.string_list_dict(doc = "For Python packages: what each needs."),
        "store_name": attr.string(doc = "The name of the tree in the store: hash, toolchain, version, platform."),
        "target": attr.string(doc = "The platform that a compiler makes programs for."),
        "toolchain": attr.string(doc = "The name of the toolchain in toolchains.toml."),
        "_coverage": attr.label(default = ":run_coverage.py"),
        "_environment": attr.label(default = ":environment.c"),
        "_lock": attr.label(default = ":lock.bzl"),
        "_sitecustomize": attr.label(default = ":sitecustomize.py"),
    },
    environ = _ENVIRON,
    # If Bazel cannot watch the tree, it at least checks it when its server starts.
    local = not IS_CANONICAL,
)

def _cotter_hub(ctx):
    named = ctx.attr.modules
    ctx.file("BUILD.bazel", hub_build_file(TREES, HUB, ctx.attr.folder, named.get("shell", "@bazel_tools//tools/sh:toolchain_type")))
    for language, symbol in [("cc", "cc"), ("python", "py")]:
        text = rules_file(ctx.attr.folder, language, symbol, language in named) if language in LANGUAGES else symbol + " = None\n"
        ctx.file("rules_{}.bzl".format(language), text)
    return _reproducible(ctx)

cotter_hub = repository_rule(
    doc = "A name for each toolchain, that stands for the tree of the platform.",
    implementation = _cotter_hub,
    attrs = {
        "folder": attr.string(doc = "The package of these files, as a label can be made of it anywhere."),
        "lock": attr.string(doc = "Changes when the lock does."),
        "modules": attr.string_dict(doc = "The modules of rules that the main module names, by language, with a label of each."),
    },
)

def _cotter_packages_hub(ctx):
    ctx.file("BUILD.bazel", packages_build_file(TREES, PACKAGES, HUB, ctx.attr.set, ctx.attr.folder))
    return _reproducible(ctx)

cotter_packages_hub = repository_rule(
    doc = "A name for each package of a set, that stands for that of the platform and the interpreter.",
    implementation = _cotter_packages_hub,
    attrs = {
        "folder": attr.string(doc = "The package of these files, as a label can be made of it anywhere."),
        "lock": attr.string(doc = "Changes when the lock does."),
        "set": attr.string(doc = "The set's name in toolchains.toml."),
    },
)

def _repository(key):
    return HUB + "_" + key.replace("-", "_")

def _coverage(python, platform):
    """Returns the repository of the first set of packages for an interpreter that contains coverage.py, or an empty string."""
    for key in sorted(PACKAGES):
        tree = TREES[key]
        if tree["python"] == python and tree["platform"] == platform and "coverage" in PACKAGES[key]:
            return _repository(key)
    return ""

def cotter_repositories(modules):
    """Declares the repositories.

    Args:
      modules: the modules of rules that the main module names, by language, with a label of each; none in WORKSPACE.
    """
    package = folder()
    for key, tree in TREES.items():
        cotter_tree(
            name = _repository(key),
            coverage = _coverage(tree["name"], tree["platform"]) if tree["kind"] == "python" else "",
            folder = package,
            hub = HUB,
            kind = tree["kind"],
            platform = tree["platform"],
            python = tree.get("python", ""),
            requires = PACKAGES.get(key, {}),
            store_name = tree["store"],
            target = tree["target"],
            toolchain = tree["name"],
        )
    cotter_hub(name = HUB, folder = package, lock = str([tree["store"] for tree in TREES.values()]), modules = modules)
    for set in sorted({tree["set"]: None for tree in TREES.values() if "set" in tree}):
        cotter_packages_hub(
            name = _repository(set),
            folder = package,
            lock = str([tree["store"] for tree in TREES.values() if tree.get("set") == set]),
            set = set,
        )
