//! The program's sources as a parser sees them: the file of each module, what the module defines, and every path that its code names.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A path of modules from the root of the crate: `["store", "gc"]` is `crate::store::gc`.
pub type ModulePath = Vec<String>;

/// The sources of the program, without the parts that are compiled only for tests.
pub struct Code {
    /// Every module, including those that are defined inside a file.
    pub modules: BTreeMap<ModulePath, Module>,
}

/// A module.
#[derive(Default)]
pub struct Module {
    /// The file below `src` that contains it.
    pub file: String,
    /// The functions, types and constants that it defines, without its modules.
    items: BTreeSet<String>,
    /// The names that its `use` lines import, each with its path.
    imports: BTreeMap<String, Vec<String>>,
    /// The modules from which it imports everything.
    globs: Vec<Vec<String>>,
    /// The paths that its code names.
    pub mentions: Vec<Mention>,
    /// The types that other modules can see.
    pub types: Vec<TypeItem>,
    /// The string literals in its code, without those of its documentation, each with its line.
    pub texts: Vec<(String, usize)>,
}

/// A path in the code.
pub struct Mention {
    /// Its segments as they are written. A `use` of several names counts as several mentions.
    pub path: Vec<String>,
    /// The line in the file, starting at 1.
    pub line: usize,
    /// Whether it is a `pub use`, which re-exports a name without using it.
    pub handed_on: bool,
}

/// A type that is visible outside its module.
pub struct TypeItem {
    /// Its name.
    pub name: String,
    /// The line in the file, starting at 1.
    pub line: usize,
}

/// The meaning of a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// An item of this crate: the module that defines it, and the rest of the path, which begins with the item's name.
    Own(ModulePath, Vec<String>),
    /// An item of another crate: the whole path, with the original names of renamed imports.
    Foreign(Vec<String>),
    /// A single name, which may be a variable.
    Unknown,
}

impl Code {
    /// Reads the sources. `text` returns the text of a file below `src`, or `None` if the file does not exist.
    pub fn read(text: &dyn Fn(&str) -> Option<String>) -> Code {
        let mut code = Code { modules: BTreeMap::new() };
        for root in ["lib.rs", "main.rs"] {
            if let Some(source) = text(root) {
                let module = if root == "lib.rs" { vec![] } else { vec!["main".to_owned()] };
                code.read_file(root, &source, module, text);
            }
        }
        code
    }

    fn read_file(
        &mut self,
        file: &str,
        source: &str,
        module: ModulePath,
        text: &dyn Fn(&str) -> Option<String>,
    ) {
        let parsed = syn::parse_file(source).unwrap_or_else(|e| panic!("{file}: {e}"));
        let folder = match file.rsplit_once('/') {
            _ if module.is_empty() || file == "main.rs" => String::new(),
            Some((folder, "mod.rs")) => format!("{folder}/"),
            _ => format!("{}/", file.trim_end_matches(".rs")),
        };
        self.read_items(file, &folder, &parsed.items, module, text);
    }

