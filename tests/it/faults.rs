//! Servers, disks and users that misbehave. Each fault gives a clear error with its own exit code and leaves the store as it was, and the next run succeeds.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::archive::{Tar, gzip};
use crate::support::server::{Fault, Server, redirecting_tls, untrusted_tls};
use crate::support::{Project, contains, copy_program, fails, ok, text};

/// Returns bytes that cannot be compressed.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1du64;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x as u8
        })
        .collect()
}

fn archive() -> Vec<u8> {
    gzip(&Tar::new().program("bin/thing", b"thing").file("share/noise", &noise(400_000)).finish())
}

struct Setup {
    server: Server,
    project: Project,
}

/// Returns a project that was locked without faults and whose store was then emptied.
fn locked() -> Setup {
    let server = Server::start();
    let url = server.put("/a.tar.gz", archive());
    let other = server.put("/mirror/a.tar.gz", archive());
    let project = Project::new(&manifest(&[&url, &other]));
    project.ok(&["lock"]);
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
    std::fs::remove_dir_all(&project.store).unwrap();
    server.clear_log();
    Setup { server, project }
}

fn manifest(urls: &[&str]) -> String {
    format!(
        "platforms = [\"x86_64-linux\"]\n[toolchains.thing]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurls = {urls:?}\n"
    )
}

impl Setup {
    fn fault_both(&self, fault: Fault) {
        self.server.fault("/a.tar.gz", fault.clone());
        self.server.fault("/mirror/a.tar.gz", fault);
    }

    /// Checks that the setup fails with a code and with words and leaves the store empty, and that it succeeds when the fault is gone.
    fn fails_then_heals(&self, code: i32, words: &[&str]) {
        let mut command = self.project.cotter(&["setup"]);
        let said =
            fails(code, command.env("COTTER_HTTP_TIMEOUT", "1").env("COTTER_HTTP_RETRIES", "1"));
        contains(&said, words);
        self.project.assert_store_empty();
        self.server.heal();
        self.project.ok(&["setup"]);
        self.project.ok(&["verify", "--deep"]);
    }
}

#[test]
fn a_wrong_hash_is_refused_whoever_sends_it() {
    let setup = locked();
    setup.fault_both(Fault::Corrupt);
    setup.fails_then_heals(
        4,
        &[
            "a.tar.gz is not the file that was locked",
            "expected sha256",
            "it came from http://127.0.0.1",
            "hint:",
        ],
    );
}

#[test]
fn the_next_mirror_is_asked_when_one_has_other_bytes() {
    let setup = locked();
    setup.server.fault("/a.tar.gz", Fault::Corrupt);
    setup.project.ok(&["setup"]);
    assert!(setup.server.log().iter().any(|l| l.starts_with("/mirror/")));
    setup.project.ok(&["verify", "--deep"]);
}

#[test]
fn another_size_is_refused() {
    let setup = locked();
    setup.server.put("/a.tar.gz", [archive(), vec![0]].concat());
    setup.server.put("/mirror/a.tar.gz", archive()[1..].to_vec());
    let said = setup.project.fails(4, &["setup"]);
    contains(&said, &["is not the file that was locked", "bytes"]);
    setup.project.assert_store_empty();
}

#[test]
fn a_truncated_body_is_told() {
    let setup = locked();
    setup.fault_both(Fault::Truncate(100_000));
    setup.fails_then_heals(5, &["ended after"]);
}

#[test]
fn a_length_that_lies_is_told() {
    let setup = locked();
    setup.fault_both(Fault::LieAboutLength);
    setup.fails_then_heals(4, &["is not the file that was locked", "offers"]);
}

#[test]
fn errors_of_the_server_are_told() {
    let setup = locked();
    setup.fault_both(Fault::Status(404, 99));
    setup.fails_then_heals(5, &["can't fetch", "the server answered 404"]);
    let setup = locked();
    setup.fault_both(Fault::Status(503, 99));
    setup.fails_then_heals(5, &["the server answered 503"]);
}

