# Written by `cotter emit bazel`; what is changed here is lost.

"""Puts the compiled standard library before the one in source; for the interpreter that it was compiled by, and no other."""

import os.path
import sys

_archive = os.path.join(os.path.dirname(os.path.abspath(__file__)), sys.implementation.cache_tag + ".zip")
if os.path.exists(_archive):
    for _at, _entry in enumerate(sys.path):
        if os.path.exists(os.path.join(_entry, "os.py")):
            sys.path.insert(_at, _archive)
            break
