//! `cotter emit editor`, and the tools that read what it writes: CMake, clangd and Pyright, all of them pinned.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Scratch, contains, in_store, ok, shared_store, text};

const MANIFEST: &str = r#"
platforms = ["x86_64-linux"]

[toolchains.gcc]
kind = "cc"
source = "debian"
suite = "bookworm"
packages = ["gcc-12", "g++-12"]

[toolchains.zlib]
kind = "library"
source = "debian"
suite = "bookworm"
packages = ["zlib1g-dev", "libcjson-dev"]

[toolchains.cmake]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["cmake", "ninja-build"]

[toolchains.clangd]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["clangd-16"]
bin = { clangd = "usr/bin/clangd-16" }

[toolchains.python]
kind = "python"
source = "debian"
suite = "bookworm"
packages = ["python3.11", "python3-pip", "python3.11-venv", "ca-certificates"]

[toolchains.uv]
kind = "tool"
source = "pypi"
version = "0.13.8"

[requirements.app]
inputs = ["requirements.in"]
python = "python"
uv = "uv"

[emit.editor]
"#;

/// A project that is set up, with what its editor reads.
struct Edited {
    scratch: Scratch,
}

impl Edited {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.write("toolchains.toml", MANIFEST);
        scratch.write("requirements.in", "idna==3.7\npyright[nodejs]\n");
        scratch.write(
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.21)\nproject(x C CXX)\nadd_executable(x main.cpp part.c)\ntarget_link_libraries(x z)\n",
        );
        scratch.write(
            "main.cpp",
            "#include <limits.h>\n#include <mutex>\n#include <string>\n#include <vector>\n#include <zlib.h>\nextern \"C\" int part(void);\nint main() { std::vector<std::string> v{zlibVersion()}; return int(v.size()) == part() ? 0 : INT_MAX; }\n",
        );
        scratch.write(
            "part.c",
            "#include <immintrin.h>\n#include <stddef.h>\n#include <stdio.h>\nint part(void) { return (int)sizeof(char) + (int)offsetof(struct { int a; }, a); }\n",
        );
        Edited { scratch }
    }

    fn cotter(&self, arguments: &[&str]) -> Command {
        in_store(shared_store(), self.scratch.path(), arguments)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.scratch.join(name)).unwrap()
    }

    /// Returns the path of a pinned program.
    fn program(&self, name: &str) -> PathBuf {
        ok(&mut self.cotter(&["which", name])).trim().into()
    }

    /// Runs a pinned program without any of this machine's on PATH.
    fn run(&self, name: &str, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(self.program(name));
        command.args(arguments).current_dir(self.scratch.path()).env_clear();
        command.env("HOME", self.scratch.path()).env("PATH", "/nonexistent").output().unwrap()
    }

    /// Returns what clangd says of a source, whose last line tells how many errors there were.
    fn clangd(&self, arguments: &[&str], source: &str) -> String {
        let check = format!("--check={source}");
        text(&self.run("clangd", &[arguments, &[check.as_str()]].concat()))
    }

    /// Returns what Pyright says of a program.
    fn pyright(&self, program: &str) -> String {
        self.scratch.write("a.py", program);
        text(&self.cotter(&["exec", "app", "--", "pyright", "a.py"]).output().unwrap())
    }
}

