"""Puts the compiled standard library before its source, only for the interpreter that compiled it."""

import os.path
import sys

_archive = os.path.join(os.path.dirname(os.path.abspath(__file__)), sys.implementation.cache_tag + ".zip")
if os.path.exists(_archive):
    for _at, _entry in enumerate(sys.path):
        if os.path.exists(os.path.join(_entry, "os.py")):
            sys.path.insert(_at, _archive)
            break

# The main file is a link. The interpreter will first search the directory to which it leads, which may contain files that no target declares. The
# directory in the runfiles is already on the path. Since 3.11, the start code uses a flag for this.
_main = os.environ.pop("COTTER_MAIN", None)
if _main and sys.version_info < (3, 11):
    _own = os.path.dirname(os.path.realpath(_main))

    class _Nothing:
        @staticmethod
        def find_spec(name, target=None):
            return None

    if _own not in sys.path:
        sys.path_importer_cache[_own] = _Nothing

# Bytecode of packages: `bytecode/<package>` next to their `lib` contains the bytecode of all their modules. The modules stay where they are, with the
# files that they read.
_packages = [_entry for _entry in sys.path if _entry.endswith("/site-packages") and os.path.isdir(os.path.join(_entry, "../../../bytecode"))]
if _packages:
    import marshal
    from importlib import _bootstrap_external as _external

    class _Loader(_external.SourceFileLoader):
        def get_code(self, fullname):
            found = _modules.get(self.path)
            if found is None:
                return super().get_code(fullname)
            pack, start, end = found
            with open(pack, "rb") as file:
                file.seek(start)
                data = file.read(end - start)
            return _external._compile_bytecode(memoryview(data), name=fullname, source_path=self.path)

    def _hook(path):
        if path.startswith(_prefixes):
            return _external.FileFinder(
                path,
                (_external.ExtensionFileLoader, _external._imp.extension_suffixes()),
                (_Loader, _external.SOURCE_SUFFIXES),
                (_external.SourcelessFileLoader, _external.BYTECODE_SUFFIXES),
            )
        raise ImportError

    _modules = {}
    for _site in _packages:
        _packs = os.path.join(_site, "../../../bytecode")
        for _name in os.listdir(_packs):
            if _name.endswith("." + sys.implementation.cache_tag):
                _name = os.path.join(_packs, _name)
                with open(_name, "rb") as _file:
                    _start = int.from_bytes(_file.read(8), "little")
                    for _path, (_at, _end) in marshal.loads(_file.read(_start)).items():
                        _modules[os.path.join(_site, _path)] = (_name, 8 + _start + _at, 8 + _start + _end)
        sys.path_importer_cache.pop(_site, None)
    _prefixes = tuple(_packages)
    sys.path_hooks.insert(0, _hook)

# Packages reach Python by PYTHONPATH, whose directories are no site directories: their `.pth` files are not read.
for _site in os.environ.get("PYTHONPATH", "").split(":"):
    if _site.endswith("/site-packages") and os.path.isdir(_site):
        for _name in sorted(os.listdir(_site)):
            if _name.endswith(".pth") and not _name.startswith("."):
                import site

                site.addpackage(_site, _name, None)
