# Written by `cotter emit bazel`; what is changed here is lost.

"""The module extension. `cotter.MODULE.bazel` says how to use it."""

load(":repositories.bzl", "cotter_repositories")

def _cotter(ctx):
    cotter_repositories()

    # All that it does follows from the lock: nothing for MODULE.bazel.lock.
    return ctx.extension_metadata(reproducible = True)

cotter = module_extension(implementation = _cotter)
