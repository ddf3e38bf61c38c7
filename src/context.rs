//! The services that a command uses, created once: directories, client, clock, reporter and flags.
//! This is the only place that reads the environment.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::accepted::{Record, strangers};
use crate::cli::{Color, Global};
use crate::error::{Error, Result};
use crate::evaluator::Evaluator;
use crate::fetch::{
    Fetcher, Http, LONGEST_TEXT, Mirrors, Patience, Proxies, S3Defaults, S3Login, index_settings,
    machine_mirrors, read_regular,
};
use crate::make::BinaryCache;
use crate::manifest::{self, CacheEntry, Manifest, Problems, UserConfig};
use crate::reporter::{Reporter, Verbosity};
use crate::sandbox::Quota;
use crate::store::Store;

/// The services that a command uses.
pub struct Context {
    /// The store.
    pub store: Store,
    /// Reports progress and messages.
    pub reporter: Reporter,
    /// The flags that every command accepts.
    pub global: Global,
    /// The user's working directory.
    pub here: PathBuf,
    /// The place of the configuration file of the user, and whether there is one.
    pub config_file: Option<(PathBuf, bool)>,
    /// What this file says.
    config: UserConfig,
    /// The binary caches, once they were needed.
    caches: OnceCell<Vec<Arc<BinaryCache>>>,
    /// The time at which the command began.
    since: Instant,
    /// The time in seconds that a build may take.
    build_seconds: u64,
    /// What the user has said about builds.
    build_variables: BTreeMap<&'static str, String>,
}

/// Returns an environment variable, if it is set, not empty, and valid Unicode.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Returns an environment variable unchanged.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn var_os(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Returns the arguments of this program.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// Returns the directory in which programs put temporary files: `TMPDIR`, or `/tmp`.
pub fn temporary_directory() -> PathBuf {
    std::env::temp_dir()
}

impl Context {
    /// Creates the context of one run. If the command needs no store, the home directory may be
    /// unknown.
    ///
    /// # Errors
    /// If the working directory or the home directory cannot be determined.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn new(global: Global, needs_store: bool) -> Result<Self> {
        let here = std::env::current_dir()
            .map_err(|e| Error::user("can't find the working directory").cause(&e))?;
        let config_file = config_home().map(|dir| dir.join("cotter/config.toml"));
        let config = config_file.as_deref().map(read_config).transpose()?.flatten();
        let config_file = config_file.map(|path| (path, config.is_some()));
        let mut config = config.unwrap_or_default();
        config.caches.splice(0..0, environment_caches()?);
        let of_config = config.store.as_deref().map(|dir| match dir.strip_prefix("~/") {
            Some(rest) => home().map(|home| home.join(rest)),
            None => Ok(PathBuf::from(dir)),
        });
        let store = match &global.store {
            Some(dir) => here.join(dir),
            None => match of_config.unwrap_or_else(|| Ok(data_home()?.join("cotter"))) {
                Ok(dir) => dir,
                // Nothing can be created below a device, so a command that uses the store after all
                // fails.
                Err(_) if !needs_store => PathBuf::from("/dev/null/cotter"),
                Err(e) => return Err(e),
            },
        };
        if store.as_os_str().as_encoded_bytes().iter().any(|b| b":;$".contains(b)) {
            return Err(Error::user(format!("the store can't lie at {}", store.display()))
                .because(
                    "no path in PATH may hold a colon, and none that the dynamic loader searches a semicolon or a dollar sign",
                )
                .hint("name another directory with --store DIR or COTTER_STORE"));
        }
        match (global.color, config.color.as_deref()) {
            (Some(Color::Always), _) | (None, Some("always")) => {
                anstream::ColorChoice::Always.write_global();
            }
            (Some(Color::Never), _) | (None, Some("never")) => {
                anstream::ColorChoice::Never.write_global();
            }
            _ => {}
        }
        let verbosity = match (global.quiet, global.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        let reporter = Reporter::new(verbosity, !global.no_progress);
        let build_variables = BUILD_VARIABLES.iter().filter_map(|name| Some((*name, var(name)?)));
        let build_variables: BTreeMap<&str, String> = build_variables.collect();
        // Wrong ones are told before anything else happens.
        let of = |name: &str| build_variables.get(name).cloned();
        let build_seconds = match build_variables.is_empty() {
            true => BUILD_SECONDS,
            false => Quota::of_builds(BUILD_SECONDS).with_variables(&of)?.seconds,
        };
        let store = Store::at(store);
        let since = Instant::now();
        Ok(Context {
            store,
            reporter,
            global,
            here,
            config_file,
            config,
            caches: OnceCell::new(),
            since,
            build_seconds,
            build_variables,
        })
    }

