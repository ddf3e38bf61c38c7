def _repo(ctx):
    ctx.file("BUILD")
_stub = repository_rule(implementation = _repo)
def _impl(ctx):
    _stub(name = "buildozer_binary")
buildozer_binary = module_extension(implementation = _impl)
