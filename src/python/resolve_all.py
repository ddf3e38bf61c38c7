"""Runs the commands of a resolution, one after the other, and keeps what each of them prints: `python3 -c ... COMMANDS`.

COMMANDS is a JSON list of commands. The first writes the file `universal.txt`; the others read `constraints.txt`, which is the same without the lines that name files. The output of the command N goes to `/build/out/N.out`, its messages to `/build/out/N.err`, and the exit
code of the last one that ran to `/build/out/code`.
"""

import json
import os
import shutil
import subprocess
import sys

SCRATCH = "/build/source/scratch"


def without_files(text):
    """Returns a list of pins without the copies of files, which uv refuses as constraints."""
    kept, is_dropped, continues = [], False, False
    for line in text.splitlines(keepends=True):
        if not continues:
            is_dropped = ".cotter-files/" in line and not line.lstrip().startswith("#")
        continues = line.rstrip().endswith("\\")
        if not is_dropped:
            kept.append(line)
    return "".join(kept)


code = 0
for number, command in enumerate(json.loads(sys.argv[1])):
    with open(f"/build/out/{number}.out", "wb") as out, open(f"/build/out/{number}.err", "wb") as err:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err).returncode
    if code:
        break
    if number == 0 and os.path.isfile(f"{SCRATCH}/universal.txt"):
        with open(f"{SCRATCH}/universal.txt", encoding="utf-8") as file:
            constraints = without_files(file.read())
        with open(f"{SCRATCH}/constraints.txt", "w", encoding="utf-8") as file:
            file.write(constraints)
if os.path.isfile(f"{SCRATCH}/universal.txt"):
    shutil.copy(f"{SCRATCH}/universal.txt", "/build/out/universal.txt")
with open("/build/out/code", "w") as file:
    file.write(str(code))
