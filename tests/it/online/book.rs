//! The book is built with the mdBook that its own manifest pins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::{REPO, Scratch, in_store, ok, shared_store};

/// Returns the values of an attribute in a page.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    page.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Returns the HTML pages below a directory.
fn pages(dir: &Path, out: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, out);
        } else if path.extension().is_some_and(|e| e == "html") {
            out.insert(path.canonicalize().unwrap(), std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_book_is_built_and_each_of_its_links_leads_to_a_heading() {
    let scratch = Scratch::new();
    let docs = Path::new(REPO).join("docs");
    ok(&mut in_store(shared_store(), &docs, &["setup", "--locked"]));
    let built = scratch.join("book");
    let printed = in_store(shared_store(), &docs, &["exec", "--", "mdbook", "build", "--dest-dir"])
        .arg(&built)
        .output()
        .unwrap();
    let log = crate::support::text(&printed);
    assert!(printed.status.success() && !log.contains("WARN") && !log.contains("ERROR"), "{log}");
    let mut all = BTreeMap::new();
    pages(&built, &mut all);
    // What a reader opens; the others repeat these pages or stand in for those that do not exist.
    let read =
        |path: &&PathBuf| !["print.html", "404.html", "toc.html"].iter().any(|n| path.ends_with(n));
    let headings: BTreeMap<&PathBuf, BTreeSet<&str>> =
        all.iter().map(|(path, page)| (path, values(page, "id").into_iter().collect())).collect();
    let (mut problems, mut count) = (vec![], 0);
    for path in all.keys().filter(read) {
        for link in values(&all[path], "href") {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let there = target.canonicalize().ok();
            let found = there.as_ref().is_some_and(|there| {
                heading.is_empty() || headings.get(there).is_some_and(|all| all.contains(heading))
            });
            if !found {
                problems.push(format!(
                    "{} links to {link}",
                    path.strip_prefix(&built).unwrap_or(path).display()
                ));
            }
        }
    }
    problems.sort();
    problems.dedup();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 500, "only {count} links were found");
}
