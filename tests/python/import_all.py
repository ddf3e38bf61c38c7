"""Imports every package of a tree, each in a process of its own: `import_all.py TREE`. Says what failed, and why."""

import json
import os
import subprocess
import sys

tree = sys.argv[1]
site = f"{tree}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
with open(f"{tree}/packages.json") as file:
    packages = json.load(file)["packages"]


def modules(entries):
    """The names that can be imported at the top level: files and directories of modules, not what belongs to them."""
    prefix = os.path.relpath(site, tree) + "/"
    for entry in entries:
        name = entry.removeprefix(prefix)
        if name == entry:
            continue
        if os.path.isdir(f"{site}/{name}"):
            if os.path.exists(f"{site}/{name}/__init__.py") and name.replace("/", ".").isidentifier():
                yield name
        elif name.endswith((".py", ".so")) and "/" not in name and name.split(".")[0].isidentifier():
            yield name.split(".")[0]


failed, done = [], 0
for package, facts in packages.items():
    for module in sorted(set(modules(facts["entries"]))):
        run = subprocess.run([sys.executable, "-B", "-c", f"import {module}"], capture_output=True, text=True, timeout=300)
        done += 1
        if run.returncode:
            failed.append(f"{package}: import {module}: {run.stderr.strip().splitlines()[-1:]}")
print(f"{done} modules of {len(packages)} packages, {len(failed)} failed")
print("\n".join(failed))
sys.exit(bool(failed))
