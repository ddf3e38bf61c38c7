"""What toolchains.lock pins.

Written by `cotter emit bazel`; what is changed here is lost.
"""

# The repository that has a name for each toolchain.
HUB = "cotter"

# The manifest, from this folder.
MANIFEST = "../../toolchains.toml"

TREES = {
    "gcc-x86_64-linux": {"kind": "cc", "name": "gcc", "platform": "x86_64-linux", "store": "lpgvi4r9dlfm6ggjcrc1q45ac5g7g2cq-gcc-12.2.0-14+deb12u1-x86_64-linux", "target": "x86_64-linux"},
    "python-x86_64-linux": {"kind": "python", "name": "python", "platform": "x86_64-linux", "store": "902v7240fiq6f3p32yilq7y5zis085qa-python-3.11.2-6+deb12u8-x86_64-linux", "target": "x86_64-linux"},
}

# The Python packages of each tree, with what they need of each other.
PACKAGES = {}

# The toolchains of this package, in the order in which they are registered.
TOOLCHAINS = [
    "gcc-x86_64-linux",
    "python-x86_64-linux",
    "sh",
]
