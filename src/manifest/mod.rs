//! `toolchains.toml`: what a project wants, as its authors wrote it. Pure.

#[cfg(test)]
pub(crate) mod asked;
pub mod edit;
mod environment;
mod fields;
mod nix;
mod patterns;
mod problems;
mod requirements;
mod settings;
pub mod starter;
mod syntax;
pub mod tasks;
mod user;

use std::collections::BTreeMap;

pub use crate::model::Kind;
pub use environment::environment_fault;
pub use fields::{Fields, NameOrTable, Spanned, parsed, root_table};
pub use nix::{NixCaches, Placed};
pub use patterns::Places as PatternPlaces;
pub use problems::Problems;
pub use requirements::Requirements;
pub use settings::{Allowed, AuditSettings, Settings};
pub use user::{CacheEntry, MOST_JOBS, UserConfig, check_cache_url, with_cache};

use crate::error::{Error, Place, known_names, nearest};
use crate::model::{MemberPath, Platform, ToolchainName};

/// The file name of a manifest.
pub const FILE_NAME: &str = "toolchains.toml";

/// A parsed manifest. The keys of each source are not interpreted yet: `source::bind` reads them.
#[derive(Debug)]
pub struct Manifest {
    /// The mirrors by family (`debian`, `python`, ...), which are tried before the mirrors of the
    /// machine.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// The places of the mirrors, by URL.
    pub mirror_places: BTreeMap<String, Place>,
    /// The commands of the host that `exec` and `shell` may start by name. `*` stands for all.
    pub host: Vec<String>,
    /// The `[settings]` table.
    pub settings: Settings,
    /// The tables of `[emit]` by emitter. They are not interpreted yet: `emit::bind` reads them.
    pub emit: BTreeMap<String, Fields>,
    /// The `[audit]` table.
    pub audit: AuditSettings,
    /// The `[nix]` table: the binary caches of toolchains that name none.
    pub nix: NixCaches,
    /// The toolchain whose `nix` evaluates flakes and expressions, in place of that of the machine.
    pub evaluator: Option<Spanned<ToolchainName>>,
    /// The toolchains by name.
    pub toolchains: BTreeMap<ToolchainName, Toolchain>,
    /// The sets of Python packages by name.
    pub requirements: BTreeMap<ToolchainName, Requirements>,
    /// The commands of the project by name.
    pub tasks: BTreeMap<String, tasks::ProjectTask>,
}

/// Takes the table of mirrors: URLs by family. A URL that no transport knows is added to `problems`.
fn read_mirrors(
    root: &mut Fields,
    problems: &mut Problems,
) -> BTreeMap<String, Vec<Spanned<String>>> {
    let mut out = BTreeMap::new();
    let Some(mut table) = root.table("mirrors", problems) else { return out };
    for key in table.keys() {
        let urls = table.string_list(&key, problems).unwrap_or_default();
        for url in &urls {
            let known = ["https://", "http://", "file:///"].into_iter();
            // Only the caches of Nix are asked in buckets.
            let known = known.chain((key == "nix").then_some("s3://"));
            if !known.into_iter().any(|s| url.value.starts_with(s)) {
                problems.add(
                    url.span.clone(),
                    format!(
                        "expected an https://, http:// or file:/// URL, got {:?}",
                        crate::model::redact(&url.value)
                    ),
                );
            }
        }
        out.insert(key, urls);
    }
    out
}

/// One `[toolchains.<name>]` table.
#[derive(Debug)]
pub struct Toolchain {
    /// The name of the toolchain.
    pub name: ToolchainName,
    /// The purpose of the toolchain, which determines the recipes that may finish its tree.
    pub kind: Kind,
    /// The recipe that finishes its tree, if the manifest names one. Otherwise the source and the
    /// kind determine it.
    pub recipe: Option<Spanned<String>>,
    /// The name of the source, and its place.
    pub source: Spanned<String>,
    /// The place where its table begins.
    pub place: Place,
    /// The places of its patterns, and of its names in `bin` and `env`.
    pub pattern_places: PatternPlaces,
    /// The platforms for which it is locked, sorted.
    pub platforms: Vec<Platform>,
    /// Patterns of paths to leave out in addition to the recipe's own.
    pub prune: Vec<String>,
    /// Patterns of paths to keep although the recipe would leave them out.
    pub keep: Vec<String>,
    /// Programs that must see themselves in `/proc/self/exe`. They get the in-place stub instead of
    /// a launcher.
    pub self_exe: Vec<String>,
    /// Additional names in `bin/`, each with the path in the tree to which it refers.
    pub bin: BTreeMap<String, String>,
    /// The environment variables to set for its programs. `%R` stands for the root of the tree.
    pub env: BTreeMap<String, String>,
    /// Library toolchains whose packages go into this compiler's sysroot, with the places of their
    /// names.
    pub libraries: Vec<Spanned<ToolchainName>>,
    /// For a compiler: the platform for which it produces programs, if that is not its own
    /// platform.
    pub target: Option<Platform>,
    /// The keys that belong to the source.
    pub fields: Fields,
}