#[test]
fn a_stalled_server_is_told_in_time() {
    let setup = locked();
    setup.fault_both(Fault::Stall(100_000));
    let start = Instant::now();
    setup.fails_then_heals(5, &["went silent"]);
    assert!(start.elapsed() < Duration::from_secs(30));
}

/// It sends something all the time, and would never end.
#[test]
fn a_server_that_is_too_slow_is_left() {
    let setup = locked();
    setup.server.fault("/a.tar.gz", Fault::Slow(100));
    let start = Instant::now();
    ok(setup.project.cotter(&["setup"]).env("COTTER_HTTP_TIMEOUT", "1"));
    assert!(setup.server.log().iter().any(|line| line.starts_with("/mirror/a.tar.gz")));
    assert!(start.elapsed() < Duration::from_secs(20));
    let setup = locked();
    setup.fault_both(Fault::Slow(100));
    setup.fails_then_heals(5, &["is too slow", "bytes per second, and 1024 are the least"]);
}

#[test]
fn redirections_that_go_on_and_on_are_refused() {
    let setup = locked();
    setup.server.fault("/a.tar.gz", Fault::Circle);
    setup.project.ok(&["setup"]);
    let asked = setup.server.log().iter().filter(|line| line.starts_with("/a.tar.gz")).count();
    assert!((2..60).contains(&asked), "{asked}");
    let setup = locked();
    setup.fault_both(Fault::Circle);
    setup.fails_then_heals(5, &["are refused", "it leads on more than 10 times"]);
}

#[test]
fn a_redirection_out_of_https_is_refused() {
    let server = Server::start();
    let plain = server.put("/a.tar.gz", archive());
    let (port, certificate) = redirecting_tls("localhost", &plain);
    let project = Project::new(&manifest(&[&format!("https://localhost:{port}/a.tar.gz")]));
    let trusted = project.scratch.write("ca.pem", certificate);
    let mut setup = project.cotter(&["setup"]);
    let said = fails(5, setup.env("SSL_CERT_FILE", trusted).env("COTTER_HTTP_RETRIES", "0"));
    contains(
        &said,
        &["are refused", &format!("it leads from https to {plain}"), "name that address"],
    );
    assert!(server.log().is_empty());
    project.assert_store_empty();
}

#[test]
fn an_untrusted_certificate_is_told() {
    let url = format!("{}/a.tar.gz", untrusted_tls());
    let project = Project::new(&manifest(&[&url]));
    let said = fails(5, project.cotter(&["setup"]).env("COTTER_HTTP_RETRIES", "0"));
    contains(&said, &["can't reach https://localhost", "certificate"]);
    project.assert_store_empty();
    // This server does not support TLS at all.
    let server = Server::start();
    let project =
        Project::new(&manifest(&[&server.put("/a.tar.gz", archive()).replace("http:", "https:")]));
    contains(
        &fails(5, project.cotter(&["setup"]).env("COTTER_HTTP_RETRIES", "0")),
        &["can't reach https://127.0.0.1"],
    );
}

#[test]
fn nobody_listens() {
    let url = Server::start().put("/a.tar.gz", archive());
    let project = Project::new(&manifest(&[&url]));
    contains(
        &fails(5, project.cotter(&["setup"]).env("COTTER_HTTP_RETRIES", "1")),
        &["can't reach http://127.0.0.1"],
    );
}

