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
    if document["facts"]["form"] == "library" and "runtime" not in document["facts"]:
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

def variables_text(facts):
    """Returns the variables that lead to what libraries need at run time, as `environment.c` lists them.

    Args:
      facts: the facts of a library's tree.

    Returns:
      A line for each.
    """
    lines = []
    for variable in facts["environment"]:
        fields = [json.encode(variable["name"]), json.encode(variable["path"]), "1" if variable["is_list"] else "0", json.encode(" ".join(variable["unless"]))]
        lines.append("  {" + ", ".join(fields) + "},")
    return "\n".join(lines)

def cpp_runtime(facts):
    """Returns the library of C++ in a compiler's tree, for programs that do not take it from the system.

    Args:
      facts: the facts of the tree.

    Returns:
      The paths that it may have as an archive, and the paths of the shared libraries.
    """
    version = facts["cpp_includes"][0].rpartition("/")[2]
    archives = ["usr/lib/{}/{}/{}/libstdc++.a".format(gcc, facts["triple"], version) for gcc in ["gcc", "gcc-cross"]]
    return archives, [path for path in facts["runtime"] if path.rpartition("/")[2] in ["libgcc_s.so.1", "libstdc++.so.6"]]

def module_map(facts):
    """Returns a map that declares the headers of a compiler's tree as one module, for the check of layers.

    Args:
      facts: the facts of the tree.

    Returns:
      The text of the map. Its paths are relative to its own directory, which is that of the tree.
    """
    lines = ["module \"crosstool\" [system] {"]
    dirs = facts.get("libcxx_includes", []) + facts.get("cpp_includes", []) + facts.get("c_includes", [])
    for i in range(len(dirs)):
        lines.append("  module \"directory_{}\" {{\n    umbrella {}\n    export *\n  }}".format(i, json.encode(dirs[i])))
    return "\n".join(lines + ["}", ""])