impl Manifest {
    /// Parses the text of a manifest. All problems are added to `problems`.
    pub fn parse(text: &str, problems: &mut Problems) -> Manifest {
        let mut root = root_table("the manifest", text, problems);

        let platforms =
            read_platforms(&mut root, problems).unwrap_or_else(|| vec![Platform::X86_64Linux]);
        let host = environment::read_host(&mut root, problems);
        let mut mirrors = BTreeMap::new();
        let mut mirror_places = BTreeMap::new();
        for (family, urls) in read_mirrors(&mut root, problems) {
            for url in &urls {
                mirror_places.insert(url.value.clone(), problems.place(url.span.start));
            }
            mirrors.insert(family, urls.into_iter().map(|url| url.value).collect());
        }
        let settings = Settings::read(root.table("settings", problems), problems);
        let mut emit = BTreeMap::new();
        if let Some(mut table) = root.table("emit", problems) {
            for key in table.keys() {
                emit.extend(table.table(&key, problems).map(|fields| (key, fields)));
            }
        }
        let audit = AuditSettings::read(root.table("audit", problems), problems);
        let (mut nix, mut evaluator) = (NixCaches::default(), None);
        if let Some(mut table) = root.table("nix", problems) {
            nix = NixCaches::read(&mut table, problems);
            let span = table.value_span("evaluator");
            let named = parsed::<ToolchainName>(&mut table, "evaluator", problems);
            evaluator = named.map(|value| Spanned { value, span });
            table.finish(problems);
        }
        let mut toolchains = BTreeMap::new();
        if let Some(mut table) = root.table("toolchains", problems) {
            for key in table.keys() {
                let span = table.key_span(&key);
                let fields = table.table(&key, problems);
                match (key.parse::<ToolchainName>(), fields) {
                    (Ok(name), Some(fields)) => {
                        if let Some(toolchain) =
                            read_toolchain(name.clone(), fields, &platforms, problems)
                        {
                            toolchains.insert(name, toolchain);
                        }
                    }
                    (Err(why), _) => problems.add(span, why),
                    (_, None) => {}
                }
            }
        }
        let mut requirements = BTreeMap::new();
        if let Some(mut table) = root.table("requirements", problems) {
            for key in table.keys() {
                let span = table.key_span(&key);
                let fields = table.table(&key, problems);
                match (key.parse::<ToolchainName>(), fields) {
                    (Ok(name), Some(fields)) => {
                        requirements.extend(
                            Requirements::read(name.clone(), fields, &platforms, problems)
                                .map(|r| (name, r)),
                        );
                    }
                    (Err(why), _) => problems.add(span, why),
                    (_, None) => {}
                }
            }
        }
        let tasks = tasks::read(&mut root, problems);
        root.finish(problems);
        let manifest = Manifest {
            mirrors,
            mirror_places,
            host,
            settings,
            emit,
            audit,
            nix,
            evaluator,
            toolchains,
            requirements,
            tasks,
        };
        manifest.check_libraries(problems);
        manifest.check_requirements(problems);
        manifest.check_evaluator(problems);
        manifest
    }

    /// Checks that the evaluator is a toolchain that needs none.
    fn check_evaluator(&self, problems: &mut Problems) {
        let Some(Spanned { value: name, span }) = &self.evaluator else { return };
        match self.toolchains.get(name) {
            Some(t) if t.kind == Kind::Tool && t.source.value != "nix" => {}
            Some(_) => problems.add(
                span.clone(),
                format!("expected a toolchain of kind \"tool\" that Nix need not evaluate, {:?} is none", name.as_str()),
            ),
            None => {
                let known = self.toolchains.keys().map(ToolchainName::as_str);
                let hint = problems.did_you_mean(name.as_str(), known);
                problems.add(
                    span.clone(),
                    format!("the evaluator is {:?}, and there is no such toolchain{hint}", name.as_str()),
                );
            }
        }
    }

