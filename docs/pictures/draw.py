"""Draws the pictures of the README: runs the commands of a session on a terminal of 92 columns, and writes what it shows as SVG.

python3 docs/pictures/draw.py NAME      writes docs/pictures/NAME.svg; `cotter`, and for `bazel` also `bazel` 7, must be on PATH
"""

import html
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import fcntl
import termios

COLUMNS, LINE, WIDTH = 92, 19, 8.43
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "34": "#79c0ff", "35": "#d2a8ff", "36": "#76e3ea", "90": "#8b949e"}
REPO = pathlib.Path(__file__).resolve().parents[2]

# What is typed; a line that begins with `+` is run before, and not shown.
SESSIONS = {
    "terminal": [
        "+cp {repo}/examples/hello/hello.cc .",
        "+printf 'platforms = [\"x86_64-linux\"]\\n' > toolchains.toml",
        "cotter add gcc-12 python3.11",
        "cotter exec -- g++ hello.cc -o hello && ./hello",
        "cotter exec -- perl -v",
        "cotter why libmpfr6",
    ],
    "bazel": [
        "+cp -r {repo}/examples/cpp/. . && rm -rf bazel .bazelrc",
        "grep -A1 emit.bazel toolchains.toml; cat MODULE.bazel",
        "cotter setup --quiet && ls bazel/cotter",
        "echo 'import %workspace%/bazel/cotter/cotter.bazelrc' > .bazelrc",
        "bazel test //... 2>&1 | grep -E '(PASSED|FAILED|SKIPPED) in|tests? pass'",
        "cotter audit bazel //...",
    ],
}


def path():
    """Returns the directories of commands: no place of this machine may come into a picture."""
    found = filter(None, map(shutil.which, ["cotter", "bazel"]))
    return ":".join([os.path.dirname(program) for program in found] + ["/usr/bin", "/bin"])


def run(command, directory, shown):
    """Runs a command on a terminal and returns what it printed."""
    if not shown:
        subprocess.run(["sh", "-c", command], cwd=directory, check=True)
        return ""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = dict(os.environ, PATH=path(), COTTER_NO_PROGRESS="1", TERM="xterm-256color", HOME=str(directory), COTTER_TRUST="1")
    child = subprocess.Popen(["sh", "-c", command], cwd=directory, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    out = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the terminal is closed when the last process has left it
            break
        if not chunk:
            break
        out += chunk
    child.wait()
    os.close(ours)
    return out.decode().replace("\r\n", "\n").rstrip("\n").expandtabs()


def spans(line):
    """Turns a line with escape sequences of colours into SVG."""
    out, colour, bold = "", None, False
    for part in re.split(r"(\x1b\[[0-9;]*[A-Za-z])", line):
        if part.startswith("\x1b["):
            if part.endswith("m"):
                for code in part[2:-1].split(";"):
                    if code in ("", "0"):
                        colour, bold = None, False
                    elif code == "1":
                        bold = True
                    elif code in COLOURS:
                        colour = COLOURS[code]
        elif part:
            style = (f' fill="{colour}"' if colour else "") + (' font-weight="bold"' if bold else "")
            out += f"<tspan{style}>{html.escape(part)}</tspan>"
    return out


def wrapped(text):
    """Breaks lines where a terminal does. Sequences of colours have no width."""
    for line in text.split("\n"):
        row, width = "", 0
        for part in re.split(r"(\x1b\[[0-9;]*[A-Za-z])", line):
            if part.startswith("\x1b["):
                row += part
                continue
            for character in part:
                if width == COLUMNS:
                    yield row
                    row, width = "", 0
                row += character
                width += 1
        yield row


def main(name):
    with tempfile.TemporaryDirectory(prefix="cotter-picture-") as directory:
        directory = pathlib.Path(directory)
        rows = []
        for command in SESSIONS[name]:
            shown = not command.startswith("+")
            text = run(command.lstrip("+").replace("{repo}", str(REPO)), directory, shown)
            if shown:
                rows += ["\x1b[32m$\x1b[0m \x1b[1m" + command + "\x1b[0m"]
                rows += list(wrapped(text.replace(str(directory), "~"))) if text else []
        subprocess.run(["chmod", "-R", "u+w", directory], check=False)
        shutil.rmtree(directory / ".local", ignore_errors=True)
    height = LINE * len(rows) + 28
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{int(COLUMNS * WIDTH + 32)}" height="{height}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">',
        '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
    ]
    for number, row in enumerate(rows):
        lines.append(f'<text x="16" y="{24 + LINE * number}" fill="#c9d1d9" xml:space="preserve">{spans(row)}</text>')
    lines.append("</svg>")
    (REPO / "docs/pictures" / f"{name}.svg").write_text("\n".join(lines) + "\n")


main(*sys.argv[1:])
