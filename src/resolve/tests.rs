//! Tests of the closure of packages.

use std::collections::BTreeSet;

use super::debian_closure::{PackageRoot, resolve, resolve_in};
use super::debian_index::{Index, Package, read};
use crate::error::Result;

fn packages(stanzas: &[&str]) -> Vec<Package> {
    let hash = "0".repeat(64);
    let text: Vec<String> = stanzas
        .iter()
        .map(|s| {
            let arch = if s.contains("Architecture:") { "" } else { "Architecture: amd64\n" };
            let version = if s.contains("Version:") { "" } else { "Version: 1\n" };
            format!("{s}\n{arch}{version}Filename: pool/x.deb\nSize: 1\nSHA256: {hash}\n\n")
        })
        .collect();
    read(&mut text.concat().as_bytes()).unwrap()
}

fn index(stanzas: &[&str]) -> Index {
    let mut index = Index::default();
    index.add_suite(500, packages(stanzas));
    index
}

fn names(index: &Index, roots: &[&str], exclude: &[&str]) -> Result<Vec<String>> {
    let root = |asked: &&str| PackageRoot {
        asked: (*asked).to_owned(),
        suite: asked.split_once('/').map(|(_, suite)| suite.parse().unwrap()),
    };
    let roots: Vec<PackageRoot> = roots.iter().map(root).collect();
    let exclude = exclude.iter().map(|s| (*s).to_owned()).collect();
    Ok(resolve(index, "amd64", &roots, &exclude)?
        .packages
        .into_iter()
        .map(|p| format!("{}={}", p.name, p.version))
        .collect())
}

#[test]
fn alternatives_providers_and_versions() {
    let i = index(&[
        "Package: a\nDepends: gone | b (>= 2), v, w (>= 3)\nPre-Depends: c:any",
        "Package: b\nVersion: 1.9",
        "Package: b\nVersion: 2.0-1",
        "Package: c\nArchitecture: all\nMulti-Arch: allowed",
        "Package: z-provider\nProvides: v",
        "Package: d-provider\nProvides: v\nDepends: gone",
        "Package: w-old\nProvides: w",
        "Package: w-new\nProvides: w (= 3.1)",
    ]);
    // d-provider comes first by name, but cannot be satisfied.
    assert_eq!(
        names(&i, &["a"], &[]).unwrap(),
        ["a=1", "b=2.0-1", "c=1", "w-new=1", "z-provider=1"]
    );
}

#[test]
fn of_several_providers_the_most_important_is_taken() {
    let i = index(&[
        "Package: a\nDepends: awk",
        "Package: gawk\nProvides: awk\nPriority: optional",
        "Package: mawk\nProvides: awk\nPriority: required",
        "Package: zawk\nProvides: awk\nPriority: required",
        "Package: aawk\nProvides: awk\nPriority: extra",
    ]);
    assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "zawk=1"]);
}

/// The results are those of apt 2.6 for the same indexes.
#[test]
fn of_equally_important_providers_the_one_that_is_mentioned_last_is_taken() {
    let a = "Package: a\nDepends: v";
    let [b, z] = ["Package: b\nProvides: v", "Package: z\nProvides: v"];
    for (stanzas, taken) in [
        (vec![a, b, z], "z"),
        (vec![a, z, b], "b"),
        (vec![a, "Package: w\nDepends: z", b, z], "b"),
        (vec![a, "Package: w\nDepends: z | b", b, z], "b"),
        (vec![a, "Package: w\nDepends: b | z", b, z], "z"),
        (vec![a, "Package: w\nDepends: z:any", b, z], "z"),
        (vec![a, "Package: w\nDepends: z:amd64 (>= 2)", b, z], "b"),
        (vec![a, "Package: w\nEnhances: b\nSuggests: z", b, z], "b"),
        (vec![a, "Package: w\nEnhances: z\nReplaces: b", b, z], "z"),
    ] {
        let found = names(&index(&stanzas), &["a"], &[]).unwrap();
        assert_eq!(found, ["a=1".to_owned(), format!("{taken}=1")], "{stanzas:?}");
    }
    let mut suites = Index::default();
    suites.add_suite(500, packages(&[a, z]));
    suites.add_suite(500, packages(&[b]));
    assert_eq!(names(&suites, &["a"], &[]).unwrap(), ["a=1", "b=1"]);
}

#[test]
fn versioned_provides_and_qualifiers() {
    let i = index(&[
        "Package: a\nDepends: w (>= 3), c:any, d:amd64",
        "Package: w-old\nProvides: w",
        "Package: w-new\nProvides: w (= 3.1)",
        "Package: c\nArchitecture: all",
        "Package: d",
    ]);
    assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "c=1", "d=1", "w-new=1"]);
    let i = index(&["Package: a\nDepends: d:arm64", "Package: d"]);
    assert!(names(&i, &["a"], &[]).is_err());
}

