//! The same sources, resolved by cotter and by apt in a root of its own.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cotter::internals::{
    Additions, Digest, Evaluator, Fetcher, Http, Keyring, Kind, Lockfile, Manifest, Mirrors, NEVER,
    Patience, Platform, Problems, Proxies, Reporter, ResolveContext, Verbosity, bind_sources,
    machine_mirrors, recipe_of_kind,
};

use crate::support::debian::Signer;
use crate::support::server::Server;
use crate::support::{Project, REPO, Scratch, contains, ok, shared_store};

/// The suites of a release of Debian: archive and suite.
fn suites(release: &str) -> [(&'static str, String); 3] {
    [
        ("debian", release.to_owned()),
        ("debian", format!("{release}-updates")),
        ("debian-security", format!("{release}-security")),
    ]
}

/// Sets of packages that projects ask for.
const SETS: &[&str] = &[
    "gcc-12 g++-12 gfortran-12",
    "python3 python3-venv python3-pip",
    "git openssh-client",
    "curl ca-certificates",
    "openjdk-17-jre-headless fontconfig",
    "nginx nginx-common libnginx-mod-http-dav-ext",
    "postgresql-15",
    "redis-server",
    "nodejs npm",
    "ruby-full",
    "php-cli composer",
    "clang-16 lld-16",
    "cmake ninja-build pkg-config",
    "libgtk-3-dev",
    "qt6-base-dev",
    "libboost-all-dev",
    "libssl-dev libcurl4-openssl-dev libpq-dev",
    "ffmpeg imagemagick",
    "texlive-latex-base",
    "chromium",
];

/// More of them, for the full suite.
const MORE_SETS: &[&str] = &[
    "r-base",
    "octave",
    "libreoffice-writer",
    "gimp inkscape",
    "mariadb-server",
    "podman",
    "systemd",
    "emacs-nox vim",
    "blender",
    "gnuradio",
    "wine",
    "libopencv-dev",
    "libvtk9-dev",
    "gstreamer1.0-plugins-good gstreamer1.0-tools libgstreamer1.0-dev",
    "qtbase5-dev qtdeclarative5-dev qttools5-dev",
    "libwebkit2gtk-4.1-dev",
    "golang-go",
    "rustc cargo",
    "ghc cabal-install",
    "ocaml-nox opam",
    "erlang elixir",
    "openjdk-17-jdk maven gradle",
    "gcc-arm-none-eabi",
    "gcc-aarch64-linux-gnu g++-aarch64-linux-gnu",
    "libgrpc++-dev protobuf-compiler-grpc",
    "libhdf5-dev libopenblas-dev libeigen3-dev",
    "openmpi-bin libopenmpi-dev",
    "apache2 libapache2-mod-php",
    "samba",
    "postfix",
    "qemu-system-x86",
    "python3-numpy python3-scipy python3-matplotlib python3-pandas",
    "python3-django python3-flask gunicorn",
    "texlive-full",
    "doxygen graphviz",
    "swig bison flex",
    "valgrind gdb strace",
    "debhelper devscripts",
    "xvfb x11-apps",
    "ansible",
];

/// The lists of packages from which the distroless project makes its images, each with the release of Debian, as its
/// repository states them (`private/repos/deb`): base and C++ of both releases, Python, Java.
const DISTROLESS: &[(&str, &str)] = &[
    (
        "bookworm",
        "base-files ca-certificates libc6 libc-bin libssl3 netbase openssl tzdata media-types gcc-12-base libgcc-s1 libgomp1 libstdc++6",
    ),
    (
        "trixie",
        "base-files ca-certificates libc6 libc-bin libssl3t64 netbase openssl tzdata tzdata-legacy media-types zlib1g libzstd1 gcc-14-base libgcc-s1 libgomp1 libstdc++6 libatomic1",
    ),
    (
        "trixie",
        "libbz2-1.0 libcom-err2 libcrypt1 libdb5.3t64 libexpat1 libc-bin libffi8 libgssapi-krb5-2 libk5crypto3 libkeyutils1 libkrb5-3 libkrb5support0 liblzma5 libncursesw6 libnsl2 libpython3.13-minimal libpython3.13-stdlib libreadline8t64 libsqlite3-0 libtinfo6 libtirpc3t64 libuuid1 python3.13-venv python3.13-minimal zlib1g",
    ),
    (
        "trixie",
        "fontconfig-config fonts-dejavu-core libbrotli1 libbz2-1.0 libcrypt1 libexpat1 libfontconfig1 libfreetype6 libglib2.0-0t64 libgraphite2-3 libharfbuzz0b libjpeg62-turbo liblcms2-2 libpcre2-8-0 libpng16-16t64 libuuid1 zlib1g gcc-14-base libgcc-s1 libstdc++6",
    ),
];

/// Sets of trixie that other tools of this kind have resolved otherwise: packages that provide the names of others, and
/// libraries that were renamed.
const TRIXIE_SETS: &[&str] = &[
    "ffmpeg",
    "bash curl perl apt",
    "nginx nginx-common libnginx-mod-http-dav-ext",
    "gcc-14 g++-14",
    "clang-19 lld-19",
    "python3 python3-venv",
];

/// The base URLs of the machine's mirrors.
fn bases(archive: &str) -> Vec<String> {
    machine_mirrors(Path::new("/etc/apt"), archive)
}

/// A root of apt with nothing installed.
struct Apt(Scratch);

impl Apt {
    fn new(release: &str) -> Self {
        let lines: Vec<String> = suites(release)
            .iter()
            .map(|(archive, suite)| {
                let base = bases(archive).first().expect("the machine's apt has a mirror").clone();
                format!(
                    "deb [signed-by={REPO}/data/debian-archive-keyring.gpg] {base} {suite} main\n"
                )
            })
            .collect();
        Apt::of(&lines.concat())
    }

    /// A root with these sources.
    fn of(sources: &str) -> Self {
        let root = Scratch::new();
        for dir in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/trusted.gpg.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/log/apt",
        ] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        root.write("var/lib/dpkg/status", "");
        root.write("etc/apt/sources.list", sources);
        root.write(
            "apt.conf",
            format!(
                "Dir \"{root}\";\nDir::State::status \"{root}/var/lib/dpkg/status\";\nDir::Etc::main \"none\";\n\
                 APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\nAPT::Install-Recommends \"false\";\n\
                 APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\nAcquire::ForceHash \"SHA256\";\n",
                root = root.path().display()
            ),
        );
        let apt = Apt(root);
        ok(apt.command("apt-get").arg("update"));
        apt
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.0.join("apt.conf")).env("LC_ALL", "C.UTF-8");
        command
    }

    /// Returns the packages that apt would install: the names with the hashes.
    fn install(&self, set: &str) -> BTreeMap<String, String> {
        let mut command = self.command("apt-get");
        command.args(["install", "--print-uris", "--yes", "--no-install-recommends"]);
        let text = ok(command.args(set.split(' ')));
        let lines = text.lines().filter(|line| line.starts_with('\''));
        lines
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let name = words[1].split('_').next().unwrap().to_owned();
                (name, words[3].trim_start_matches("SHA256:").to_owned())
            })
            .collect()
    }
}

