//! What the evaluator of Nix is asked for: an attribute of a flake or of a file.

use crate::model::{Platform, has_login};

/// The beginnings of references of flakes that mean the same on every machine. Source: the Nix manual,
/// `nix flake`, "Flake references".
const SCHEMES: &[&str] = &[
    "path:/",
    "git+file:///",
    "git+https://",
    "git+http://",
    "git+ssh://",
    "hg+https://",
    "hg+ssh://",
    "github:",
    "gitlab:",
    "sourcehut:",
    "tarball+https://",
    "tarball+http://",
    "tarball+file:///",
    "https://",
    "http://",
    "file:///",
];

/// A package that an evaluator of Nix finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NixExpression {
    /// Where it is described.
    pub origin: NixOrigin,
    /// The attribute. A flake without one has `default`; a file without one is the package itself.
    pub attribute: Option<String>,
    /// The output, if another than the first is meant.
    pub output: Option<String>,
    /// Whether Nix may build what no cache has.
    pub build: bool,
}

/// Where a package is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NixOrigin {
    /// The reference of a flake. One that begins with a dot is a directory, relative to the manifest.
    Flake(String),
    /// A file, relative to the manifest.
    File(String),
}

impl NixExpression {
    /// Parses a flake with an attribute, such as `./nix#hello` or `github:NixOS/nixpkgs/25.05#hello`.
    ///
    /// # Errors
    /// A sentence that states what was expected.
    pub fn of_flake(text: &str) -> Result<NixExpression, String> {
        let (reference, attribute) = match text.split_once('#') {
            Some((reference, attribute)) => (reference, Some(attribute)),
            None => (text, None),
        };
        let is_relative = is_relative_flake(reference);
        if !is_relative && !SCHEMES.iter().any(|scheme| reference.starts_with(scheme)) {
            return Err(format!(
                "expected a directory beside the manifest such as \"./nix#hello\", or a reference such as \"github:NixOS/nixpkgs/nixos-25.05#hello\", got {text:?} (names of a registry mean something else on each machine)"
            ));
        }
        if let Some(c) = reference.chars().find(|c| c.is_whitespace() || c.is_control())
            && !is_relative
        {
            return Err(format!("expected a reference without {c:?}, got {text:?}"));
        }
        if is_relative {
            check_path(reference)?;
        } else if has_login(reference) {
            return Err("expected a reference without credentials, which the lock would contain: git takes them from its own settings".to_owned());
        }
        let attribute = attribute.filter(|attribute| !attribute.is_empty());
        attribute.map_or(Ok(()), check_attribute)?;
        Ok(NixExpression {
            origin: NixOrigin::Flake(reference.to_owned()),
            attribute: attribute.map(str::to_owned),
            output: None,
            build: false,
        })
    }

    /// Creates the expression of a file.
    ///
    /// # Errors
    /// A sentence that states what was expected.
    pub fn of_file(file: &str) -> Result<NixExpression, String> {
        check_path(file)?;
        if file.starts_with('/') || !file.ends_with(".nix") {
            return Err(format!(
                "expected a file such as \"default.nix\", relative to the manifest, got {file:?}"
            ));
        }
        Ok(NixExpression {
            origin: NixOrigin::File(file.to_owned()),
            attribute: None,
            output: None,
            build: false,
        })
    }

    /// Returns the files of the project that determine what it is, relative to the manifest.
    pub fn files(&self) -> Vec<String> {
        match &self.origin {
            NixOrigin::Flake(directory) if is_relative_flake(directory) => {
                vec![format!("{directory}/flake.nix"), format!("{directory}/flake.lock")]
            }
            NixOrigin::Flake(_) => vec![],
            NixOrigin::File(file) => vec![file.clone()],
        }
    }

    /// Returns the function that an evaluator applies to the package, for a platform: it calls an
    /// expression that is a function with its system, takes the output, and names its path and its derivation.
    pub fn function(&self, platform: Platform) -> String {
        let output = match &self.output {
            Some(name) => format!(
                "if p ? \"{name}\" then p.\"{name}\" else throw \"the package has no output {name}: it has ${{toString (p.outputs or [])}}\""
            ),
            None => "p".to_owned(),
        };
        format!(
            "f: let p = if builtins.isFunction f then f (builtins.intersectAttrs (builtins.functionArgs f) {{ system = \"{platform}\"; }}) else f; o = if p ? outPath then {output} else throw \"it is no package: it has no outPath\"; in {{ path = \"${{o.outPath}}\"; derivation = o.drvPath or null; }}"
        )
    }
}

impl std::fmt::Display for NixExpression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (origin, between) = match &self.origin {
            NixOrigin::Flake(reference) => (reference, "#"),
            NixOrigin::File(file) => (file, " "),
        };
        f.write_str(origin)?;
        self.attribute.as_ref().map_or(Ok(()), |attribute| write!(f, "{between}{attribute}"))
    }
}

/// Whether the reference of a flake is a directory, relative to the manifest.
pub fn is_relative_flake(reference: &str) -> bool {
    reference == "."
        || reference == ".."
        || reference.starts_with("./")
        || reference.starts_with("../")
}

/// The parts of a query that say which state of a flake is meant, and nothing else.
const OF_STATE: &[&str] = &["narHash", "lastModified", "rev", "revCount", "ref"];