    /// Returns the time since the command began.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Returns the current time.
    pub fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    /// Returns a path by which this program is found again: the one by which it was started, as
    /// long as it leads to it. A link in it stays, because an update may replace what it leads to.
    ///
    /// # Errors
    /// If the system does not know the path.
    pub fn program(&self) -> Result<PathBuf> {
        // This leads to the running file even if another one has its name by now.
        let running = fs::metadata("/proc/self/exe").map(|meta| (meta.dev(), meta.ino()));
        let is_this = |path: &PathBuf| {
            let found = std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
            path.is_absolute()
                && found.ok().zip(running.as_ref().ok()).is_some_and(|(a, b)| a == *b)
        };
        let started = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
        let named = if started.components().count() > 1 {
            Some(self.here.join(&started).components().collect()).filter(is_this)
        } else {
            let dirs = var_os("PATH").unwrap_or_default();
            std::env::split_paths(&dirs).map(|dir| dir.join(&started)).find(is_this)
        };
        named.map_or_else(std::env::current_exe, Ok).map_err(|e| {
            Error::user("can't find the path of this program")
                .cause(&e)
                .hint("make /proc available, or start cotter by its absolute path")
        })
    }

    /// Returns the path of the manifest: the named one, or the first one found in the working
    /// directory or its parents, if its owner may choose what this user starts.
    ///
    /// # Errors
    /// If there is none, or if a manifest that nobody named belongs to another user whom this user
    /// did not accept.
    pub fn manifest_path(&self) -> Result<PathBuf> {
        let path = self.found_manifest()?;
        if self.global.manifest.is_none() && !self.global.trust {
            let me = own_users();
            let strangers = strangers(&path, &me);
            if !strangers.is_empty() {
                let record = Record::of(&path, state_home())?;
                let mut strangers = strangers.into_iter();
                if let Some(foreign) = strangers.find(|one| !record.accepts(&one.words())) {
                    return Err(foreign.refusal(&me));
                }
            }
        }
        Ok(path)
    }

    /// Returns the path of the manifest, whoever owns it.
    ///
    /// # Errors
    /// If there is none.
    pub fn found_manifest(&self) -> Result<PathBuf> {
        if let Some(path) = &self.global.manifest {
            let path = self.here.join(path);
            let path = if path.is_dir() { path.join(manifest::FILE_NAME) } else { path };
            return if path.exists() {
                Ok(path)
            } else {
                Err(Error::user(format!("there is no {}", path.display()))
                    .hint("check --manifest and COTTER_MANIFEST"))
            };
        }
        self.here.ancestors().map(|d| d.join(manifest::FILE_NAME)).find(|p| p.exists()).ok_or_else(
            || {
                Error::user(format!(
                    "there is no {} in {} or above",
                    manifest::FILE_NAME,
                    self.here.display()
                ))
                .hint("run `cotter init` to start one, or name it with --manifest")
            },
        )
    }

    /// Returns how much of the machine a build may use. This asks the system, so only those who may
    /// build call it.
    pub fn limits(&self) -> Quota {
        let limits = Quota::of_builds(BUILD_SECONDS);
        let keep_failed = self.global.keep_failed;
        let of = |name: &str| self.build_variables.get(name).cloned();
        // They were right when the command began.
        Quota { keep_failed, ..limits }.with_variables(&of).unwrap_or(limits)
    }

