"""The differences between versions of Bazel, and the names of the platforms of the lock."""

load(":lock.bzl", "FOLDER")

# Whether a label may begin with a canonical repository name. Bazel 7 and newer print labels in this form. It serves as the test for a new Bazel,
# because many builds of Bazel do not reveal their version.
IS_CANONICAL = str(Label(FOLDER + ":lock.bzl")).startswith("@@")

# The repository of the constraints has this name in every module graph, even if the main module does not name it.
_CONSTRAINTS = "@@platforms" if IS_CANONICAL else "@platforms"

# An argument of `ctx.actions.run`: the tools of the action are not from a toolchain (--incompatible_auto_exec_groups).
NO_TOOLCHAIN = {"toolchain": None} if IS_CANONICAL else {}

PLATFORMS = {
    "aarch64-linux": struct(constraint = "aarch64", cpu = "aarch64", triple = "aarch64-linux-gnu"),
    "x86_64-linux": struct(constraint = "x86_64", cpu = "k8", triple = "x86_64-linux-gnu"),
}

def constraints(platform):
    """Returns the constraint values of a platform of the lock.

    Args:
      platform: its name, such as "x86_64-linux".

    Returns:
      Labels that mean the same in every repository.
    """
    return [_CONSTRAINTS + "//cpu:" + PLATFORMS[platform].constraint, _CONSTRAINTS + "//os:linux"]

def folder():
    """Returns the package of these files, as another repository names it in a label.

    Returns:
      A label without a target, such as "@@//bazel/cotter".
    """
    label = str(Label(FOLDER + ":lock.bzl"))[:-len(":lock.bzl")]
    return "@" + label if label.startswith("//") else label

def own_repository():
    """Returns the directory, within the runfiles, of the repository whose package is being loaded.

    Returns:
      The canonical name.
    """
    return native.repo_name() if hasattr(native, "repo_name") else native.repository_name().lstrip("@")