#[test]
fn cmake_clangd_and_pyright_read_what_is_written() {
    let project = Edited::new();
    let theirs = "{\n    // ours\n    \"editor.rulers\": [100],\n}\n";
    project.scratch.write(".vscode/settings.json", theirs);
    project.scratch.write(".gitignore", "/.clangd\n.vscode/\n");
    let said = text(&project.cotter(&["setup"]).output().unwrap());
    contains(
        &said,
        &[
            "wrote .clangd, .vscode/settings.json, CMakeUserPresets.json, pyrightconfig.json",
            "run `cotter venv app`",
            "lines for .gitignore:\n    /CMakeUserPresets.json\n    /pyrightconfig.json\n",
        ],
    );
    ok(&mut project.cotter(&["emit", "editor", "--check"]));
    let settings = project.read(".vscode/settings.json");
    let path = |name: &str| project.program(name).display().to_string();
    contains(
        &settings,
        &[
            "    // ours\n    \"editor.rulers\": [100],\n",
            &format!("\"clangd.path\": \"{}\"", path("clangd")),
            &format!("\"cmake.cmakePath\": \"{}\"", path("cmake")),
            &format!("\"python.defaultInterpreterPath\": \"{}\"", path("python3")),
        ],
    );

    // clangd has no commands yet: what it knows of headers is that of `.clangd`.
    for source in ["main.cpp", "part.c"] {
        contains(&project.clangd(&[], source), &["All checks completed, 0 errors"]);
    }
    // Without the file, this machine's headers would be taken, and it has no such library.
    let clangd = project.read(".clangd");
    std::fs::remove_file(project.scratch.join(".clangd")).unwrap();
    project.scratch.write(
        "alone.cpp",
        "#include <cjson/cJSON.h>\nint main() { return cJSON_Version() == nullptr; }\n",
    );
    let alone = project.clangd(&[], "alone.cpp");
    assert!(!alone.contains("All checks completed, 0 errors"), "{alone}");
    project.scratch.write(".clangd", clangd);
    contains(&project.clangd(&[], "alone.cpp"), &["All checks completed, 0 errors"]);

    let configured = project.run("cmake", &["--preset", "cotter"]);
    assert!(configured.status.success(), "{}", text(&configured));
    contains(&project.read("build/cotter/CMakeCache.txt"), &[&path("g++"), &path("ninja")]);
    let built = project.run("cmake", &["--build", "--preset", "cotter"]);
    assert!(built.status.success(), "{}", text(&built));
    ok(&mut Command::new(project.scratch.join("build/cotter/x")));
    for source in ["main.cpp", "part.c"] {
        let said = project.clangd(&["--compile-commands-dir=build/cotter"], source);
        contains(&said, &["Compile command from CDB", "All checks completed, 0 errors"]);
    }

    let program = "import idna\nreveal_type(idna.encode('x'))\nimport numpy\n";
    let finds = ["is \"bytes\"", "\"numpy\" could not be resolved", "1 error"];
    contains(&project.pyright(program), &finds);
    // With an environment, the files name it, and what the editor starts finds the packages.
    ok(&mut project.cotter(&["venv", "app"]));
    let said = text(&project.cotter(&["emit", "editor"]).output().unwrap());
    contains(&said, &["wrote .vscode/settings.json", "wrote pyrightconfig.json"]);
    assert!(!said.contains("cotter venv"), "{said}");
    contains(&project.read(".vscode/settings.json"), &["\"${workspaceFolder}/.venv/bin/python\""]);
    contains(&project.pyright(program), &finds);
}

#[test]
fn what_is_there_already_stays() {
    let project = Edited::new();
    ok(&mut project.cotter(&["setup"]));
    let emit = |arguments: &[&str]| {
        let output = project.cotter(&[&["emit", "editor"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    project.scratch.write(".clangd", "CompileFlags: {}\n");
    project.scratch.write("CMakeUserPresets.json", "{ \"version\": 3 }\n");
    project.scratch.write(".vscode/settings.json", "{ \"a\": \n");
    std::fs::remove_file(project.scratch.join("pyrightconfig.json")).unwrap();
    project.scratch.write("pyproject.toml", "[tool.pyright]\nstrict = []\n");
    let said = emit(&[]);
    contains(
        &said,
        &[
            ".clangd stays as it is, because cotter did not write it; it would be:\n",
            "CMakeUserPresets.json stays as it is",
            ".vscode/settings.json stays as it is, because",
            "add:\n      \"C_Cpp.default.compilerPath\": ",
            "pyproject.toml has [tool.pyright]",
            "pythonVersion = \"3.11\"\n",
        ],
    );
    assert_eq!(project.read(".clangd"), "CompileFlags: {}\n");
    assert_eq!(project.read("CMakeUserPresets.json"), "{ \"version\": 3 }\n");
    assert_eq!(project.read(".vscode/settings.json"), "{ \"a\": \n");
    assert!(!project.scratch.join("pyrightconfig.json").exists());
    let json: serde_json::Value = {
        let output = project.cotter(&["emit", "editor", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(json["changed"].as_array().unwrap().len(), 0, "{json}");
    assert!(json["notes"].as_array().unwrap().len() >= 4, "{json}");

    // What somebody changed in a file of cotter is shown and taken back.
    std::fs::remove_file(project.scratch.join(".clangd")).unwrap();
    emit(&[]);
    let written = project.read(".clangd");
    project.scratch.write(".clangd", written.replace("-nostdinc++", "-O0"));
    let check = project.cotter(&["emit", "editor", "--check"]).output().unwrap();
    assert_eq!(check.status.code(), Some(3));
    contains(&text(&check), &["-    - \"-O0\"", "+    - \"-nostdinc++\"", "1 file is not"]);
    emit(&[]);
    assert_eq!(project.read(".clangd"), written);

    // A part of the toolchains leaves the files as they are, and one set must be named.
    let two = format!(
        "{MANIFEST}\n[requirements.other]\ninputs = [\"other.in\"]\npython = \"python\"\nuv = \"uv\"\n"
    );
    project.scratch.write("other.in", "idna==3.7\n");
    project.scratch.write("toolchains.toml", &two);
    let output = project.cotter(&["setup"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    contains(
        &text(&output),
        &["an editor can use one set", "got app and other", "[emit.editor] toolchains = [\"app\"]"],
    );
    project.scratch.write(
        "toolchains.toml",
        format!("{two}\n[emit.editor]\ntoolchains = [\"gcc\", \"other\"]\n").replacen(
            "[emit.editor]\n",
            "",
            1,
        ),
    );
    ok(&mut project.cotter(&["setup"]));
    ok(&mut project.cotter(&["emit", "editor", "--check"]));
}
