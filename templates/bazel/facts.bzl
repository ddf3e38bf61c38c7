"""The facts that the recipe of a tree recorded next to it in the store."""

def list_names(ctx, directory):
    """Returns the sorted names in a directory.

    Args:
      ctx: the repository's context.
      directory: its path.

    Returns:
      A list; empty if the directory is not there.
    """
    if not directory.exists:
        return []

    # Since 7.1, Bazel would watch every directory that is listed, and report an inconsistency if one is deleted. The tree is watched as a whole
    # instead.
    entries = directory.readdir(watch = "no") if hasattr(ctx, "watch") else directory.readdir()
    return sorted([entry.basename for entry in entries])

def read_file(ctx, path):
    """Returns the text of a file without watching the file.

    Args:
      ctx: the repository's context.
      path: its path.

    Returns:
      The text.
    """
    return ctx.read(path, watch = "no") if hasattr(ctx, "watch") else ctx.read(path)

def read_facts(ctx, store):
    """Returns the facts of the repository's tree.

    Args:
      ctx: the repository's context.
      store: the directory of the store.

    Returns:
      A dictionary: `recipe`, the name of the recipe that made the tree, and the fields that src/facts.rs describes for it. Paths are relative to the tree.
    """
    file = ctx.path("{}/facts/{}.json".format(store, ctx.attr.store_name))
    if not file.exists:
        fail("\nThe facts of {} are not in the store {}.\nType: cotter setup {} --platform {}".format(ctx.attr.store_name, store, ctx.attr.toolchain, ctx.attr.platform))
    document = json.decode(read_file(ctx, file))
    return dict(document["facts"], recipe = document["recipe"])
