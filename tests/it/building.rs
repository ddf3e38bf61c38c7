//! The manifest of what is built from source. Nothing of it needs a network.

use crate::support::{Project, contains};

const TOOLS: &str = "platforms = [\"x86_64-linux\"]\n[toolchains.gcc]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"gcc-12\"]\n[toolchains.zlib]\nkind = \"library\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"zlib1g-dev\"]\n";

#[test]
fn a_wrong_build_is_told_with_its_place() {
    let build =
        "[toolchains.x]\nkind = \"tool\"\nsource = \"build\"\nversion = \"1\"\nurl = \"./x.tar\"\n";
    for (rest, expected) in [
        (
            "with = \"gcc\"\n",
            &[
                "toolchains.toml:12:13: a build needs the key \"recipe\" (one of \"autotools\", \"cargo\", \"cmake\", \"cpython\", \"go\", \"make\", \"meson\") or \"steps\"",
            ][..],
        ),
        (
            "steps = \"make\"\n",
            &[
                "a build needs the key \"with\": the toolchains with its compiler, its shell and its tools",
            ],
        ),
        (
            "with = [\"gcc\", \"tols\"]\nsteps = \"make\"\n",
            &["toolchains.toml:17:16: there is no toolchain \"tols\""],
        ),
        (
            "with = \"zlib\"\nsteps = \"make\"\n",
            &["toolchains.toml:17:8: \"zlib\" has libraries: name it in `libraries`"],
        ),
        (
            "with = \"gcc\"\nlibraries = \"gcc\"\nsteps = \"make\"\n",
            &[
                "toolchains.toml:18:13: expected a toolchain of kind \"library\", \"gcc\" is of kind \"cc\": name it in `with`",
            ],
        ),
        (
            "with = [\"gcc\", \"x\"]\nsteps = \"make\"\n",
            &["toolchains.toml:17:16: x can't be built with itself"],
        ),
        ("with = \"gcc\"\nsteps = []\n", &["`steps` names no command"]),
        (
            "with = \"gcc\"\nsteps = \"make\"\nrecipe = \"make\"\n",
            &["toolchains.toml:19:10: expected one of `recipe` and `steps`, got two"],
        ),
        (
            "with = \"gcc\"\nrecipe = \"autotool\"\n",
            &[
                "toolchains.toml:18:10: expected one of",
                "for the recipe of a build, got \"autotool\"; did you mean \"autotools\"?",
            ],
        ),
        (
            "with = \"gcc\"\nrecipe = \"cpython\"\n",
            &["toolchains.toml:18:10: the recipe \"cpython\" makes toolchains of kind \"python\""],
        ),
        (
            "with = \"gcc\"\nsteps = \"make\"\noptions = \"-x\"\n",
            &["toolchains.toml:19:11: `options` are those of a recipe: write them into `steps`"],
        ),
        ("with = \"gcc\"\nsteps = \"make\"\npatches = \"/etc/x\"\n", &["toolchains.toml:19:11: "]),
        (
            "with = \"gcc\"\nsteps = \"make\"\npatches = \"../x\"\n",
            &["toolchains.toml:19:11: patches: "],
        ),
        (
            "with = \"gcc\"\nsteps = \"make\"\n[toolchains.x.build_env]\nPATH = \"/x\"\n",
            &["toolchains.toml:20:1: "],
        ),
        (
            "with = \"gcc\"\nsteps = \"make\"\nstep = 1\n",
            &["toolchains.toml:19:1: unknown key \"step\"", "did you mean"],
        ),
        (
            "platforms = [\"aarch64-linux\"]\nwith = \"gcc\"\nsteps = \"make\"\n",
            &[
                "toolchains.toml:18:8: \"gcc\" is not for aarch64-linux, and x is: add it to its `platforms`, or leave it out here",
            ],
        ),
    ] {
        let project = Project::new(&format!("{TOOLS}{build}{rest}"));
        contains(&project.fails(1, &["lock", "--check"]), expected);
    }
}

#[test]
fn keys_of_a_build_are_explained_elsewhere() {
    let text = format!("{TOOLS}with = \"gcc\"\n");
    let project = Project::new(&text);
    contains(
        &project.fails(1, &["lock", "--check"]),
        &[
            "unknown key \"with\"",
            "it belongs to source = \"build\", and this is source = \"debian\"",
        ],
    );
}
