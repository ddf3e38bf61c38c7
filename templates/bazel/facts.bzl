"""What a tree holds: the one place that looks into trees for what their recipes know."""

load(":labels.bzl", "PLATFORMS")

# The libraries of a compiler's tree that its programs may need when they run; the rest serve the compiler itself.
_RUNTIME = "BrokenLocale anl asan atomic c crypt dl gcc_s gomp itm lsan m mvec nsl nss_compat nss_dns nss_files nss_hesiod pthread quadmath resolv rt stdc++ tsan ubsan util".split(" ")

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

def _walk(tree, path):
    for part in path.split("/"):
        tree = tree.get_child(part)
    return tree

def _is_shared(name):
    return name.startswith("ld-linux") or (".so." in name and name[len("lib"):].split(".so")[0] in _RUNTIME)

def _cc(ctx, tree, target):
    triple = PLATFORMS[target].triple
    if _walk(tree, "bin/zig").exists:
        return {
            "family": "zig",
            "inputs": list_names(ctx, tree),
            "lib": ("ziglang/" if tree.get_child("ziglang").exists else "") + "lib",
            "triple": triple,
        }
    cross = "usr/" + triple
    is_cross = _walk(tree, "usr/lib/gcc-cross/" + triple).exists
    libraries = cross + "/lib" if is_cross else "usr/lib/" + triple
    gcc = ("usr/lib/gcc-cross/" if is_cross else "usr/lib/gcc/") + triple
    versions = list_names(ctx, _walk(tree, gcc))
    if not versions:
        fail("there is no {}/<version> in {}: this is no GCC that cotter knows".format(gcc, tree))
    version = versions[0]
    if is_cross:
        cpp = [cross + "/include/c++/" + version, cross + "/include/c++/" + version + "/" + triple, cross + "/include/c++/" + version + "/backward"]
        c = [gcc + "/" + version + "/include", cross + "/include"]
    else:
        cpp = ["usr/include/c++/" + version, "usr/include/" + triple + "/c++/" + version, "usr/include/c++/" + version + "/backward"]
        c = [gcc + "/" + version + "/include", "usr/include/" + triple, "usr/include"]
    return {
        "c_includes": c,
        "cpp_includes": [path for path in cpp if _walk(tree, path).exists],
        "family": "gcc",
        # `lib` and `lib64` are links into `usr`, which glibc's linker scripts name.
        "inputs": [name for name in ["lib", "lib64"] if tree.get_child(name).exists] + ["usr/" + name for name in list_names(ctx, tree.get_child("usr"))],
        "runtime": [libraries + "/" + name for name in list_names(ctx, _walk(tree, libraries)) if _is_shared(name)],
        "tool_prefix": triple + "-" if is_cross else "",
        "triple": triple,
        "version": version,
    }

def _python(ctx, tree, target):
    versions = [name[len("python"):] for name in list_names(ctx, _walk(tree, "usr/lib")) if name.startswith("python3.")]
    if not versions:
        fail("there is no usr/lib/python3.* in {}".format(tree))
    version = versions[0]
    return {
        "cache_tag": "cpython-" + version.replace(".", ""),
        "includes": [path for path in ["usr/include/python" + version, "usr/include"] if _walk(tree, path).exists],
        "inputs": [path for path in ["etc", "usr/lib", "usr/share"] if _walk(tree, path).exists] + ["usr/bin/" + name for name in list_names(ctx, _walk(tree, "usr/bin")) if name.startswith(".python") and name.endswith(".real")],
        "interpreter": "usr/bin/python" + version,
        "stdlib": "usr/lib/python" + version,
        "version": version,
    }

def _packages(ctx, tree, target):
    return json.decode(read_file(ctx, tree.get_child("packages.json")))

def _tool(ctx, tree, target):
    names = list_names(ctx, tree)

    # Where there is `usr`, the rest are links into it.
    return {"bin": "usr/bin", "inputs": ["usr"]} if "usr" in names else {"bin": "bin", "inputs": names}

# Libraries.

def _words(text):
    return [word for word in text.replace("\t", " ").split(" ") if word]

def _fill(text, variables):
    # A variable may be made of others; the order of the file makes one pass enough.
    for name, value in variables.items():
        text = text.replace("${" + name + "}", value)
    return text

