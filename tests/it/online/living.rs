//! Programs are linked with the libraries of real packages and do what the libraries are for: where nothing of the host exists, with the libc of a tree, and on a machine that has
//! nothing but a glibc.
//!
//! The table is `tests/libraries/*.toml`: a file is a group, with a list of libraries. Each has its packages, the source of a program, what the program is asked of pkg-config and of
//! CMake's `find_package` for, and what it must print. `COTTER_LIBRARY=zlib` selects the libraries whose names contain `zlib`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::support::jail::jail;
use crate::support::server::trusted_tls;
use crate::support::{REPO, Scratch, contains, in_store, ok, text};

/// The toolchains that build all programs.
const TOOLCHAINS: &str = r#"
platforms = ["x86_64-linux"]

[toolchains.gcc]
kind = "cc"
source = "debian"
suite = "bookworm"
packages = ["gcc-12", "g++-12"]

[toolchains.pkg-config]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["pkgconf-bin"]
bin = { pkg-config = "usr/bin/pkgconf" }

[toolchains.cmake]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["cmake", "make", "dash"]
"#;
const TRIPLE: &str = "x86_64-linux-gnu";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    library: Vec<Library>,
}

/// A library, and a program that uses it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Library {
    name: String,
    packages: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    /// The end of the source's name: `c` or `cc`.
    language: String,
    source: String,
    /// Other files of the work directory.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// The names for which pkg-config is asked.
    #[serde(default)]
    pkg_config: Vec<String>,
    /// Further arguments of the compiler.
    #[serde(default)]
    flags: Vec<String>,
    /// Whether the program can be linked statically, too: with what pkg-config says, and these arguments behind it.
    #[serde(rename = "static")]
    static_: Option<Vec<String>>,
    /// What CMake is asked for.
    cmake: Option<Cmake>,
    /// What the program must print.
    prints: Vec<String>,
    /// Variables of the program's environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cmake {
    /// The arguments of `find_package`.
    find: Vec<String>,
    /// What the program is linked with.
    #[serde(default)]
    link: Vec<String>,
    /// Further lines before the program.
    #[serde(default)]
    lines: Vec<String>,
    /// Further sources of the program.
    #[serde(default)]
    sources: Vec<String>,
}

impl Group {
    fn named(name: &str) -> Self {
        let file = Path::new(REPO).join("tests/libraries").join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&file).unwrap();
        toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    }
}

/// The shared store, without the repository's own toolchains.
fn store() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("store")
}

/// A project with the toolchains and with trees of libraries, all of them set up.
struct Workshop {
    scratch: Scratch,
}

impl Workshop {
    /// The tables of the libraries are added to the manifest.
    fn new(libraries: &toml::Table) -> Self {
        let scratch = Scratch::new();
        let tables = toml::to_string(libraries).unwrap();
        scratch.write("toolchains.toml", format!("{TOOLCHAINS}\n{tables}"));
        ok(&mut in_store(&store(), scratch.path(), &["setup", "--quiet"]));
        Workshop { scratch }
    }

    fn of_packages(packages: &[&str]) -> Self {
        let packages = packages.iter().map(|p| (*p).to_owned()).collect();
        Workshop::new(&table([("lib".to_owned(), packages, vec![])]))
    }

    fn work(&self) -> PathBuf {
        let work = self.scratch.join("work");
        std::fs::create_dir_all(&work).unwrap();
        work
    }

    fn path(&self, name: &str) -> PathBuf {
        ok(&mut in_store(&store(), self.scratch.path(), &["path", name])).trim().into()
    }

    /// Runs a command with the tree of a library in the work directory.
    fn exec(&self, library: &str, command: &[&str]) -> String {
        ok(&mut self.executed(library, command))
    }

    fn executed(&self, library: &str, command: &[&str]) -> Command {
        let args = ["exec", "gcc", "pkg-config", "cmake", library, "--"];
        let args: Vec<&str> = args.into_iter().chain(command.iter().copied()).collect();
        let mut out = in_store(&store(), &self.work(), &args);
        out.env("COTTER_MANIFEST", self.scratch.join("toolchains.toml"));
        out
    }