    /// Returns the number of inputs that are unpacked at once. The default is one for each core, but
    /// at least four, because some of the time is spent waiting for the network.
    pub fn jobs(&self) -> usize {
        self.global
            .jobs
            .or(self.config.jobs)
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(4, |n| n.get().max(4)))
    }

    /// Returns the time in seconds for which a build, or Nix, may work.
    pub fn build_seconds(&self) -> u64 {
        self.build_seconds
    }

    /// Returns what an evaluator of Nix needs to know of this machine.
    pub fn evaluator(&self) -> Evaluator {
        let limited = self.build_variables.contains_key("COTTER_BUILD_MEMORY");
        let known = |names: &[&str]| {
            names.iter().filter_map(|name| Some(((*name).to_owned(), var_os(name)?))).collect()
        };
        let path = var_os("PATH").unwrap_or_default();
        let manifest =
            self.found_manifest().unwrap_or_else(|_| self.here.join(manifest::FILE_NAME));
        Evaluator {
            directories: std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect(),
            path,
            env: known(NIX_VARIABLES),
            machine: known(NIX_MACHINE_VARIABLES),
            dir: self.store.evaluations_of(&manifest),
            project: manifest.parent().unwrap_or(Path::new("/")).to_owned(),
            seconds: self.build_seconds,
            memory: limited.then(|| self.limits().memory),
            namespace: var("COTTER_NIX_NAMESPACE").is_none_or(|value| value != "0"),
            reporter: Some(self.reporter.clone()),
            offline: self.global.offline,
            ..Evaluator::default()
        }
    }

    /// Creates a client.
    pub fn http(&self, patience: Patience) -> Http {
        let netrc = var_os("NETRC")
            .map(PathBuf::from)
            .or_else(|| Some(home().ok()?.join(".netrc")))
            .and_then(|p| fs::read_to_string(p).ok())
            .unwrap_or_default();
        Http::new(self.global.offline, patience, &netrc, Proxies::of(&var)).with_s3(s3_defaults)
    }

    /// Returns the binary caches that the user configured: those of the environment come first.
    pub fn configured_caches(&self) -> &[CacheEntry] {
        &self.config.caches
    }

    /// Returns the binary caches that are asked for finished trees. What is learned of them in this run, such as that one is down, stays known.
    pub fn caches(&self) -> &[Arc<BinaryCache>] {
        self.caches.get_or_init(|| {
            let open = |entry: &CacheEntry| {
                let Patience { stall, backoff, .. } = patience()?;
                // A cache saves time, so little is lost on one that does not answer.
                let http =
                    self.http(Patience { stall: stall.min(CACHE_STALL), retries: 0, backoff });
                Ok::<_, Error>(Arc::new(BinaryCache::new(entry, http)))
            };
            let mut out = vec![];
            for entry in &self.config.caches {
                match open(entry) {
                    Ok(cache) => out.push(cache),
                    Err(e) => self.reporter.warn(&e.to_string()),
                }
            }
            out
        })
    }

    /// Creates a fetcher with the mirrors of the manifest, the environment and this machine.
    ///
    /// # Errors
    /// If an environment variable has an invalid value.
    pub fn fetcher(&self, manifest: Option<&Manifest>) -> Result<Fetcher> {
        let http = self.http(patience()?);
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let families = manifest
            .into_iter()
            .flat_map(|m| m.mirrors.keys().cloned())
            .chain(self.config.mirrors.keys().cloned())
            .chain(["debian", "debian-security", "python", "nix"].map(str::to_owned))
            .chain(environment_families());
        for family in families {
            // The mirrors of the environment and of the user precede those of the manifest, because
            // they are specific to the machine on which this runs.
            let variable = format!("{MIRROR_VARIABLE}{}", family.to_uppercase().replace('-', "_"));
            let mut urls: Vec<String> = var(&variable)
                .map(|v| v.split([' ', ',']).filter(|u| !u.is_empty()).map(str::to_owned).collect())
                .unwrap_or_default();
            urls.extend(self.config.mirrors.get(&family).into_iter().flatten().cloned());
            urls.extend(
                manifest.and_then(|m| m.mirrors.get(&family)).into_iter().flatten().cloned(),
            );
            named.entry(family).or_insert(urls);
        }
        let etc = var_os("COTTER_APT_ETC").map_or_else(|| PathBuf::from("/etc/apt"), PathBuf::from);
        let apt = ["debian", "debian-security"]
            .into_iter()
            .map(|a| (a.to_owned(), machine_mirrors(&etc, a)))
            .collect();
        let python = index_settings::configured(&var, &python_config_files());
        let mirrors = Mirrors::new(named, apt, python);
        let mirrors = match self.manifest_path() {
            Ok(manifest) => mirrors.in_project(manifest.parent().unwrap_or(Path::new("/"))),
            Err(_) => mirrors,
        };
        let path = var_os("PATH").unwrap_or_default();
        let path = std::env::split_paths(&path).collect();
        let caches = manifest.map(|m| m.nix.caches.clone()).unwrap_or_default();
        let caches: Vec<String> = caches.into_iter().map(|cache| cache.value).collect();
        let fetcher = Fetcher::new(http, mirrors, self.store.inputs());
        Ok(fetcher.with_tools_on(path).with_nix_caches(&caches))
    }
}

