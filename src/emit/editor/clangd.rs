//! `.clangd`. Source: clangd's documentation of its configuration, and the options of Clang.

use crate::emit::api::{MachineTree, MachineTrees};
use crate::facts::Facts;
use crate::model::Kind;

/// Returns the file, if there is a compiler whose headers are known. With it, clangd needs no flag. A
/// `--query-driver` would add GCC's own headers, which clangd cannot read, and put the headers of C
/// before those of C++.
pub fn render(used: &MachineTrees, mark: &str) -> Option<String> {
    let compilers = || used.trees.iter().filter(|tree| tree.kind == Kind::Cc);
    let compiler = compilers().find(|tree| !tree.is_cross).or_else(|| compilers().next())?;
    let mut add = headers(compiler)?;
    if compiler.is_cross {
        add.insert(0, format!("--target={}", compiler.target.multiarch()));
    }
    for tree in used.trees.iter().filter(|tree| tree.target == compiler.target) {
        if let Facts::Library(facts) = &tree.facts {
            add.extend(facts.includes.iter().map(|dir| format!("-isystem{}/{dir}", tree.path)));
        }
    }
    let list: Vec<String> = add
        .iter()
        .map(|flag| format!("    - {}", serde_json::Value::from(flag.as_str())))
        .collect();
    Some(format!(
        "# {mark}\n# The headers of {}, in the place of those of this machine.\nCompileFlags:\n  Add:\n{}\n",
        compiler.name,
        list.join("\n")
    ))
}

/// Returns the flags for the headers of a compiler. The headers that belong to the compiler itself,
/// such as `stddef.h`, are clangd's own: those of GCC use functions that only GCC has.
fn headers(tree: &MachineTree) -> Option<Vec<String>> {
    let (cpp, c) = match &tree.facts {
        Facts::Gcc(facts) => {
            let of_gcc = |dir: &&String| !dir.starts_with("usr/lib/gcc");
            (&facts.cpp_includes, facts.c_includes.iter().filter(of_gcc).collect::<Vec<_>>())
        }
        Facts::Clang(facts) => (&facts.cpp_includes, facts.c_includes.iter().skip(1).collect()),
        _ => return None,
    };
    // C++ headers come before clangd's own, and those of C behind them, because they include the
    // next header of their own name.
    let mut out = vec!["-nostdlibinc".to_owned(), "-nostdinc++".to_owned()];
    out.extend(cpp.iter().map(|dir| format!("-cxx-isystem{}/{dir}", tree.path)));
    out.extend(c.iter().map(|dir| format!("-idirafter{}/{dir}", tree.path)));
    Some(out)
}
