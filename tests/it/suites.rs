//! Several suites with precedence, archives of vendors, and suites at a date, on archives that the test makes.

use crate::support::archive::Tar;
use crate::support::debian::{Archive, Form, Published, Signer};
use crate::support::server::Server;
use crate::support::{Project, contains};

/// The stable suite, its security suite in another archive, and its backports.
struct Rig {
    server: Server,
    signer: Signer,
    project: Project,
}

/// An archive with packages of these names and versions. A name may be followed by fields.
fn archive(packages: &[(&str, &str, &str)]) -> Archive {
    let mut out = Archive::default();
    for (name, version, fields) in packages {
        let data = Tar::new().program(&format!("./usr/bin/{name}"), version.as_bytes());
        out.package(name, version, fields, data);
    }
    out
}

const SECURITY: Published = Published {
    root: "/debian-security",
    suite: "test-security",
    date: "Sat, 18 Jul 2026 10:16:37 UTC",
    fields: "",
    form: Form::Usual,
};

const BACKPORTS: Published = Published {
    root: "/debian",
    suite: "test-backports",
    date: "Sat, 18 Jul 2026 10:16:37 UTC",
    fields: "NotAutomatic: yes\nButAutomaticUpgrades: yes\n",
    form: Form::Usual,
};

impl Rig {
    fn new() -> Self {
        let (server, signer) = (Server::start(), Signer::new());
        archive(&[
            ("app", "1.0", "Depends: ssl (>= 1), data\n"),
            ("ssl", "1.0-1", ""),
            ("data", "5", ""),
            ("same", "1", ""),
        ])
        .publish(&server, &signer);
        archive(&[("ssl", "1.0-1+deb1u2", ""), ("data", "4", ""), ("same", "1", "")])
            .publish_as(&server, &signer, &SECURITY);
        archive(&[
            ("app", "2.0", "Depends: ssl (>= 1), data (>= 6)\n"),
            ("data", "6", ""),
            ("ssl", "3", ""),
            ("new", "1", "Depends: ssl\n"),
        ])
        .publish_as(&server, &signer, &BACKPORTS);
        let project = Project::new("");
        project.scratch.write("project/keys.asc", signer.public());
        Rig { server, signer, project }
    }

    fn manifest(&self, suite: &str, packages: &str) -> String {
        let url = &self.server.url;
        format!(
            "platforms = [\"x86_64-linux\"]\n[mirrors]\ndebian = [\"{url}/debian\"]\ndebian-security = [\"{url}/debian-security\"]\n[settings]\nkeyring = \"keys.asc\"\n[toolchains.t]\nkind = \"tool\"\nsource = \"debian\"\nsuite = {suite}\npackages = {packages}\n"
        )
    }

    /// Locks packages of suites. Returns the locations without the path of the pool, such as `debian/ssl_1.0-1`.
    fn lock(&self, suite: &str, packages: &str) -> Vec<String> {
        self.project.manifest(&self.manifest(suite, packages));
        self.project.ok(&["lock"]);
        inputs(&self.project)
    }

    fn fails(&self, suite: &str, packages: &str) -> String {
        self.project.manifest(&self.manifest(suite, packages));
        self.project.fails(1, &["lock"])
    }
}

/// The locations of the inputs in the lock, without the path of the pool.
fn inputs(project: &Project) -> Vec<String> {
    let lock = cotter::internals::Lockfile::parse(&project.lock_text(), "lock").unwrap();
    let inputs = lock.trees.values().flat_map(|tree| tree.plan.inputs.clone());
    let mut out: Vec<String> = inputs
        .map(|input| {
            let all: Vec<String> = input.locations.iter().map(ToString::to_string).collect();
            let all = all.join(" ").replace("mirror://", "");
            all.replace("pool/main/", "").replace("_amd64.deb", "")
        })
        .collect();
    out.sort();
    out
}

const ALL: &str =
    "[\"test\", { archive = \"debian-security\", suite = \"test-security\" }, \"test-backports\"]";

