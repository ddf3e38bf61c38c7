//! The hook of a shell, in real shells.

use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::users::{bin, interactive};
use crate::support::{Project, contains, ok};

/// A project with a tool that sets a variable.
fn rig() -> (Server, Project) {
    let server = Server::start();
    let url = server.put("/a.tar", Tar::new().program("bin/a", b"\x7fno ELF").finish());
    let project = Project::new(&format!(
        "platforms = [\"x86_64-linux\", \"aarch64-linux\"]\n[toolchains.a]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n[toolchains.a.env]\nWORDS = \"it's \\\"$(false)\\\"\"\nKEPT = \"new\"\n"
    ));
    (server, project)
}

const POSIX: &str = r#"
PS1='$ '
before=$PATH
cd "$P"
echo "in: <$WORDS> <$KEPT> ${PATH%%:*} <$PS1>"
mkdir -p sub; cd sub
echo "below: <$KEPT>"
PATH=/own:$PATH
cd /
echo "out: <${WORDS-unset}> <$KEPT> <$PS1> <${COTTER_HOOK-unset}>"
[ "$PATH" = "/own:$before" ] && echo "the path is as before"
"#;

const FISH: &str = r#"
cotter hook fish | source
function fish_prompt; echo -n "own:$status> "; end
set -l before "$PATH"
cd $P; emit fish_prompt
echo "in: <$WORDS> <$KEPT> $PATH[1]"
false; echo "prompt: <"(fish_prompt)">"
set -g COTTER_HOOK_PROMPT 0; echo "unmarked: <"(fish_prompt)">"; set -e COTTER_HOOK_PROMPT
function fish_prompt; echo -n "new> "; end
emit fish_prompt; echo "chosen: <"(fish_prompt)">"
mkdir -p sub; cd sub; emit fish_prompt
echo "below: <$KEPT>"
set -gx PATH /own $PATH
cd /; emit fish_prompt
set -q WORDS; or echo "out: <$KEPT> <"(fish_prompt)">"
[ "$PATH" = "/own:$before" ]; and echo "the path is as before"
"#;

#[test]
fn a_shell_enters_a_project_and_leaves_it() {
    let (_server, project) = rig();
    project.ok(&["setup"]);
    let tree = project.tree();
    let first = format!("{}/bin", tree.display());
    let words = "it's \"$(false)\"";
    for shell in ["bash", "zsh"] {
        let flags: &[&str] =
            if shell == "bash" { &["bash", "--norc", "-i"] } else { &["zsh", "-f", "-i"] };
        let said = interactive(
            &project,
            flags,
            &bin(),
            &format!("eval \"$(cotter hook {shell})\"\n{POSIX}"),
        );
        contains(
            &said,
            &[
                &format!("in: <{words}> <new> {first} <(cotter) $ >"),
                "below: <new>",
                "out: <unset> <old 'value'> <$ > <unset>",
                "the path is as before",
            ],
        );
    }
    let said = interactive(&project, &["fish", "--no-config"], &bin(), FISH);
    contains(
        &said,
        &[
            &format!("in: <{words}> <new> {first}"),
            "prompt: <(cotter) own:1> >",
            "unmarked: <own:0> >",
            "chosen: <(cotter) new> >",
            "below: <new>",
            "out: <old 'value'> <new> >",
            "the path is as before",
        ],
    );
}

#[test]
fn one_project_gives_way_to_another_and_a_new_lock_counts_at_once() {
    let (_server, project) = rig();
    project.ok(&["setup"]);
    let other = project.scratch.join("other");
    std::fs::create_dir(&other).unwrap();
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    std::fs::write(other.join("toolchains.toml"), manifest.replace("\"new\"", "\"other\""))
        .unwrap();
    ok(project.cotter(&["setup"]).current_dir(&other));
    let script = "eval \"$(cotter hook bash)\"\ncd \"$P\"\necho \"first <$KEPT>\"\ncd ../other\necho \"second <$KEPT>\"\nsed -i s/other/changed/ toolchains.toml; cotter setup --quiet\necho \"third <$KEPT>\"\ncd /\necho \"out <$KEPT>\"\n";
    let said = interactive(&project, &["bash", "--norc", "-i"], &bin(), script);
    contains(&said, &["first <new>", "second <other>", "third <changed>", "out <old 'value'>"]);
}

#[test]
fn the_hook_only_looks_and_tells_once_what_is_missing() {
    let (server, project) = rig();
    let asked = server.log().len();
    let script = "eval \"$(cotter hook bash)\"\nunset COTTER_TRUST\ncd \"$P\"\ntrue\ntrue\necho \"<$KEPT>\"\n(COTTER_SHELL=1; export COTTER_SHELL; cotter hook bash --update; echo none)\n";
    let said = interactive(&project, &["bash", "--norc", "-i"], &bin(), script);
    assert_eq!(said.matches("there is no toolchains.lock").count(), 1, "{said}");
    contains(&said, &["<old 'value'>", "none"]);
    assert_eq!(server.log().len(), asked);
    project.assert_store_empty();
}
