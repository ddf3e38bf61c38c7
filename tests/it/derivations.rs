//! Derivations: their texts, their names and the names of what they build are computed as the real Nix does, in both directions.
//!
//! The program itself reads no derivation: Nix does that where one is to be built, and a lock needs only paths. The reader is therefore here, as a
//! check that the names from which everything else follows (`src/nix/store_path.rs`, `src/nix/nar`) are those of Nix to the last of its rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cotter::internals::nar::{NarVisitor as _, NarWriter};
use cotter::internals::{Digest, base32};

use crate::support::nix::{Nix, narinfo};
use crate::support::{contains, fails, ok};

/// What a derivation says of an output: its path, and, if the content is known before, the algorithm and the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    path: String,
    algorithm: String,
    hash: String,
}

/// A derivation. Source of the format: `Derivation::unparse` in Nix's `libstore/derivations.cc`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Derivation {
    /// The text does not hold it.
    name: String,
    outputs: BTreeMap<String, Made>,
    derivations: BTreeMap<String, BTreeSet<String>>,
    sources: BTreeSet<String>,
    system: String,
    builder: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

/// Reads the text of a derivation.
struct Reader<'t>(&'t str);

impl Reader<'_> {
    fn word(&mut self, word: &str) {
        self.0 = self.0.strip_prefix(word).unwrap_or_else(|| panic!("{word} in {:?}", self.0));
    }

    fn string(&mut self) -> String {
        self.word("\"");
        let mut out = String::new();
        let mut chars = self.0.char_indices();
        loop {
            match chars.next().unwrap() {
                (at, '"') => {
                    self.0 = &self.0[at + 1..];
                    return out;
                }
                (_, '\\') => out.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                }),
                (_, plain) => out.push(plain),
            }
        }
    }

    /// Reads what stands between brackets, separated by commas.
    fn between<T>(&mut self, open: &str, close: &str, each: impl Fn(&mut Self) -> T) -> Vec<T> {
        self.word(open);
        let mut out = vec![];
        while !self.0.starts_with(close) {
            if !out.is_empty() {
                self.word(",");
            }
            out.push(each(self));
        }
        self.word(close);
        out
    }

    fn strings(&mut self) -> Vec<String> {
        self.between("[", "]", Self::string)
    }

    fn tuple<const N: usize>(&mut self) -> [String; N] {
        self.between("(", ")", Self::string).try_into().unwrap()
    }

    fn derivation(mut self, path: &str) -> Derivation {
        self.word("Derive(");
        let outputs = self.between("[", "]", |reader| {
            let [id, path, algorithm, hash] = reader.tuple();
            (id, Made { path, algorithm, hash })
        });
        self.word(",");
        let derivations = self.between("[", "]", |reader| {
            reader.word("(");
            let path = reader.string();
            reader.word(",");
            let ids = reader.strings();
            reader.word(")");
            (path, ids.into_iter().collect())
        });
        self.word(",");
        let sources = self.strings();
        self.word(",");
        let system = self.string();
        self.word(",");
        let builder = self.string();
        self.word(",");
        let arguments = self.strings();
        self.word(",");
        let environment = self.between("[", "]", |reader| reader.tuple::<2>().into());
        self.word(")");
        assert_eq!(self.0, "");
        let name = path["/nix/store/".len() + 33..].strip_suffix(".drv").unwrap().to_owned();
        Derivation {
            name,
            outputs: outputs.into_iter().collect(),
            derivations: derivations.into_iter().collect(),
            sources: sources.into_iter().collect(),
            system,
            builder,
            arguments,
            environment: environment.into_iter().collect(),
        }
    }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"))
}

fn list(open: &str, items: impl IntoIterator<Item = String>, close: &str) -> String {
    format!("{open}{}{close}", items.into_iter().collect::<Vec<_>>().join(","))
}

fn tuple(items: &[&str]) -> String {
    list("(", items.iter().map(|item| quoted(item)), ")")
}

/// Returns the path that follows from a hash. Source: `makeStorePath` in Nix's `libstore/store-api.cc`.
fn store_path(kind: &str, hash: &Digest, name: &str) -> String {
    let text = format!("{kind}:sha256:{}:/nix/store:{name}", hash.hex());
    let mut folded = [0; 20];
    for (i, byte) in Digest::of(text.as_bytes()).as_bytes().iter().enumerate() {
        folded[i % 20] ^= byte;
    }
    format!("/nix/store/{}-{name}", base32::encode(&folded))
}

