"""Targets for the packages of a library's tree."""

load(":rules.bzl", "cc")

# Libraries that are part of the C library.
_SYSTEM = ["dl", "m", "pthread", "resolv", "rt"]

def cotter_libraries(name, packages, shared, static, includes, runtime, compatible):
    """Declares a cc_library for each .pc file, one for all of them with the name of the toolchain, and a `_static` variant of each.

    Args:
      name: the toolchain's name.
      packages: by the name of the .pc file, what it says: `includes`, `defines`, `libs`, `libs_private`, `requires`, `requires_private`.
      shared: by stem, the file of each shared library.
      static: by stem, the file of each static library.
      includes: the directories in which every package looks for headers.
      runtime: the files and directories that the libraries need at run time, to which `environment.c` sets variables.
      compatible: the constraints of the platform.
    """
    visibility = ["//visibility:public"]
    cc.library(
        name = "_headers",
        hdrs = native.glob(["usr/include/**"]),
        includes = includes,
        target_compatible_with = compatible,
    )
    for stem, file in shared.items():
        cc.import_(name = "_shared_" + stem, shared_library = file)
    for stem, file in static.items():
        cc.import_(name = "_archive_" + stem, static_library = file)

    # The libraries that these libraries need at run time; the linker leaves out those that are not needed. DT_RPATH is used because
    # DT_RUNPATH would not apply to the needs of the libraries themselves.
    cc.library(
        name = "_all_shared",
        linkopts = ["-Wl,--disable-new-dtags"],
        target_compatible_with = compatible,
        deps = [":_shared_" + stem for stem in shared],
    )
    living = []
    if runtime:
        living = [":_environment"]
        cc.library(
            name = "_environment",
            srcs = ["environment.c"],
            # It is compiled by any compiler, and its warnings would be errors with some features.
            copts = ["-w"],
            data = runtime,
            linkstatic = True,
            target_compatible_with = compatible,
            alwayslink = True,
        )
    for package, facts in packages.items():
        own, private = facts["libs"], facts["libs_private"]
        only_shared = [stem for stem in own + private if stem in shared and stem not in static]
        foreign = {stem: None for stem in own + private if stem not in shared and stem not in static}
        for suffix, deps, needs, more, options in [
            (
                "",
                [":_shared_" + stem for stem in own if stem in shared],
                facts["requires"],
                [":_all_shared"],
                ["-l" + stem for stem in own if stem in foreign],
            ),
            (
                "_static",
                [":_archive_" + stem for stem in own + private if stem in static] + [":_shared_" + stem for stem in only_shared],
                facts["requires"] + facts["requires_private"],
                [":_all_shared"] if only_shared else [],
                ["-l" + stem for stem in own + private if stem in foreign and stem in _SYSTEM],
            ),
        ]:
            cc.library(
                name = package + suffix,
                defines = facts["defines"],
                includes = [path for path in facts["includes"] if path not in includes],
                linkopts = options,
                target_compatible_with = compatible,
                visibility = visibility,
                deps = [":_headers"] + deps + [":" + need + suffix for need in needs if need in packages] + more + living,
            )
    for suffix in ["", "_static"]:
        if name not in packages:
            cc.library(
                name = name + suffix,
                target_compatible_with = compatible,
                visibility = visibility,
                deps = [":" + package + suffix for package in packages],
            )