    /// The variables that `cotter exec` sets for a program with the tree of a library.
    fn variables(&self, library: &str) -> BTreeMap<String, String> {
        let mut command =
            in_store(&store(), self.scratch.path(), &["env", "--json", "gcc", library]);
        // Those of the user would count more.
        command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        let json: serde_json::Value = serde_json::from_str(&ok(&mut command)).unwrap();
        let set = json["set"].as_object().unwrap();
        set.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    /// An empty jail with the variables of `cotter exec`.
    fn jail(&self, library: &str) -> Command {
        let mut command = jail(&store(), &self.work());
        for (name, value) in self.variables(library) {
            command.args(["--setenv", &name, &value]);
        }
        command
    }

    /// The same jail with a glibc, as on a machine that has nothing else.
    fn machine(&self, library: &str) -> Command {
        let mut command = self.jail(library);
        let gcc = self.path("gcc");
        let loader = "lib64/ld-linux-x86-64.so.2";
        command.arg("--ro-bind").arg(gcc.join(loader)).arg(Path::new("/").join(loader));
        for name in [
            "libc.so.6",
            "libm.so.6",
            "libmvec.so.1",
            "libdl.so.2",
            "libpthread.so.0",
            "libresolv.so.2",
            "librt.so.1",
            "libutil.so.1",
        ] {
            let of_tree = gcc.join("usr/lib").join(TRIPLE).join(name);
            command.arg("--ro-bind").arg(of_tree).arg(Path::new("/machine").join(name));
        }
        command.args(["--setenv", "LD_LIBRARY_PATH", "/machine"]);
        command
    }
}

/// The tables of a manifest for trees of libraries: names, packages, and packages to leave out.
fn table(libraries: impl IntoIterator<Item = (String, Vec<String>, Vec<String>)>) -> toml::Table {
    let mut tables = toml::Table::new();
    for (name, packages, exclude) in libraries {
        let mut table = toml::Table::new();
        for (key, value) in [("kind", "library"), ("source", "debian"), ("suite", "bookworm")] {
            table.insert(key.to_owned(), value.into());
        }
        table.insert("packages".to_owned(), packages.into());
        if !exclude.is_empty() {
            table.insert("exclude".to_owned(), exclude.into());
        }
        tables.insert(name, table.into());
    }
    [("toolchains".to_owned(), toml::Value::Table(tables))].into_iter().collect()
}

/// A library of the table in its workshop.
struct Case<'a> {
    shop: &'a Workshop,
    library: &'a Library,
    /// The name of its toolchain.
    tree: String,
}

