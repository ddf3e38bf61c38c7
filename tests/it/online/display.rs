//! A program with a window, on a display that a pinned X server gives.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{REPO, Scratch, in_store, ok, shared_store};

const MANIFEST: &str = r#"
platforms = ["x86_64-linux"]
host = ["sh"]

[toolchains.gcc]
kind = "cc"
source = "debian"
suite = "bookworm"
packages = ["gcc-12", "libc6-dev"]

[toolchains.gtk]
kind = "library"
source = "debian"
suite = "bookworm"
packages = ["libgtk-3-dev", "fonts-dejavu-core"]

[toolchains.pkg-config]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["pkg-config"]

[toolchains.xvfb]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["xvfb"]
"#;

/// Ends a process that the test has started.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = ok(Command::new("kill").arg(self.0.id().to_string()));
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "full suite: GTK and an X server are large"]
fn gtk_draws_a_window_on_a_pinned_display() {
    let scratch = Scratch::new();
    scratch.write("toolchains.toml", MANIFEST);
    std::fs::copy(Path::new(REPO).join("tests/libraries/window.c"), scratch.join("window.c"))
        .unwrap();
    let cotter = |args: &[&str]| in_store(shared_store(), scratch.path(), args);
    ok(&mut cotter(&["setup", "--quiet"]));
    let compile = "gcc window.c -o window $(pkg-config --cflags --libs gtk+-3.0)";
    ok(&mut cotter(&["exec", "gcc", "gtk", "pkg-config", "--", "sh", "-c", compile]));
    // The server chooses a free number and writes it to its standard output.
    let mut server = cotter(&["exec", "xvfb", "--", "Xvfb", "-displayfd", "1"]);
    let file = scratch.write("display", "");
    server.args(["-screen", "0", "800x600x24", "-nolisten", "tcp"]);
    server.stdout(std::fs::File::create(&file).unwrap()).stderr(Stdio::null());
    let _server = Server(server.spawn().unwrap());
    let since = Instant::now();
    let display = loop {
        let said = std::fs::read_to_string(&file).unwrap();
        if said.ends_with('\n') {
            break format!(":{}", said.trim());
        }
        assert!(since.elapsed() < Duration::from_secs(60), "the X server starts within a minute");
        std::thread::sleep(Duration::from_millis(100));
    };
    let mut window = cotter(&["exec", "gcc", "gtk", "--", "./window"]);
    let said = ok(window.env("DISPLAY", &display));
    assert_eq!(said, format!("saved 300x120 on {display}\n"));
    let shot = std::fs::read(scratch.join("shot.png")).unwrap();
    assert!(shot.starts_with(b"\x89PNG"));
    // An empty window of one colour would take a few hundred bytes.
    assert!(shot.len() > 1500, "a button with a text was drawn: {} bytes", shot.len());
}