/// The variables that each process of Nix gets: those by which it, git and ssh find proxies, certificates and accounts.
const NIX_VARIABLES: &[&str] = &[
    "HOME",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "NIX_SSL_CERT_FILE",
    "TMPDIR",
];

/// The variables by which the machine says where the store of Nix is and which settings count.
const NIX_MACHINE_VARIABLES: &[&str] = &[
    "NIX_REMOTE",
    "NIX_CONF_DIR",
    "NIX_CONFIG",
    "NIX_USER_CONF_FILES",
    "NIX_STATE_DIR",
    "NIX_SSHOPTS",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
];

/// The time for which a binary cache may send nothing.
const CACHE_STALL: Duration = Duration::from_secs(10);

/// Returns the client's limits for timeouts and retries.
///
/// # Errors
/// If an environment variable has an invalid value.
pub fn patience() -> Result<Patience> {
    let seconds = |n: f64| Duration::from_secs_f64(n.min(86_400.0));
    Ok(Patience {
        stall: seconds(number("COTTER_HTTP_TIMEOUT", 30.0)?),
        retries: number("COTTER_HTTP_RETRIES", 3.0)? as u32,
        backoff: seconds(number("COTTER_HTTP_BACKOFF", 0.5)?),
    })
}

/// The variable that names binary caches.
const CACHES_VARIABLE: &str = "COTTER_CACHES";

/// Returns the caches that the environment names, separated by commas, each with its keys behind spaces.
fn environment_caches() -> Result<Vec<CacheEntry>> {
    let text = var(CACHES_VARIABLE).unwrap_or_default();
    let bad = |why: String| {
        Error::user(format!("{CACHES_VARIABLE} names no caches")).because(why).hint(
            "write the address of each cache with its keys behind it, separated by spaces, and commas between caches",
        )
    };
    let mut out = vec![];
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let mut words = part.split_whitespace();
        let url = words.next().unwrap_or_default().to_owned();
        manifest::check_cache_url(&url).map_err(bad)?;
        let keys = words.map(str::parse).collect::<Result<Vec<_>, String>>().map_err(bad)?;
        if keys.is_empty() {
            return Err(bad(format!(
                "expected a key behind {}, got none",
                crate::model::redact(&url)
            )));
        }
        out.push(CacheEntry { url, keys });
    }
    Ok(out)
}

/// Returns what this machine says of accounts of S3, as the tools of AWS find it.
pub fn s3_defaults() -> S3Defaults {
    let of_environment = || {
        let (key, secret) = (var("AWS_ACCESS_KEY_ID")?, var("AWS_SECRET_ACCESS_KEY")?);
        Some(S3Login { key, secret, token: var("AWS_SESSION_TOKEN") })
    };
    let of_file = || {
        let named = var_os("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
        let path = named.or_else(|| Some(home().ok()?.join(".aws/credentials")))?;
        let text = String::from_utf8(read_regular(&path, LONGEST_TEXT).ok()?).ok()?;
        S3Login::of_file(&text, var("AWS_PROFILE").as_deref().unwrap_or("default"))
    };
    S3Defaults {
        login: of_environment().or_else(of_file),
        region: var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")),
    }
}

/// Returns the users whose projects are used without a question, besides root: this one, and for
/// root the one who became root by sudo, as git does for `safe.directory`.
pub fn own_users() -> Vec<u32> {
    let me = rustix::process::geteuid();
    let before = var("SUDO_UID").filter(|_| me.is_root()).and_then(|uid| uid.parse().ok());
    std::iter::once(me.as_raw()).chain(before).collect()
}

/// Returns the number in an environment variable.
fn number(name: &str, default: f64) -> Result<f64> {
    match var(name) {
        Some(text) => text
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite() && *n >= 0.0)
            .ok_or_else(|| Error::user(format!("{name} is no number: {text:?}"))),
        None => Ok(default),
    }
}

/// The variables that say what builds may do.
const BUILD_VARIABLES: [&str; 5] = [
    "COTTER_BUILD_TIMEOUT",
    "COTTER_BUILD_MEMORY",
    "COTTER_BUILD_OUTPUT",
    "COTTER_BUILD_PROCESSES",
    "COTTER_KEEP_FAILED",
];

/// The time in seconds that a build may take.
const BUILD_SECONDS: u64 = 7200;

/// The beginning of the names of the variables that name mirrors.
const MIRROR_VARIABLE: &str = "COTTER_MIRROR_";

