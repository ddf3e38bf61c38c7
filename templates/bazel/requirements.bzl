"""For BUILD files: the packages of the lock by name, and tests that need no main of their own.

    load("//bazel/cotter:requirements.bzl", "pytest_test", "requirement")

    py_library(name = "app", srcs = ["app.py"], deps = [requirement("flask")])

    pytest_test(name = "app_test", srcs = ["app_test.py"], deps = [":app"])
"""

load(":lock.bzl", "FOLDER", "HUB", "PACKAGES", "TREES")
load(":rules.bzl", "py")

def _sets():
    """The sets by name, each with its packages and their scripts."""
    out = {}
    for key, packages in PACKAGES.items():
        out.setdefault(TREES[key]["set"], {}).update({name: None for name in packages})
    return out

def _normal(name):
    """Returns the name of a project in its normal form (PEP 503), without extras, which are part of the lock."""
    for sign in ["_", "."]:
        name = name.replace(sign, "-")
    for _ in range(len(name)):
        name = name.replace("--", "-")
    return name.split("[")[0].strip().lower()

def _set(name):
    sets = sorted(_sets())
    if name == None and len(sets) == 1:
        return sets[0]
    if name not in sets:
        fail("say which set of requirements, with `set`: one of {}; got {}".format(", ".join(sets) or "none, for toolchains.toml has no [requirements.<name>]", name))
    return name

def requirement(name, set = None):
    """Returns the label of a package.

    Args:
      name: the package's, in any spelling; extras in brackets are allowed.
      set: the set's, if there are several.

    Returns:
      A label for `deps`.
    """
    set = _set(set)
    if _normal(name) not in _sets()[set]:
        fail("{} is not locked in [requirements.{}]: add it to its inputs, then type `cotter lock` and `cotter emit bazel`".format(name, set))
    return "@{}_{}//:{}".format(HUB, set.replace("-", "_"), _normal(name))

def all_requirements(set = None):
    """Returns the labels of all packages of a set.

    Args:
      set: the set's name, if there are several.

    Returns:
      A list of labels for `deps`.
    """
    set = _set(set)
    return [requirement(name, set) for name in sorted(_sets()[set])]

def console_script(name, script = None, set = None, **kwargs):
    """Declares a program of a package, such as `flask`, as a target of this package.

    Args:
      name: the target's.
      script: the program's, if it is another.
      set: the set's, if there are several.
      **kwargs: as of alias.
    """
    set = _set(set)
    mine = {key: tree for key, tree in TREES.items() if tree.get("set") == set}
    several = len({tree["python"]: None for tree in mine.values()}) > 1
    choices = {}
    for key, tree in mine.items():
        setting = tree["platform"] + ("-" + tree["python"] if several else "")
        choices["@{}_{}//:{}".format(HUB, set.replace("-", "_"), setting)] = "@{}_{}//:bin_{}".format(HUB, key.replace("-", "_"), script or name)
    native.alias(name = name, actual = select(choices), **kwargs)

def _runner_test(name, runner, srcs, deps, args, **kwargs):
    py.test(
        name = name,
        srcs = srcs + [FOLDER + ":" + runner],
        args = ["$(rootpath {})".format(src) for src in srcs] + args,
        main = FOLDER + ":" + runner,
        deps = deps,
        **kwargs
    )

def pytest_test(name, srcs, deps = [], args = [], set = None, **kwargs):
    """Declares a test that pytest runs.

    Args:
      name: the target's.
      srcs: files of tests.
      deps: what the tests need; pytest itself is added.
      args: more arguments for pytest.
      set: the set that holds pytest, if there are several.
      **kwargs: as of py_test.
    """
    _runner_test(name, "run_pytest.py", srcs, deps + [requirement("pytest", set)], args, **kwargs)

def unittest_test(name, srcs, deps = [], args = [], **kwargs):
    """Declares a test that the unittest of the standard library runs.

    Args:
      name: the target's.
      srcs: files of tests.
      deps: what the tests need.
      args: more arguments for unittest.
      **kwargs: as of py_test.
    """
    _runner_test(name, "run_unittest.py", srcs, deps, args, **kwargs)
