//! The targets of `tests/fuzz` for libFuzzer. The variable `COTTER_FUZZ_TARGET` names the target.

#![no_main]
#![allow(dead_code, reason = "the files are those of the tests, and not all of them is used here")]

#[path = "../../tests/it/support/archive.rs"]
mod archive;
#[path = "../../tests/fuzz/memory.rs"]
mod memory;
#[path = "../../tests/fuzz/mutate.rs"]
mod mutate;
#[path = "../../tests/fuzz/seeds.rs"]
mod seeds;
#[path = "../../tests/fuzz/targets.rs"]
mod targets;

use std::sync::OnceLock;

use targets::{TARGETS, Target};

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

/// Returns the target. At first, it writes the seeds into the directory that `COTTER_FUZZ_SEEDS` names.
fn target() -> &'static Target {
    static CHOSEN: OnceLock<&Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("COTTER_FUZZ_TARGET").expect("COTTER_FUZZ_TARGET names a target");
        TARGETS.iter().find(|t| t.name == name).unwrap_or_else(|| {
            let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
            panic!("there is no target {name}: expected one of {}", names.join(", "))
        })
    })
}

libfuzzer_sys::fuzz_target!(
    init: {
        if let Ok(dir) = std::env::var("COTTER_FUZZ_SEEDS") {
            for (i, seed) in (target().seeds)().iter().enumerate() {
                std::fs::write(format!("{dir}/seed-{i}"), seed).expect("the seeds can be written");
            }
            std::process::exit(0);
        }
    },
    |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        mutate::mend(&mut bytes, target().shape);
        let peak = memory::peak_of(|| (target().run)(&bytes));
        assert!(peak <= memory::MOST, "it holds {} MiB", peak >> 20);
    }
);