#[test]
fn the_newest_version_of_all_suites_counts_and_of_equal_ones_the_first() {
    let rig = Rig::new();
    assert_eq!(
        rig.lock("\"test\"", "[\"app\"]"),
        ["debian/app_1.0", "debian/data_5", "debian/ssl_1.0-1"]
    );
    assert_eq!(
        rig.lock(ALL, "[\"app\", \"same\"]"),
        ["debian-security/ssl_1.0-1+deb1u2", "debian/app_1.0", "debian/data_5", "debian/same_1"]
    );
    contains(
        &rig.project.lock_text(),
        &[
            "archive = \"debian\", suite = \"test\", date = \"2026-07-11T10:16:37Z\"",
            "archive = \"debian-security\", suite = \"test-security\", date = \"2026-07-18T10:16:37Z\"",
            "suite = [\"test\", \"test-security (archive debian-security)\", \"test-backports\"]",
        ],
    );
    // Setting up needs no index, and each package comes from its own archive.
    rig.server.clear_log();
    rig.project.ok(&["setup", "--locked"]);
    assert!(rig.server.log().iter().all(|line| !line.contains("/dists/")));
    // Another order is another request.
    let other = "[{ archive = \"debian-security\", suite = \"test-security\" }, \"test\"]";
    rig.project.manifest(&rig.manifest(other, "[\"app\", \"same\"]"));
    contains(&rig.project.fails(3, &["lock", "--check"]), &["suite: removed test-backports"]);
    assert_eq!(
        rig.lock(other, "[\"app\", \"same\"]"),
        [
            "debian-security/same_1",
            "debian-security/ssl_1.0-1+deb1u2",
            "debian/app_1.0",
            "debian/data_5"
        ]
    );
    let reversed = "[\"test\", { archive = \"debian-security\", suite = \"test-security\" }]";
    rig.project.manifest(&rig.manifest(reversed, "[\"app\", \"same\"]"));
    contains(&rig.project.fails(3, &["lock", "--check"]), &["suite: another order"]);
    // A table that says the same as a name has the same fingerprint.
    rig.lock(reversed, "[\"app\"]");
    let table = reversed.replace("[\"test\"", "[{ suite = \"test\", components = [\"main\"] }");
    rig.project.manifest(&rig.manifest(&table, "[\"app\"]"));
    rig.project.ok(&["lock", "--check"]);
}

#[test]
fn suites_have_priorities_and_packages_may_come_from_one_of_them() {
    let rig = Rig::new();
    // What only the backports have comes from there, and what it needs from elsewhere if that is enough.
    let ssl = "debian-security/ssl_1.0-1+deb1u2";
    assert_eq!(rig.lock(ALL, "[\"new\"]"), [ssl, "debian/new_1"]);
    let backported = [ssl, "debian/app_2.0", "debian/data_6"];
    assert_eq!(rig.lock(ALL, "[\"app/test-backports\"]"), backported);
    assert_eq!(rig.lock(ALL, "[\"app=2.0\"]"), backported);
    let high = ALL.replace("\"test-backports\"", "{ suite = \"test-backports\", priority = 990 }");
    assert_eq!(rig.lock(&high, "[\"app\"]"), ["debian/app_2.0", "debian/data_6", "debian/ssl_3"]);
    contains(&rig.project.lock_text(), &["\"test-backports (priority 990)\""]);
    let low = ALL.replace("suite = \"test-security\"", "suite = \"test-security\", priority = 90");
    assert_eq!(
        rig.lock(&low, "[\"app\"]"),
        ["debian/app_1.0", "debian/data_5", "debian/ssl_1.0-1"]
    );
    contains(
        &rig.fails(ALL, "[\"app/test-backport\"]"),
        &[
            "toolchains.toml:11:13: \"app/test-backport\" asks for a suite that is not among those of the toolchain: expected one of \"test\", \"test-security\", \"test-backports\"",
        ],
    );
    contains(
        &rig.fails(ALL, "[\"new/test\"]"),
        &[
            "at: toolchains.toml:11:13",
            "the suite of \"new/test\" has no package \"new\" for amd64",
            "there is new=1",
        ],
    );
    contains(
        &rig.fails(ALL, "[\"app=3\"]"),
        &["none of the suites has the version 3 of app", "there is app=1.0"],
    );
    contains(
        &rig.fails(ALL, "[\"app/test=1\"]"),
        &["expected the name of a Debian package, perhaps with =version or /suite"],
    );
}

