//! The docs contain what the code defines, and the other way round. `src/documented.rs` compares what only the program itself can tell.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

use super::{code, files_below, none, read};
use crate::support::REPO;

/// Names in the form of a variable that are not variables of cotter, or that only programs see which cotter starts itself.
const NOT_FOR_USERS: &[(&str, &str)] = &[
    ("CARGO_PKG_VERSION", "Cargo sets it while cotter is compiled"),
    ("LC_ALL", "set for uv"),
    ("NIX_DONT_SET_RPATH", "set for wrappers of Nixpkgs"),
    ("O_DIRECTORY", "a flag of open(2) in a trace"),
    ("O_PATH", "a flag of open(2) in a trace"),
    ("SOURCE_DATE_EPOCH", "set for builds in the sandbox"),
    ("UV_CACHE_DIR", "set for uv"),
];

/// Variables that libraries read for cotter, so that no string of its code names them.
const READ_BY_LIBRARIES: &[(&str, &str)] = &[
    ("NO_COLOR", "anstream"),
    ("CLICOLOR", "anstream"),
    ("CLICOLOR_FORCE", "anstream"),
    ("COTTER", "the repository rules that are emitted for Bazel"),
    ("COTTER_MIRROR_DEBIAN", "made of the name of a family"),
    ("COTTER_MIRROR_DEBIAN_SECURITY", "made of the name of a family"),
    ("COTTER_MIRROR_PYTHON", "made of the name of a family"),
    ("COTTER_MIRROR_NIX", "made of the name of a family"),
];

/// Returns the words of a text that could be names of variables.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(move |c: char| !part(c)).filter(|word| word.len() > 1)
}

#[test]
fn every_variable_is_documented() {
    let mut docs = read("README.md");
    for file in files_below(&std::path::Path::new(REPO).join("docs"), ".md") {
        docs += &std::fs::read_to_string(file).unwrap();
    }
    let documented: BTreeSet<&str> = variables(&docs).collect();
    let environment = read("docs/environment.md");
    let ours: BTreeSet<&str> = variables(&environment).collect();
    let code = code();
    let mut problems = vec![];
    let mut seen = BTreeSet::new();
    for module in code.modules.values() {
        for (text, line) in &module.texts {
            // Any string may contain the name of a variable of cotter. The name of another variable is a whole string.
            for word in variables(text).filter(|w| w.starts_with("COTTER_") || *w == text) {
                seen.insert(word.to_owned());
                let own = word.starts_with("COTTER_");
                let known = if own { ours.contains(word) } else { documented.contains(word) };
                let excused = NOT_FOR_USERS.iter().any(|(name, _)| *name == word);
                // These are parts of names, and placeholders.
                let part = !own && (word.starts_with('_') || word.ends_with('_'));
                if !known && !excused && !part && word.contains('_') {
                    problems.push(format!("src/{}:{line}: no page names {word}", module.file));
                }
            }
        }
    }
    for (name, _) in NOT_FOR_USERS {
        assert!(seen.contains(*name), "no code names {name}: take it from NOT_FOR_USERS");
    }
    for row in environment.lines().filter(|l| l.starts_with("| `")) {
        let names = row.split('|').nth(1).unwrap();
        for name in names.split('`').skip(1).step_by(2).filter(|n| !n.ends_with('_')) {
            let library = READ_BY_LIBRARIES.iter().any(|(other, _)| *other == name);
            if !seen.contains(name) && !library {
                problems.push(format!("docs/environment.md has {name}, and no code names it"));
            }
        }
    }
    none(&problems);
}

/// Finds the exit codes of the program.
#[derive(Default)]
struct ExitCodes {
    /// The numbers in the function `exit_code`, which has one for each kind of failure.
    table: BTreeSet<u64>,
    /// Numbers that are defined elsewhere.
    strays: usize,
    in_table: bool,
}

impl<'ast> Visit<'ast> for ExitCodes {
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.in_table = function.sig.ident == "exit_code";
        visit::visit_impl_item_fn(self, function);
        self.in_table = false;
    }

    fn visit_lit_int(&mut self, number: &'ast syn::LitInt) {
        if self.in_table {
            self.table.insert(number.base10_parse().unwrap());
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let named = |path: &syn::Path, words: [&str; 2]| {
            let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            names.ends_with(&words.map(str::to_owned))
        };
        if let syn::Expr::Path(path) = &*call.func
            && (named(&path.path, ["ExitCode", "from"]) || named(&path.path, ["process", "exit"]))
            && matches!(call.args.first(), Some(syn::Expr::Lit(_)))
        {
            self.strays += 1;
        }
        visit::visit_expr_call(self, call);
    }
}

#[test]
fn every_exit_code_has_its_row() {
    let mut found = ExitCodes::default();
    for file in files_below(&std::path::Path::new(REPO).join("src"), ".rs") {
        found.visit_file(&syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap());
        assert_eq!(found.strays, 0, "{} gives an exit code of its own", file.display());
    }
    // Success has no kind of failure.
    found.table.insert(0);
    let docs = read("docs/exit-codes.md");
    let rows: BTreeSet<u64> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok())
        .collect();
    assert!(rows.len() > 8, "{rows:?}");
    assert_eq!(found.table, rows, "the code's numbers, and the rows of docs/exit-codes.md");
}

/// Finds items that other modules can see and that have no documentation.
struct Undocumented {
    file: String,
    found: Vec<String>,
}

impl Undocumented {
    fn check(&mut self, attributes: &[syn::Attribute], visible: bool, name: &syn::Ident) {
        if visible && !attributes.iter().any(|a| a.path().is_ident("doc")) {
            let line = name.span().start().line;
            self.found.push(format!("{}:{line}: {name} has no documentation", self.file));
        }
    }
}

fn visible(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

impl<'ast> Visit<'ast> for Undocumented {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        use syn::Item;
        match item {
            Item::Fn(i) => self.check(&i.attrs, visible(&i.vis), &i.sig.ident),
            Item::Struct(i) => self.check(&i.attrs, visible(&i.vis), &i.ident),
            Item::Enum(i) => self.check(&i.attrs, visible(&i.vis), &i.ident),
            Item::Trait(i) => self.check(&i.attrs, visible(&i.vis), &i.ident),
            Item::Type(i) => self.check(&i.attrs, visible(&i.vis), &i.ident),
            Item::Const(i) => self.check(&i.attrs, visible(&i.vis), &i.ident),
            Item::Static(i) => self.check(&i.attrs, visible(&i.vis), &i.ident),
            _ => {}
        }
        match item {
            Item::Enum(i) if !visible(&i.vis) => {}
            Item::Trait(i) if !visible(&i.vis) => {}
            // Items that are defined in a function are not visible elsewhere.
            Item::Fn(_) => {}
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.check(&function.attrs, visible(&function.vis), &function.sig.ident);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        self.check(&function.attrs, true, &function.sig.ident);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.check(&field.attrs, visible(&field.vis), name);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.check(&variant.attrs, true, &variant.ident);
    }
}

/// The compiler demands documentation only for the interface of a library, and the interface of this one is a single function.
#[test]
fn every_public_item_says_what_it_is() {
    let mut problems = vec![];
    for file in files_below(&std::path::Path::new(REPO).join("src"), ".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut finder = Undocumented { file: file.display().to_string(), found: vec![] };
        finder.visit_file(&syn::parse_file(&text).unwrap());
        problems.extend(finder.found);
        assert!(text.starts_with("//! "), "{} does not say what it is", file.display());
    }
    none(&problems);
}
