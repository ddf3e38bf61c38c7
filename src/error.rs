//! The one error type of the program: what went wrong, why, and what to do next.

use std::fmt;
use std::io;
use std::path::Path;

/// What kind of failure this is. Each kind has one exit code, documented in `docs/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The user can fix it: a manifest, a name, a setting.
    User,
    /// Wrong usage of the command line.
    Usage,
    /// The lock does not fit the manifest.
    LockStale,
    /// Bytes are not the ones that were promised: hash, size, signature, hostile archive, damaged store.
    Verification,
    /// The network, or a server on it, did not do its part.
    Network,
    /// A build or a composition failed.
    Build,
    /// A reach to the host was found.
    Leak,
    /// The store or the disk under it: full, read-only, permission denied.
    Store,
    /// `exec`: the command can't be started.
    CommandNotExecutable,
    /// `exec`: there is no such command.
    CommandNotFound,
    /// The user asked to stop.
    Interrupted,
}

impl Kind {
    /// The process exit code of this kind of failure.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::User => 1,
            Kind::Usage => 2,
            Kind::LockStale => 3,
            Kind::Verification => 4,
            Kind::Network => 5,
            Kind::Build => 6,
            Kind::Leak => 7,
            Kind::Store => 8,
            Kind::CommandNotExecutable => 126,
            Kind::CommandNotFound => 127,
            Kind::Interrupted => 130,
        }
    }
}

/// A failure as the user sees it: an `error:` line, `caused by:` lines and `hint:` lines.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

/// `Result` with this program's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of the given kind. The message starts in lower case and has no full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), causes: vec![], hints: vec![] }))
    }

    /// A failure that the user can mend.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Kind::User, message)
    }

    /// A failure to confirm that bytes are what they should be.
    pub fn verification(message: impl Into<String>) -> Self {
        Self::new(Kind::Verification, message)
    }

    /// A failure of the network or a server.
    pub fn network(message: impl Into<String>) -> Self {
        Self::new(Kind::Network, message)
    }

    /// A failure to compose a tree out of verified inputs.
    pub fn build(message: impl Into<String>) -> Self {
        Self::new(Kind::Build, message)
    }

    /// A failed operation on the file system. A full disk and a read-only store get a hint of their own.
    pub fn io(what: impl Into<String>, error: io::Error) -> Self {
        let mut out = Self::new(Kind::Store, what).cause(&error);
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                out = out.hint("free some space (`cotter gc` drops what nothing uses), or put the store elsewhere with --store");
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                out =
                    out.hint("name a directory you may write to with --store DIR or COTTER_STORE");
            }
            _ => {}
        }
        out
    }

    /// [`Error::io`] for an operation on one path.
    pub fn at(verb: &str, path: &Path, error: io::Error) -> Self {
        Self::io(format!("can't {verb} {}", path.display()), error)
    }

    /// Adds a `caused by:` line, and one for each deeper source that says something new.
    pub fn cause(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(e) = next {
            let text = e.to_string();
            if self.0.causes.last().is_none_or(|last| !last.contains(&text)) {
                self.0.causes.push(text);
            }
            next = e.source();
        }
        self
    }

    /// Adds a `caused by:` line.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.0.causes.push(reason.into());
        self
    }

    /// Adds a `hint:` line: the next step for the reader.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Puts a new message on top; the present one becomes the first cause.
    pub fn context(mut self, message: impl Into<String>) -> Self {
        let old = std::mem::replace(&mut self.0.message, message.into());
        self.0.causes.insert(0, old);
        self
    }

    /// The same failure under another kind.
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The first line, without its `error:`.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The `caused by:` lines, outermost first.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// The `hint:` lines.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for cause in &self.0.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Lets an [`io::Error`] carry an [`Error`] through a `Read` or `Write` and come out whole at the other end.
impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        io::Error::other(e)
    }
}

/// Takes an [`Error`] out of an [`io::Error`] that carries one; any other failure is described as `what`.
pub fn from_io(what: impl Into<String>, error: io::Error) -> Error {
    if error.get_ref().is_some_and(|e| e.is::<Error>()) {
        let inner = error.into_inner().expect("checked above");
        return *inner.downcast::<Error>().expect("checked above");
    }
    Error::io(what, error)
}

/// The most alike of `names`, for "did you mean" hints: at most `most`, best first.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = names
        .map(|n| (strsim::jaro_winkler(name, n), n))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(most).map(|(_, n)| n).collect()
}
