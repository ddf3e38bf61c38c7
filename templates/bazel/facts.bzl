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

def facts_of(document):
    """Returns the facts of a document that cotter wrote.

    Args:
      document: the decoded document, or None.

    Returns:
      A dictionary: `recipe`, the name of the recipe that made the tree, and the fields that src/facts.rs describes for its `form`. Paths are relative to the tree. None if there is no document, or if another version of cotter wrote it.
    """
    if not document or "form" not in document["facts"]:
        return None
    return dict(document["facts"], recipe = document["recipe"])

def read_facts(ctx, store):
    """Returns the facts of the repository's tree that the store records.

    Args:
      ctx: the repository's context.
      store: the directory of the store.

    Returns:
      The same as `facts_of`.
    """
    file = ctx.path("{}/facts/{}.json".format(store, ctx.attr.store_name))
    return facts_of(json.decode(read_file(ctx, file))) if file.exists else None