#[test]
fn what_is_wrong_with_suites_is_told_with_its_place() {
    let rig = Rig::new();
    let cases = [
        ("[]", "10:9: expected at least one suite, such as \"bookworm\", got none"),
        (
            "[\"test\", \"test\"]",
            "10:18: the suite \"test\" of debian stands here twice; the first is at toolchains.toml:10:10",
        ),
        (
            "[\"test\", 3]",
            "10:18: expected a name, a table or an array of them for \"suite\", got an integer",
        ),
        ("[{ archive = \"x\" }]", "10:10: [[suite]] needs the key \"suite\""),
        ("[{ suite = \"test\", prio = 3 }]", "10:28: unknown key \"prio\" in [[suite]]"),
        (
            "[{ suite = \"test\", priority = 0 }]",
            "10:39: priority: expected a number from 1 to 32767, got 0",
        ),
        ("[{ suite = \"../x\" }]", "10:20: expected the name of a suite such as"),
        (
            "[{ suite = \"test\", archive = \"A b\" }]",
            "10:38: archive: expected the name of a mirror family",
        ),
        (
            "[{ suite = \"test\", urls = [\"ftp://x\"] }]",
            "10:36: urls: expected an https://, http:// or file:/// URL",
        ),
        (
            "[{ suite = \"test\", urls = \"https://u:secret@x.example\" }]",
            "10:35: urls: the lock would contain the credentials of this URL",
        ),
        ("[{ suite = \"test\", urls = [] }]", "10:35: urls: expected at least one URL, got none"),
        (
            "[{ suite = \"test\", urls = \"https://x.example\", archive = \"debian\" }]",
            "10:66: the mirrors of \"debian\" are Debian's",
        ),
        (
            "[{ suite = \"./\", urls = \"https://x.example\", components = [\"main\"] }]",
            "10:54: a flat archive, whose suite ends in a slash, has no components",
        ),
        (
            "[{ suite = \"x\", urls = \"https://x.example\", snapshot = \"2026-08-18\" }]",
            "10:53: only Debian's archives are kept at dates",
        ),
        (
            "[{ suite = \"test\", snapshot = \"yesterday\" }]",
            "10:39: snapshot: expected a date such as \"2026-08-18\"",
        ),
    ];
    for (suite, expected) in cases {
        contains(&rig.fails(suite, "[\"app\"]"), &[&format!("toolchains.toml:{expected}")]);
    }
    // A suite that the archive lacks, a component, an architecture.
    contains(
        &rig.fails("[\"test\", \"test-update\"]", "[\"app\"]"),
        &["no mirror has the suite \"test-update\" of debian", "at: toolchains.toml:10:18"],
    );
    contains(
        &rig.fails(
            "[\"test\", { suite = \"test-backports\", components = [\"contrib\"] }]",
            "[\"app\"]",
        ),
        &["lists no index of contrib for amd64", "at: toolchains.toml:10:60", "there is main"],
    );
    let fields = "Architectures: amd64\n";
    let how = Published { suite: "narrow", fields, ..Published::default() };
    archive(&[("app", "1", "")]).publish_as(&rig.server, &rig.signer, &how);
    rig.project.manifest(&rig.manifest("\"narrow\"", "[\"app\"]").replace("x86_64", "aarch64"));
    contains(
        &rig.project.fails(1, &["lock"]),
        &[
            "lists no index of main for arm64",
            "at: toolchains.toml:10:9",
            "only for amd64",
            "`platforms`",
        ],
    );
    // The security suite alone lacks what was not changed.
    contains(
        &rig.fails("{ archive = \"debian-security\", suite = \"test-security\" }", "[\"app\"]"),
        &[
            "the suite has no package \"app\"",
            "holds only what was changed in test: name that suite, too: suite = [\"test\", { archive = \"debian-security\", suite = \"test-security\" }]",
        ],
    );
    // One expired suite among several.
    let mut expired = archive(&[("app", "1.1", "")]);
    expired.valid_until = Some("Sun, 12 Jul 2020 10:00:00 UTC".to_owned());
    let how = Published { suite: "test-updates", ..Published::default() };
    expired.publish_as(&rig.server, &rig.signer, &how);
    rig.project.manifest(&rig.manifest("[\"test\", \"test-updates\"]", "[\"app\"]"));
    contains(
        &rig.project.fails(4, &["lock"]),
        &["dists/test-updates/InRelease has expired", "2020-07-12", "at: toolchains.toml:10:18"],
    );
    // The suites of a library must be those of the compiler.
    let library = "[toolchains.l]\nkind = \"library\"\nsource = \"debian\"\nsuite = [\"test\", \"test-updates\"]\npackages = [\"ssl\"]\n";
    rig.project.manifest(&format!(
        "{}libraries = [\"l\"]\n{library}",
        rig.manifest("\"test\"", "[\"gcc-12\"]").replace("\"tool\"", "\"cc\"")
    ));
    contains(
        &rig.project.fails(1, &["lock"]),
        &[
            "toolchains.toml:12:14: expected a library of the suites of the compiler, \"test\", \"l\" is of \"test\", \"test-updates\"",
            "give both tables the same `suite`, or take it out of `libraries`",
        ],
    );
}

