//! What locking a set of Python packages takes from the package index, and what it hands to uv.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::context::var_os;
use crate::error::{Error, Result};
use crate::fetch::{Fetcher, Patience};
use crate::lockfile::format_of_distribution;
use crate::model::{Component, Ecosystem, Input, Location};
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
    file: Chosen,
    demanded: &BTreeMap<String, Pin>,
) -> Result<Input> {
    let cached = file.sha256.and_then(|sha256| Some((fetcher.cached_size(&sha256)?, sha256)));
    let told = file.size.zip(file.sha256);
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
    let component = Component {
        ecosystem: Ecosystem::Pypi,
        name: file.project.clone(),
        version: file.version.clone(),
        source: None,
    };
    let location = Location::Mirror { mirror: "python".to_owned(), path };
    let format = format_of_distribution(&file.file);
    Ok(Input::new(vec![location], size, sha256, format, component))
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
