//! Mutated inputs for every reader of bytes that others wrote. None of them may panic, overflow, exhaust the stack or hold much memory.
//!
//! The mutations are the same in each run. `fuzz/` has the same targets for libFuzzer, which measures what an input reaches and takes longer to build.
//! An input that once did harm is kept in `tests/fuzz/kept`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    missing_docs,
    unsafe_code,
    reason = "the rules are the program's; an allocator that counts is unsafe by its nature"
)]

#[path = "../it/support/archive.rs"]
mod archive;
mod memory;
mod mutate;
mod seeds;
mod targets;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mutate::Random;
use targets::{TARGETS, Target};

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

/// Runs a target with an input. If it does harm, the input is written to a file, and the test fails and names it.
fn run(target: &Target, input: &[u8], which: &str) -> isize {
    let peak =
        std::panic::catch_unwind(AssertUnwindSafe(|| memory::peak_of(|| (target.run)(input))));
    match peak {
        Ok(peak) if peak <= memory::MOST => peak,
        other => {
            let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
            std::fs::create_dir_all(&dir).unwrap();
            let hash = cotter::internals::Digest::of(input).hex();
            let file = dir.join(format!("{}-{}", target.name, &hash[..12]));
            std::fs::write(&file, input).unwrap();
            let how = other
                .map_or_else(|_| "panics".to_owned(), |peak| format!("holds {} MiB", peak >> 20));
            panic!(
                "{which}: {} {how} with the {} bytes in {}",
                target.name,
                input.len(),
                file.display()
            );
        }
    }
}

/// Returns the inputs of a target that once did harm.
fn kept(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/kept").join(target.name);
    let Ok(entries) = std::fs::read_dir(dir) else { return vec![] };
    let mut out: Vec<_> = entries
        .map(|e| e.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    out.sort();
    out
}

/// Runs a target with this number of mutated inputs, from this beginning of the random numbers.
fn fuzz(target: &Target, inputs: usize, beginning: u64) {
    let mut corpus = (target.seeds)();
    assert!(!corpus.is_empty(), "{} has inputs to start from", target.name);
    corpus.extend(kept(target).into_iter().map(|(_, bytes)| bytes));
    let mut most = 0;
    for seed in &corpus {
        most = most.max(run(target, seed, "a seed"));
    }
    let mut random = Random::new(beginning + 1);
    // An abort leaves no message. With this variable, each input is in a file before it is read.
    let traced = std::env::var("COTTER_FUZZ_TRACE").ok();
    for i in 0..inputs {
        let from = random.below(corpus.len());
        let input =
            mutate::mutated(&corpus[from], &corpus, target.words, target.shape, &mut random);
        if let Some(file) = &traced {
            std::fs::write(file, &input).unwrap();
        }
        most = most.max(run(target, &input, &format!("input {i} from {from}")));
    }
    println!("{}: {inputs} inputs, at most {} KiB", target.name, most >> 10);
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("there is no target {name}"))
}

/// What is recursive exhausts the stack, and what is quadratic takes too long. The inputs have this number of bytes.
fn repeat_words(length: usize) {
    for target in TARGETS.iter().filter(|t| t.shape == mutate::Shape::Text) {
        let mut random = Random::new(0);
        let seeds = (target.seeds)();
        for word in target.words.iter().chain(&mutate::WORDS).filter(|word| !word.is_empty()) {
            let many = word.repeat(length / word.len());
            run(target, many.as_bytes(), &format!("{word:?} repeated"));
            // In the middle of an input, it may mean something else.
            let seed = &seeds[random.below(seeds.len())];
            let at = random.below(seed.len() + 1);
            let half = &many.as_bytes()[..word.len() * (many.len() / word.len() / 2)];
            let mixed = [&seed[..at], half, &seed[at..]].concat();
            run(target, &mixed, &format!("{word:?} repeated within"));
        }
    }
}

