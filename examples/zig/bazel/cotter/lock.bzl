"""What toolchains.lock pins.

Written by `cotter emit bazel`; what is changed here is lost.
"""

# The repository that has a name for each toolchain.
HUB = "cotter"

# The manifest, from this folder.
MANIFEST = "../../toolchains.toml"

TREES = {
    "python-x86_64-linux": {"kind": "python", "name": "python", "platform": "x86_64-linux", "store": "902v7240fiq6f3p32yilq7y5zis085qa-python-3.11.2-6+deb12u8-x86_64-linux", "target": "x86_64-linux"},
    "zig-x86_64-linux": {"kind": "cc", "name": "zig", "platform": "x86_64-linux", "store": "z44klrz6shxhpia6r7k0843q64pd8mlz-zig-0.17.0-x86_64-linux", "target": "x86_64-linux"},
    "zig-aarch64-x86_64-linux": {"kind": "cc", "name": "zig-aarch64", "platform": "x86_64-linux", "store": "cmcc639zr821z9061p9k95qf0rb0xk7d-zig-aarch64-0.17.0-x86_64-linux", "target": "aarch64-linux"},
}

# The Python packages of each tree, with what they need of each other.
PACKAGES = {}

# The toolchains of this package, in the order in which they are registered.
TOOLCHAINS = [
    "python-x86_64-linux",
    "zig-x86_64-linux",
    "zig-aarch64-x86_64-linux",
    "sh",
]
