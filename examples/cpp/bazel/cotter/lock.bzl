"""What toolchains.lock pins.

Written by `cotter emit bazel`; what is changed here is lost.
"""

# The repository that has a name for each toolchain.
HUB = "cotter"

# The manifest, from this folder.
MANIFEST = "../../toolchains.toml"

TREES = {
    "gcc-x86_64-linux": {"kind": "cc", "name": "gcc", "platform": "x86_64-linux", "store": "lpgvi4r9dlfm6ggjcrc1q45ac5g7g2cq-gcc-12.2.0-14+deb12u1-x86_64-linux", "target": "x86_64-linux"},
    "gcc-aarch64-x86_64-linux": {"kind": "cc", "name": "gcc-aarch64", "platform": "x86_64-linux", "store": "ah1hnqadr9qf4x071q6iik10ihmmvhrq-gcc-aarch64-12.2.0-14cross1-x86_64-linux", "target": "aarch64-linux"},
    "shell-x86_64-linux": {"kind": "tool", "name": "shell", "platform": "x86_64-linux", "store": "ppfy7dpa4kkglik4lga0mflzj2dhij6l-shell-5.2.15-2+b13-x86_64-linux", "target": "x86_64-linux"},
    "zlib-aarch64-linux": {"kind": "library", "name": "zlib", "platform": "aarch64-linux", "store": "3w75kmyr3a0v7ljxhflxnmxm5sns21mb-zlib-1.2.13.dfsg-1-aarch64-linux", "target": "aarch64-linux"},
    "zlib-x86_64-linux": {"kind": "library", "name": "zlib", "platform": "x86_64-linux", "store": "fvfm1l65c2cf9a3k2h7i7l6qyyhrfnzc-zlib-1.2.13.dfsg-1-x86_64-linux", "target": "x86_64-linux"},
}

# The Python packages of each tree, with what they need of each other.
PACKAGES = {}

# The toolchains of this package, in the order in which they are registered.
TOOLCHAINS = [
    "gcc-x86_64-linux",
    "gcc-aarch64-x86_64-linux",
    "sh",
]
