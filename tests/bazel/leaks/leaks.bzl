"""Rules that reach for the host."""

def _probe(ctx):
    ctx.execute(["gcc", "--version"])
    ctx.file("BUILD", "")

probe = repository_rule(implementation = _probe)

def _archived(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".a")

    # Nobody asks for it, so it is never run.
    ctx.actions.run(executable = "/usr/bin/ar", arguments = ["rcs", out.path], outputs = [out])
    return []

archived = rule(implementation = _archived)

def _named(_ctx):
    return []

named = rule(
    doc = "Names targets without building them.",
    implementation = _named,
    attrs = {"deps": attr.label_list()},
)