#[test]
fn passing_faults_are_overcome_and_downloads_go_on_where_they_stopped() {
    let setup = locked();
    setup.server.fault("/a.tar.gz", Fault::Status(503, 2));
    setup.project.ok(&["setup"]);

    let setup = locked();
    setup.server.fault("/a.tar.gz", Fault::Break(150_000, 2));
    setup.project.ok(&["setup"]);
    let log = setup.server.log();
    assert_eq!(log.iter().filter(|l| l.starts_with("/a.tar.gz")).count(), 3, "{log:?}");
    assert!(
        log.iter().any(|l| l.starts_with("/a.tar.gz ") && !l.ends_with(" -")),
        "no range was asked for: {log:?}"
    );

    // A server that ignores ranges sends the whole file again. The bytes that are already known are skipped.
    let setup = locked();
    setup.server.fault("/a.tar.gz", Fault::NoRanges(150_000, 1));
    setup.project.ok(&["setup"]);
    setup.project.ok(&["verify", "--deep"]);
}

#[test]
fn a_partial_download_is_kept_for_the_next_run() {
    let setup = locked();
    setup.fault_both(Fault::Break(150_000, 99));
    fails(5, setup.project.cotter(&["setup"]).env("COTTER_HTTP_RETRIES", "0"));
    setup.server.heal();
    setup.server.clear_log();
    setup.project.ok(&["setup"]);
    let log = setup.server.log();
    assert!(log[0].starts_with("/a.tar.gz ") && !log[0].ends_with(" -"), "{log:?}");
    // A partial download that is wrong from its first byte on does no lasting harm.
    let setup = locked();
    let hash = cotter::internals::Digest::of(&archive());
    let part = setup.project.store.join(format!("inputs/{hash}.part"));
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, vec![7; 1000]).unwrap();
    setup.project.ok(&["setup"]);
    setup.project.ok(&["verify", "--deep"]);
}

#[test]
fn credentials_come_from_netrc_and_never_show() {
    let server = Server::start();
    let url = server.put("/private/a.tar.gz", archive());
    let project = Project::new(&manifest(&[&url]));
    contains(&project.fails(5, &["setup"]), &["the server answered 401", "netrc"]);
    project.scratch.write(".netrc", "machine 127.0.0.1 login user password secret\n");
    project.ok(&["setup"]);
    let project = Project::new(&manifest(&[&url.replace("http://", "http://user:wrong-secret@")]));
    let output = project.cotter(&["setup", "--verbose"]).output().unwrap();
    assert!(
        !output.status.success() && !text(&output).contains("wrong-secret"),
        "{}",
        text(&output)
    );
}

#[test]
fn offline_says_what_is_missing_and_works_from_the_cache() {
    let setup = locked();
    contains(&setup.project.fails(5, &["setup", "--offline"]), &["--offline forbids", "hint:"]);
    setup.project.ok(&["setup"]);
    let tree = setup.project.tree();
    ok(Command::new("chmod").args(["-R", "u+w"]).arg(&tree));
    std::fs::remove_dir_all(&tree).unwrap();
    setup.server.clear_log();
    setup.project.ok(&["setup", "--offline"]);
    assert!(setup.server.log().is_empty());
}

#[test]
fn file_mirrors_and_proxies_serve() {
    let project = Project::new("");
    let path = project.scratch.write("mirror/a.tar.gz", archive());
    project.manifest(&manifest(&[&format!("file://{}", path.display())]));
    project.ok(&["setup", "--offline"]);
    std::fs::remove_file(&path).unwrap();
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
    std::fs::remove_dir_all(&project.store).unwrap();
    contains(&project.fails(1, &["setup"]), &["can't read file:///", "there is no such file"]);
    // A proxy receives a request with the whole URL.
    let server = Server::start();
    server.put("http://files.invalid/a.tar.gz", archive());
    let project = Project::new(&manifest(&["http://files.invalid/a.tar.gz"]));
    ok(project.cotter(&["setup"]).env("http_proxy", &server.url).env_remove("no_proxy"));
    assert_eq!(server.log().len(), 1);
}