    fn read_items(
        &mut self,
        file: &str,
        folder: &str,
        items: &[syn::Item],
        module: ModulePath,
        text: &dyn Fn(&str) -> Option<String>,
    ) {
        let mut reader =
            Reader { module: Module { file: file.to_owned(), ..Module::default() }, in_body: 0 };
        for item in items.iter().filter(|i| !for_tests(attributes(i))) {
            let syn::Item::Mod(inner) = item else {
                reader.define(item);
                reader.visit_item(item);
                continue;
            };
            let name = inner.ident.to_string();
            let path: ModulePath = module.iter().cloned().chain([name.clone()]).collect();
            if let Some((_, items)) = &inner.content {
                self.read_items(file, &format!("{folder}{name}/"), items, path, text);
                continue;
            }
            let (file, source) = [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")]
                .into_iter()
                .find_map(|f| text(&f).map(|source| (f, source)))
                .unwrap_or_else(|| panic!("{file} declares the module {name}, which has no file"));
            self.read_file(&file, &source, path, text);
        }
        self.modules.insert(module, reader.module);
    }

    /// Returns the meaning of a path that the module `from` names.
    pub fn resolve(&self, from: &ModulePath, path: &[String]) -> Target {
        self.resolve_within(from, path, 0)
    }

    fn resolve_within(&self, from: &ModulePath, path: &[String], depth: usize) -> Target {
        assert!(depth < 64, "the imports of {from:?} lead in a circle at {path:?}");
        let mut at = from.clone();
        let mut rest = path;
        match rest[0].as_str() {
            "crate" | "cotter" => {
                at.clear();
                rest = &rest[1..];
            }
            "self" | "super" => {
                while let Some(first) = rest.first() {
                    match first.as_str() {
                        "self" => {}
                        "super" => drop(at.pop()),
                        _ => break,
                    }
                    rest = &rest[1..];
                }
            }
            first => {
                let child: ModulePath = at.iter().cloned().chain([first.to_owned()]).collect();
                let known = &self.modules[from];
                let named = known.items.contains(first)
                    || known.imports.contains_key(first)
                    || self.modules.contains_key(&child) && path.len() > 1;
                if !named {
                    return match self.through_globs(from, rest, depth) {
                        Some(target) => target,
                        None if path.len() == 1 => Target::Unknown,
                        None => Target::Foreign(path.to_vec()),
                    };
                }
            }
        }
        while let Some(first) = rest.first() {
            let child: ModulePath = at.iter().cloned().chain([first.clone()]).collect();
            let Some(module) = self.modules.get(&at) else { break };
            if module.items.contains(first) {
                break;
            }
            // A module and a function may have the same name (`mod x; use x::x;`). Before `::`, it is the module.
            let before_more = rest.len() > 1 && self.modules.contains_key(&child);
            if let Some(import) = module.imports.get(first).filter(|_| !before_more) {
                let whole: Vec<String> = import.iter().chain(&rest[1..]).cloned().collect();
                return self.resolve_within(&at, &whole, depth + 1);
            }
            if self.modules.contains_key(&child) {
                at = child;
                rest = &rest[1..];
                continue;
            }
            if let Some(target) = self.through_globs(&at, rest, depth) {
                return target;
            }
            break;
        }
        Target::Own(at, rest.to_vec())
    }

    /// Returns the meaning of a path through `use x::*`, if a module of this crate is imported in this way and knows the first name of the path.
    fn through_globs(&self, from: &ModulePath, path: &[String], depth: usize) -> Option<Target> {
        for glob in &self.modules[from].globs {
            let first: ModulePath = from.iter().cloned().chain([glob[0].clone()]).collect();
            let own = ["crate", "cotter", "self", "super"].contains(&glob[0].as_str())
                || self.modules[from].imports.contains_key(&glob[0])
                || self.modules.contains_key(&first);
            if !own {
                continue;
            }
            let Target::Own(at, rest) = self.resolve_within(from, glob, depth + 1) else {
                continue;
            };
            let child: ModulePath = at.iter().cloned().chain([path[0].clone()]).collect();
            let knows = |m: &Module| {
                m.items.contains(&path[0])
                    || m.imports.contains_key(&path[0])
                    || self.modules.contains_key(&child)
            };
            if rest.is_empty() && at != *from && self.modules.get(&at).is_some_and(knows) {
                let whole: Vec<String> =
                    ["self".to_owned()].into_iter().chain(path.to_vec()).collect();
                return Some(self.resolve_within(&at, &whole, depth + 1));
            }
        }
        None
    }
}

/// Reads the items of one module.
struct Reader {
    module: Module,
    /// The number of functions around the present place. Items that are defined in a function are not visible elsewhere.
    in_body: usize,
}

impl Reader {
    /// Records the names that an item defines in its module.
    fn define(&mut self, item: &syn::Item) {
        let (name, visibility, is_type) = match item {
            syn::Item::Struct(i) => (&i.ident, Some(&i.vis), true),
            syn::Item::Enum(i) => (&i.ident, Some(&i.vis), true),
            syn::Item::Union(i) => (&i.ident, Some(&i.vis), true),
            syn::Item::Trait(i) => (&i.ident, Some(&i.vis), true),
            syn::Item::Type(i) => (&i.ident, Some(&i.vis), true),
            syn::Item::Fn(i) => (&i.sig.ident, None, false),
            syn::Item::Const(i) => (&i.ident, None, false),
            syn::Item::Static(i) => (&i.ident, None, false),
            syn::Item::Macro(i) if i.ident.is_some() => {
                (i.ident.as_ref().expect("just seen"), None, false)
            }
            _ => return,
        };
        self.module.items.insert(name.to_string());
        if is_type && visibility.is_some_and(|v| !matches!(v, syn::Visibility::Inherited)) {
            self.module
                .types
                .push(TypeItem { name: name.to_string(), line: name.span().start().line });
        }
    }

    fn import(&mut self, tree: &syn::UseTree, before: &[String], handed_on: bool) {
        let with = |name: &syn::Ident| -> Vec<String> {
            before.iter().cloned().chain([name.to_string()]).collect()
        };
        let (name, path) = match tree {
            syn::UseTree::Path(p) => return self.import(&p.tree, &with(&p.ident), handed_on),
            syn::UseTree::Group(g) => {
                return g.items.iter().for_each(|t| self.import(t, before, handed_on));
            }
            syn::UseTree::Glob(_) => {
                self.module.globs.push(before.to_vec());
                let path = before.iter().cloned().chain(["*".to_owned()]).collect();
                let line = tree.span().start().line;
                return self.module.mentions.push(Mention { path, line, handed_on });
            }
            // `use a::{self}` names `a`.
            syn::UseTree::Name(n) if n.ident == "self" => {
                (before.last().expect("self stands in braces").clone(), before.to_vec())
            }
            syn::UseTree::Name(n) => (n.ident.to_string(), with(&n.ident)),
            syn::UseTree::Rename(r) if r.ident == "self" => (r.rename.to_string(), before.to_vec()),
            syn::UseTree::Rename(r) => (r.rename.to_string(), with(&r.ident)),
        };
        let line = tree.span().start().line;
        self.module.mentions.push(Mention { path: path.clone(), line, handed_on });
        self.module.imports.insert(name, path);
    }

