# Written by `cotter emit bazel`; what is changed here is lost.

"""Targets for the packages of a library's tree."""

def cotter_libraries(name, packages, triple, compatible):
    """One cc_library for each .pc file, one for all of them under the toolchain's name, and for both a `_static` one.

    Args:
      name: the toolchain's name.
      packages: what `read_packages` found.
      triple: the name of the directory of libraries.
      compatible: the constraints of the platform.
    """
    visibility = ["//visibility:public"]
    lib = "usr/lib/" + triple + "/"
    include = ["usr/include", "usr/include/" + triple]
    native.cc_library(
        name = "_headers",
        hdrs = native.glob(["usr/include/**"]),
        includes = include,
        target_compatible_with = compatible,
    )
    for stem, file in packages["shared"].items():
        native.cc_import(name = "_shared_" + stem, shared_library = lib + file)
    for stem, file in packages["static"].items():
        native.cc_import(name = "_archive_" + stem, static_library = "usr/lib/" + file)

    # What the libraries need of each other at run time; the linker leaves out what is not needed. DT_RPATH, for DT_RUNPATH would not serve
    # the libraries' own needs.
    native.cc_library(
        name = "_all_shared",
        linkopts = ["-Wl,--disable-new-dtags"],
        target_compatible_with = compatible,
        deps = [":_shared_" + stem for stem in packages["shared"]],
    )
    known = packages["packages"]
    for package, facts in known.items():
        shared = [":" + need for need in facts["needs"] if need in known]
        static = [":" + need + "_static" for need in facts["needs_static"] if need in known]
        for suffix, deps, options in [
            ("", [":_shared_" + stem for stem in facts["shared"]] + shared + [":_all_shared"], facts["system"]),
            ("_static", [":_archive_" + stem for stem in facts["static"]] + [":_shared_" + stem for stem in facts["only_shared"]] + static + ([":_all_shared"] if facts["only_shared"] else []), facts["system_static"]),
        ]:
            native.cc_library(
                name = package + suffix,
                defines = [option[2:] for option in facts["options"]],
                includes = [path for path in facts["includes"] if path not in include],
                linkopts = options,
                target_compatible_with = compatible,
                visibility = visibility,
                deps = [":_headers"] + deps,
            )
    for suffix in ["", "_static"]:
        if name not in known:
            native.cc_library(
                name = name + suffix,
                target_compatible_with = compatible,
                visibility = visibility,
                deps = [":" + package + suffix for package in known],
            )
