//! The families of interpreters and compilers. Where a toolchain pins a member of a family, the
//! other members of the family that this machine has must not be started by accident.

use std::collections::{BTreeMap, BTreeSet};

/// A family of programs.
struct Family {
    /// The programs that pin the family: a tree that brings one of them stands for the family.
    pinned_by: &'static [&'static str],
    /// The other programs of the family.
    others: &'static [&'static str],
}

/// All families. A name stands for itself and for the same name with a version (`python3.11`,
/// `gcc-12`), with the triplet of a platform before it (`x86_64-linux-gnu-gcc`), and with `-config`
/// or `-dbg` behind it.
const FAMILIES: &[Family] = &[
    Family {
        pinned_by: &["python", "pypy"],
        others: &[
            "pip",
            "pydoc",
            "2to3",
            "idle",
            "easy_install",
            "pyvenv",
            "virtualenv",
            "ipython",
        ],
    },
    Family {
        pinned_by: &["gcc", "clang", "zig", "cc", "tcc"],
        others: &[
            "c++",
            "c89",
            "c99",
            "g++",
            "cpp",
            "gcc-ar",
            "gcc-nm",
            "gcc-ranlib",
            "gcov",
            "gcov-dump",
            "gcov-tool",
            "lto-dump",
            "gfortran",
            "f77",
            "f95",
            "gdc",
            "gnat",
            "gnatmake",
            "gccgo",
            "clang++",
            "clang-cl",
            "clang-cpp",
            "flang",
            "icc",
            "icpc",
            "icx",
            "icpx",
        ],
    },
    Family {
        pinned_by: &["ld", "as", "ar"],
        others: &[
            "ld.bfd",
            "ld.gold",
            "ld.lld",
            "ld.mold",
            "lld",
            "gold",
            "mold",
            "nm",
            "ranlib",
            "strip",
            "objcopy",
            "objdump",
            "readelf",
            "addr2line",
            "c++filt",
            "dwp",
            "elfedit",
            "gprof",
            "llvm-ar",
            "llvm-as",
            "llvm-config",
            "llvm-dwp",
            "llvm-link",
            "llvm-nm",
            "llvm-objcopy",
            "llvm-objdump",
            "llvm-ranlib",
            "llvm-readelf",
            "llvm-strip",
        ],
    },
    Family {
        pinned_by: &["java", "javac"],
        others: &[
            "jar",
            "jarsigner",
            "javadoc",
            "javap",
            "jcmd",
            "jdb",
            "jdeps",
            "jlink",
            "jmap",
            "jmod",
            "jpackage",
            "jps",
            "jshell",
            "jstack",
            "keytool",
            "rmic",
            "rmiregistry",
        ],
    },
    Family { pinned_by: &["node", "nodejs"], others: &["npm", "npx", "corepack", "yarn", "pnpm"] },
    Family { pinned_by: &["perl"], others: &["cpan", "cpanm"] },
    Family {
        pinned_by: &["ruby"],
        others: &["bundle", "bundler", "erb", "gem", "irb", "rake", "rdoc", "ri"],
    },
    Family { pinned_by: &["go"], others: &["gofmt"] },
    Family {
        pinned_by: &["rustc", "cargo"],
        others: &["cargo-clippy", "cargo-fmt", "clippy-driver", "rustdoc", "rustfmt", "rustup"],
    },
    Family {
        pinned_by: &["php"],
        others: &["composer", "pear", "pecl", "phar", "php-cgi", "phpdbg", "phpize"],
    },
    Family { pinned_by: &["lua", "luajit"], others: &["luac", "luarocks"] },
    Family { pinned_by: &["tclsh"], others: &["wish"] },
    Family { pinned_by: &["R"], others: &["Rscript"] },
    Family {
        pinned_by: &["ocaml", "ocamlc", "ocamlopt"],
        others: &[
            "ocamlbuild",
            "ocamlc.opt",
            "ocamldep",
            "ocamldoc",
            "ocamlfind",
            "ocamllex",
            "ocamlmklib",
            "ocamlmktop",
            "ocamlopt.opt",
            "ocamlrun",
            "ocamlyacc",
        ],
    },
    Family { pinned_by: &["erl"], others: &["dialyzer", "erlc", "escript"] },
    Family { pinned_by: &["ghc"], others: &["ghc-pkg", "ghci", "hsc2hs", "runghc"] },
    Family { pinned_by: &["awk", "gawk", "mawk", "original-awk"], others: &[] },
    Family { pinned_by: &["guile"], others: &["guild"] },
    Family { pinned_by: &["dotnet", "mono"], others: &["csc", "mcs"] },
];

