//! The readers of bytes that others wrote, one target for each, with the inputs from which mutations start.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use cotter::internals::readers::*;
use cotter::internals::{
    Digest, Elf, Keyring, Lockfile, Manifest, Platform, Problems, Release, Signed, bind_sources,
    keys, nar,
};
use pgp::composed::{CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedSecretKey};
use pgp::ser::Serialize as _;
use pgp::types::Password;
use rand::SeedableRng as _;

use crate::archive::zip;
use crate::mutate::Shape;
use crate::seeds;

/// One reader.
pub struct Target {
    pub name: &'static str,
    pub shape: Shape,
    /// Words that mean something to the reader.
    pub words: &'static [&'static str],
    /// The inputs from which mutations start.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads an input. A refusal is as good as an acceptance; a panic is neither.
    pub run: fn(&[u8]),
}

/// The greatest number of bytes into which an archive of a test may unfold.
const LIMITS: Limits = Limits { entries: 10_000, bytes: 8 << 20 };

/// A directory for the staged files of one input.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> (Self, BlobDir) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Memory where there is such a file system: each input writes some files.
        let top =
            [PathBuf::from("/dev/shm"), std::env::temp_dir()].into_iter().find(|dir| dir.is_dir());
        let name =
            format!("cotter-fuzz-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = top.expect("there is a directory for temporary files").join(name);
        let blobs = BlobDir::create(dir.clone()).unwrap();
        (Scratch(dir), blobs)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn tar_options() -> TarOptions<'static> {
    TarOptions {
        strip: 0,
        cases: CaseCollisions::Refuse,
        may_be_empty: false,
        limits: LIMITS,
        map: &Some,
    }
}

fn deb(bytes: &[u8]) {
    let (_scratch, blobs) = Scratch::new();
    let _ = unpack_deb(&mut Cursor::new(bytes), bytes.len() as u64, &blobs, &|_| true);
}

fn ar(bytes: &[u8]) {
    let Ok(mut archive) = ArReader::new(bytes) else { return };
    while let Ok((_, mut member)) = archive.find(&["a", "data.tar"]) {
        let _ = std::io::copy(&mut member, &mut std::io::sink());
    }
}

fn tar(bytes: &[u8]) {
    let (_scratch, blobs) = Scratch::new();
    if let Ok(mut plain) = sniffed(Cursor::new(bytes)) {
        let _ = unpack_tar(&mut plain, &blobs, &tar_options());
    }
}

/// What is accepted is the only form of its tree.
fn nar_of_nix(bytes: &[u8]) {
    let mut again = nar::NarWriter::new(vec![]).unwrap();
    if nar::read(bytes, &mut again).is_ok() {
        assert!(again.into_inner() == bytes, "it was written otherwise");
    }
}

fn compressed_nar(bytes: &[u8]) {
    use std::io::Read as _;
    if let Ok(plain) = sniffed_nar(Cursor::new(bytes)) {
        let _ =
            nar::read(plain.take(LIMITS.bytes), &mut nar::NarWriter::new(std::io::sink()).unwrap());
    }
}

fn zipped(bytes: &[u8]) {
    let (_scratch, blobs) = Scratch::new();
    let _ = unpack_zip(Cursor::new(bytes), 0, LIMITS, &blobs);
}

const WHEEL: &str = "demo-1.0-py3-none-any.whl";

fn wheel(bytes: &[u8]) {
    let (_scratch, blobs) = Scratch::new();
    let _ = install(Cursor::new(bytes), WHEEL, "3.11", LIMITS, &blobs, &|_| true);
}

/// A sound wheel around four texts: RECORD, WHEEL, METADATA and entry_points.txt.
fn record(bytes: &[u8]) {
    let mut texts = bytes.splitn(4, |b| *b == 0xff).map(<[u8]>::to_vec);
    let mut next = || texts.next().unwrap_or_default();
    let (record, wheel, metadata, points) = (next(), next(), next(), next());
    let info = "demo-1.0.dist-info";
    let members = [
        ("demo/__init__.py", b"x = 1\n".to_vec()),
        ("demo-1.0.data/scripts/run", b"#!python\n1\n".to_vec()),
    ];
    let mut members: Vec<(String, Vec<u8>)> =
        members.into_iter().map(|(name, content)| (name.to_owned(), content)).collect();
    for (name, content) in [("WHEEL", wheel), ("METADATA", metadata), ("entry_points.txt", points)]
    {
        members.push((format!("{info}/{name}"), content));
    }
    // The placeholders are replaced, so that mutants of the rest have the right sums.
    let mut said = text(&record).into_owned();
    for (name, content) in &members {
        use base64::Engine as _;
        let sum =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Digest::of(content).as_bytes());
        said = said.replace(
            &format!("@{}", name.rsplit('/').next().unwrap_or_default()),
            &format!("sha256={sum}"),
        );
    }
    members.push((format!("{info}/RECORD"), said.into_bytes()));
    let listed: Vec<(&str, u32, &[u8], u32)> = members
        .iter()
        .map(|(name, content)| (name.as_str(), 0o100_755, content.as_slice(), content.len() as u32))
        .collect();
    self::wheel(&zip(&listed));
}