#[test]
fn an_alternative_that_fails_deep_down_is_taken_back() {
    let i = index(&[
        "Package: a\nDepends: b | c",
        "Package: b\nDepends: x, gone",
        "Package: x",
        "Package: c",
    ]);
    assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "c=1"]);
}

#[test]
fn failures_name_the_chain_and_the_nearest() {
    let i =
        index(&["Package: gcc-12\nDepends: cpp-12 (= 9)", "Package: cpp-12", "Package: gcc-11"]);
    let error = names(&i, &["gcc-12"], &[]).unwrap_err();
    assert_eq!(error.message(), "nothing in the suite satisfies cpp-12 (= 9)");
    assert_eq!(error.causes(), ["gcc-12 1 needs it", "the suite has cpp-12 1"]);
    let error = names(&i, &["gcc12"], &[]).unwrap_err();
    assert_eq!(error.hints(), ["did you mean gcc-12 or gcc-11?"]);
}

/// Backports have a lower priority: nothing comes from there by itself, except what a package
/// needs that was asked for from there.
#[test]
fn what_a_package_of_another_suite_needs_comes_from_there() {
    let mut i = index(&[
        "Package: a\nDepends: b, c | d",
        "Package: b",
        "Package: c\nVersion: 1",
        "Package: d",
        "Package: e\nDepends: c (>= 2) | d",
        "Package: f\nDepends: b",
    ]);
    i.add_suite(
        100,
        packages(&[
            "Package: a\nVersion: 2\nDepends: b (>= 2)",
            "Package: b\nVersion: 2",
            "Package: c\nVersion: 2",
        ]),
    );
    assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "b=1", "c=1"]);
    assert_eq!(names(&i, &["a/1"], &[]).unwrap(), ["a=2", "b=2"]);
    assert_eq!(names(&i, &["a=2"], &[]).unwrap(), ["a=2", "b=2"]);
    // The candidate of the second alternative comes before another version of the first.
    assert_eq!(names(&i, &["e"], &[]).unwrap(), ["d=1", "e=1"]);
    // A version that was chosen before is exchanged, unless it was asked for.
    assert_eq!(names(&i, &["a/1", "b"], &[]).unwrap(), ["a=2", "b=2"]);
    assert_eq!(names(&i, &["f", "a/1"], &[]).unwrap(), ["a=2", "b=2", "f=1"]);
    let error = names(&i, &["a/1", "b=1"], &[]).unwrap_err();
    assert_eq!(error.message(), "nothing in the suites satisfies b (>= 2)");
    assert_eq!(error.causes(), ["a 2 needs it", "the suites have b 1"]);
    let error = names(&i, &["d/1"], &[]).unwrap_err();
    assert_eq!(error.message(), "the suite of \"d/1\" has no package \"d\" for amd64");
    assert_eq!(error.hints(), ["there is d=1"]);
}

#[test]
fn the_order_of_the_roots_counts() {
    let i = index(&[
        "Package: a\nDepends: x | y",
        "Package: b\nDepends: y",
        "Package: x",
        "Package: y",
    ]);
    assert_eq!(names(&i, &["a", "b"], &[]).unwrap(), ["a=1", "b=1", "x=1", "y=1"]);
    assert_eq!(names(&i, &["b", "a"], &[]).unwrap(), ["a=1", "b=1", "y=1"]);
}

#[test]
fn an_alternative_that_conflicts_gives_way() {
    let i = index(&[
        "Package: a\nDepends: b, full",
        "Package: b\nDepends: small | full",
        "Package: small\nProvides: some",
        "Package: full\nConflicts: small\nProvides: some",
        "Package: c\nDepends: small, full",
        "Package: d\nDepends: e | f, g",
        "Package: e\nProvides: some\nConflicts: some",
        "Package: f",
        "Package: g\nBreaks: e (<< 1)",
    ]);
    assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "b=1", "full=1"]);
    // What has no alternative stays: no maintainer script runs, so a tree may hold both.
    assert_eq!(names(&i, &["c"], &[]).unwrap(), ["c=1", "full=1", "small=1"]);
    assert_eq!(names(&i, &["d"], &[]).unwrap(), ["d=1", "e=1", "g=1"]);
    assert_eq!(names(&i, &["d", "full"], &[]).unwrap(), ["d=1", "f=1", "full=1", "g=1"]);
}

/// The text of an index with packages of these names, each with a dependency.
fn many(packages: impl Iterator<Item = (String, String)>) -> Index {
    let hash = "0".repeat(64);
    let text: String = packages
        .map(|(name, depends)| {
            format!("Package: {name}\nVersion: 1\nArchitecture: all\nDepends: {depends}\nFilename: x\nSize: 1\nSHA256: {hash}\n\n")
        })
        .collect();
    let packages = read(&mut text.as_bytes()).unwrap();
    let mut index = Index::default();
    index.add_suite(500, packages);
    index
}