/// Returns the packages that cotter takes for each set, with the hashes: first all sets with `more[0]` as further lines of the
/// toolchains, then all with `more[1]`.
fn resolved(release: &str, sets: &[&str], more: [&str; 2]) -> Vec<BTreeMap<String, String>> {
    let suites = suites(release);
    let tables: Vec<String> = suites
        .iter()
        .map(|(archive, suite)| format!("{{ archive = {archive:?}, suite = {suite:?} }}"))
        .collect();
    let tables = tables.join(", ");
    let toolchain = |(i, (set, more)): (usize, (&&str, &str))| {
        let packages: Vec<String> = set.split(' ').map(|name| format!("{name:?}")).collect();
        format!(
            "[toolchains.t{i:03}]\nkind = \"library\"\nsource = \"debian\"\nsuite = [{tables}]\npackages = [{}]\n{more}\n",
            packages.join(", ")
        )
    };
    let all = more.into_iter().flat_map(|more| sets.iter().map(move |set| (set, more)));
    let text: String = all.enumerate().map(toolchain).collect();
    let all = taken(&text, Path::new("."));
    let each = all.into_iter().map(|(releases, packages)| {
        assert_eq!(releases, suites.each_ref().map(|(_, suite)| suite.as_str()));
        packages
    });
    each.collect()
}