#[test]
fn an_archive_of_a_vendor_has_its_own_urls_and_key() {
    let rig = Rig::new();
    let vendor = Signer::new();
    let packages = archive(&[("product", "7", "Depends: ssl\n"), ("ssl", "0.1", "")]);
    let how = Published { root: "/vendor", suite: "stable", ..Published::default() };
    packages.publish_as(&rig.server, &vendor, &how);
    rig.project.scratch.write("project/keys/vendor.asc", vendor.public());
    rig.project.scratch.write("project/keys/vendor.gpg", vendor.public_bytes());
    let url = &rig.server.url;
    let table = format!(
        "{{ urls = [\"http://127.0.0.1:9/gone\", \"{url}/vendor/\"], suite = \"stable\", key = \"keys/vendor.asc\" }}"
    );
    let suites = format!("[\"test\", {table}]");
    let locations = format!("http://127.0.0.1:9/gone/product_7 {url}/vendor/product_7");
    let expected = ["debian/ssl_1.0-1", &locations];
    assert_eq!(rig.lock(&suites, "[\"product\"]"), expected);
    let fingerprint = |signer: &Signer| {
        let keys = cotter::internals::keys(signer.public().as_bytes()).unwrap();
        keys[0].fingerprint.clone()
    };
    contains(
        &rig.project.lock_text(),
        &[
            "archive = \"http://127.0.0.1:9/gone\", suite = \"stable\"",
            &format!("key = \"{}\"", fingerprint(&vendor)),
            &format!("key = \"{}\"", fingerprint(&rig.signer)),
        ],
    );
    rig.project.ok(&["setup", "--locked"]);
    assert_eq!(rig.lock(&suites.replace(".asc", ".gpg"), "[\"product\"]"), expected);
    // Its key is not trusted for Debian's suite, nor another key for its own.
    packages.publish_as(&rig.server, &vendor, &Published::default());
    rig.project.manifest(&rig.manifest(&suites, "[\"product\", \"data\"]"));
    contains(
        &rig.project.fails(4, &["lock"]),
        &[
            "debian/dists/test/InRelease is not signed by a key that is trusted",
            &fingerprint(&vendor),
            "at: toolchains.toml:10:10",
        ],
    );
    archive(&[("ssl", "1.0-1", ""), ("data", "5", "")]).publish(&rig.server, &rig.signer);
    packages.publish_as(&rig.server, &rig.signer, &how);
    rig.project.manifest(&rig.manifest(&suites, "[\"product\", \"data\"]"));
    contains(
        &rig.project.fails(4, &["lock"]),
        &[
            "vendor/dists/stable/InRelease is not signed by a key that is trusted",
            &format!("expected a key of keys/vendor.asc, got {}", fingerprint(&rig.signer)),
            "at: toolchains.toml:10:18",
            "if the archive has a new key, check its fingerprint",
            "replace keys/vendor.asc",
        ],
    );
    // A key that is not there, and one that is no key.
    contains(
        &rig.fails(&suites.replace("vendor.asc", "gone.asc"), "[\"product\"]"),
        &["gone.asc", "`key` of the suite names it", "at: toolchains.toml:10:18"],
    );
    rig.project.scratch.write("project/keys/none.asc", "hello");
    contains(
        &rig.fails(&suites.replace("vendor.asc", "none.asc"), "[\"product\"]"),
        &["keys/none.asc is no OpenPGP keyring"],
    );
    rig.project.scratch.write("project/keys/private.asc", vendor.private());
    contains(
        &rig.fails(&suites.replace("vendor.asc", "private.asc"), "[\"product\"]"),
        &["keys/private.asc holds a private key", "expected public keys", "gpg --armor --export"],
    );
    // With a family, its mirrors come first.
    packages.publish_as(&rig.server, &vendor, &how);
    let named = suites.replace("{ urls", "{ archive = \"acme\", urls");
    rig.project.manifest(&rig.manifest(&named, "[\"product\"]"));
    let mut command = rig.project.cotter(&["lock"]);
    command.env("COTTER_MIRROR_ACME", format!("{url}/vendor"));
    crate::support::ok(&mut command);
    let locations = format!("acme/product_7 {locations}");
    assert_eq!(inputs(&rig.project), [locations.as_str(), "debian/ssl_1.0-1"]);
    contains(&rig.project.lock_text(), &["archive = \"acme\", suite = \"stable\""]);
    rig.project.ok(&["setup", "--locked"]);
}