/// The greatest memory that this process has used so far, in bytes. Source: proc_pid_status(5).
fn most_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// A chain of dependencies neither exhausts the stack, which is small here, nor the memory.
#[test]
fn a_chain_of_any_length_is_resolved_on_a_small_stack() {
    let work = || {
        for len in [8_000, 100_000] {
            let i = many((0..len).map(|n| (format!("p{n}"), format!("p{}", n + 1))));
            let before = most_memory();
            let error = names(&i, &["p0"], &[]).unwrap_err();
            assert_eq!(
                error.message(),
                format!("nothing in the suite satisfies p{len}"),
                "{error:?}"
            );
            // A long chain is told by its ends.
            let cause = &error.causes()[0];
            assert!(cause.starts_with("p0 1 -> p1 1 -> "), "{cause}");
            assert!(cause.contains(&format!("p9 1 -> ({} more) -> p", len - 20)), "{cause}");
            assert!(cause.ends_with(&format!("-> p{} 1 needs it", len - 1)), "{cause}");
            // The last one closes the circle.
            let i = many((0..len).map(|n| (format!("p{n}"), format!("p{}", (n + 1) % len))));
            assert_eq!(names(&i, &["p0"], &[]).unwrap().len(), len);
            // Half a kilobyte for each package, and what other tests use at the same time. The kernel
            // counts pages for each processor, so the sum may even sink a little.
            let used = most_memory().saturating_sub(before);
            assert!(used < len * 512 + (200 << 20), "{used} bytes for {len} packages");
        }
    };
    let small = std::thread::Builder::new().stack_size(256 << 10);
    small.spawn(work).unwrap().join().unwrap();
}

/// Each of 26 packages has two ways to satisfy its dependency, and both fail at the end: that makes 67 million ways.
#[test]
fn alternatives_that_fail_are_tried_once() {
    let i = many((0..26).flat_map(|n| {
        let next = format!("a{} | b{}", n + 1, n + 1);
        [(format!("a{n}"), next.clone()), (format!("b{n}"), next)]
    }));
    let error = names(&i, &["a0"], &[]).unwrap_err();
    assert_eq!(error.message(), "nothing in the suite satisfies a26 | b26");
    assert!(error.causes()[0].ends_with("a24 1 -> a25 1 needs it"), "{:?}", error.causes());
    // Another way from above is told as it is.
    let i = index(&[
        "Package: a\nDepends: x | ok, y",
        "Package: x\nDepends: z",
        "Package: y\nDepends: z",
        "Package: z\nDepends: gone",
        "Package: ok",
    ]);
    let error = names(&i, &["a"], &[]).unwrap_err();
    assert_eq!(error.causes(), ["a 1 -> y 1 -> z 1 needs it"]);
}

/// What fails only because of another choice must be tried again, so an index can still ask for too much.
#[test]
fn a_search_without_an_end_ends_with_its_chain() {
    let mut stanzas: Vec<String> = (0..40)
        .flat_map(|n| {
            let next = format!("a{} | b{}", n + 1, n + 1);
            [format!("Package: a{n}\nDepends: {next}"), format!("Package: b{n}\nDepends: {next}")]
        })
        .collect();
    // The last ones need the version of a package that is not the chosen one.
    stanzas.push("Package: a40\nDepends: v (= 2)".to_owned());
    stanzas.push("Package: b40\nDepends: v (= 2)".to_owned());
    stanzas.extend(["1", "2"].map(|v| format!("Package: v\nVersion: {v}")));
    let stanzas: Vec<&str> = stanzas.iter().map(String::as_str).collect();
    let roots = ["v=1", "a0"].map(|asked| PackageRoot { asked: asked.to_owned(), suite: None });
    let error =
        resolve_in(10_000, &index(&stanzas), "amd64", &roots, &BTreeSet::new()).unwrap_err();
    assert_eq!(
        error.message(),
        "the dependencies of the packages can't be resolved in 10000 steps"
    );
    let cause = &error.causes()[0];
    assert!(cause.starts_with("the last one was at a0 1 -> a1 1 -> "), "{cause}");
    assert_eq!(error.subjects().collect::<Vec<_>>(), ["a0"]);
}

/// What is hopeless with one choice may be good with another.
#[test]
fn what_fails_because_of_a_choice_is_tried_again() {
    let i = index(&[
        "Package: a\nDepends: b | c",
        "Package: b\nDepends: v (= 2), w, gone",
        "Package: c\nDepends: w",
        "Package: w\nDepends: v (= 1)",
        "Package: v\nVersion: 1",
        "Package: v\nVersion: 2",
    ]);
    assert_eq!(names(&i, &["a"], &[]).unwrap(), ["a=1", "c=1", "v=1", "w=1"]);
}

#[test]
fn cycles_end() {
    let i = index(&["Package: libc6\nDepends: libgcc-s1", "Package: libgcc-s1\nDepends: libc6"]);
    assert_eq!(names(&i, &["libc6"], &[]).unwrap(), ["libc6=1", "libgcc-s1=1"]);
}