/// Returns what the toolchains of a manifest take: the suites of their releases, and the packages with their hashes. `dir` has
/// the files that the manifest names.
fn taken(text: &str, dir: &Path) -> Vec<(Vec<String>, BTreeMap<String, String>)> {
    let mut problems = Problems::new("toolchains.toml", text);
    let manifest = Manifest::parse(text, &mut problems);
    let sources = bind_sources(&manifest, &mut problems);
    assert!(problems.lines().is_empty(), "{:?}", problems.lines());
    let scratch = Scratch::new();
    let http = Http::new(
        false,
        Patience {
            stall: std::time::Duration::from_secs(60),
            retries: 3,
            backoff: std::time::Duration::from_millis(100),
        },
        "",
        Proxies::of(&|name| std::env::var(name).ok()),
    );
    let apt = ["debian", "debian-security"].map(|archive| (archive.to_owned(), bases(archive)));
    let mirrors = Mirrors::new(BTreeMap::new(), apt.into(), Default::default());
    let fetcher = Fetcher::new(http, mirrors, scratch.join("inputs"));
    let reporter = Reporter::new(Verbosity::Normal, false);
    let keyring = Keyring::shipped().unwrap();
    let cx = ResolveContext {
        fetcher: &fetcher,
        reporter: &reporter,
        now: jiff::Timestamp::now(),
        keyring: &keyring,
        dir,
        evaluator: &Evaluator::default(),
        check_valid_until: false,
        known: vec![],
        index: RefCell::default(),
        lock: &Lockfile::default(),
    };
    let taken = sources.values().map(|source| {
        let recipe = recipe_of_kind(Kind::Library);
        let found =
            source.resolve(Platform::X86_64Linux, recipe, &Additions::default(), &cx).unwrap();
        let inputs = found.inputs.into_iter();
        (
            found.releases.iter().map(|release| release.suite.clone()).collect(),
            inputs.map(|input| (input.component.name, input.sha256.hex())).collect(),
        )
    });
    taken.collect()
}

