//! What locking a set of Python packages takes from the package index, and what it hands to uv.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::context::var_os;
use crate::error::{Error, Result};
use crate::fetch::{Fetcher, Patience};
use crate::lockfile::format_of_distribution;
use crate::manifest::Requirements;
use crate::model::{Component, Ecosystem, Input, Location};
use crate::python::named_files::{self, KnownFile};
use crate::python::requirement_files::Pin;
use crate::python::uv::Chosen;
use crate::reporter::Reporter;

/// Converts a chosen file to an input of the lock.
///
/// # Errors
/// If the file is not the one that the requirements demand, or if the index cannot be asked.
pub fn input_of(
    fetcher: &Fetcher,
    reporter: &Reporter,
    file: &Chosen,
    demanded: &BTreeMap<String, Pin>,
) -> Result<Input> {
    let cached = file.sha256.and_then(|sha256| Some((fetcher.cached_size(&sha256)?, sha256)));
    let told = file.size.zip(file.sha256);
    if let (Some(location), Some(size), Some(sha256)) = (&file.location, file.size, file.sha256) {
        let component = component_of(file);
        let format = format_of_distribution(&file.file);
        return Ok(Input::new(vec![location.clone()], size, sha256, format, component));
    }
    let (size, sha256) = match cached.or(told) {
        Some(known) => known,
        None => {
            let page = fetcher.python_project(&file.project)?;
            let listed = page.files.iter().find(|f| f.name == file.file);
            match listed.and_then(|f| Some((f.size?, file.sha256.or(f.sha256)?))) {
                Some(known) => known,
                None => {
                    let task = reporter.task(&file.file, 0);
                    fetcher.discover(&page.url_of(&file.file)?, &task)?
                }
            }
        }
    };
    if let Some(expected) = file.sha256.filter(|expected| *expected != sha256) {
        return Err(Error::verification(format!(
            "{} is not the file that its index lists",
            file.file
        ))
        .because(format!("expected sha256 {expected}, got {sha256}"))
        .hint("the index and what it serves disagree: ask another, or whoever runs it"));
    }
    if let Some(pin) = demanded.get(&file.project).filter(|pin| !pin.hashes.contains(&sha256)) {
        return Err(Error::verification(format!(
            "{} has another hash than the requirements demand",
            file.file
        ))
        .because(format!("the index has sha256 {sha256}"))
        .because(format!(
            "the requirements allow {}",
            pin.hashes.iter().map(|h| h.hex()).collect::<Vec<_>>().join(", ")
        ))
        .hint("check where the hashes come from before you change them"));
    }
    let path = format!("{}/{}", file.project, file.file);
    let component = component_of(file);
    let location = Location::Mirror { mirror: "python".to_owned(), path };
    let format = format_of_distribution(&file.file);
    Ok(Input::new(vec![location], size, sha256, format, component))
}

fn component_of(file: &Chosen) -> Component {
    Component {
        ecosystem: Ecosystem::Pypi,
        name: file.project.clone(),
        version: file.version.clone(),
        source: None,
    }
}

/// Returns the files that a set names in place of releases, and fetches those that are not in the cache.
///
/// # Errors
/// If one cannot be read or fetched, or if it is not the one that its line demands.
pub fn known_files(
    fetcher: &Fetcher,
    reporter: &Reporter,
    set: &Requirements,
    dir: &Path,
) -> Result<Vec<KnownFile>> {
    let mut out: Vec<KnownFile> = vec![];
    for line in named_files::of_set(set, dir) {
        let location = line.location(dir)?;
        let project = line.project()?;
        // A second line may ask for other extras, but not for another file.
        let same = |known: &KnownFile| known.line.project().is_ok_and(|other| other == project);
        if let Some(first) = out.iter().find(|known| same(known)) {
            if first.location == location {
                line.check(&first.sha256)?;
                continue;
            }
            return Err(Error::user(format!("{project} is named twice, by two files"))
                .located(line.place.clone())
                .because(format!("{} names {}", first.line.place, first.location))
                .because(format!("{} names {location}", line.place))
                .hint("leave one of them out"));
        }
        let file = line.file.target.file_name();
        let may_build = set.build.iter().any(|name| *name == "*" || *name == project);
        if !file.ends_with(".whl") && !may_build {
            return Err(Error::user(format!("{file} is no wheel, and nothing may build it"))
                .located(line.place.clone())
                .hint(format!(
                    "to build {project} from source, name it in `build` of [requirements.{}], or name a wheel",
                    set.name
                )));
        }
        let task = reporter.task(&file, 0);
        let cached = line.file.sha256.and_then(|sha256| {
            Some((fetcher.cached_size(&sha256)?, sha256)).filter(|_| is_url(&location))
        });
        let (size, sha256) = match cached {
            Some(known) => known,
            None => {
                fetcher.discover_at(&location, &task).map_err(|e| e.located(line.place.clone()))?
            }
        };
        line.check(&sha256)?;
        let bytes = fetcher.built(&sha256).ok_or_else(|| {
            Error::build(format!("{file} is gone from the cache"))
                .hint("run the same command again")
        })?;
        out.push(KnownFile { line, location, sha256, size, bytes });
    }
    Ok(out)
}

fn is_url(location: &Location) -> bool {
    matches!(location, Location::Url(_))
}

/// Returns the part of this process's environment that uv may see: proxies, certificates and
/// credentials.
pub fn environment_of_uv(patience: &Patience) -> Vec<(String, OsString)> {
    let names = [
        "HOME",
        "XDG_CONFIG_HOME",
        "NETRC",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
        "UV_KEYRING_PROVIDER",
        "UV_SYSTEM_CERTS",
        "UV_NATIVE_TLS",
        "UV_HTTP_TIMEOUT",
        "UV_HTTP_RETRIES",
    ];
    let mut out: Vec<(String, OsString)> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), var_os(name)?))).collect();
    // uv trusts the certificates that this program trusts, waits as long and tries as often.
    // The second name is the one that older versions know.
    if var_os("UV_SYSTEM_CERTS").is_none() && var_os("UV_NATIVE_TLS").is_none() {
        out.extend(["UV_SYSTEM_CERTS", "UV_NATIVE_TLS"].map(|n| (n.to_owned(), "1".into())));
    }
    let limits = [
        ("UV_HTTP_TIMEOUT", patience.stall.as_secs().max(1).to_string()),
        ("UV_HTTP_RETRIES", patience.retries.to_string()),
    ];
    let unset = limits.into_iter().filter(|(name, _)| var_os(name).is_none());
    out.extend(unset.map(|(name, value)| (name.to_owned(), value.into())));
    // The keyring is a program of the user, and uv looks for it on PATH.
    if var_os("UV_KEYRING_PROVIDER").is_some() {
        out.extend(var_os("PATH").map(|path| ("PATH".to_owned(), path)));
    }
    out
}