/// A page of an index on the Internet names files of servers that only this machine can reach.
#[test]
fn an_index_does_not_lead_to_servers_that_are_nearer_than_itself() {
    let (proxy, inner) = (Server::start(), Server::start());
    let file = "tool-1.0-py3-none-any.whl";
    let secret = inner.put(&format!("/{file}"), "secret");
    let project = Project::new(
        "platforms = [\"x86_64-linux\"]\n[mirrors]\npython = [\"http://index.invalid/simple\"]\n[toolchains.tool]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"1.0\"\n",
    );
    let lock = |url: &str, json: bool| {
        let page = match json {
            true => format!(
                "{{\"files\":[{{\"filename\":\"{file}\",\"url\":\"{url}\",\"hashes\":{{}}}}]}}"
            ),
            false => format!("<a href=\"{url}\">{file}</a>"),
        };
        proxy.put("http://index.invalid/simple/tool/", page);
        let mut command = project.cotter(&["lock"]);
        command.env("http_proxy", &proxy.url).env("no_proxy", "127.0.0.1");
        command.output().unwrap()
    };
    for (url, place) in [
        (secret.as_str(), "this machine"),
        (&secret.replace("127.0.0.1", "localhost"), "this machine"),
        (&format!("http://169.254.169.254/{file}"), "the link of this machine"),
        (&format!("http://10.0.0.1/{file}"), "a private network"),
        (&format!("http://[fd00::1]/{file}"), "a private network"),
    ] {
        for json in [false, true] {
            let output = lock(url, json);
            assert_eq!(output.status.code(), Some(4), "{}", text(&output));
            contains(
                &text(&output),
                &["a page of the index http://index.invalid/simple names files on", place],
            );
        }
    }
    assert_eq!(inner.log(), Vec::<String>::new());
    // Files may lie on other servers of the Internet.
    let elsewhere = format!("http://files.invalid/{file}");
    lock(&elsewhere, false);
    assert!(proxy.log().iter().any(|line| line.starts_with(&elsewhere)), "{:?}", proxy.log());
    // An index on this machine may name anything there.
    project.manifest(&format!(
        "platforms = [\"x86_64-linux\"]\n[mirrors]\npython = [\"{}/simple\"]\n[toolchains.tool]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"1.0\"\n",
        inner.url
    ));
    inner.put("/simple/tool/", format!("<a href=\"{secret}\">{file}</a>"));
    let output = project.cotter(&["lock"]).output().unwrap();
    assert!(!text(&output).contains("names files on"), "{}", text(&output));
    assert!(inner.log().iter().any(|line| line.starts_with(&format!("/{file}"))));
}

/// Runs a shell script in a mount namespace of its own. The script itself mounts `$STORE`.
fn in_namespace(project: &Project, script: &str) -> Command {
    let inner = project.cotter(&["setup"]);
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-ec", script, "sh"])
        .arg(inner.get_program());
    command
        .env_clear()
        .envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("STORE", &project.store)
        .current_dir(project.dir());
    command
}

#[test]
fn a_full_disk_is_told_and_healed() {
    let setup = locked();
    std::fs::create_dir_all(&setup.project.store).unwrap();
    let script = "mount -t tmpfs -o size=300k,mode=755 tmpfs \"$STORE\"\nset +e\n\"$1\" setup\ncode=$?\nls \"$STORE/store\" \"$STORE/staging\" 2>/dev/null\nexit $code";
    let mut command = in_namespace(&setup.project, script);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", text(&output));
    contains(&text(&output), &["No space left on device", "cotter gc"]);
    assert!(!text(&output).contains("-thing-1"), "{}", text(&output));
    setup.project.ok(&["setup"]);
}

#[test]
fn a_read_only_store_is_told() {
    let setup = locked();
    std::fs::create_dir_all(&setup.project.store).unwrap();
    let script =
        "mount --bind \"$STORE\" \"$STORE\"\nmount -o remount,bind,ro \"$STORE\"\n\"$1\" setup";
    let said = fails(8, &mut in_namespace(&setup.project, script));
    contains(&said, &["Read-only file system", "--store DIR"]);
    // A store that contains everything can be used although nothing can be written to it.
    setup.project.ok(&["setup"]);
    ok(&mut in_namespace(&setup.project, &script.replace("setup", "exec --host thing -- true")));
}