/// Whether a reference of a flake is one to a certain state of the flake that another reference names: they
/// differ in what says which state it is. Of a forge, the first two parts name the repository, and a
/// third one the revision. What leads elsewhere, such as `host` and `dir`, must be the same, and so must a
/// revision or a hash that the other names. Whether a revision belongs to a branch is not known here.
pub fn is_state_of(locked: &str, flake: &str) -> bool {
    for part in ["rev", "narHash"] {
        if exact(flake, part).is_some_and(|wanted| exact(locked, part) != Some(wanted)) {
            return false;
        }
    }
    let origin = |reference: &str| {
        let (base, query) = reference.split_once('?').unwrap_or((reference, ""));
        let is_forge = is_forge(base);
        let most = if is_forge { 2 } else { usize::MAX };
        let parts: Vec<String> = base.split('/').take(most).map(str::to_owned).collect();
        let is_other = |part: &&str| {
            let name = part.split('=').next().unwrap_or_default();
            !part.is_empty() && !OF_STATE.contains(&name)
        };
        let mut others: Vec<String> =
            query.split('&').filter(is_other).map(str::to_owned).collect();
        others.sort();
        (parts, others, is_forge && base.split('/').count() > 3)
    };
    origin(locked) == origin(flake)
}

/// Returns the revision or the hash that a reference names: a part of its query, or of a forge the
/// third part of its path if it is a whole revision.
fn exact<'a>(reference: &'a str, part: &str) -> Option<&'a str> {
    let (base, query) = reference.split_once('?').unwrap_or((reference, ""));
    let named = query.split('&').find_map(|pair| pair.strip_prefix(part)?.strip_prefix('='));
    let is_revision =
        |text: &&str| [40, 64].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    named.or_else(|| {
        base.split('/').nth(2).filter(is_revision).filter(|_| part == "rev" && is_forge(base))
    })
}

/// Whether a reference names a repository of a forge.
fn is_forge(reference: &str) -> bool {
    ["github:", "gitlab:", "sourcehut:"].iter().any(|scheme| reference.starts_with(scheme))
}

/// Checks the name of an attribute, with those of the sets around it. It becomes a part of an argument
/// of Nix, where other characters have a meaning.
///
/// # Errors
/// A sentence that states what was expected.
pub fn check_attribute(attribute: &str) -> Result<(), String> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-'+".contains(&b))
            && !part.starts_with('-')
    };
    if attribute.split('.').all(is_plain) {
        return Ok(());
    }
    Err(format!("expected an attribute such as \"python3Packages.numpy\", got {attribute:?}"))
}

/// Checks the name of an output.
///
/// # Errors
/// A sentence that states what was expected.
pub fn check_output(output: &str) -> Result<(), String> {
    let is_plain = !output.is_empty()
        && output.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    is_plain
        .then_some(())
        .ok_or_else(|| format!("expected an output such as \"dev\", got {output:?}"))
}

fn check_path(path: &str) -> Result<(), String> {
    let is_fit = !path.is_empty()
        && !path.starts_with('-')
        && !path.contains(|c: char| c.is_control() || "?#".contains(c));
    is_fit.then_some(()).ok_or_else(|| format!("expected a path of the project, got {path:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_those_that_mean_the_same_everywhere() {
        for good in [".#hello", ".", "./nix#a.b-c", "../x", "github:o/r/v1?dir=x#y", "path:/a#b"] {
            assert_eq!(NixExpression::of_flake(good).unwrap().to_string(), good);
        }
        for bad in [
            "nixpkgs#hello",
            "hello",
            "",
            "#x",
            "--impure",
            ".#a b",
            ".#a^out",
            ".#-x",
            ".#a..b",
            "path:x#y",
            "github:o/r --impure#x",
            "./a?dir=..#x",
        ] {
            assert!(NixExpression::of_flake(bad).is_err(), "{bad}");
        }
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        for (locked, flake, expected) in [
            ("github:a/b/0123?narHash=x", "github:a/b/main", true),
            ("github:a/b/0123", "github:a/b", true),
            ("github:a/c/0123", "github:a/b", false),
            ("gitlab:a/b/0123", "github:a/b", false),
            ("git+https://h/a?rev=0", "git+https://h/a?ref=main", true),
            ("git+https://h/a/c?rev=0", "git+https://h/a", false),
            ("path:/a?narHash=x", "path:/a", true),
            ("github:a/b/0123?host=evil.example", "github:a/b", false),
            ("github:a/b/0123?narHash=x&dir=evil", "github:a/b", false),
            ("github:a/b/0123?narHash=x&dir=d", "github:a/b/main?dir=d", true),
            ("github:a/b/0123?host=h", "github:a/b?host=h", true),
            ("git+https://h/a?rev=0&url=x", "git+https://h/a", false),
            ("github:a/b/main/x", "github:a/b", false),
            (&format!("github:a/b/{one}?narHash=x"), &format!("github:a/b/{one}"), true),
            (&format!("github:a/b/{two}?narHash=x"), &format!("github:a/b/{one}"), false),
            (&format!("github:a/b/{two}"), &format!("github:a/b?rev={one}"), false),
            (&format!("git+https://h/a?rev={two}"), &format!("git+https://h/a?rev={one}"), false),
            (&format!("git+https://h/a?rev={one}"), &format!("git+https://h/a?rev={one}"), true),
            ("git+https://h/a", &format!("git+https://h/a?rev={one}"), false),
            ("path:/a?narHash=y", "path:/a?narHash=x", false),
        ] {
            assert_eq!(is_state_of(locked, flake), expected, "{locked} {flake}");
        }
        for bad in ["/etc/x.nix", "default", "--expr.nix", ""] {
            assert!(NixExpression::of_file(bad).is_err(), "{bad}");
        }
        assert!(check_output("${x}").is_err() && check_output("dev").is_ok());
    }
}
