"""Programs from pinned trees, for genrules and rules."""

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

def _exec_tools(ctx):
    tools = ctx.attr.tools
    return [
        DefaultInfo(files = tools[DefaultInfo].files, runfiles = tools[DefaultInfo].default_runfiles),
        tools[platform_common.TemplateVariableInfo],
    ]

cotter_exec_tools = rule(
    doc = "Tools of the machine that builds, whatever is built.",
    implementation = _exec_tools,
    attrs = {"tools": attr.label(cfg = "exec")},
)