/// Returns the families for which the environment names mirrors. A dash in a family's name is an
/// underscore in the name of the variable.
fn environment_families() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let family =
        |name: String| Some(name.strip_prefix(MIRROR_VARIABLE)?.to_lowercase().replace('_', "-"));
    names.filter_map(family).collect()
}

/// Returns the home directory of the user.
fn home() -> Result<PathBuf> {
    var_os("HOME").map(PathBuf::from).filter(|h| h.is_absolute()).ok_or_else(|| {
        Error::user("HOME is not set")
            .hint("name a directory for the store with --store DIR or COTTER_STORE")
    })
}

/// Returns a store for what `exec` and `shell` write beside the trees if the store itself cannot be
/// written: in the cache directory of the user, following the XDG Base Directory Specification.
pub fn cache_store() -> Option<Store> {
    let named = var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let dir = named.or_else(|| Some(home().ok()?.join(".cache")))?.join("cotter");
    (!dir.as_os_str().as_encoded_bytes().contains(&b':')).then(|| Store::at(dir))
}

/// Returns the directory for what programs remember of the user's decisions, following the XDG Base
/// Directory Specification, version 0.8.
pub fn state_home() -> Option<PathBuf> {
    let named = var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    named.or_else(|| Some(home().ok()?.join(".local/state")))
}

/// Returns the data directory of the user, following the XDG Base Directory Specification, version
/// 0.8.
fn data_home() -> Result<PathBuf> {
    match var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|p| p.is_absolute()) {
        Some(dir) => Ok(dir),
        None => Ok(home()?.join(".local/share")),
    }
}

/// Returns the directory of configuration files, following the XDG Base Directory Specification, version
/// 0.8.
fn config_home() -> Option<PathBuf> {
    let named = var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    named.or_else(|| Some(home().ok()?.join(".config")))
}

/// The greatest size in bytes of the configuration file.
const LARGEST_CONFIG: u64 = 1 << 20;

/// Reads the configuration file, if there is one.
///
/// # Errors
/// If somebody else may have written it, or with every problem that it has.
fn read_config(path: &Path) -> Result<Option<UserConfig>> {
    let refused = |why: String| {
        Error::user(format!("the configuration {} is not read", path.display())).because(why)
    };
    let Ok(meta) = fs::metadata(path) else { return Ok(None) };
    if !meta.is_file() || meta.len() > LARGEST_CONFIG {
        return Err(refused("expected a file of at most 1 MiB".to_owned()).hint("move it away"));
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me && meta.uid() != 0 {
        return Err(refused(format!("it belongs to the user {}, and this is {me}", meta.uid()))
            .hint("it names the servers and the store that are used: write a file of your own"));
    }
    if meta.mode() & 0o002 != 0 {
        return Err(refused("everybody may change it".to_owned())
            .hint(format!("run `chmod o-w {}`", path.display())));
    }
    let text = fs::read_to_string(path).map_err(|e| Error::unreadable(path, e))?;
    let mut problems = Problems::new(&path.display().to_string(), &text);
    let config = UserConfig::parse(&text, &mut problems);
    problems.check()?;
    Ok(Some(config))
}

/// Returns the texts of the configuration files of uv and pip, the most specific first, each with a
/// flag that is set for a file of uv.
fn python_config_files() -> Vec<(bool, String)> {
    let config = var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| home().ok().map(|h| h.join(".config")));
    let mut paths: Vec<(bool, PathBuf)> = vec![];
    if let Some(file) = var_os("PIP_CONFIG_FILE") {
        paths.push((false, file.into()));
    }
    if let Some(config) = &config {
        paths.push((false, config.join("pip/pip.conf")));
    }
    if let Ok(home) = home() {
        paths.push((false, home.join(".pip/pip.conf")));
    }
    paths.push((false, "/etc/pip.conf".into()));
    // A file that the user names takes the place of all others.
    match var_os("UV_CONFIG_FILE") {
        Some(file) => paths.push((true, file.into())),
        None => {
            paths.extend(config.map(|config| (true, config.join("uv/uv.toml"))));
            paths.push((true, "/etc/uv/uv.toml".into()));
        }
    }
    paths.into_iter().filter_map(|(uv, path)| Some((uv, fs::read_to_string(path).ok()?))).collect()
}

/// Returns a path for messages, relative to `here` if it is below that directory.
pub fn shown(path: &Path, here: &Path) -> String {
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