    /// Checks that the interpreters and the tools of the sets exist, and that no two trees have the
    /// same name.
    fn check_requirements(&self, problems: &mut Problems) {
        let known = || self.toolchains.keys().map(ToolchainName::as_str);
        let mut trees: BTreeMap<ToolchainName, &ToolchainName> = BTreeMap::new();
        let mut written: BTreeMap<MemberPath, &ToolchainName> = BTreeMap::new();
        for set in self.requirements.values() {
            for file in set.python.iter().map(|python| set.output(&python.value)) {
                if set
                    .inputs
                    .iter()
                    .chain(&set.constraints)
                    .any(|input| input.value == file.as_str())
                {
                    problems.add(
                        set.uv.span.clone(),
                        format!(
                            "[requirements.{}] reads and writes {file}: give `output` another name",
                            set.name
                        ),
                    );
                }
                if let Some(other) = written.insert(file.clone(), &set.name) {
                    problems.add(
                        set.uv.span.clone(),
                        format!("[requirements.{}] and [requirements.{other}] both write {file}: give `output` another name", set.name),
                    );
                }
            }
            for python in &set.python {
                match self.toolchains.get(&python.value) {
                    Some(t) if t.kind == Kind::Python => {
                        for platform in set.platforms.iter().filter(|p| !t.platforms.contains(p)) {
                            problems.add(
                                python.span.clone(),
                                format!("[requirements.{}] is for {platform}, and {} is not: add it to the interpreter's platforms", set.name, t.name),
                            );
                        }
                    }
                    Some(_) => problems.add(
                        python.span.clone(),
                        format!(
                            "expected a toolchain of kind \"python\", {:?} is none",
                            python.value.as_str()
                        ),
                    ),
                    None => {
                        let hint = problems.did_you_mean(python.value.as_str(), known());
                        problems.add(
                            python.span.clone(),
                            format!(
                                "[requirements.{}] is for the interpreter {:?}, and there is no such toolchain{hint}",
                                set.name,
                                python.value.as_str(),
                            ),
                        );
                    }
                }
                let tree = set.tree_name(&python.value);
                if !set.build.is_empty() {
                    let builds = Requirements::builds_name(&tree);
                    if self.toolchains.contains_key(&builds)
                        || trees.contains_key(&builds)
                        || self.requirements.contains_key(&builds)
                    {
                        problems
                            .add(python.span.clone(), format!("what [requirements.{}] needs to build is called {builds}: rename what has that name", set.name));
                    }
                }
                let taken = if self.toolchains.contains_key(&tree) {
                    Some(&tree)
                } else {
                    trees.get(&tree).copied().filter(|other| **other != set.name)
                };
                if let Some(other) = taken {
                    problems.add(python.span.clone(), format!("[requirements.{}] and {other} would both be called {tree}: rename one of them", set.name));
                }
                trees.insert(tree, &set.name);
            }
            for tool in &set.build_tools {
                if !self.toolchains.contains_key(&tool.value) {
                    let hint = problems.did_you_mean(tool.value.as_str(), known());
                    problems.add(
                        tool.span.clone(),
                        format!("there is no toolchain {:?}{hint}", tool.value.as_str()),
                    );
                }
            }
            for library in &set.libraries {
                let name = library.value.as_str();
                let lacks = |t: &&Toolchain| {
                    set.platforms.iter().find(|p| !t.platforms.contains(p)).copied()
                };
                match self.toolchains.get(&library.value) {
                    None => {
                        let hint = problems.did_you_mean(name, known());
                        problems.add(
                            library.span.clone(),
                            format!("there is no toolchain {name:?}{hint}"),
                        );
                    }
                    Some(t) if t.kind != Kind::Library => problems.add(
                        library.span.clone(),
                        format!(
                            "expected a toolchain of kind \"library\", {name:?} is of kind {:?}",
                            t.kind.as_str()
                        ),
                    ),
                    Some(t) => {
                        if let Some(platform) = lacks(&t) {
                            problems.add(
                                library.span.clone(),
                                format!("{name:?} is not for {platform}, and [requirements.{}] is: add it to the `platforms` of {name:?}", set.name),
                            );
                        }
                    }
                }
            }
            if !self.toolchains.contains_key(&set.uv.value) {
                problems.add(
                    set.uv.span.clone(),
                    format!(
                        "[requirements.{}] is resolved by uv, and there is no toolchain {:?}: add [toolchains.uv] with kind = \"tool\", source = \"pypi\", version = \"...\"",
                        set.name,
                        set.uv.value.as_str()
                    ),
                );
            }
        }
    }

