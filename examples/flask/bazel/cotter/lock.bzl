"""What toolchains.lock pins.

Written by `cotter emit bazel`; what is changed here is lost.
"""

# The repository that has a name for each toolchain.
HUB = "cotter"

# The manifest, from this folder.
MANIFEST = "../../toolchains.toml"

TREES = {
    "app-x86_64-linux": {"kind": "packages", "name": "app", "platform": "x86_64-linux", "python": "python", "set": "app", "store": "b5dyibfqvpmdaf9vwkbmlfrlh2561s68-app-3.11-x86_64-linux", "target": "x86_64-linux"},
    "app-2020-x86_64-linux": {"kind": "packages", "name": "app-2020", "platform": "x86_64-linux", "python": "python", "set": "app-2020", "store": "h1ipx1w3xs1dbs5fz40vs95x1zfq0ply-app-2020-3.11-x86_64-linux", "target": "x86_64-linux"},
    "gcc-x86_64-linux": {"kind": "cc", "name": "gcc", "platform": "x86_64-linux", "store": "lpgvi4r9dlfm6ggjcrc1q45ac5g7g2cq-gcc-12.2.0-14+deb12u1-x86_64-linux", "target": "x86_64-linux"},
    "python-x86_64-linux": {"kind": "python", "name": "python", "platform": "x86_64-linux", "store": "902v7240fiq6f3p32yilq7y5zis085qa-python-3.11.2-6+deb12u8-x86_64-linux", "target": "x86_64-linux"},
    "uv-x86_64-linux": {"kind": "tool", "name": "uv", "platform": "x86_64-linux", "store": "s8vpiqd17imscm4y56c55yc4p2xdslmg-uv-0.13.8-x86_64-linux", "target": "x86_64-linux"},
}

# The Python packages of each tree, with what they need of each other.
PACKAGES = {
    "app-x86_64-linux": {
        "blinker": [],
        "click": [],
        "flask": ["blinker", "click", "itsdangerous", "jinja2", "markupsafe", "werkzeug"],
        "iniconfig": [],
        "itsdangerous": [],
        "jinja2": ["markupsafe"],
        "markupsafe": [],
        "packaging": [],
        "pluggy": [],
        "pygments": [],
        "pytest": ["iniconfig", "packaging", "pluggy", "pygments"],
        "werkzeug": ["markupsafe"],
    },
    "app-2020-x86_64-linux": {
        "attrs": [],
        "click": [],
        "flask": ["click", "itsdangerous", "jinja2", "werkzeug"],
        "iniconfig": [],
        "itsdangerous": [],
        "jinja2": ["markupsafe"],
        "markupsafe": [],
        "packaging": ["pyparsing", "six"],
        "pluggy": [],
        "py": [],
        "pyparsing": [],
        "pytest": ["attrs", "iniconfig", "packaging", "pluggy", "py", "toml"],
        "six": [],
        "toml": [],
        "werkzeug": [],
    },
}

# The toolchains of this package, in the order in which they are registered.
TOOLCHAINS = [
    "gcc-x86_64-linux",
    "python-x86_64-linux",
    "sh",
]
