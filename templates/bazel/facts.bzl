"""What is known of a tree: the facts that its recipe wrote down beside it in the store."""

def list_names(ctx, directory):
    """The names in a directory, sorted.

    Args:
      ctx: the repository's context.
      directory: its path.

    Returns:
      A list; empty if the directory is not there.
    """
    if not directory.exists:
        return []

    # Bazel would watch every directory that is listed since 7.1, and call it an inconsistency when one vanishes: the tree is watched as a whole.
    entries = directory.readdir(watch = "no") if hasattr(ctx, "watch") else directory.readdir()
    return sorted([entry.basename for entry in entries])

def read_file(ctx, path):
    """The text of a file, without a watch on it.

    Args:
      ctx: the repository's context.
      path: its path.

    Returns:
      The text.
    """
    return ctx.read(path, watch = "no") if hasattr(ctx, "watch") else ctx.read(path)

def read_facts(ctx, store):
    """What the recipe of the repository's tree knows of it.

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
