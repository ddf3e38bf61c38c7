"""Compiles a standard library into one zip file: compile_stdlib.py LIBRARY ZIP

The trees hold no bytecode, for nothing runs when they are made. What stands in the zip is what PEP 552 calls unchecked hash-based: the same bytes
everywhere, and good without a look at the source. Names of files are relative to the library, where tracebacks find the lines.
"""

import importlib.util
import marshal
import os
import sys
import zipfile

# Packages that read files next to their own, and packages whose speed matters to no build.
LEFT_OUT = {
    "__pycache__",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib-dynload",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
    "venv",
}


def sources(library):
    """Returns the sorted paths of the modules below a directory."""
    found = []
    for directory, names, files in os.walk(library):
        names[:] = [name for name in names if name not in LEFT_OUT and not name.startswith("config-")]
        found += [os.path.relpath(os.path.join(directory, file), library) for file in files if file.endswith(".py")]
    return sorted(found)


def main(library, out):
    # Bit 0 means hash-based, and bit 1 is 0, which means unchecked. Nobody reads the hash itself.
    header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sources(library):
            with open(os.path.join(library, name), "rb") as file:
                code = compile(file.read(), name, "exec", dont_inherit=True, optimize=0)
            archive.writestr(zipfile.ZipInfo(name + "c"), header + marshal.dumps(code))


main(*sys.argv[1:])
