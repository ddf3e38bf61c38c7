"""What differs from one version of Bazel to the next, and what the platforms of the lock are called."""

load(":lock.bzl", "FOLDER")

# Whether a label may begin with a repository's canonical name: Bazel 7 and newer print labels so. It stands for "not an old Bazel", for many builds of
# Bazel do not tell their version.
IS_CANONICAL = str(Label(FOLDER + ":lock.bzl")).startswith("@@")

# The repository of constraints is called so in every module graph, whether the main module names it or not.
_CONSTRAINTS = "@@platforms" if IS_CANONICAL else "@platforms"

# For `ctx.actions.run`: the tools of an action come from no toolchain of a toolchain type (--incompatible_auto_exec_groups).
NO_TOOLCHAIN = {"toolchain": None} if IS_CANONICAL else {}

PLATFORMS = {
    "aarch64-linux": struct(constraint = "aarch64", cpu = "aarch64", triple = "aarch64-linux-gnu"),
    "x86_64-linux": struct(constraint = "x86_64", cpu = "k8", triple = "x86_64-linux-gnu"),
}

def constraints(platform):
    """The constraint values of a platform of the lock.

    Args:
      platform: its name, such as "x86_64-linux".

    Returns:
      Labels that mean the same in every repository.
    """
    return [_CONSTRAINTS + "//cpu:" + PLATFORMS[platform].constraint, _CONSTRAINTS + "//os:linux"]

def folder():
    """The package of these files, as a label of another repository names it.

    Returns:
      A label without a target, such as "@@//bazel/cotter".
    """
    label = str(Label(FOLDER + ":lock.bzl"))[:-len(":lock.bzl")]
    return "@" + label if label.startswith("//") else label

def own_repository():
    """The name of the directory in the runfiles that holds the repository of the package that is loaded.

    Returns:
      The canonical name.
    """
    return native.repo_name() if hasattr(native, "repo_name") else native.repository_name().lstrip("@")