impl Case<'_> {
    fn source(&self) -> String {
        format!("{}/main.{}", self.tree, self.library.language)
    }

    fn pkg_config(&self, mode: &[&str]) -> Vec<String> {
        if self.library.pkg_config.is_empty() {
            return vec![];
        }
        let names = self.library.pkg_config.iter().map(String::as_str);
        let args = ["pkg-config"].into_iter().chain(mode.iter().copied());
        let args: Vec<&str> = args.chain(["--cflags", "--libs"]).chain(names).collect();
        self.shop.exec(&self.tree, &args).split_whitespace().map(str::to_owned).collect()
    }

    /// Compiles the program.
    fn compile(&self, out: &str, before: &[&str], options: &[String], after: &[String]) {
        let compiler = if self.library.language == "c" { "gcc" } else { "g++" };
        let (source, out) = (self.source(), format!("{}/{out}", self.tree));
        let mut args = vec![compiler];
        args.extend(before);
        args.extend([source.as_str(), "-o", &out]);
        for list in [options, &self.library.flags, after] {
            args.extend(list.iter().map(String::as_str));
        }
        self.shop.exec(&self.tree, &args);
    }

    fn build_with_cmake(&self, cmake: &Cmake) {
        let finds = cmake.find.iter().map(|find| format!("find_package({find} REQUIRED)\n"));
        let text = format!(
            "cmake_minimum_required(VERSION 3.16)\nproject(a C CXX)\nset(CMAKE_CXX_STANDARD 17)\n{}{}\nadd_executable(by-cmake main.{} {})\ntarget_link_libraries(by-cmake {})\n",
            finds.collect::<String>(),
            cmake.lines.join("\n"),
            self.library.language,
            cmake.sources.join(" "),
            cmake.link.join(" "),
        );
        self.shop.scratch.write(&format!("work/{}/CMakeLists.txt", self.tree), text);
        let build = format!("{}/build", self.tree);
        let configure = ["cmake", "-G", "Unix Makefiles", "-S", &self.tree, "-B", &build];
        let said = self.shop.exec(&self.tree, &configure);
        for line in said.lines().filter(|line| line.contains("Found ")) {
            for path in line.split(['"', ' ', ';']).filter(|word| word.starts_with('/')) {
                assert!(!path.starts_with("/usr"), "{}: {line}", self.library.name);
            }
        }
        self.shop.exec(&self.tree, &["cmake", "--build", &build]);
    }

    /// Runs a program at a place, and checks what it prints.
    fn run(&self, mut place: Command, program: &str, problems: &mut Vec<String>) {
        for (name, value) in &self.library.env {
            place.args(["--setenv", name, value]);
        }
        let path = self.shop.work().join(&self.tree);
        let output = place.arg("--chdir").arg(&path).arg(path.join(program)).output().unwrap();
        let said = text(&output);
        let about = format!("{} ({program}): {}", self.library.name, output.status);
        if !output.status.success() {
            problems.push(format!("{about}\n{said}"));
        }
        for part in &self.library.prints {
            if !said.contains(part) {
                problems.push(format!("{about}: {part:?} is not in the output:\n{said}"));
            }
        }
    }

    fn prove(&self, problems: &mut Vec<String>) {
        let library = self.library;
        self.shop.scratch.write(&format!("work/{}", self.source()), &library.source);
        for (name, text) in &library.files {
            self.shop.scratch.write(&format!("work/{}/{name}", self.tree), text);
        }
        let shared = self.pkg_config(&[]);
        if !library.pkg_config.is_empty() || !library.flags.is_empty() {
            self.compile("shared", &[], &shared, &[]);
            self.run(self.shop.machine(&self.tree), "shared", problems);
            self.compile("pinned", &["-specs=pinned-libc.specs"], &shared, &[]);
            self.run(self.shop.jail(&self.tree), "pinned", problems);
        }
        if let Some(after) = &library.static_ {
            let options = self.pkg_config(&["--static"]);
            self.compile("static", &["-static"], &options, after);
            self.run(self.shop.jail(&self.tree), "static", problems);
        }
        if let Some(cmake) = &library.cmake {
            self.build_with_cmake(cmake);
            self.run(self.shop.machine(&self.tree), "build/by-cmake", problems);
        }
    }
}

