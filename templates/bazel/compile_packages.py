"""Compiles the modules of a package into one file: compile_packages.py SITE_PACKAGES OUT ENTRY...

OUT holds eight bytes, the length of what follows (little-endian); a dictionary (marshal) of the modules' paths below SITE_PACKAGES, each with where its
bytecode begins and ends; and the bytecode. `sitecustomize.py` reads it. Entries are files and directories of the package.
"""

import marshal
import os
import sys


def sources(entry):
    if entry.endswith(".py"):
        yield entry
    for directory, names, files in os.walk(entry):
        names.sort()
        yield from (os.path.join(directory, file) for file in sorted(files) if file.endswith(".py"))


def main(site, out, *entries):
    index, data = {}, bytearray()
    for path in (path for entry in entries for path in sources(entry)):
        name = os.path.relpath(path, site)
        if name.startswith(".."):
            continue
        try:
            with open(path, "rb") as file:
                code = compile(file.read(), name, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError):
            # A template, or code for another version of Python. Whoever imports it gets the error.
            continue
        start = len(data)
        data += marshal.dumps(code)
        index[name] = (start, len(data))
    head = marshal.dumps(index)
    with open(out, "wb") as file:
        file.write(len(head).to_bytes(8, "little") + head + data)


main(*sys.argv[1:])