fn elf(bytes: &[u8]) {
    let at = MemberPath::literal("usr/lib/x/libx.so");
    let runtime = Runtime {
        platform: Platform::X86_64Linux,
        loader: MemberPath::literal("usr/lib64/ld-linux-x86-64.so.2"),
        library_dirs: vec![MemberPath::literal("usr/lib/x")],
        locales: None,
        gconv: None,
    };
    if let Some(elf) = Elf::parse(bytes) {
        let _ = (elf.interpreter(bytes), elf.dynamic(bytes), elf.file_offset(elf.entry));
    }
    let redirected = Instructions { redirect: true, ..Instructions::default() };
    let _ = embed(bytes, &at, &runtime, &redirected);
    let _ = read_launcher(bytes);
    let subject = |role| Subject {
        place: "x",
        role,
        executable: true,
        glibc_floor: Some("2.17"),
        machine_paths: &[],
        libraries: &|_| false,
    };
    for role in [Role::Output, Role::Source, Role::Tree] {
        let _ = look_at_artifact(bytes, subject(role));
    }
    let (_scratch, blobs) = Scratch::new();
    let mut tree = Tree::default();
    for (path, executable) in [
        ("usr/lib/x/libx.so", false),
        ("usr/bin/x", true),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", false),
    ] {
        let blob = blobs.put(bytes).unwrap();
        tree.put(MemberPath::literal(path), Node::File { blob, executable });
    }
    let mut dirs = runtime.library_dirs.clone();
    let _ = settle_libraries(&mut tree, &blobs, Platform::X86_64Linux, &mut dirs, true);
    let _ = settle_redirection(&mut tree, &blobs, Platform::X86_64Linux);
    let _ = seal_libraries(&mut tree, &blobs, true);
}

fn shebang(bytes: &[u8]) {
    let _ = interpreter(bytes);
    let (_scratch, blobs) = Scratch::new();
    let mut tree = Tree::default();
    for (path, bytes) in
        [("usr/bin/x", bytes), ("usr/bin/sh", b"\x7fELF"), ("usr/share/x/y.sh", bytes)]
    {
        let blob = blobs.put(bytes).unwrap();
        tree.put(MemberPath::literal(path), Node::File { blob, executable: true });
    }
    tree.put(MemberPath::literal("usr/bin/y"), Node::Symlink("../share/x/y.sh".to_owned()));
    for bits in [Bits::Keep, Bits::Clear] {
        let how = |_: &MemberPath| Instructions::default();
        let _ = settle_scripts(&mut tree.clone(), &blobs, Platform::X86_64Linux, None, &how, bits);
    }
}

/// The plans whose recipes finish the files of an input: one of each recipe.
fn plans() -> &'static [Plan] {
    static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
    PLANS.get_or_init(|| {
        let locks = [
            include_str!("../../toolchains.lock"),
            include_str!("../../examples/libraries/toolchains.lock"),
            include_str!("../../examples/mixed/toolchains.lock"),
            include_str!("../../examples/zig/toolchains.lock"),
        ];
        let mut plans = BTreeMap::new();
        for lock in locks {
            for tree in Lockfile::parse(lock, "lock").unwrap().trees.into_values() {
                if tree.plan.platform == Platform::X86_64Linux {
                    plans.entry(tree.plan.recipe.name.clone()).or_insert(tree.plan);
                }
            }
        }
        plans.into_values().collect()
    })
}