    fn check_libraries(&self, problems: &mut Problems) {
        // The source `build` checks its own.
        for toolchain in self.toolchains.values().filter(|t| t.source.value != "build") {
            for library in toolchain.libraries.iter().filter(|_| toolchain.kind.takes_libraries()) {
                if toolchain.source.value != "debian" {
                    problems.add(
                        library.span.clone(),
                        "only a compiler or a sysroot of Debian packages takes libraries",
                    );
                    continue;
                }
                let target =
                    toolchain.target.filter(|t| toolchain.platforms.iter().any(|p| p != t));
                if let Some(target) = target {
                    problems.add(
                        library.span.clone(),
                        format!("a cross compiler takes no libraries, for they would be those of its own platform: name {target} in the `platforms` of {:?}, and pass -isystem and -L with directories below `cotter path --platform {target} {}`", library.value.as_str(), library.value),
                    );
                    continue;
                }
                match self.toolchains.get(&library.value) {
                    Some(t) if t.kind == Kind::Library && t.source.value == "debian" => {}
                    Some(_) => problems.add(
                        library.span.clone(),
                        format!(
                            "expected a library toolchain from Debian packages, {:?} is none",
                            library.value.as_str()
                        ),
                    ),
                    None => {
                        let known = self.toolchains.keys().map(ToolchainName::as_str);
                        let hint = problems.did_you_mean(library.value.as_str(), known);
                        problems.add(
                            library.span.clone(),
                            format!("there is no toolchain {:?}{hint}", library.value.as_str()),
                        );
                    }
                }
            }
        }
    }
}

/// Returns `; did you mean "x"?`, or an empty text.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known, 3).as_slice() {
        [] => String::new(),
        names => format!(
            "; did you mean {}?",
            names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(" or ")
        ),
    }
}

/// Returns the error for a name that no toolchain has. It suggests the most similar existing names,
/// or otherwise lists all.
pub fn no_such_toolchain<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    let error = Error::user(format!("there is no toolchain {name:?}"));
    match known_names(name, &known) {
        Some(hint) => error.hint(hint),
        None => error.hint("toolchains.toml names none yet: `cotter init` shows how it begins"),
    }
}

/// Returns the error for a name that no set of Python packages has.
pub fn no_such_set<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    let error = Error::user(format!("there is no set of requirements {name:?}"));
    match known_names(name, &known) {
        Some(hint) => error.hint(hint),
        None => error.hint("toolchains.toml asks for none: add [requirements.<name>]"),
    }
}

fn read_platforms(fields: &mut Fields, problems: &mut Problems) -> Option<Vec<Platform>> {
    let span = fields.key_span("platforms");
    let list = fields.string_list("platforms", problems)?;
    if list.is_empty() {
        let all = Platform::ALL.map(|p| format!("{:?}", p.as_str())).join(", ");
        problems.add(span, format!("expected at least one platform, got none: there are {all}"));
    }
    let mut out: Vec<Platform> = vec![];
    for item in list {
        match item.value.parse() {
            Ok(platform) if out.contains(&platform) => {
                problems.add(item.span, format!("{platform} stands here twice"))
            }
            Ok(platform) => out.push(platform),
            Err(why) => problems.add(item.span, why),
        }
    }
    out.sort_by_key(|p| p.as_str());
    Some(out)
}

