"""Runs the commands of a resolution, one after the other, and keeps what each of them prints: `python3 -c ... COMMANDS`.

COMMANDS is a JSON list of commands. The first writes the file `universal.txt`, which the others read. The output of the command N goes to `/build/out/N.out`, its messages to `/build/out/N.err`, and the exit
code of the last one that ran to `/build/out/code`.
"""

import json
import os
import shutil
import subprocess
import sys

code = 0
for number, command in enumerate(json.loads(sys.argv[1])):
    with open(f"/build/out/{number}.out", "wb") as out, open(f"/build/out/{number}.err", "wb") as err:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err).returncode
    if code:
        break
if os.path.isfile("/build/source/scratch/universal.txt"):
    shutil.copy("/build/source/scratch/universal.txt", "/build/out/universal.txt")
with open("/build/out/code", "w") as file:
    file.write(str(code))