def _inside(path):
    """A path of the tree without `..` and leading slashes."""
    out = []
    for part in path.split("/"):
        if part == "..":
            out = out[:-1]
        elif part not in ("", "."):
            out.append(part)
    return "/".join(out)

def _parse(text, directory):
    """The fields of a .pc file. The format: pc(5), the manual page of pkgconf."""
    variables = {"pcfiledir": directory}
    fields = {}
    for line in text.replace("\\\n", " ").split("\n"):
        line = line.split("#")[0].strip()
        equals, colon = line.find("="), line.find(":")
        if equals >= 0 and (colon < 0 or equals < colon):
            variables[line[:equals].strip()] = _fill(line[equals + 1:].strip(), variables)
        elif colon >= 0:
            fields[line[:colon].strip().lower()] = _fill(line[colon + 1:].strip(), variables)
    return fields

def _required(text):
    """The names of a Requires field, without versions."""
    out = []
    skip = False
    for word in _words(text.replace(",", " ")):
        if word in (">=", "<=", "=", ">", "<", "!="):
            skip = True
        elif skip:
            skip = False
        else:
            out.append(word)
    return out

def _stems(text):
    return [word[2:] for word in _words(text) if word.startswith("-l")]

def _shared(names, stem):
    """The name under which programs ask for a shared library: of libz.so.1 and libz.so.1.2.13, the first."""
    versions = [name for name in names if name.startswith("lib" + stem + ".so.")]
    return sorted(versions, key = len)[0] if versions else ""

def _archives(names, directory):
    return {name[3:-2]: directory + "/" + name for name in sorted(names) if name.startswith("lib") and name.endswith(".a")}

def _versioned(ctx, tree):
    """Directories such as `usr/lib/postgresql/15/lib`: Debian keeps archives there of which there is one for each version."""
    out = []
    lib = _walk(tree, "usr/lib")
    for package in list_names(ctx, lib):
        # Not every Bazel knows `is_dir`; what has no ending is a directory or a program, and programs are not there.
        versions = [name for name in list_names(ctx, lib.get_child(package)) if name[0].isdigit()] if "." not in package else []
        for version in versions:
            if lib.get_child(package).get_child(version).get_child("lib").exists:
                out.append("usr/lib/{}/{}/lib".format(package, version))
    return out

def _library(ctx, tree, target):
    triple = PLATFORMS[target].triple
    lib = "usr/lib/" + triple
    names = list_names(ctx, _walk(tree, lib))
    stems = sorted({name[3:].split(".so.")[0]: None for name in names if name.startswith("lib") and ".so." in name}.keys())
    static = _archives(names, lib)
    for directory in _versioned(ctx, tree):
        for stem, path in _archives(list_names(ctx, _walk(tree, directory)), directory).items():
            static.setdefault(stem, path)
    packages = {}
    for directory in [lib + "/pkgconfig", "usr/share/pkgconfig"]:
        path = _walk(tree, directory)
        for file in [name for name in list_names(ctx, path) if name.endswith(".pc")]:
            fields = _parse(read_file(ctx, path.get_child(file)), directory)
            flags = _words(fields.get("cflags", ""))
            packages[file[:-len(".pc")]] = {
                "defines": [flag[2:] for flag in flags if flag.startswith("-D")],
                "includes": [_inside(flag[2:]) for flag in flags if flag.startswith("-I")],
                "libs": _stems(fields.get("libs", "")),
                "libs_private": _stems(fields.get("libs.private", "")),
                "requires": _required(fields.get("requires", "")),
                "requires_private": _required(fields.get("requires.private", "")),
            }
    return {
        "includes": ["usr/include", "usr/include/" + triple],
        "packages": packages,
        "shared": {stem: lib + "/" + _shared(names, stem) for stem in stems},
        "static": static,
        "triple": triple,
    }

_KINDS = {"cc": _cc, "library": _library, "packages": _packages, "python": _python, "tool": _tool}

def read_facts(ctx, tree, kind, target):
    """What a tree holds.

    Args:
      ctx: the repository's context.
      tree: the directory of the tree.
      kind: the kind of the toolchain: cc, library, packages, python or tool.
      target: the platform that a compiler makes programs for, or whose programs the tree serves.

    Returns:
      A dictionary, with the keys that the function of the kind above gives it. Paths are relative to the tree.
    """
    return _KINDS[kind](ctx, tree, target)