/// Builds and runs the programs of a group. All problems are told together.
fn prove(name: &str) {
    let group = Group::named(name);
    let selected = std::env::var("COTTER_LIBRARY").unwrap_or_default();
    let libraries: Vec<&Library> =
        group.library.iter().filter(|library| library.name.contains(&selected)).collect();
    if libraries.is_empty() {
        return;
    }
    let name = |i: usize| format!("lib-{i}");
    let rows = libraries.iter().enumerate();
    let shop = Workshop::new(&table(
        rows.clone().map(|(i, l)| (name(i), l.packages.clone(), l.exclude.clone())),
    ));
    let mut problems = vec![];
    for (i, library) in rows {
        let case = Case { shop: &shop, library, tree: name(i) };
        // What cannot be built ends the test of one library, and not that of the others.
        let proof = std::panic::AssertUnwindSafe(|| case.prove(&mut problems));
        if std::panic::catch_unwind(proof).is_err() {
            problems.push(format!("{}: see above", library.name));
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

macro_rules! groups {
    ($($(#[$ignore:meta])? $name:ident)*) => {
        $(
            #[test]
            $(#[$ignore])?
            fn $name() {
                prove(stringify!($name));
            }
        )*

        const GROUPS: &[&str] = &[$(stringify!($name)),*];
    };
}

groups! {
    basics
    #[ignore = "full suite: large packages"] code
    #[ignore = "full suite: large packages"] desktop
    #[ignore = "full suite: many packages"] formats
    #[ignore = "full suite: large packages"] network
    #[ignore = "full suite: large packages"] pictures
}

/// A client of TLS that trusts what its OpenSSL trusts by default: `tls PORT`.
const TLS: &str = r#"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
int main(int argc, char **argv) {
  SSL_CTX *x = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_default_verify_paths(x);
  SSL_CTX_set_verify(x, SSL_VERIFY_PEER, NULL);
  printf("%d certificates, by default in %s\n", sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(x))), X509_get_default_cert_dir());
  if (argc < 2) return 0;
  BIO *b = BIO_new_ssl_connect(x);
  SSL *s;
  BIO_get_ssl(b, &s);
  SSL_set1_host(s, "localhost");
  BIO_set_conn_hostname(b, "127.0.0.1");
  BIO_set_conn_port(b, argv[1]);
  if (BIO_do_connect(b) <= 0) {
    printf("refused: %s\n", X509_verify_cert_error_string(SSL_get_verify_result(s)));
    return 1;
  }
  printf("shook hands by %s\n", SSL_get_version(s));
}
"#;

/// Programs that are linked with a tree's OpenSSL verify servers: with the certificates of the tree under `cotter exec`, with those that the user selects, and otherwise with those of
/// the machine.
#[test]
fn a_program_finds_certificates() {
    let shop = Workshop::of_packages(&["libssl-dev", "ca-certificates"]);
    shop.scratch.write("work/tls.c", TLS);
    for (program, specs) in [("tls", None), ("pinned", Some("-specs=pinned-libc.specs"))] {
        let mut args = vec!["gcc", "tls.c", "-o", program, "-lssl", "-lcrypto"];
        args.extend(specs);
        shop.exec("lib", &args);
    }
    let path = |program: &str| shop.work().join(program);
    // The tree's certificates are those of the package: more than a hundred.
    let count = |said: &str| -> u32 { said.split(' ').next().unwrap().parse().unwrap() };
    for (place, program) in [(shop.machine("lib"), "tls"), (shop.jail("lib"), "pinned")] {
        let mut place = place;
        let said = ok(place.arg(path(program)));
        assert!(count(&said) > 100, "{said}");
        contains(&said, &["by default in /usr/lib/ssl/certs"]);
    }
    // Where neither the tree nor the machine has certificates, none is found, and nothing is verified.
    let bare = ok(jail(&store(), &shop.work()).arg(path("pinned")));
    assert_eq!(count(&bare), 0, "{bare}");

    let (port, certificate) = trusted_tls("localhost", b"hello".to_vec());
    let file = shop.scratch.write("work/ca.pem", certificate);
    let port = port.to_string();
    let shake = |certificates: Option<&Path>| {
        let args = ["exec", "gcc", "lib", "--", path("pinned").to_str().unwrap(), &port]
            .map(str::to_owned);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = in_store(&store(), shop.scratch.path(), &args);
        command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        command.envs(certificates.map(|file| ("SSL_CERT_FILE", file)));
        let output = command.output().unwrap();
        (output.status.success(), text(&output))
    };
    let (trusted, said) = shake(Some(&file));
    assert!(trusted, "{said}");
    contains(&said, &["1 certificates", "shook hands by TLSv1.3"]);
    let (trusted, said) = shake(None);
    assert!(!trusted && count(&said) > 100, "{said}");
    contains(&said, &["refused: self-signed certificate"]);
}

/// What a tree of libraries lacks is told when it is locked.
#[test]
fn missing_certificates_and_fonts_are_told() {
    let lock = |packages: &[&str], exclude: &[&str]| {
        let scratch = Scratch::new();
        let [packages, exclude] =
            [packages, exclude].map(|list| list.iter().map(|p| (*p).to_owned()).collect());
        let tables = table([("lib".to_owned(), packages, exclude)]);
        let tables = toml::to_string(&tables).unwrap();
        scratch.write("toolchains.toml", format!("platforms = [\"x86_64-linux\"]\n{tables}"));
        let output = in_store(&store(), scratch.path(), &["lock"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    let said = lock(&["libssl-dev", "libfontconfig-dev"], &["fonts-dejavu-core"]);
    contains(&said, &["trust the certificates of the machine", "add \"ca-certificates\""]);
    contains(&said, &["fontconfig finds no font in the tree", "add \"fonts-dejavu-core\""]);
    let said = lock(&["libssl-dev", "ca-certificates", "libfontconfig-dev"], &[]);
    assert!(!said.contains("certificates of the machine") && !said.contains("no font"), "{said}");
}

/// pkg-config does not repeat the directories in which the compiler searches by itself, and the answers about large libraries stay short.
/// `find_package` takes the parents of the directories in PATH for prefixes.
#[test]
fn a_pinned_cmake_finds_no_package_of_the_machine() {
    let shop = Workshop::of_packages(&["zlib1g-dev"]);
    let local = shop.work().join("local");
    let write = |name: &str, text: &str| {
        let path = local.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib/cmake/Planted/PlantedConfig.cmake", "set(Planted_FOUND TRUE)\n");
    write("bin/planted", "");
    write(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.16)\nproject(a C)\nfind_package(ZLIB REQUIRED)\nfind_package(Planted)\nmessage(STATUS \"planted: ${Planted_FOUND} ${Planted_DIR}\")\n",
    );
    let configure = |more: &[&str]| {
        let mut command = Command::new("bwrap");
        command.args(["--dev-bind", "/", "/", "--bind"]).arg(&local).arg("/usr/local");
        let cmake = ["cmake", "-G", "Unix Makefiles", "-S", "/usr/local", "-B", "/usr/local/b"];
        let cmake: Vec<&str> = cmake.into_iter().chain(more.iter().copied()).collect();
        let cotter = shop.executed("lib", &cmake);
        command.arg("--chdir").arg(cotter.get_current_dir().unwrap());
        for (name, value) in cotter.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let said = ok(command.arg(cotter.get_program()).args(cotter.get_args()));
        std::fs::remove_dir_all(local.join("b")).unwrap();
        said
    };
    contains(&configure(&[]), &["Found ZLIB", "planted: 0 Planted_DIR-NOTFOUND"]);
    let named = configure(&["-DCMAKE_PREFIX_PATH=/usr/local"]);
    contains(&named, &["planted: 1 /usr/local/lib/cmake/Planted"]);
}

/// A sysroot stands for the system of the target: what `/usr` has there is found, and nothing of this machine.
#[test]
fn a_pinned_cmake_searches_a_sysroot() {
    let shop = Workshop::of_packages(&["zlib1g-dev"]);
    for (name, text) in [
        ("other/usr/lib/cmake/Planted/PlantedConfig.cmake", "set(Planted_FOUND TRUE)\n"),
        ("other/usr/lib/libplanted.a", ""),
        ("other/usr/include/planted.h", ""),
        ("other/usr/bin/planted-program", "#!/bin/sh\n"),
        (
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.16)\nset(CMAKE_C_COMPILER_WORKS 1)\nproject(a C)\nfind_library(LIB planted)\nfind_path(HEADER planted.h)\nfind_program(PROGRAM planted-program)\nfind_package(Planted)\n\
             find_path(MACHINE stdio.h)\nmessage(STATUS \"found ${LIB} ${HEADER} ${Planted_DIR} ${PROGRAM} ${MACHINE}\")\n",
        ),
    ] {
        shop.scratch.write(&format!("work/{name}"), text);
    }
    let program = shop.work().join("other/usr/bin/planted-program");
    std::fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let other = shop.work().join("other").display().to_string();
    let found = format!(
        "found {other}/usr/lib/libplanted.a {other}/usr/include {other}/usr/lib/cmake/Planted"
    );
    let foreign = ["LIBRARY", "INCLUDE", "PACKAGE"]
        .map(|what| format!("-DCMAKE_FIND_ROOT_PATH_MODE_{what}=ONLY"))
        .to_vec();
    let foreign = [foreign, vec!["-DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER".to_owned()]].concat();
    for variable in ["CMAKE_SYSROOT", "CMAKE_FIND_ROOT_PATH"] {
        let root = format!("-D{variable}={other}");
        for more in [vec![], foreign.clone()] {
            let mut command = vec!["cmake", "-G", "Unix Makefiles", "-S", ".", "-B", "b", &root];
            command.extend(more.iter().map(String::as_str));
            let said = shop.exec("lib", &command);
            let of_programs = match more.is_empty() {
                true => format!("{other}/usr/bin/planted-program"),
                false => "PROGRAM-NOTFOUND".to_owned(),
            };
            contains(&said, &[&format!("{found} {of_programs} ")]);
            assert!(!said.contains(" /usr/"), "{said}");
            std::fs::remove_dir_all(shop.work().join("b")).unwrap();
        }
    }
}

#[test]
fn pkg_config_knows_the_directories_of_the_trees() {
    let shop = Workshop::of_packages(&["libcairo2-dev"]);
    let said = shop.exec("lib", &["pkg-config", "--cflags", "--libs", "zlib"]);
    assert_eq!(said.trim(), "-lz");
    let said = shop.exec("lib", &["pkg-config", "--static", "--cflags", "--libs", "cairo"]);
    assert!(said.len() < 10_000, "{} bytes: {said}", said.len());
    assert!(!said.contains("-L"), "{said}");
    contains(&said, &["/include/cairo", "-lcairo"]);
    // Without a compiler that searches in the trees by itself, nothing is left out.
    let args = ["exec", "pkg-config", "lib", "--", "pkg-config", "--libs", "zlib"];
    let alone = ok(&mut in_store(&store(), shop.scratch.path(), &args));
    contains(&alone, &["-L", "-lz"]);
}

/// trixie's base-files has the directories of a merged system and the links to them.
#[test]
fn a_package_with_the_directory_and_the_link_of_a_merged_system() {
    let manifest = |kind: &str| {
        format!(
            "platforms = [\"x86_64-linux\"]\n\n[settings]\ncheck_valid_until = false\n\n[toolchains.base]\nkind = \"{kind}\"\nsource = \"debian\"\nsuite = \"trixie\"\npackages = [\"base-files\", \"zlib1g\", \"libc6\"]\n"
        )
    };
    for kind in ["library", "tool"] {
        let scratch = Scratch::new();
        scratch.write("toolchains.toml", manifest(kind));
        ok(&mut in_store(&store(), scratch.path(), &["setup", "--quiet"]));
        let tree = ok(&mut in_store(&store(), scratch.path(), &["path", "base"]));
        let library = Path::new(tree.trim()).join("usr/lib").join(TRIPLE).join("libz.so.1");
        assert!(library.exists(), "{kind}: {}", library.display());
    }
}

/// What the manifest keeps stays, with a loader of the tree, and the libc that it needs is not offered to what is linked with the libraries.
#[test]
fn what_is_kept_stays_and_starts() {
    let mut tables = table([("lib".to_owned(), vec!["bzip2".to_owned()], vec![])]);
    let lib = tables["toolchains"]["lib"].as_table_mut().unwrap();
    lib.insert("keep".to_owned(), vec!["usr/bin/bzip2".to_owned()].into());
    let shop = Workshop::new(&tables);
    let tree = shop.path("lib");
    let output = shop.jail("lib").arg(tree.join("usr/bin/bzip2")).arg("--help").output().unwrap();
    contains(&text(&output), &["a block-sorting file compressor", "usage: bzip2"]);
    assert!(!tree.join("usr/lib").join(TRIPLE).join("libc.so.6").exists());
    assert!(!tree.join("usr/bin/bzdiff").exists(), "nothing asks for it");
}

/// A library tree whose manifest names the libc has its programs all the same.
#[test]
fn programs_stay_beside_a_libc_that_is_named() {
    let shop = Workshop::of_packages(&["libglib2.0-dev", "libc6-dev"]);
    let program = shop.path("lib").join("usr/bin/glib-compile-resources");
    contains(&ok(Command::new(program).env_clear().arg("--version")), &["2.74"]);
}

/// Reads a setting of a package.
const SETTINGS: &str = r#"
#include <gio/gio.h>
int main(void) {
  g_autoptr(GSettings) s = g_settings_new("org.gnome.desktop.interface");
  g_autofree char *font = g_settings_get_string(s, "font-name");
  g_print("font %s\n", font);
}
"#;

/// Programs read the settings of a tree, although nobody compiled them, and the programs that list settings and modules are there to build with.
#[test]
fn settings_are_compiled_and_their_compiler_is_there() {
    let shop = Workshop::of_packages(&[
        "libglib2.0-dev",
        "libgdk-pixbuf-2.0-dev",
        "gsettings-desktop-schemas",
        "glib-networking",
    ]);
    shop.scratch.write("work/settings.c", SETTINGS);
    let found = shop.exec("lib", &["pkg-config", "--cflags", "--libs", "gio-2.0"]);
    for (program, specs) in [("settings", None), ("pinned", Some("-specs=pinned-libc.specs"))] {
        let mut args = vec!["gcc", "settings.c", "-o", program];
        args.extend(found.split_whitespace().chain(specs));
        shop.exec("lib", &args);
    }
    for (mut place, program) in [(shop.machine("lib"), "settings"), (shop.jail("lib"), "pinned")] {
        let said = ok(place.arg(shop.work().join(program)));
        assert_eq!(said, "font Cantarell 11\n", "{program}");
    }
    // pkg-config says where the compiler is, and it compiles what a project brings.
    shop.scratch.write("work/own/own.gschema.xml", "<schemalist><schema id='own' path='/own/'><key name='k' type='i'><default>42</default></key></schema></schemalist>");
    for (package, variable) in [
        ("gio-2.0", "glib_compile_schemas"),
        ("gio-2.0", "gio_querymodules"),
        ("gdk-pixbuf-2.0", "gdk_pixbuf_query_loaders"),
    ] {
        let program = shop.exec("lib", &["pkg-config", "--variable", variable, package]);
        let program = Path::new(program.trim());
        match variable {
            "glib_compile_schemas" => {
                ok(shop.jail("lib").arg(program).arg(shop.work().join("own")));
                assert!(shop.work().join("own/gschemas.compiled").exists());
            }
            // What it lists of a copy is what the tree has.
            "gio_querymodules" => {
                let modules = shop.path("lib").join("usr/lib").join(TRIPLE).join("gio/modules");
                let copy = shop.work().join("modules");
                std::fs::create_dir_all(&copy).unwrap();
                for name in ["libgiognutls.so", "libgiognomeproxy.so", "libgiolibproxy.so"] {
                    std::fs::copy(modules.join(name), copy.join(name)).unwrap();
                }
                ok(shop.jail("lib").arg(program).arg(&copy));
                let read =
                    |dir: &Path| std::fs::read_to_string(dir.join("giomodule.cache")).unwrap();
                let listed: BTreeSet<String> = read(&copy).lines().map(str::to_owned).collect();
                let ours = read(&modules).lines().map(str::to_owned).collect();
                assert!(listed.len() == 3 && listed.is_subset(&ours), "{listed:?} {ours:?}");
            }
            _ => contains(&ok(shop.jail("lib").arg(program)), &["GdkPixbuf Image Loader Modules"]),
        }
    }
}

/// An input method of GTK 3, which is a module of its own, is found without a display.
const METHOD: &str = r#"
#include <gtk/gtk.h>
int main(int argc, char **argv) {
  gtk_init_check(&argc, &argv);
  GtkIMContext *c = gtk_im_multicontext_new();
  gtk_im_multicontext_set_context_id(GTK_IM_MULTICONTEXT(c), "multipress");
  gtk_im_context_reset(c);
  char *text; PangoAttrList *list; int at;
  gtk_im_context_get_preedit_string(c, &text, &list, &at);
  g_print("method %s\n", g_type_from_name("GtkImContextMultipress") ? "loaded" : "missing");
}
"#;

/// The list of input methods is that which GTK's own program writes, and programs find the modules in it.
#[test]
#[ignore = "full suite: large packages"]
fn input_methods_of_gtk_are_listed() {
    let shop = Workshop::of_packages(&["libgtk-3-dev", "fonts-dejavu-core"]);
    let tree = shop.path("lib");
    let libraries = tree.join("usr/lib").join(TRIPLE);
    let listed = ok(shop.jail("lib").arg(libraries.join("libgtk-3-0/gtk-query-immodules-3.0")));
    let ours = std::fs::read_to_string(libraries.join("gtk-3.0/3.0.0/immodules.cache")).unwrap();
    let lines = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let bare = |line: &str| match line.strip_prefix("\"/").and_then(|l| l.rsplit_once('/')) {
            Some((_, name)) => format!("\"{name}"),
            None => line.to_owned(),
        };
        lines.map(bare).collect()
    };
    assert!(lines(&ours).len() > 20, "{ours}");
    assert!(lines(&listed) == lines(&ours), "{listed}\n{ours}");
    shop.scratch.write("work/method.c", METHOD);
    let found = shop.exec("lib", &["pkg-config", "--cflags", "--libs", "gtk+-3.0"]);
    let mut args = vec!["gcc", "method.c", "-o", "method"];
    args.extend(found.split_whitespace());
    shop.exec("lib", &args);
    let said = ok(shop.machine("lib").arg(shop.work().join("method")));
    contains(&said, &["method loaded"]);
}

/// Libraries of a newer release need a newer glibc than the compiler has: the link fails, and locking says why.
#[test]
fn libraries_for_a_newer_libc_than_that_of_the_compiler_are_told() {
    let mut tables = table([("ssl".to_owned(), vec!["libssl-dev".to_owned()], vec![])]);
    let lock = |tables: &toml::Table| {
        let scratch = Scratch::new();
        let tables = toml::to_string(tables).unwrap();
        let gcc = "[settings]\ncheck_valid_until = false\n[toolchains.gcc]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"gcc-12\", \"libc6-dev\"]\n";
        scratch.write("toolchains.toml", format!("{gcc}{tables}"));
        text(&in_store(&store(), scratch.path(), &["lock"]).output().unwrap())
    };
    assert!(!lock(&tables).contains("glibc"));
    tables["toolchains"]["ssl"].as_table_mut().unwrap().insert("suite".to_owned(), "trixie".into());
    contains(
        &lock(&tables),
        &[
            "ssl for x86_64-linux: usr/lib/x86_64-linux-gnu/lib",
            "needs glibc 2.38, and the compiler gcc has glibc 2.36: it can't link programs with that library",
        ],
    );
}

/// Every file of the table has its test.
#[test]
fn the_table_is_whole() {
    let files = std::fs::read_dir(Path::new(REPO).join("tests/libraries")).unwrap();
    let files = files.map(|e| e.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> =
        files.filter_map(|f| Some(f.strip_suffix(".toml")?.to_owned())).collect();
    assert_eq!(files, GROUPS.iter().map(|g| (*g).to_owned()).collect());
    let libraries: Vec<Library> = GROUPS.iter().flat_map(|g| Group::named(g).library).collect();
    let names: BTreeSet<&String> = libraries.iter().map(|library| &library.name).collect();
    assert_eq!(names.len(), libraries.len(), "two libraries of the table have one name");
    assert!(libraries.iter().all(|library| !library.prints.is_empty()));
    assert!(libraries.len() >= 40, "{} libraries", libraries.len());
}
