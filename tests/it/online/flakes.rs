//! A flake is locked on a machine without Nix: Debian's nix-bin is a toolchain of the manifest.

use crate::support::nix::{Nix, serve, without_nix};
use crate::support::{Project, contains, ok};

const FLAKE: &str = r#"{ outputs = { self }: { packages.x86_64-linux.hello = derivation {
  name = "hello-1.0";
  system = "x86_64-linux";
  builder = "/bin/sh";
  PATH = "/usr/bin:/bin";
  args = [ "-c" "mkdir -p $out/bin; printf '#!/bin/sh\necho hi\n' > $out/bin/hello; chmod +x $out/bin/hello" ];
}; }; }"#;

#[test]
fn a_flake_is_locked_without_nix_by_an_evaluator_of_the_manifest() {
    let project = Project::new("");
    project.scratch.write("project/flake.nix", FLAKE);
    let nix = Nix::new();
    let reference = format!("path:{}#hello", project.dir().display());
    let flakes = ["--extra-experimental-features", "flakes"];
    ok(nix.command("nix").args(["build", "--no-link", &reference]).args(flakes));
    let path = ok(nix
        .command("nix")
        .args(["eval", "--raw", &format!("{reference}.outPath")])
        .args(flakes));
    let server = serve(&nix.copy(&[&path], "cache", "zstd", true));
    let of_nix = |name: &str| {
        format!(
            "platforms = [\"x86_64-linux\"]\n[nix]\nevaluator = \"{name}\"\ncaches = [\"{}\"]\nkeys = [\"{}\"]\n[toolchains.nix]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"nix-bin\"]\n[toolchains.hello]\nkind = \"tool\"\nsource = \"nix\"\nflake = \".#hello\"\n",
            server.url, nix.key
        )
    };
    project.manifest(&of_nix("hello"));
    contains(&project.fails(1, &["lock"]), &["toolchains.toml:3:13", "that Nix need not evaluate"]);
    project.manifest(&of_nix("nixx"));
    contains(&project.fails(1, &["lock"]), &["there is no such toolchain; did you mean \"nix\"?"]);
    project.manifest(&of_nix("nix"));
    ok(&mut without_nix(&project.cotter(&["lock"])));
    contains(&project.lock_text(), &[&path, "-hello-1.0.drv\"", "flake = \".\""]);
    // It saw no more than an evaluation of the machine's Nix does.
    let of_project = project.store.join("nix").join(&project.stored("nix")[0]);
    let made = |place: &str| of_project.join(place).join("root/nix/store").exists();
    assert!(made("confined") && !made("open"));
    let run = ["exec", "--nix-store", "namespace", "hello", "--", "hello"];
    assert_eq!(ok(&mut without_nix(&project.cotter(&run))), "hi\n");
    // The evaluator is there, so an evaluation needs nothing but the caches.
    project.scratch.write("project/flake.nix", FLAKE.replace("hello-1.0", "hello-1.1"));
    let output = without_nix(&project.cotter(&["lock"])).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    contains(&String::from_utf8_lossy(&output.stderr), &["no cache has /nix/store/", "-hello-1.1"]);
    // What no cache has is built in a store below that of cotter: a file that Nix itself fetches and unpacks.
    project.scratch.write("made/bin/made", "#!/bin/sh\necho made\n");
    ok(std::process::Command::new("chmod").arg("0755").arg(project.scratch.join("made/bin/made")));
    let made = project.scratch.join("made");
    let nar = nix.command("nix-store").arg("--dump").arg(&made).output().unwrap().stdout;
    let mut hash = std::process::Command::new("nix-hash");
    let hash = ok(hash.args(["--type", "sha256", "--base32"]).arg(&made));
    server.put("/made.nar", nar);
    project.scratch.write(
        "project/flake.nix",
        format!(
            "{{ outputs = {{ self }}: {{ made = derivation {{ name = \"made-1.0\"; system = \"builtin\"; builder = \"builtin:fetchurl\"; url = \"{}/made.nar\"; unpack = true; outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\"; outputHash = \"{}\"; }}; }}; }}",
            server.url,
            hash.trim()
        ),
    );
    project.manifest(&(of_nix("nix").replace(".#hello", ".#made") + "build = true\n"));
    // The sandbox of Nix cannot be made in the other view, but no program of the machine is on PATH.
    let alone = |args: &[&str]| ok(project.cotter(args).env("PATH", project.scratch.join("none")));
    alone(&["lock"]);
    let lock = project.lock_text();
    contains(&lock, &["-made-1.0\"", "built = true"]);
    let run = ["exec", "--nix-store", "namespace", "hello", "--", "made"];
    assert_eq!(ok(&mut without_nix(&project.cotter(&run))), "made\n");
    // Another store builds it again with the same toolchain.
    std::fs::rename(&project.store, project.scratch.join("first")).unwrap();
    alone(&["setup", "--locked"]);
    assert_eq!(ok(&mut without_nix(&project.cotter(&run))), "made\n");
}