impl Derivation {
    fn text(&self) -> String {
        let outputs = self
            .outputs
            .iter()
            .map(|(id, made)| tuple(&[id, &made.path, &made.algorithm, &made.hash]));
        let strings = |items: &mut dyn Iterator<Item = &String>| {
            list("[", items.map(|item| quoted(item)), "]")
        };
        let derivations = self
            .derivations
            .iter()
            .map(|(path, ids)| format!("({},{})", quoted(path), strings(&mut ids.iter())));
        let environment = self.environment.iter().map(|(name, value)| tuple(&[name, value]));
        let parts = [
            list("[", outputs, "]"),
            list("[", derivations, "]"),
            strings(&mut self.sources.iter()),
            quoted(&self.system),
            quoted(&self.builder),
            strings(&mut self.arguments.iter()),
            list("[", environment, "]"),
        ];
        list("Derive(", parts, ")")
    }

    /// Returns the paths to which the text refers.
    fn references(&self) -> BTreeSet<String> {
        self.derivations.keys().chain(&self.sources).cloned().collect()
    }

    /// Returns the path of the derivation itself.
    fn path(&self) -> String {
        let references: String = self.references().iter().map(|path| format!(":{path}")).collect();
        let hash = Digest::of(self.text().as_bytes());
        store_path(&format!("text{references}"), &hash, &format!("{}.drv", self.name))
    }

    /// Returns the hash of what is built, whatever the names of fixed outputs depend on. Source: `hashDerivationModulo`.
    fn hash(&self, all: &BTreeMap<String, Derivation>, masked: bool) -> Digest {
        if let Some(Made { path, algorithm, hash }) = self.outputs.get("out")
            && !hash.is_empty()
        {
            return Digest::of(format!("fixed:out:{algorithm}:{hash}:{path}").as_bytes());
        }
        let mut plain = self.clone();
        plain.derivations.clear();
        for (path, ids) in &self.derivations {
            let hash = all[path].hash(all, false).hex();
            plain.derivations.entry(hash).or_default().extend(ids.iter().cloned());
        }
        if masked {
            for (id, made) in &mut plain.outputs {
                made.path.clear();
                plain.environment.insert(id.clone(), String::new());
            }
        }
        Digest::of(plain.text().as_bytes())
    }

    /// Returns the path of an output.
    fn output(&self, id: &str, all: &BTreeMap<String, Derivation>) -> String {
        let Made { algorithm, hash, .. } = &self.outputs[id];
        if algorithm == "r:sha256" {
            return store_path("source", &hash.parse().unwrap(), &self.name);
        }
        let hash = match hash.is_empty() {
            true => self.hash(all, true),
            false => Digest::of(format!("fixed:out:{algorithm}:{hash}:").as_bytes()),
        };
        let name = match id {
            "out" => self.name.clone(),
            _ => format!("{}-{id}", self.name),
        };
        store_path(&format!("output:{id}"), &hash, &name)
    }
}

/// Derivations with everything that they may hold: odd texts, several outputs, known contents in each form, sources of each kind.
const CORPUS: &str = r#"
let
  make = name: more: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "PATH=/usr/bin:/bin; for o in $outputs; do eval \"echo $name > \\$$o\"; done" ];
    outputs = [ "out" ];
  } // more);
  base = make "base-1.0" {
    odd = "\" \\ \\n \n \r \t $ ä ${"\${x}"} '' ( ) [ ] , \\\" \\\\";
    empty = "";
    number = 7;
    yes = true;
    no = false;
    nothing = null;
    list = [ "a" "b c" 1 ];
    "name with space" = "x";
  };
  many = make "many_=?+-.1" { outputs = [ "out" "dev" "a" ]; inherit base; };
  content = builtins.toFile "content" "content\n";
  tree = builtins.path { name = "tree"; path = ./tree; };
  flat = make "flat" { outputHash = builtins.hashFile "sha256" ./tree/x; outputHashMode = "flat"; outputHashAlgo = "sha256"; };
  sha1 = make "sha1" { outputHash = builtins.hashFile "sha1" ./tree/x; outputHashAlgo = "sha1"; };
  sha512 = make "sha512" { outputHash = builtins.hashFile "sha512" ./tree/x; outputHashMode = "recursive"; outputHashAlgo = "sha512"; };
  recursive = make "recursive" { outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; outputHashMode = "recursive"; };
  structured = make "structured" { __structuredAttrs = true; deep = { list = [ 1 { x = "\n"; } ]; }; };
  same = make "same" { inherit flat; };
  # Two derivations that differ in how a known content is made have one hash.
  flatAgain = make "flat" { outputHash = builtins.hashFile "sha256" ./tree/x; outputHashMode = "flat"; outputHashAlgo = "sha256"; other = "way"; };
  both = make "both" { inherit flat flatAgain; };
in make "top" {
  inherit content tree base flat sha1 sha512 recursive structured same both;
  parts = [ many.dev many.a many.out base ];
}
"#;