/// Makes a tree from the files of a package by every recipe.
fn recipes(bytes: &[u8]) {
    for plan in plans() {
        let (_scratch, blobs) = Scratch::new();
        let Ok(layer) = unpack_deb(&mut Cursor::new(bytes), 0, &blobs, &|_| true) else { return };
        let Ok(pruning) = pruning(plan) else { continue };
        let mut layers = Layers { stage: Stage::Final, ..Layers::default() };
        if layers.merge(0, layer, "x").is_err() {
            continue;
        }
        let mut notes = Notes::default();
        if let Ok(tree) = finish(plan, layers, &blobs, &pruning, &mut notes) {
            let _ = facts(plan, &tree);
        }
    }
}

/// Makes trees from fixed files by the plans of a lock, whose digests are not checked: whoever edits a lock can write them, too.
fn plans_of_lock(bytes: &[u8]) {
    let Ok(lock) = Lockfile::parse(&text(bytes), "lock") else { return };
    for tree in lock.trees.values() {
        let plan = &tree.plan;
        let Ok(pruning) = pruning(plan) else { continue };
        for deb in seeds::package_files() {
            let (_scratch, blobs) = Scratch::new();
            let Ok(layer) =
                unpack_deb(&mut Cursor::new(deb), 0, &blobs, &|path| pruning.keeps(path))
            else {
                continue;
            };
            let mut layers = Layers::default();
            if layers.merge(0, layer, "x").is_err() {
                continue;
            }
            if let Ok(tree) = finish(plan, layers, &blobs, &pruning, &mut Notes::default()) {
                let _ = facts(plan, &tree);
            }
        }
        let (_scratch, blobs) = Scratch::new();
        for wheel in seeds::wheels() {
            let _ = install(Cursor::new(wheel), WHEEL, &plan.version, LIMITS, &blobs, &|path| {
                pruning.keeps(path)
            });
        }
    }
}

fn key() -> &'static (SignedSecretKey, Keyring) {
    static KEY: OnceLock<(SignedSecretKey, Keyring)> = OnceLock::new();
    KEY.get_or_init(|| {
        let params = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .primary_user_id("Test <test@example.invalid>".into())
            .build()
            .unwrap();
        let key = params.generate(rand::rngs::StdRng::seed_from_u64(1)).unwrap();
        let keyring = Keyring::parse(&key.to_public_key().to_bytes().unwrap(), "test").unwrap();
        (key, keyring)
    })
}

pub fn public_key() -> Vec<u8> {
    key().0.to_public_key().to_bytes().unwrap()
}