/// Compares the closures. The packages that cotter leaves out because no tree runs a maintainer script, and those that the
/// recipe leaves out, are included by name: then both take the same packages. Without that, cotter takes some of them.
fn compare(release: &str, sets: &[&str]) {
    let apt = Apt::new(release);
    let left_out = recipe_of_kind(Kind::Library).left_out_packages();
    let include: Vec<String> =
        NEVER.iter().chain(left_out).map(|name| format!("{name:?}")).collect();
    let include = format!("include = [{}]\ninclude_essential = false", include.join(", "));
    let mut problems = vec![];
    let mut equal = 0;
    let mut resolved = resolved(release, sets, [&include, "include_essential = false"]);
    let usual = resolved.split_off(sets.len());
    for ((set, ours), usual) in sets.iter().zip(resolved).zip(usual) {
        let theirs = apt.install(set);
        for (name, hash) in usual.iter().filter(|(name, hash)| theirs.get(*name) != Some(*hash)) {
            problems.push(format!("{set}: usually, cotter takes {name}, {hash}, and apt does not"));
        }
        assert!(usual.len() < theirs.len(), "{set}: nothing of what apt takes is left out");
        for name in set.split(' ') {
            assert!(ours.contains_key(name) && theirs.contains_key(name), "{name} of {set}");
        }
        let only = |these: &BTreeMap<String, String>, those: &BTreeMap<String, String>| {
            let those: BTreeSet<&String> = those.keys().collect();
            these.keys().filter(|name| !those.contains(name)).cloned().collect::<Vec<_>>()
        };
        let (missing, extra) = (only(&theirs, &ours), only(&ours, &theirs));
        if !missing.is_empty() || !extra.is_empty() {
            problems.push(format!("{set}: only apt takes {missing:?}, only cotter {extra:?}"));
        }
        for (name, hash) in &ours {
            match theirs.get(name) {
                Some(other) if other != hash => {
                    problems.push(format!("{set}: {name} is {hash}, and {other} for apt"))
                }
                _ => equal += 1,
            }
        }
    }
    eprintln!("{} sets, {equal} packages are equal", sets.len());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn twenty_sets_resolve_as_apt_resolves_them() {
    compare("bookworm", SETS);
}

#[test]
#[ignore = "more sets of packages: for the full suite"]
fn many_more_sets_resolve_as_apt_resolves_them() {
    compare("bookworm", MORE_SETS);
}

#[test]
fn the_lists_of_distroless_and_sets_of_trixie_resolve_as_apt_resolves_them() {
    for release in ["bookworm", "trixie"] {
        let of = DISTROLESS.iter().filter(|(of, _)| *of == release);
        let mut sets: Vec<&str> = of.map(|(_, list)| *list).collect();
        if release == "trixie" {
            sets.extend(TRIXIE_SETS);
        }
        compare(release, &sets);
    }
}

/// A number below `below`, which follows from `state` alone.
fn next(state: &mut u32, below: usize) -> usize {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*state >> 16) as usize % below
}

/// An index of eight packages that provide names and mention each other, and of one that depends on what they provide.
fn index_of_providers(state: &mut u32, number: usize) -> String {
    let mut order: Vec<usize> = (0..8).collect();
    for i in 0..order.len() {
        order.swap(i, next(state, 8));
    }
    let stanza = |name: &str, fields: &str| {
        format!(
            "Package: {name}\nVersion: 1\nArchitecture: amd64\n{fields}Filename: ./{name}.deb\nSize: 1\nSHA256: {}\n\n",
            Digest::of(name.as_bytes())
        )
    };
    let wants = "Depends: virtual-a, virtual-b | virtual-c\n";
    let mut out = if number == 0 { stanza("wanting", wants) } else { String::new() };
    for package in order {
        let mut fields = format!("Provides: virtual-{}\n", ["a", "b", "c"][next(state, 3)]);
        for field in ["Recommends", "Suggests", "Replaces", "Enhances"] {
            if next(state, 3) == 0 {
                let architecture = ["", ":any", ":amd64"][next(state, 3)];
                fields += &format!("{field}: p{}{architecture}\n", next(state, 8));
            }
        }
        fields += ["", "Priority: optional\n", "Priority: important\n"][next(state, 3)];
        out += &stanza(&format!("p{}", package + 8 * number), &fields);
    }
    out
}