/// Somebody has put the staging directory on another disk. A rename does not lead from one to the other.
#[test]
fn a_store_on_two_file_systems_is_told() {
    let setup = locked();
    std::fs::create_dir_all(setup.project.store.join("staging")).unwrap();
    let script = "mount -t tmpfs -o mode=755 tmpfs \"$STORE/staging\"\n\"$1\" setup";
    let said = fails(8, &mut in_namespace(&setup.project, script));
    contains(&said, &["must be on one file system", "--store"]);
    assert_eq!(setup.project.stored("store"), Vec::<String>::new());
    setup.project.ok(&["setup"]);
}

#[test]
fn permission_denied_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let setup = locked();
    std::fs::create_dir_all(&setup.project.store).unwrap();
    std::fs::set_permissions(&setup.project.store, std::fs::Permissions::from_mode(0o555)).unwrap();
    let inner = setup.project.cotter(&["setup"]);
    // Another user may be unable to reach the target directory, so the program is copied to a place that everybody can reach.
    let program = setup.project.scratch.join("cotter");
    copy_program(inner.get_program(), &program);
    let mut command = if rustix::process::geteuid().is_root() {
        let mut c = Command::new("setpriv");
        c.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
        c
    } else {
        Command::new(&program)
    };
    command
        .arg("setup")
        .env_clear()
        .envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(setup.project.dir());
    contains(&fails(8, &mut command), &["Permission denied", "--store DIR"]);
    std::fs::set_permissions(&setup.project.store, std::fs::Permissions::from_mode(0o755)).unwrap();
    setup.project.assert_store_empty();
    setup.project.ok(&["setup"]);
}

#[test]
fn ctrl_c_leaves_nothing_and_the_next_run_heals() {
    let setup = locked();
    setup.fault_both(Fault::Slow(100_000));
    let mut child = setup
        .project
        .cotter(&["setup", "--verbose"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("fetching"));
    std::thread::sleep(Duration::from_millis(400));
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    contains(
        &lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"),
        &["interrupted", "goes on where this one stopped"],
    );
    setup.project.assert_store_empty();
    setup.server.heal();
    setup.server.clear_log();
    setup.project.ok(&["setup"]);
    assert!(
        !setup.server.log()[0].ends_with(" -"),
        "the download began anew: {:?}",
        setup.server.log()
    );
}

/// A server that sends nothing must not keep the user waiting, neither until its time is over nor until a second Ctrl-C.
#[test]
fn ctrl_c_is_heard_while_a_server_is_silent() {
    for signals in [1, 2] {
        let setup = locked();
        setup.fault_both(Fault::Stall(100_000));
        let child = setup
            .project
            .cotter(&["setup", "--verbose"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(700));
        let start = Instant::now();
        for _ in 0..signals {
            rustix::process::kill_process(
                rustix::process::Pid::from_child(&child),
                rustix::process::Signal::INT,
            )
            .unwrap();
            std::thread::sleep(Duration::from_millis(100));
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output));
        contains(&text(&output), &["interrupted"]);
        assert!(start.elapsed() < Duration::from_secs(10));
        setup.project.assert_store_empty();
        setup.server.heal();
        setup.project.ok(&["setup"]);
    }
}

#[test]
fn eight_setups_at_once_give_one_result() {
    let setup = locked();
    setup.fault_both(Fault::Slow(2_000_000));
    let children: Vec<_> = (0..8)
        .map(|_| {
            setup
                .project
                .cotter(&["setup"])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    assert_eq!(setup.project.stored("store").len(), 1);
    assert_eq!(setup.project.stored("staging"), Vec::<String>::new());
    assert_eq!(setup.server.log().len(), 1, "it was fetched more than once");
    setup.project.ok(&["verify", "--deep"]);
}