/// Returns every derivation in the store of Nix, by its path.
fn corpus(nix: &Nix) -> (String, BTreeMap<String, Derivation>) {
    nix.scratch.write("tree/x", "content\n");
    nix.scratch.write("tree/b/c", "");
    let file = nix.scratch.write("corpus.nix", CORPUS);
    let top = ok(nix.command("nix-instantiate").arg(file)).trim().to_owned();
    let names = crate::support::names(&nix.place("/nix/store"));
    let paths = names.iter().filter(|name| name.ends_with(".drv"));
    let paths = paths.map(|name| format!("/nix/store/{name}"));
    let read = |path: &String| std::fs::read_to_string(nix.place(path)).unwrap();
    (top, paths.map(|path| (path.clone(), Reader(&read(&path)).derivation(&path))).collect())
}

#[test]
fn the_derivations_of_nix_are_read_written_and_named() {
    let nix = Nix::new();
    let (top, all) = corpus(&nix);
    assert_eq!(all.len(), 11);
    for (path, derivation) in &all {
        let text = std::fs::read_to_string(nix.place(path)).unwrap();
        assert_eq!(derivation.text(), text);
        assert_eq!(derivation.path(), *path);
        for (id, made) in &derivation.outputs {
            assert_eq!(derivation.output(id, &all), made.path, "{id} of {path}");
        }
    }
    contains(&all[&top].text(), &["many_=?+-.1", "-content", "-tree"]);
}

/// Puts a text into a cache as the path that it has.
fn put(cache: &Path, derivation: &Derivation) -> String {
    let (path, text) = (derivation.path(), derivation.text());
    let mut nar = NarWriter::new(vec![]).unwrap();
    nar.file(false, text.len() as u64, &mut text.as_bytes(), &mut vec![0; 4096]).unwrap();
    let nar = nar.into_inner();
    let base = |path: &String| path["/nix/store/".len()..].to_owned();
    let references: Vec<String> = derivation.references().iter().map(base).collect();
    let said = format!(
        "StorePath: {path}\nURL: {0}.nar\nCompression: none\nNarHash: sha256:{1}\nNarSize: {2}\nReferences: {3}\nCA: text:sha256:{4}\n",
        base(&path),
        Digest::of(&nar).hex(),
        nar.len(),
        references.join(" "),
        Digest::of(text.as_bytes()).hex(),
    );
    std::fs::create_dir_all(cache).unwrap();
    std::fs::write(cache.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    std::fs::write(cache.join(narinfo(&path)), said).unwrap();
    std::fs::write(cache.join(format!("{}.nar", base(&path))), nar).unwrap();
    path
}

#[test]
fn nix_builds_what_was_written_and_named_here() {
    let nix = Nix::new();
    let (_, mut all) = corpus(&nix);
    let cache = nix.scratch.join("cache");
    let find = |all: &BTreeMap<String, Derivation>, name: &str| {
        all.iter().find(|(_, one)| one.name == name).map(|(p, d)| (p.clone(), d.clone())).unwrap()
    };
    // Each is changed, which changes its outputs, its name, and what is built with it.
    let (base_path, mut base) = find(&all, "base-1.0");
    base.environment.insert("odd".to_owned(), "other \" \\ \n\r\t \u{1f980}".to_owned());
    settle(&mut base, &all);
    all.insert(base.path(), base.clone());
    let (_, mut many) = find(&all, "many_=?+-.1");
    let ids = many.derivations.remove(&base_path).unwrap();
    many.derivations.insert(base.path(), ids);
    many.environment.insert("base".to_owned(), base.outputs["out"].path.clone());
    settle(&mut many, &all);
    let paths = [put(&cache, &base), put(&cache, &many)];
    let from = format!("file://{}", cache.display());
    ok(nix
        .command("nix")
        .args(["copy", "--derivation", "--no-check-sigs", "--from", &from])
        .args(&paths));
    ok(nix.command("nix-store").arg("--realise").arg(&paths[1]));
    for path in many.outputs.values().map(|made| &made.path) {
        let content = std::fs::read_to_string(nix.place(path)).unwrap();
        assert_eq!(content.trim(), many.name);
    }
    // One whose output has another name than it must have is refused.
    many.environment.insert("more".to_owned(), "x".to_owned());
    let wrong = put(&cache, &many);
    let said = fails(
        1,
        nix.command("nix").args([
            "copy",
            "--derivation",
            "--no-check-sigs",
            "--from",
            &from,
            &wrong,
        ]),
    );
    contains(&said, &["incorrect output"]);
}

/// Gives the outputs of a derivation that was changed their paths.
fn settle(derivation: &mut Derivation, all: &BTreeMap<String, Derivation>) {
    let ids: Vec<String> = derivation.outputs.keys().cloned().collect();
    for id in ids {
        let path = derivation.output(&id, all);
        derivation.environment.insert(id.clone(), path.clone());
        derivation.outputs.get_mut(&id).unwrap().path = path;
    }
}
