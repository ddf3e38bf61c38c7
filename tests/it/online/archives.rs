//! Archives with real programs.

use crate::archives::manifest;
use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::{Project, contains, ok};

#[test]
fn a_dynamic_program_without_its_loader_is_refused_with_the_way_out() {
    let server = Server::start();
    let program = std::fs::read("/bin/true").unwrap();
    let bytes = Tar::new().program("bin/true", &program).finish();
    let project = Project::new(&manifest(&server.put("/a.tar", bytes.clone()), &bytes, ""));
    contains(&project.fails(6, &["setup"]), &["needs a dynamic loader", "packages = [\"libc6\""]);
    project.assert_store_empty();
    // The program includes its runtime, so it runs where none is installed.
    let project = Project::new(&manifest(
        &server.put("/a.tar", bytes.clone()),
        &bytes,
        "suite = \"bookworm\"\npackages = [\"libc6\"]",
    ));
    project.ok(&["setup"]);
    let work = crate::support::Scratch::new();
    ok(crate::support::jail::jail(&project.store, work.path())
        .arg(project.tree().join("bin/true")));
}
