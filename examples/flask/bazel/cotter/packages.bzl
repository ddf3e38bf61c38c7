# Written by `cotter emit bazel`; what is changed here is lost.

"""Reads the .pc files of a library's tree: which libraries and directories a package means, and which packages it needs.

The format: https://www.freedesktop.org/wiki/Software/pkg-config/ and the manual page pc(5) of pkgconf."""

# Libraries of the C library itself.
_SYSTEM = ["dl", "m", "pthread", "resolv", "rt"]

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

def _names(text):
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

def _libraries(text):
    return [word[2:] for word in _words(text) if word.startswith("-l")]

def _shared(names, stem):
    """The name under which programs ask for a shared library: of libz.so.1 and libz.so.1.2.13, the first."""
    versions = [name for name in names if name.startswith("lib" + stem + ".so.")]
    return sorted(versions, key = len)[0] if versions else ""

def _archives(names, prefix):
    return {name[3:-2]: prefix + name for name in sorted(names) if name.startswith("lib") and name.endswith(".a")}

def _versioned(lib):
    """Directories such as `postgresql/15/lib`: Debian keeps archives there of which there is one for each version."""
    out = []
    for package in sorted([entry.basename for entry in lib.readdir()]):
        path = lib.get_child(package)
        versions = sorted([entry.basename for entry in path.readdir() if entry.basename[0].isdigit()]) if _is_directory(path) else []
        for version in versions:
            directory = path.get_child(version).get_child("lib")
            if directory.exists:
                out.append(("{}/{}/lib/".format(package, version), directory))
    return out

def _is_directory(path):
    # Not every Bazel knows `is_dir`; what has no ending is a directory or a program, and programs are not there.
    return "." not in path.basename

def read_packages(ctx, tree, triple):
    """The packages of a tree.

    Args:
      ctx: the repository's context.
      tree: the directory of the tree.
      triple: the name of the directory of libraries.

    Returns:
      A dictionary of dictionaries: `packages` by name with `includes`, `shared`, `static`, `needs`, `needs_static`, `options` and so on; and `shared` and `static`,
      the files of all libraries by stem: names of the shared, paths below `usr/lib` of the static.
    """
    usr = tree.get_child("usr")
    lib = usr.get_child("lib").get_child(triple)
    names = [entry.basename for entry in lib.readdir()] if lib.exists else []
    stems = sorted({name[3:].split(".so.")[0]: None for name in names if name.startswith("lib") and ".so." in name}.keys())
    shared = {stem: _shared(names, stem) for stem in stems}
    static = _archives(names, triple + "/")
    for prefix, directory in _versioned(usr.get_child("lib")):
        for stem, path in _archives([entry.basename for entry in directory.readdir()], prefix).items():
            static.setdefault(stem, path)
    packages = {}
    for directory in ["usr/lib/" + triple + "/pkgconfig", "usr/share/pkgconfig"]:
        path = tree
        for part in directory.split("/"):
            path = path.get_child(part)
        files = sorted([entry.basename for entry in path.readdir() if entry.basename.endswith(".pc")]) if path.exists else []
        for file in files:
            fields = _parse(ctx.read(path.get_child(file)), directory)
            own, private = _libraries(fields.get("libs", "")), _libraries(fields.get("libs.private", ""))
            needs, more = _names(fields.get("requires", "")), _names(fields.get("requires.private", ""))
            flags = _words(fields.get("cflags", ""))
            packages[file[:-len(".pc")]] = {
                "includes": [_inside(flag[2:]) for flag in flags if flag.startswith("-I")],
                "needs": needs,
                "needs_static": needs + more,
                "only_shared": [stem for stem in own + private if stem in shared and stem not in static],
                "options": [flag for flag in flags if flag.startswith("-D")],
                "shared": [stem for stem in own if stem in shared],
                "static": [stem for stem in own + private if stem in static],
                "system": ["-l" + stem for stem in own if stem not in shared and stem not in static],
                "system_static": ["-l" + stem for stem in own + private if stem not in shared and stem not in static and stem in _SYSTEM],
            }
    return {"packages": packages, "shared": shared, "static": static}
