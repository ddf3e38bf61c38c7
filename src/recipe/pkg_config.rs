//! `.pc` files name `/usr`. In a tree, they refer to their own location instead. Source: pc(5) of
//! pkgconf, the variable `pcfiledir`.

use std::collections::BTreeMap;
use std::path::Path;

use super::api::Active;
use crate::environment::Variables;
use crate::error::Result;
use crate::facts::PcFacts;
use crate::model::{MemberPath, Platform};
use crate::tree::{BlobDir, Node, Tree};

/// The variable that names the library trees to the launchers of compilers.
pub const LIBRARIES: &str = "COTTER_LIBRARIES";

/// Returns the directories that contain `.pc` files.
pub fn directories(platform: Platform) -> [String; 3] {
    [
        format!("usr/lib/{}/pkgconfig", platform.multiarch()),
        "usr/lib/pkgconfig".to_owned(),
        "usr/share/pkgconfig".to_owned(),
    ]
}

/// Makes pkg-config find the `.pc` files of a tree, and only files of trees.
pub fn environment(tree: &Active, environment: &mut Variables) {
    for directory in directories(tree.platform) {
        environment.list("PKG_CONFIG_LIBDIR", format!("{}/{directory}", tree.path.display()));
    }
    environment.unset(&["PKG_CONFIG_PATH", "PKG_CONFIG_SYSROOT_DIR"]);
}

/// Tells pkg-config in which directories the launchers of a compiler search by themselves, so that it
/// does not repeat them: those of the compiler's own tree, and those of the library trees.
pub fn system_directories(compiler: &Active, environment: &mut Variables) {
    let multiarch = compiler.platform.multiarch();
    let mut trees = environment.listed(LIBRARIES);
    trees.push(compiler.path.display().to_string());
    for tree in &trees {
        // pkg-config compares texts. `.pc` files give the directories as paths that begin with their
        // own location.
        let there = |directory: &String| Path::new(tree).join(directory).exists();
        let own = directories(compiler.platform).into_iter().filter(there);
        let own =
            own.map(|dir| format!("{dir}/{}", vec![".."; dir.split('/').count() - 1].join("/")));
        for usr in std::iter::once("usr".to_owned()).chain(own) {
            for (list, names) in [
                (
                    "PKG_CONFIG_SYSTEM_INCLUDE_PATH",
                    ["include".to_owned(), format!("include/{multiarch}")],
                ),
                ("PKG_CONFIG_SYSTEM_LIBRARY_PATH", [format!("lib/{multiarch}"), "lib".to_owned()]),
            ] {
                for name in names {
                    environment.list(list, format!("{tree}/{usr}/{name}"));
                }
            }
        }
    }
}

/// Returns the content of the `.pc` files in some directories of a tree, by file name. If two files
/// have the same name, the first one counts.
///
/// # Errors
/// If a file of the tree cannot be read.
pub fn packages(tree: &Tree, directories: &[String]) -> Result<BTreeMap<String, PcFacts>> {
    let mut out = BTreeMap::new();
    for directory in directories {
        for file in tree.entries(directory) {
            let Some(name) = file.strip_suffix(".pc") else { continue };
            let path = MemberPath::literal(&format!("{directory}/{file}"));
            let Some((_, blob)) = tree.file(&path) else { continue };
            let text = String::from_utf8_lossy(&blob.read()?).into_owned();
            out.entry(name.to_owned()).or_insert_with(|| parse(&text, directory));
        }
    }
    Ok(out)
}

/// Parses one file. `directory` is its location in the tree, which is the value of the variable
/// `pcfiledir`.
fn parse(text: &str, directory: &str) -> PcFacts {
    let mut variables = vec![("pcfiledir".to_owned(), directory.to_owned())];
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    // A variable may refer to earlier variables.
    let fill = |text: &str, variables: &[(String, String)]| {
        let replace = |text: String, (name, value): &(String, String)| {
            text.replace(&format!("${{{name}}}"), value)
        };
        variables.iter().fold(text.trim().to_owned(), replace)
    };
    for line in text.replace("\\\n", " ").lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        match (line.find('='), line.find(':')) {
            (Some(equals), colon) if colon.is_none_or(|colon| equals < colon) => {
                let value = fill(&line[equals + 1..], &variables);
                variables.push((line[..equals].trim().to_owned(), value));
            }
            (_, Some(colon)) => {
                let value = fill(&line[colon + 1..], &variables);
                fields.insert(line[..colon].trim().to_lowercase(), value);
            }
            _ => {}
        }
    }
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let flags = |name: &str, flag: &str| -> Vec<String> {
        let words = field(name).split_whitespace();
        words.filter_map(|w| w.strip_prefix(flag)).map(str::to_owned).collect()
    };
    PcFacts {
        version: field("version").to_owned(),
        includes: flags("cflags", "-I").iter().map(|dir| inside(dir)).collect(),
        defines: flags("cflags", "-D"),
        libs: flags("libs", "-l"),
        libs_private: flags("libs.private", "-l"),
        requires: required(field("requires")),
        requires_private: required(field("requires.private")),
    }
}

