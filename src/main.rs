//! cotter: hermetic toolchains, pinned by hash.

fn main() -> std::process::ExitCode {
    cotter::app::run()
}