fn read_toolchain(
    name: ToolchainName,
    mut fields: Fields,
    platforms: &[Platform],
    problems: &mut Problems,
) -> Option<Toolchain> {
    let kind =
        fields.required_string("kind", problems).and_then(|s| match s.value.parse::<Kind>() {
            Ok(Kind::Packages) => {
                problems.add(
                    s.span,
                    "sets of Python packages are tables of their own: [requirements.<name>]",
                );
                None
            }
            Ok(kind) => Some(kind),
            Err(why) => {
                problems.add(s.span, why);
                None
            }
        });
    let source = fields.required_string("source", problems);
    let recipe = fields.string("recipe", problems);
    let place = problems.place(fields.span().start);
    let platforms = read_platforms(&mut fields, problems).unwrap_or_else(|| platforms.to_vec());
    let has_programs = kind.is_none_or(Kind::has_programs);
    for key in ["self_exe", "bin", "env"].into_iter().filter(|key| !has_programs && fields.has(key))
    {
        problems.add(
            fields.key_span(key),
            format!("libraries have no programs, so {key:?} concerns none: leave it out, or make it a toolchain of kind \"tool\""),
        );
    }
    let mut pattern_places = patterns::Places::new();
    let prune = patterns::read("prune", &mut fields, &mut pattern_places, problems);
    let keep = patterns::read("keep", &mut fields, &mut pattern_places, problems);
    let self_exe = patterns::read("self_exe", &mut fields, &mut pattern_places, problems);
    let mut bin = BTreeMap::new();
    if let Some(mut table) = fields.table("bin", problems) {
        for key in table.keys() {
            let span = table.key_span(&key);
            let plain = crate::model::MemberPath::parse(key.as_bytes())
                .is_ok_and(|p| p.is_some_and(|p| p.as_str() == key && p.depth() == 1));
            // The lock joins the name and the path with `=`.
            if !plain || key.starts_with('.') || key.contains('=') {
                problems.add(span.clone(), format!("expected a plain file name, got {key:?}"));
            }
            if let Some(path) = table.string(&key, problems) {
                match crate::model::MemberPath::parse(path.value.as_bytes()) {
                    Ok(Some(clean)) => {
                        pattern_places.insert(("bin", key.clone()), problems.place(span.start));
                        bin.insert(key, clean.to_string());
                    }
                    _ => problems.add(
                        path.span,
                        format!("expected a path inside the tree, got {:?}", path.value),
                    ),
                }
            }
        }
    }
    let env = environment::read(&mut fields, &mut pattern_places, problems);
    let mut libraries = vec![];
    for item in fields.string_list("libraries", problems).unwrap_or_default() {
        let is_built = source.as_ref().is_some_and(|source| source.value == "build");
        if !is_built && kind.is_some_and(|k| !k.takes_libraries()) {
            problems.add(
                item.span.clone(),
                "only a toolchain of kind \"cc\" or \"sysroot\" takes libraries, and what is built from source",
            );
        }
        match item.value.parse() {
            Ok(value) => libraries.push(Spanned { value, span: item.span }),
            Err(why) => problems.add(item.span, why),
        }
    }
    let target = fields.string("target", problems).and_then(|item| {
        if kind.is_some_and(|k| k != Kind::Cc) {
            problems.add(item.span.clone(), "only a toolchain of kind \"cc\" has a target");
        }
        item.value.parse().map_err(|why: String| problems.add(item.span, why)).ok()
    });
    Some(Toolchain {
        name,
        kind: kind?,
        recipe,
        source: source?,
        place,
        pattern_places,
        platforms,
        prune,
        keep,
        self_exe,
        bin,
        env,
        libraries,
        target,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> Vec<String> {
        let mut problems = Problems::new("toolchains.toml", text);
        Manifest::parse(text, &mut problems);
        problems.lines()
    }

    #[test]
    fn all_problems_are_reported_with_their_places() {
        let text = "platform = []\nplatforms = [\"x86_64-linux\", \"sparc\"]\n[toolchains.gcc]\nkind = \"c\"\nsource = 3\n[toolchains.Py]\nkind = \"python\"\n";
        assert_eq!(
            problems_of(text),
            [
                "toolchains.toml:1:1: unknown key \"platform\" in the manifest; did you mean \"platforms\"?",
                "toolchains.toml:2:30: expected one of \"aarch64-linux\", \"x86_64-linux\", got \"sparc\"",
                "toolchains.toml:4:8: expected one of \"cc\", \"python\", \"tool\", \"library\", \"sysroot\", got \"c\"",
                "toolchains.toml:5:10: expected a string for \"source\", got an integer",
                "toolchains.toml:6:13: expected a name of lower-case letters, digits, - and _ that starts with a letter, got \"Py\"",
            ]
        );
    }

    #[test]
    fn a_name_given_twice_is_reported() {
        let found = problems_of(
            "[toolchains.a]\nkind = \"cc\"\nsource = \"debian\"\n[toolchains.a]\nkind = \"cc\"\nsource = \"debian\"\n",
        );
        assert!(found[0].starts_with("toolchains.toml:4:"), "{found:?}");
        assert!(found[0].contains("duplicate key"), "{found:?}");
    }
}
