# Written by `cotter emit bazel`; what is changed here is lost.

"""Programs out of pinned trees, for genrules and rules."""

def _tools(ctx):
    name = ctx.attr.variable
    return [
        DefaultInfo(files = depset(ctx.files.srcs), runfiles = ctx.runfiles(ctx.files.srcs)),
        platform_common.TemplateVariableInfo({name: ctx.label.workspace_root + "/" + ctx.attr.bin}),
    ]

cotter_tools = rule(
    doc = "The programs of a tree. As `tools` and `toolchains` of a genrule it gives the variable $(NAME_BIN), the directory of the programs, relative to the execution root.",
    implementation = _tools,
    attrs = {
        "bin": attr.string(doc = "The directory of the programs in the tree."),
        "srcs": attr.label_list(allow_files = True, doc = "The tree."),
        "variable": attr.string(doc = "The name of the variable."),
    },
)
