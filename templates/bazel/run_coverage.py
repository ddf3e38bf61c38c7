"""Runs a program under coverage.py, and writes the result where Bazel collects it: run_coverage.py SITE_PACKAGES RUNFILES MAIN [ARGUMENT...]

Bazel names in COVERAGE_MANIFEST the files that it wants to hear of, relative to the execution root, and reads files of the format LCOV in COVERAGE_DIR. What
the program starts in other processes is not measured.
"""

import os
import runpy
import sys

site, runfiles, main, *arguments = sys.argv[1:]
sys.path.append(site)

import coverage

directory = os.environ["COVERAGE_DIR"]
with open(os.environ["COVERAGE_MANIFEST"], encoding="utf-8") as file:
    wanted = [line.strip() for line in file if line.strip().endswith(".py")]
# A file of another repository is `external/<repository>/...` there, and `<repository>/...` in the runfiles. coverage.py names files by the targets
# of links.
workspace = os.environ.get("TEST_WORKSPACE", "_main")
sources = {}
for name in wanted:
    place = name[len("external/") :] if name.startswith("external/") else os.path.join(workspace, name)
    sources[os.path.realpath(os.path.join(runfiles, place))] = name

started = os.getcwd()
measurement = coverage.Coverage(
    branch=True,
    config_file=False,
    data_file=os.path.join(directory, f"coverage-{os.getpid()}"),
    include=list(sources),
    messages=False,
)


def plain(line):
    """Returns a line in the form that every reader of the format accepts: with the names of the manifest, only the first line of a function, and numbered branches."""
    kind, _, rest = line.partition(":")
    if kind == "SF":
        path = os.path.realpath(os.path.join(started, rest))
        return "SF:" + sources.get(path, path)
    if kind == "FN":
        first, *_, name = rest.split(",")
        return f"FN:{first},{name}"
    if kind == "BRDA":
        number, block, *branch, taken = rest.split(",")
        known = branches.setdefault(number, {})
        return f"BRDA:{number},{block},{known.setdefault(','.join(branch), len(known))},{taken}"
    if kind == "end_of_record":
        branches.clear()
    return line


branches = {}


def report():
    """Writes the result."""
    own = os.path.join(directory, f"cotter-{os.getpid()}.lcov")
    try:
        measurement.lcov_report(outfile=own)
    except coverage.exceptions.NoDataError:
        return
    with open(own, encoding="utf-8") as file:
        lines = file.read().splitlines()
    os.remove(own)
    with open(os.path.join(directory, f"python-{os.getpid()}.dat"), "w", encoding="utf-8") as file:
        for line in lines:
            file.write(plain(line) + "\n")


sys.argv = [main, *arguments]
measurement.start()
try:
    runpy.run_path(main, run_name="__main__")
finally:
    measurement.stop()
    measurement.save()
    os.chdir(started)
    report()