/// A lock was made with the keys of certain files. Others would trust other archives.
#[test]
fn a_key_that_is_changed_or_deleted_makes_the_lock_stale() {
    let rig = Rig::new();
    let vendor = Signer::new();
    let how = Published { root: "/vendor", suite: "stable", ..Published::default() };
    archive(&[("product", "7", "")]).publish_as(&rig.server, &vendor, &how);
    let suites = format!(
        "[\"test\", {{ urls = \"{}/vendor\", suite = \"stable\", key = \"vendor.asc\" }}]",
        rig.server.url
    );
    for file in ["vendor.asc", "keys.asc"] {
        rig.project.scratch.write("project/vendor.asc", vendor.public());
        rig.project.scratch.write("project/keys.asc", rig.signer.public());
        rig.lock(&suites, "[\"product\"]");
        rig.project.ok(&["lock", "--check"]);
        rig.project.scratch.write(&format!("project/{file}"), Signer::new().public());
        let said = rig.project.fails(3, &["lock", "--check"]);
        contains(&said, &[&format!("t for x86_64-linux: keys: added {file} "), "removed"]);
        std::fs::remove_file(rig.project.dir().join(file)).unwrap();
        let said = rig.project.fails(3, &["lock", "--check"]);
        contains(&said, &[&format!("keys: added {file} is not there")]);
    }
}

/// `stable` means another release after a while. The lock tells so once, with the name that stays.
#[test]
fn a_suite_whose_meaning_moves_is_told() {
    let rig = Rig::new();
    let packages = archive(&[("app", "1", "")]);
    for (suite, codename) in
        [("stable", "bookworm"), ("stable-updates", "bookworm-updates"), ("unstable", "sid")]
    {
        let fields = format!("Codename: {codename}\n");
        let how = Published { suite, fields: &fields, ..Published::default() };
        packages.publish_as(&rig.server, &rig.signer, &how);
    }
    let told = |suites: &str| {
        rig.project.manifest(&rig.manifest(suites, "[\"app\"]"));
        crate::support::text(&rig.project.cotter(&["lock", "--fresh"]).output().unwrap())
    };
    let said = told("[\"stable\", \"stable-updates\"]");
    contains(
        &said,
        &[
            "toolchains.toml:10:10: \"stable\" is bookworm today and another release after",
            "write \"bookworm\"",
            "\"stable-updates\" is bookworm-updates today",
        ],
    );
    assert_eq!(said.matches("is bookworm today").count(), 1, "{said}");
    assert!(!told("\"unstable\"").contains("today"));
    // The suites of other archives have the names that their owners give.
    let url =
        format!("[\"unstable\", {{ urls = \"{}/debian\", suite = \"stable\" }}]", rig.server.url);
    assert!(!told(&url).contains("today"));
}

/// Two trees of libraries with one library in two versions: a program that uses both gets one of them.
#[test]
fn libraries_of_different_versions_in_two_trees_are_told() {
    let rig = Rig::new();
    let lock = |second: &str| {
        let first = rig.manifest("\"test\"", "[\"app\"]").replace("\"tool\"", "\"library\"");
        let table = format!(
            "[toolchains.u]\nkind = \"library\"\nsource = \"debian\"\nsuite = {second}\npackages = [\"ssl\", \"data\"]\n"
        );
        rig.project.manifest(&format!(
            "{first}include_essential = false\n{table}include_essential = false\n"
        ));
        crate::support::text(&rig.project.cotter(&["lock"]).output().unwrap())
    };
    let said = lock("[\"test\", { archive = \"debian-security\", suite = \"test-security\" }]");
    contains(
        &said,
        &[
            "t and u for x86_64-linux hold different versions of ssl (1.0-1 and 1.0-1+deb1u2):",
            "a program that uses both gets those of one of them",
            "give both the same suites",
        ],
    );
    let said = lock("\"test\"");
    assert!(!said.contains("different versions"), "{said}");
}