/// Returns a name without the triplet before it and without the version and the suffix behind it.
fn stem(name: &str) -> &str {
    let name = match name.split_once("-linux-gnu") {
        Some((cpu, rest)) if cpu.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
            rest.split_once('-').map_or(name, |(_abi, name)| name)
        }
        _ => name,
    };
    let name = name.strip_suffix("-config").or(name.strip_suffix("-dbg")).unwrap_or(name);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    bare.strip_suffix('-').unwrap_or(bare)
}

/// Returns the number of the family that has a program, and whether the program pins the family.
fn family(name: &str) -> Option<(usize, bool)> {
    [name, stem(name)].into_iter().find_map(|name| {
        FAMILIES.iter().enumerate().find_map(|(i, family)| {
            let pins = family.pinned_by.contains(&name);
            (pins || family.others.contains(&name)).then_some((i, pins))
        })
    })
}

/// Returns the names of this machine, among `on_host`, that belong to a family of which a tree
/// brings a member, and that no tree brings. Each comes with the tree and its member of the family.
/// `brought` lists the programs of the trees; for each program, it has the tree.
pub fn relatives<'a, T: Copy>(
    brought: &BTreeMap<&'a str, T>,
    on_host: impl Iterator<Item = &'a str>,
) -> BTreeMap<&'a str, (T, &'a str)> {
    let mut pinned: BTreeMap<usize, (T, &str)> = BTreeMap::new();
    for (name, tree) in brought {
        if let Some((number, true)) = family(name) {
            // `python3.11` says more than `python3`, and the triplet before a name says no more.
            let says = |name: &str| (stem(name).len() * 2 + name.len(), name.contains("-linux-"));
            let better = |known: &(T, &str)| {
                let (new, old) = (says(name), says(known.1));
                (old.1, new.0) > (new.1, old.0)
            };
            if pinned.get(&number).is_none_or(better) {
                pinned.insert(number, (*tree, name));
            }
        }
    }
    let names: BTreeSet<&str> = on_host.filter(|name| !brought.contains_key(name)).collect();
    let relative = |name| Some((name, *pinned.get(&family(name)?.0)?));
    names.into_iter().filter_map(relative).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_with_version_and_triplet() {
        for (name, is) in [
            ("python3.9", "python"),
            ("python3-config", "python"),
            ("python3.9-dbg", "python"),
            ("pip3", "python"),
            ("2to3-3.9", "python"),
            ("gcc-12", "gcc"),
            ("x86_64-linux-gnu-g++-12", "gcc"),
            ("arm-linux-gnueabihf-gcc", "gcc"),
            ("c99", "gcc"),
            ("clang++-14", "gcc"),
            ("ld.gold", "ld"),
            ("llvm-ar-14", "ld"),
            ("perl5.36.0", "perl"),
            ("node18", "node"),
            ("gawk", "awk"),
        ] {
            let found = family(name).map(|(number, _)| FAMILIES[number].pinned_by);
            assert!(found.is_some_and(|pins| pins.contains(&is)), "{name}: {found:?}");
        }
        for name in ["make", "pipewire", "asciidoc", "pcre-config", "gccx", "sh", "7", "", "-1"] {
            assert!(family(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_name_is_of_one_family_only() {
        let mut seen = BTreeSet::new();
        for family in FAMILIES {
            for name in family.pinned_by.iter().chain(family.others) {
                assert!(seen.insert(name), "{name} is there twice");
            }
        }
    }

    #[test]
    fn only_relatives_of_what_is_pinned_are_found() {
        let brought: BTreeMap<&str, &str> = ["python3", "python3.11", "pip3", "flask"]
            .into_iter()
            .map(|name| (name, "python"))
            .chain([("gcc", "gcc"), ("gcc-12", "gcc"), ("x86_64-linux-gnu-gcc-12", "gcc")])
            .collect();
        let host = ["python3", "python3.9", "pip", "perl", "clang", "sh", "java"];
        let found: Vec<_> = relatives(&brought, host.into_iter()).into_iter().collect();
        assert_eq!(
            found,
            [
                ("clang", ("gcc", "gcc-12")),
                ("pip", ("python", "python3.11")),
                ("python3.9", ("python", "python3.11"))
            ]
        );
    }
}