pub fn signed(said: &str) -> String {
    let rng = rand::rngs::StdRng::seed_from_u64(2);
    let message =
        CleartextSignedMessage::sign(rng, said, &key().0.primary_key, &Password::empty()).unwrap();
    message.to_armored_string(Default::default()).unwrap()
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn inrelease(bytes: &[u8]) {
    let said = text(bytes);
    let _ = Release::verify(&said, &key().1, now(), "url");
    if let Some(message) = Signed::parse(&said) {
        let _ = (
            message.text(),
            message.issuers(),
            message.judge(&keys(&public_key()).unwrap_or_default(), 0).signer.is_some(),
        );
    }
    let _ = Release::verify_detached("x", &said, &key().1, now(), "url");
}

/// A release with a valid signature.
fn release(bytes: &[u8]) {
    let said = text(bytes);
    if let Ok(release) = Release::verify(&signed(&said), &key().1, now(), "url") {
        let _ = (
            release.check_suite("test", "url"),
            release.check_date("2026-07-11T00:00:00Z".parse().unwrap(), "url"),
        );
    }
}

fn keyring(bytes: &[u8]) {
    let _ = keys(bytes);
}

fn packages(bytes: &[u8]) {
    let Ok(list) = read_packages(&mut &*bytes) else { return };
    let names: BTreeSet<String> = list.iter().map(|p| p.name.clone()).take(4).collect();
    let mut index = Index::default();
    index.add_suite(500, list);
    let roots = |names: &mut dyn Iterator<Item = &String>| -> Vec<PackageRoot> {
        names.map(|name| PackageRoot { asked: name.clone(), suite: None }).collect()
    };
    for name in &names {
        let _ = resolve(&index, "amd64", &roots(&mut [name].into_iter()), &BTreeSet::new());
    }
    let _ = resolve(&index, "amd64", &roots(&mut names.iter()), &BTreeSet::new());
}

fn lock(bytes: &[u8]) {
    let said = text(bytes);
    if let Ok(lock) = Lockfile::parse(&said, "lock") {
        let written = lock.render();
        let again = Lockfile::parse(&written, "lock")
            .unwrap_or_else(|e| panic!("{e:?} in what was written:\n{written}"));
        assert_eq!(again.render(), written, "a lock that was written and read is the same");
        for tree in lock.trees.values() {
            let _ = (
                tree.check(),
                tree.plan.tree_name(),
                tree.plan.snapshot(),
                tree.plan.input_bytes(),
                pruning(&tree.plan).is_ok(),
            );
        }
    }
    let _ = Lockfile::parse_union(&said, "lock");
}

fn manifest(bytes: &[u8]) {
    let said = text(bytes);
    let mut problems = Problems::new("toolchains.toml", &said);
    let manifest = Manifest::parse(&said, &mut problems);
    let _ = bind_sources(&manifest, &mut problems);
    let _ = bind_emitters(&manifest, &mut problems);
    let _ = (problems.lines(), problems.check());
    edited(&said, &manifest, problems.count() == 0);
}

/// Removes each toolchain of a manifest, and adds one. If the manifest has no problems, only that changes.
fn edited(said: &str, manifest: &Manifest, is_right: bool) {
    let names = |text: &str| -> BTreeSet<String> {
        let mut problems = Problems::new("toolchains.toml", text);
        let found = Manifest::parse(text, &mut problems);
        let sets = found.requirements.keys().map(ToString::to_string);
        found.toolchains.keys().map(ToString::to_string).chain(sets).collect()
    };
    let all = manifest.toolchains.keys().chain(manifest.requirements.keys());
    let all: BTreeSet<String> = all.map(ToString::to_string).collect();
    for name in manifest.toolchains.keys() {
        let _ = edit::users(manifest, name);
        match edit::without(said, std::slice::from_ref(name)) {
            Ok(text) if is_right => {
                let mut rest = all.clone();
                rest.remove(name.as_str());
                assert_eq!(names(&text), rest, "{text}");
            }
            Ok(_) => {}
            Err(e) => assert!(!is_right, "{e}"),
        }
    }
    let new = edit::NewToolchain {
        name: "added-by-fuzz".parse().unwrap(),
        kind: edit::guessed_kind("libx-dev"),
        suites: vec![],
        packages: vec!["libx-dev".to_owned()],
    };
    if let Ok(text) = edit::with_toolchains(said, &[new])
        && is_right
    {
        let mut more = all;
        more.insert("added-by-fuzz".to_owned());
        assert_eq!(names(&text), more, "{text}");
    }
}

fn requirements(bytes: &[u8]) {
    let said = text(bytes);
    let _ = pins(&said);
    for (_, line) in requirement_lines(&said) {
        let _ = parse_requirement(&line);
    }
    // The same lines as the requirements of a wheel.
    let stated: String = said.lines().map(|line| format!("Requires-Dist: {line}\n")).collect();
    let head = "Name: demo\nVersion: 1.0\nRequires-Python: >=3.8\n";
    let wheel = WheelMetadata::parse(&format!("{head}{stated}"), WHEEL);
    let target = WheelTarget::new("3.11.2", None, Platform::X86_64Linux).expect("a version");
    for line in said.lines() {
        let _ = (target.rank(line), target.is_covered_by(line));
    }
    let _ = close_set(&target, &[wheel], &Default::default(), &[]);
}

fn pylock_toml(bytes: &[u8]) {
    for entry in pylock(&text(bytes), "pylock.toml").unwrap_or_default() {
        for file in entry.wheels.iter().chain(&entry.sdist) {
            let _ = (file.file_name(), file.sha256(), file.size());
        }
    }
}

fn netrc(bytes: &[u8]) {
    let netrc = Netrc::parse(&text(bytes));
    let _ = (netrc.login("a.example"), netrc.login("none.example"));
}

fn index_configuration(bytes: &[u8]) {
    let said = text(bytes).into_owned();
    let _ = configured(&|_| None, &[(true, said.clone()), (false, said.clone())]);
    let _ = configured(&|name| (name == "UV_INDEX").then(|| said.clone()), &[]);
}

fn index_page(bytes: &[u8]) {
    let said = text(bytes);
    let page = "https://index.example/simple/x/";
    let _ = (json_files(&said, page).is_ok(), html_files(&said, page).len());
}

fn aquery(bytes: &[u8]) {
    let said = text(bytes);
    if let Ok(graph) = Graph::parse(&said) {
        for action in &graph.actions {
            let _ =
                look_at_action(action, &|path| Some(format!("/usr/bin/{path} x")), &|_, _| true);
        }
    }
    let _ = look_at_options(&said, "/workspace");
}

fn shell(bytes: &[u8]) {
    let said = text(bytes);
    let _ = shell_calls(&said);
    let _ = (look_at_code("x.bzl", &said), look_at_result("x", "BUILD", &said));
}

fn trace(bytes: &[u8]) {
    let said = text(bytes);
    let around = TracedMachine {
        here: "/w",
        own: &["/w".to_owned()],
        machine: &["etc/hosts"],
        trees: &[("/store/gcc".to_owned(), "gcc".to_owned())],
    };
    let _ = observe(&said, &around);
    let places =
        OwnPlaces { dirs: &["/out".to_owned()], workspace: "/w", declared: &BTreeSet::new() };
    let _ = look_at_trace(&said, places);
}

/// What is read of a description is the same after it was written and read again.
fn narinfo(bytes: &[u8]) {
    let said = text(bytes);
    if let Ok(info) = NarInfo::parse(&said) {
        let written = info.render();
        assert_eq!(NarInfo::parse(&written), Ok(info.clone()), "{written}");
        let keys: Vec<CacheKey> = seeds::cache_keys();
        let _ = info.info.signer(&keys).is_some();
    }
    if let Ok(info) = PathInfo::parse(&said) {
        let written = info.render();
        assert_eq!(PathInfo::parse(&written), Ok(info), "{written}");
    }
}

/// What Nix has registered can be written down as what a cache says.
fn registrations(bytes: &[u8]) {
    for mut info in registration(&text(bytes)).unwrap_or_default() {
        if info.nar_size > 0 {
            info.references.dedup();
            assert_eq!(PathInfo::parse(&info.render()), Ok(info));
        }
    }
}

fn cache_info(bytes: &[u8]) {
    if let Ok(info) = CacheInfo::parse(&text(bytes)) {
        assert_eq!(CacheInfo::parse(&info.render()), Ok(info));
    }
}

fn cache_keys(bytes: &[u8]) {
    let said = text(bytes);
    if let Ok(key) = said.parse::<CacheKey>() {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    let _ = said.parse::<SigningKey>().map(|key| key.public());
}

/// A request to `cotter cache serve`.
fn request(bytes: &[u8]) {
    let _ = hear_request(bytes);
}

fn recorded_facts(bytes: &[u8]) {
    let _ = serde_json::from_slice::<RecordedFacts>(bytes);
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "deb",
        shape: Shape::Deb,
        words: seeds::TAR_WORDS,
        seeds: seeds::debs,
        run: deb,
    },
    Target {
        name: "ar",
        shape: Shape::Binary,
        words: &["!<arch>\n", "`\n", "data.tar", "9999999999"],
        seeds: seeds::debs,
        run: ar,
    },
    Target {
        name: "tar",
        shape: Shape::Tar,
        words: seeds::TAR_WORDS,
        seeds: seeds::tars,
        run: tar,
    },
    Target {
        name: "nar",
        shape: Shape::Binary,
        words: seeds::NAR_WORDS,
        seeds: seeds::nars,
        run: nar_of_nix,
    },
    Target {
        name: "compressed-nar",
        shape: Shape::Binary,
        words: &[],
        seeds: seeds::compressed_nars,
        run: compressed_nar,
    },
    Target {
        name: "zip",
        shape: Shape::Zip,
        words: seeds::ZIP_WORDS,
        seeds: seeds::zips,
        run: zipped,
    },
    Target {
        name: "wheel",
        shape: Shape::Zip,
        words: seeds::ZIP_WORDS,
        seeds: seeds::wheels,
        run: wheel,
    },
    Target {
        name: "record",
        shape: Shape::Text,
        words: seeds::RECORD_WORDS,
        seeds: seeds::records,
        run: record,
    },
    Target {
        name: "elf",
        shape: Shape::Binary,
        words: &["\x7fELF\x02\x01", "$ORIGIN", "/usr/lib/x\0", "\0\0\0\0\0\0\0\0"],
        seeds: seeds::elfs,
        run: elf,
    },
    Target {
        name: "shebang",
        shape: Shape::Text,
        words: &["#!", "#!/bin/sh\n", "/usr/bin/env", "-S", "sh", "../", "\u{1}"],
        seeds: seeds::scripts,
        run: shebang,
    },
    Target {
        name: "recipes",
        shape: Shape::Deb,
        words: seeds::RECIPE_WORDS,
        seeds: seeds::package_files,
        run: recipes,
    },
    Target {
        name: "inrelease",
        shape: Shape::Text,
        words: seeds::RELEASE_WORDS,
        seeds: seeds::inreleases,
        run: inrelease,
    },
    Target {
        name: "release",
        shape: Shape::Text,
        words: seeds::RELEASE_WORDS,
        seeds: seeds::releases,
        run: release,
    },
    Target {
        name: "keyring",
        shape: Shape::Binary,
        words: &["\u{99}", "\u{2}\u{4}", "\u{ff}\u{ff}\u{ff}\u{ff}"],
        seeds: seeds::keyrings,
        run: keyring,
    },
    Target {
        name: "packages",
        shape: Shape::Text,
        words: seeds::PACKAGE_WORDS,
        seeds: seeds::package_indexes,
        run: packages,
    },
    Target {
        name: "lock",
        shape: Shape::Text,
        words: seeds::LOCK_WORDS,
        seeds: seeds::locks,
        run: lock,
    },
    Target {
        name: "plans",
        shape: Shape::Text,
        words: seeds::LOCK_WORDS,
        seeds: seeds::locks,
        run: plans_of_lock,
    },
    Target {
        name: "manifest",
        shape: Shape::Text,
        words: seeds::MANIFEST_WORDS,
        seeds: seeds::manifests,
        run: manifest,
    },
    Target {
        name: "requirements",
        shape: Shape::Text,
        words: seeds::REQUIREMENT_WORDS,
        seeds: seeds::requirements,
        run: requirements,
    },
    Target {
        name: "pylock",
        shape: Shape::Text,
        words: &["[[packages]]", "name = ", "wheels = [", "sha256", "url = "],
        seeds: seeds::pylocks,
        run: pylock_toml,
    },
    Target {
        name: "netrc",
        shape: Shape::Text,
        words: &[
            "machine ",
            "default ",
            "login ",
            "password ",
            "macdef ",
            "\"",
            "\\\"",
            "account ",
        ],
        seeds: seeds::netrcs,
        run: netrc,
    },
    Target {
        name: "index-configuration",
        shape: Shape::Text,
        words: &["[global]\n", "index-url = ", "[[index]]\n", "url = \"", "://"],
        seeds: seeds::configurations,
        run: index_configuration,
    },
    Target {
        name: "index-page",
        shape: Shape::Text,
        words: &["<a href=\"", "#sha256=", "\"files\":[", "&amp;", "data-yanked", "%2B"],
        seeds: seeds::pages,
        run: index_page,
    },
    Target {
        name: "aquery",
        shape: Shape::Text,
        words: seeds::AQUERY_WORDS,
        seeds: seeds::aqueries,
        run: aquery,
    },
    Target {
        name: "shell",
        shape: Shape::Text,
        words: seeds::SHELL_WORDS,
        seeds: seeds::shells,
        run: shell,
    },
    Target {
        name: "trace",
        shape: Shape::Text,
        words: seeds::TRACE_WORDS,
        seeds: seeds::traces,
        run: trace,
    },
    Target {
        name: "narinfo",
        shape: Shape::Text,
        words: &["StorePath: /nix/store/", "NarSize: ", "References: ", "Sig: ", "CA: ", "sha256:"],
        seeds: seeds::narinfos,
        run: narinfo,
    },
    Target {
        name: "registration",
        shape: Shape::Text,
        words: &["/nix/store/", "\n", "0\n", "1\n", "\n\n"],
        seeds: seeds::registrations,
        run: registrations,
    },
    Target {
        name: "cache-info",
        shape: Shape::Text,
        words: &["StoreDir: /nix/store\n", "Priority: ", "WantMassQuery: 1\n", ":"],
        seeds: seeds::cache_infos,
        run: cache_info,
    },
    Target {
        name: "cache-keys",
        shape: Shape::Text,
        words: &["cache-1:", "=", ":", "AAAA"],
        seeds: seeds::cache_key_texts,
        run: cache_keys,
    },
    Target {
        name: "request",
        shape: Shape::Text,
        words: &[
            "GET /",
            " HTTP/1.1\r\n",
            "Range: bytes=",
            "Content-Length: ",
            "\r\n",
            ".narinfo",
            "nar/",
        ],
        seeds: seeds::requests_of_caches,
        run: request,
    },
    Target {
        name: "facts",
        shape: Shape::Text,
        words: &["\"recipe\":", "\"facts\":", "null", "{}", "[]"],
        seeds: seeds::facts,
        run: recorded_facts,
    },
];