/// What an entry of the manifest does not do is told with its place.
#[test]
fn entries_without_an_effect_and_exclusions_of_needed_libraries_are_told() {
    let rig = Rig::new();
    archive(&[
        ("thing-dev", "2", "Depends: libthing1 (= 2), debconf\n"),
        ("libthing1", "2", ""),
        ("debconf", "1", ""),
    ])
    .publish(&rig.server, &rig.signer);
    let lock = |more: &str| {
        let manifest =
            rig.manifest("\"test\"", "[\"thing-dev\"]").replace("\"tool\"", "\"library\"");
        rig.project.manifest(&format!("{manifest}{more}\n"));
        crate::support::text(&rig.project.cotter(&["lock"]).output().unwrap())
    };
    let said = lock("exclude = [\"libthing1\"]\ninclude = [\"debconf\", \"thing-dev\", \"dpkg\"]");
    contains(
        &said,
        &[
            "toolchains.toml:12:12: `exclude` leaves out \"libthing1\", the libraries to which thing-dev links",
            "toolchains.toml:13:23: `include` of \"thing-dev\" changes nothing: the recipe does not leave it out",
            "toolchains.toml:13:36: `include` of \"dpkg\" changes nothing: the suite has no such package",
        ],
    );
    assert!(!said.contains("\"debconf\" changes"), "{said}");
    assert!(!lock("include = [\"debconf\"]").contains("changes nothing"));
    // A tree without a file is none.
    rig.project
        .manifest(&format!("{}prune = [\"**\"]\n", rig.manifest("\"test\"", "[\"thing-dev\"]")));
    contains(
        &rig.project.fails(1, &["lock"]),
        &["`prune` leaves no file of t", "at: toolchains.toml:", "`keep`"],
    );
}

#[test]
fn a_date_that_has_not_come_is_refused() {
    let rig = Rig::new();
    let said = rig.fails("{ suite = \"test\", snapshot = \"2999-01-01\" }", "[\"app\"]");
    contains(
        &said,
        &[
            "no suite is known as it will be at 29990101T000000Z",
            "expected a date before now",
            "at: toolchains.toml:10:9",
        ],
    );
}

#[test]
fn flat_archives_detached_signatures_and_indexes_for_all_architectures_are_read() {
    let rig = Rig::new();
    let url = &rig.server.url;
    let packages = archive(&[
        ("product", "7", "Depends: part\n"),
        ("part", "1", "Architecture: all\n"),
        ("product", "8", "Architecture: arm64\n"),
    ]);
    let table = |root: &str, suite: &str| {
        format!("[\"test\", {{ urls = \"{url}/{root}\", suite = \"{suite}\" }}]")
    };
    for (root, suite) in [("flat", "./"), ("root", "/"), ("below", "sub/dir/")] {
        let root_path = format!("/{root}");
        let how = Published { root: &root_path, suite, form: Form::Flat, ..Published::default() };
        packages.publish_as(&rig.server, &rig.signer, &how);
        let found = rig.lock(&table(root, suite), "[\"product\"]");
        assert_eq!(found, [format!("{url}/{root}/part_1"), format!("{url}/{root}/product_7")]);
    }
    contains(
        &rig.fails(&table("debian/dists", "test/"), "[\"product\"]"),
        &["lists no file Packages", "at: toolchains.toml:10:18", "no flat one"],
    );
    let how = Published { root: "/detached", form: Form::Detached, ..Published::default() };
    packages.publish_as(&rig.server, &rig.signer, &how);
    rig.lock(&table("detached", "test"), "[\"product\"]");
    let other = Signer::new();
    rig.server.put("/detached/dists/test/Release.gpg", other.sign_apart("other"));
    contains(
        &{
            rig.project.manifest(&rig.manifest(&table("detached", "test"), "[\"part\"]"));
            rig.project.fails(4, &["lock"])
        },
        &["detached/dists/test/Release is not signed by a key that is trusted"],
    );
    rig.server.put("/detached/dists/test/Release.gpg", "hello");
    contains(&rig.project.fails(4, &["lock"]), &["Release.gpg holds no armoured signatures"]);
    let fields = "Architectures: all amd64\n";
    let how = Published { root: "/apart", fields, form: Form::AllApart, ..Published::default() };
    packages.publish_as(&rig.server, &rig.signer, &how);
    assert_eq!(
        rig.lock(&table("apart", "test"), "[\"product\"]"),
        [format!("{url}/apart/part_1"), format!("{url}/apart/product_7")]
    );
}