/// Returns a path of the tree without `..` and leading slashes.
fn inside(path: &str) -> String {
    let mut out: Vec<&str> = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(out.pop()),
            part => out.push(part),
        }
    }
    out.join("/")
}

/// Returns the names in a `Requires` field without the versions.
fn required(text: &str) -> Vec<String> {
    let text = text.replace(',', " ");
    let mut words = text.split_whitespace();
    let mut out = vec![];
    while let Some(word) = words.next() {
        if matches!(word, ">=" | "<=" | "=" | ">" | "<" | "!=") {
            words.next();
        } else {
            out.push(word.to_owned());
        }
    }
    out
}

/// Rewrites every `.pc` file of the tree.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn relocate(tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let is_pc =
        |path: &MemberPath, _: &Node| path.file_name().ends_with(".pc") && path.is_under("usr");
    let mut texts = vec![];
    for path in tree.paths(is_pc) {
        let Some((real, blob)) = tree.file(&path) else { continue };
        if real != path && real.parent() == path.parent() {
            continue;
        }
        let Ok(text) = String::from_utf8(blob.read()?) else { continue };
        texts.push((path, text));
    }
    // A link to another directory becomes a file: pkg-config takes the directory of the link for that of the file.
    for (path, text) in texts {
        // From usr/lib/<multiarch>/pkgconfig/x.pc, three levels up lead to usr.
        let up = vec![".."; path.depth() - 2].join("/");
        let blob = blobs.put(rewrite(&text, &up).as_bytes())?;
        tree.put(path, Node::File { blob, executable: false });
    }
    Ok(())
}

fn rewrite(text: &str, up: &str) -> String {
    let mut out = String::new();
    let mut has_prefix = false;
    for line in text.lines() {
        if line.split('=').next().is_some_and(|k| k.trim() == "prefix") && line.contains('=') {
            has_prefix = true;
            out.push_str(&format!("prefix=${{pcfiledir}}/{up}\n"));
        } else {
            out.push_str(&replace_usr(line));
            out.push('\n');
        }
    }
    if has_prefix { out } else { format!("prefix=${{pcfiledir}}/{up}\n{out}") }
}

/// Replaces `/usr` at the beginning of a path with `${prefix}`.
fn replace_usr(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("/usr") {
        let (before, after) = (&rest[..at], &rest[at + 4..]);
        out.push_str(before);
        let begins = before.chars().last().is_none_or(|c| "= \t:,ILR\"'".contains(c));
        let ends = after
            .chars()
            .next()
            .is_none_or(|c| c == '/' || c.is_whitespace() || ":,\"'".contains(c));
        out.push_str(if begins && ends { "${prefix}" } else { "/usr" });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_read_with_their_variables() {
        let text = "prefix=${pcfiledir}/../../..\nlibdir=${prefix}/lib\nVersion: 15.1\n\
            Requires.private: libssl >= 1.1, libcrypto\nLibs: -L${libdir} -lpq # the client\n\
            Libs.private: -lpgcommon \\\n -lm\nCflags: -I${prefix}/include/pg -DX=1\n";
        let found = super::parse(text, "usr/lib/x86_64-linux-gnu/pkgconfig");
        assert_eq!(found.version, "15.1");
        assert_eq!(found.includes, ["usr/include/pg"]);
        assert_eq!(found.defines, ["X=1"]);
        assert_eq!(
            (found.libs.join(" "), found.libs_private.join(" ")),
            ("pq".into(), "pgcommon m".into())
        );
        assert_eq!(found.requires_private, ["libssl", "libcrypto"]);
        assert!(found.requires.is_empty());
    }

    #[test]
    fn usr_becomes_relative() {
        let text = "prefix=/usr\nlibdir=/usr/lib/x\nincludedir=${prefix}/include\nLibs: -L/usr/lib -lz\nURL: https://x/usr/y\n";
        assert_eq!(
            super::rewrite(text, "../../.."),
            "prefix=${pcfiledir}/../../..\nlibdir=${prefix}/lib/x\nincludedir=${prefix}/include\nLibs: -L${prefix}/lib -lz\nURL: https://x/usr/y\n"
        );
    }
}