/// Of several packages that provide a name, both take the same: from one index and from two.
#[test]
fn providers_are_chosen_as_apt_chooses_them() {
    let (server, signer, scratch) = (Server::start(), Signer::new(), Scratch::new());
    scratch.write("key.asc", signer.public());
    let mut state = 7;
    let mut decided = 0;
    for round in 0..24 {
        let (mut apt_sources, mut suites) = (String::new(), vec![]);
        for number in 0..1 + round % 2 {
            let name = format!("r{round}-{number}");
            let index = index_of_providers(&mut state, number);
            let digest = Digest::of(index.as_bytes());
            let release = format!(
                "Origin: Test\nSuite: {name}\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n {digest} {} Packages\n",
                index.len()
            );
            scratch.write(&format!("{name}/Packages"), &index);
            scratch.write(&format!("{name}/Release"), &release);
            server.put(&format!("/{name}/Packages"), index);
            server.put(&format!("/{name}/InRelease"), signer.sign(&release));
            apt_sources +=
                &format!("deb [trusted=yes] file:{} ./\n", scratch.join(&name).display());
            suites.push(format!(
                "{{ urls = [\"{}/{name}\"], suite = \"./\", key = \"key.asc\" }}",
                server.url
            ));
        }
        let theirs: Vec<String> = Apt::of(&apt_sources).install("wanting").into_keys().collect();
        let text = format!(
            "[toolchains.t]\nkind = \"library\"\nsource = \"debian\"\nsuite = [{}]\npackages = [\"wanting\"]\ninclude_essential = false\n",
            suites.join(", ")
        );
        let (_, ours) = taken(&text, scratch.path()).remove(0);
        assert_eq!(
            ours.into_keys().collect::<Vec<_>>(),
            theirs,
            "round {round}:\n{}",
            std::fs::read_to_string(scratch.join(&format!("r{round}-0/Packages"))).unwrap()
        );
        decided += usize::from(theirs.len() > 2);
    }
    assert!(decided > 20, "{decided}");
}

/// A glibc of 2.31 for programs that leave for old machines, and a tool of that release. The keys of bullseye are among those
/// that cotter includes.
#[test]
fn bullseye_has_libraries_and_tools_and_its_compilers_are_refused() {
    let suites = "suite = [\"bullseye\", \"bullseye-updates\", { archive = \"debian-security\", suite = \"bullseye-security\" }]";
    let toolchain = |name: &str, kind: &str, rest: &str| {
        format!("[toolchains.{name}]\nkind = \"{kind}\"\nsource = \"debian\"\n{suites}\n{rest}\n")
    };
    let settings = "[settings]\ncheck_valid_until = false\n";
    let library = toolchain("ssl", "library", "packages = [\"libssl-dev\"]");
    let tool = toolchain("jq", "tool", "packages = [\"jq\"]\nself_exe = [\"usr/bin/*\"]");
    let mut project = Project::new(&format!("{settings}{library}{tool}"));
    project.store = shared_store().to_owned();
    project.ok(&["setup"]);
    contains(
        &project.lock_text(),
        &[
            "archive = \"debian\", suite = \"bullseye\"",
            "archive = \"debian-security\", suite = \"bullseye-security\"",
            "mirror://debian-security/pool/updates/main/o/openssl/libssl1.1_1.1.1w",
            "/glibc/libc6_2.31-13+deb11u",
        ],
    );
    assert_eq!(project.ok(&["exec", "jq", "--", "jq", "-n", "1 + 1"]), "2\n");
    // The sysroot is that of a glibc floor of 2.31 for compilers that cotter does not manage.
    let sysroot = toolchain("root", "sysroot", "packages = [\"libc6-dev\", \"libstdc++-10-dev\"]");
    project.manifest(&format!("{settings}{sysroot}"));
    project.ok(&["export", "sysroot", "out", "root"]);
    let libc = project.dir().join("out/usr/lib/x86_64-linux-gnu/libc.so.6");
    let bytes = std::fs::read(libc).unwrap();
    let has = |version: &[u8]| bytes.windows(version.len()).any(|window| window == version);
    assert!(has(b"GLIBC_2.30\0") && !has(b"GLIBC_2.32\0"));
    let compiler = toolchain("gcc", "cc", "packages = [\"gcc-10\", \"g++-10\"]");
    project.manifest(&format!("{settings}{compiler}"));
    contains(
        &project.fails(6, &["lock"]),
        &["ld-2.31.so of gcc does not know the option --argv0", "toolchains.toml:3:13"],
    );
}