#[test]
fn suites_at_a_date_come_from_an_archive_of_old_files() {
    let rig = Rig::new();
    let old = |valid: &str, version: &str, root: &str, date: &str| {
        let mut old = archive(&[("app", version, "Depends: ssl\n"), ("ssl", "0.9", "")]);
        old.valid_until = Some(valid.to_owned());
        old.publish_as(&rig.server, &rig.signer, &Published { root, date, ..Published::default() });
    };
    // The release was valid at the date for which it is asked, and is not any more.
    old(
        "Sat, 23 Aug 2025 00:00:00 UTC",
        "0.5",
        "/old/archive/debian/20250818T000000Z",
        "Sun, 17 Aug 2025 08:00:00 UTC",
    );
    let with = |snapshot: &str| {
        let text = rig.manifest("\"test\"", "[\"app\"]");
        let text = text
            .replace("[settings]", &format!("snapshot = [\"{}/old\"]\n[settings]", rig.server.url));
        rig.project.manifest(&format!("{text}snapshot = \"{snapshot}\"\n"));
    };
    with("2025-08-18");
    rig.project.ok(&["lock"]);
    let path =
        |name: &str| format!("debian/{name} snapshot/archive/debian/20250818T000000Z/{name}");
    assert_eq!(inputs(&rig.project), [path("app_0.5"), path("ssl_0.9")]);
    contains(
        &rig.project.lock_text(),
        &["date = \"2025-08-17T08:00:00Z\"", "snapshot = [\"20250818T000000Z\"]"],
    );
    // The mirror does not have the old files any more.
    rig.project.ok(&["setup", "--locked"]);
    // The same by a time, and for one suite alone.
    with("2025-08-18T00:00:00Z");
    rig.project.ok(&["lock", "--check"]);
    let table = "[{ suite = \"test\", snapshot = \"20250818T000000Z\" }, { archive = \"debian-security\", suite = \"test-security\" }]";
    rig.project.manifest(&rig.manifest(table, "[\"app\"]"));
    let mut command = rig.project.cotter(&["lock"]);
    command.env("COTTER_MIRROR_SNAPSHOT", format!("{}/old", rig.server.url));
    crate::support::ok(&mut command);
    assert_eq!(inputs(&rig.project), ["debian-security/ssl_1.0-1+deb1u2", &path("app_0.5")]);
    // Back to the present: an older release in the lock is no obstacle, and the other way round neither.
    rig.lock("\"test\"", "[\"app\"]");
    with("2025-08-18");
    rig.project.ok(&["lock"]);
    // It had expired already then, or it is newer.
    old(
        "Sun, 17 Aug 2025 12:00:00 UTC",
        "0.5",
        "/old/archive/debian/20250819T000000Z",
        "Sun, 17 Aug 2025 08:00:00 UTC",
    );
    with("2025-08-19");
    contains(&rig.project.fails(4, &["lock"]), &["has expired", "at: toolchains.toml:11:9"]);
    rig.project.ok(&["lock", "--allow-expired"]);
    old(
        "Sun, 23 Aug 2026 00:00:00 UTC",
        "0.5",
        "/old/archive/debian/20250820T000000Z",
        "Wed, 20 Aug 2025 00:00:01 UTC",
    );
    with("2025-08-20");
    contains(
        &rig.project.fails(4, &["lock"]),
        &[
            "is newer than the snapshot that is asked for",
            "expected a release of 2025-08-20T00:00:00Z or before, got 2025-08-20T00:00:01Z",
        ],
    );
    // What the archives of old files lack is not taken from elsewhere.
    with("2025-01-01");
    let mut command = rig.project.cotter(&["lock"]);
    command.env("COTTER_HTTP_RETRIES", "0").env("https_proxy", "http://127.0.0.1:9");
    let error = String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned();
    contains(
        &error,
        &[
            "old/archive/debian/20250101T000000Z/dists/test/InRelease",
            "404",
            "that has test at 20250101T000000Z: [mirrors] snapshot = ",
        ],
    );
}