    /// Finds the paths in the arguments of a macro or of an attribute, which no grammar describes.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = vec![];
        let (mut line, mut colons) = (0, 0);
        let mut done = |path: &mut Vec<String>, line| {
            if !path.is_empty() {
                let path = std::mem::take(path);
                self.module.mentions.push(Mention { path, line, handed_on: false });
            }
        };
        let (mut groups, mut literals) = (vec![], vec![]);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        done(&mut path, line);
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(p) if p.as_char() == ':' => colons += 1,
                other => {
                    done(&mut path, line);
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => groups.push(group.stream()),
                        TokenTree::Literal(literal) => literals.push(literal),
                        _ => {}
                    }
                }
            }
        }
        done(&mut path, line);
        for literal in literals {
            if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                self.visit_lit_str(&text);
            }
        }
        groups.into_iter().for_each(|g| self.scan(g));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            item if for_tests(attributes(item)) => {}
            syn::Item::Use(i) => {
                let handed_on = self.in_body == 0 && !matches!(i.vis, syn::Visibility::Inherited);
                self.import(&i.tree, &[], handed_on);
            }
            item => visit::visit_item(self, item),
        }
    }

    /// `pub(super)` says who may see an item. It does not use the module.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.in_body += 1;
        visit::visit_block(self, block);
        self.in_body -= 1;
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        use syn::Expr;
        let attributes: &[syn::Attribute] = match statement {
            syn::Stmt::Local(local) => &local.attrs,
            syn::Stmt::Macro(call) => &call.attrs,
            syn::Stmt::Expr(Expr::Call(e), _) => &e.attrs,
            syn::Stmt::Expr(Expr::MethodCall(e), _) => &e.attrs,
            syn::Stmt::Expr(Expr::Block(e), _) => &e.attrs,
            _ => &[],
        };
        if !for_tests(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Fn(i) => &i.attrs,
            syn::ImplItem::Const(i) => &i.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        if !for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.module.mentions.push(Mention {
            path: path.segments.iter().map(|s| s.ident.to_string()).collect(),
            line: path.span().start().line,
            handed_on: false,
        });
        visit::visit_path(self, path);
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.module.texts.push((text.value(), text.span().start().line));
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        match &attribute.meta {
            syn::Meta::List(list) => self.scan(list.tokens.clone()),
            // This is usually documentation.
            syn::Meta::NameValue(_) | syn::Meta::Path(_) => {}
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        // A method has no path. It is recorded with a path that no module can have.
        self.module.mentions.push(Mention {
            path: vec![format!(".{}", call.method)],
            line: call.method.span().start().line,
            handed_on: false,
        });
        visit::visit_expr_method_call(self, call);
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item::*;
    match item {
        Const(i) => &i.attrs,
        Enum(i) => &i.attrs,
        Fn(i) => &i.attrs,
        Impl(i) => &i.attrs,
        Macro(i) => &i.attrs,
        Mod(i) => &i.attrs,
        Static(i) => &i.attrs,
        Struct(i) => &i.attrs,
        Trait(i) => &i.attrs,
        Type(i) => &i.attrs,
        Union(i) => &i.attrs,
        Use(i) => &i.attrs,
        _ => &[],
    }
}

/// Whether an item is compiled only for tests.
fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("cfg")
            && a.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// Returns the cycles of a graph: its strongly connected components of more than one node, each sorted.
pub fn circles<'a>(edges: &BTreeSet<(&'a str, &'a str)>) -> Vec<Vec<&'a str>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().push(to);
    }
    let reach = |start: &'a str| -> BTreeSet<&'a str> {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![start]);
        while let Some(node) = todo.pop() {
            for to in next.get(node).into_iter().flatten() {
                if seen.insert(*to) {
                    todo.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.iter().map(|(from, _)| (*from, reach(from))).collect();
    let mut out: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (node, seen) in &reached {
        if seen.contains(node) {
            out.insert(
                seen.iter()
                    .filter(|other| reached.get(*other).is_some_and(|r| r.contains(node)))
                    .copied()
                    .collect(),
            );
        }
    }
    out.into_iter().filter(|circle| circle.len() > 1).collect()
}