#[test]
fn a_word_that_is_repeated_does_no_harm() {
    repeat_words(2 << 10);
}

#[test]
#[ignore = "full suite: takes minutes"]
fn a_word_that_is_repeated_very_often_does_no_harm() {
    repeat_words(mutate::LONGEST);
}

#[test]
fn kept_inputs_do_no_harm() {
    let names =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/kept")).unwrap();
    let mut inputs = 0;
    for name in names {
        let target = target(name.unwrap().file_name().to_str().unwrap());
        for (path, bytes) in kept(target) {
            inputs += 1;
            run(target, &bytes, &path.display().to_string());
        }
    }
    assert!(inputs > 0, "there are kept inputs");
}

/// Every target for about an hour: `cargo test --test fuzz -- --ignored`. `COTTER_FUZZ_BEGIN` is the beginning of the random numbers, and `COTTER_FUZZ_FACTOR` the number of
/// inputs, as a multiple of the quick tests.
#[test]
#[ignore = "full suite: takes an hour"]
fn every_target_for_an_hour() {
    let number =
        |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (begin, factor) =
        (number("COTTER_FUZZ_BEGIN", 1_000_000), number("COTTER_FUZZ_FACTOR", 300) as usize);
    let only = std::env::var("COTTER_FUZZ_TARGET").ok();
    let targets: Vec<&Target> =
        TARGETS.iter().filter(|t| only.as_deref().is_none_or(|name| name == t.name)).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = || fuzz(target, quick(target.name) * factor, begin);
                    if std::panic::catch_unwind(AssertUnwindSafe(done)).is_err() {
                        failed.lock().unwrap().push(target.name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:?} did harm; the messages above name the inputs");
}

/// The formats of Nix, which come from caches that need not be trusted. These inputs are others than those of the hour.
#[test]
#[ignore = "full suite: takes minutes"]
fn a_million_inputs_for_each_format_of_nix() {
    let names = ["nar", "narinfo", "cache-info", "cache-keys"];
    std::thread::scope(|scope| {
        for name in names {
            scope.spawn(move || fuzz(target(name), 1_000_000, 2_000_000));
        }
    });
}

/// Declares a quick test for each target, with its number of inputs.
macro_rules! quick {
    ($($test:ident = $name:literal: $inputs:literal;)*) => {
        fn quick(name: &str) -> usize {
            match name {
                $($name => $inputs,)*
                _ => panic!("{name} has no quick test"),
            }
        }

        $(#[test]
        fn $test() {
            fuzz(target($name), $inputs, 0);
        })*

        #[test]
        fn each_target_has_a_quick_test() {
            let named = [$($name),*];
            assert_eq!(named.map(target).len(), TARGETS.len());
        }
    };
}

quick! {
    deb = "deb": 2000;
    ar = "ar": 2000;
    tar = "tar": 2000;
    nar = "nar": 2000;
    compressed_nar = "compressed-nar": 1000;
    zip = "zip": 2000;
    wheel = "wheel": 2000;
    record = "record": 2000;
    elf = "elf": 2000;
    shebang = "shebang": 2000;
    recipes = "recipes": 400;
    inrelease = "inrelease": 2000;
    release = "release": 2000;
    keyring = "keyring": 2000;
    packages = "packages": 2000;
    lock = "lock": 1000;
    plans = "plans": 150;
    manifest = "manifest": 1000;
    requirements = "requirements": 2000;
    pylock = "pylock": 2000;
    netrc = "netrc": 2000;
    index_configuration = "index-configuration": 2000;
    index_page = "index-page": 2000;
    aquery = "aquery": 2000;
    shell = "shell": 2000;
    trace = "trace": 2000;
    facts = "facts": 2000;
    narinfo = "narinfo": 20000;
    registration = "registration": 10000;
    cache_info = "cache-info": 5000;
    cache_keys = "cache-keys": 5000;
    request = "request": 20000;
}
