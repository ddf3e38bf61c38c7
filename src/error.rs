//! The one error type of the program: what went wrong, why, and what to do next.

use std::fmt;
use std::io;
use std::path::Path;

/// What kind of failure this is. Each kind has one exit code, documented in `docs/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user can fix it: a manifest, a name, a setting.
    User,
    /// Wrong usage of the command line.
    Usage,
    /// The lock does not fit the manifest, or there is none.
    LockStale,
    /// The lock is damaged: it can't be read, or says what can't be.
    LockDamaged,
    /// Bytes are not the ones that were promised: hash, size, signature, hostile archive, damaged store.
    Verification,
    /// The network, or a server on it, did not do its part.
    Network,
    /// A build or a composition failed.
    Build,
    /// A reach to the host was found.
    Leak,
    /// A disk did not take or give bytes: full, read-only, permission denied.
    Store,
    /// `exec`: the command can't be started.
    CommandNotExecutable,
    /// `exec`: there is no such command.
    CommandNotFound,
    /// The user asked to stop.
    Interrupted,
}

impl ErrorKind {
    /// The process exit code of this kind of failure.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::User => 1,
            ErrorKind::Usage => 2,
            ErrorKind::LockStale | ErrorKind::LockDamaged => 3,
            ErrorKind::Verification => 4,
            ErrorKind::Network => 5,
            ErrorKind::Build => 6,
            ErrorKind::Leak => 7,
            ErrorKind::Store => 8,
            ErrorKind::CommandNotExecutable => 126,
            ErrorKind::CommandNotFound => 127,
            ErrorKind::Interrupted => 130,
        }
    }

    /// The kind's name in the JSON form of an error, documented in `docs/exit-codes.md`.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::User => "user",
            ErrorKind::Usage => "usage",
            ErrorKind::LockStale => "lock-stale",
            ErrorKind::LockDamaged => "lock-damaged",
            ErrorKind::Verification => "verification",
            ErrorKind::Network => "network",
            ErrorKind::Build => "build",
            ErrorKind::Leak => "leak",
            ErrorKind::Store => "store",
            ErrorKind::CommandNotExecutable => "command-not-executable",
            ErrorKind::CommandNotFound => "command-not-found",
            ErrorKind::Interrupted => "interrupted",
        }
    }
}

/// What stands behind a failure, for the program to act on: no behaviour hangs on the words of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The operating system refused an operation on a file.
    Io {
        /// Its word for it.
        kind: io::ErrorKind,
        /// What was read or written.
        medium: Medium,
    },
    /// There is no such file on this machine.
    NoSuchFile,
    /// A server answered, and not with the file.
    Http {
        /// The status code (RFC 9110, section 15).
        status: u16,
        /// The status in words.
        reason: &'static str,
    },
    /// Who was asked can't be asked: no such host, nobody listens, an untrusted certificate; a local mirror's file that can't be opened.
    Unreachable,
    /// A transfer ended too early.
    BrokenOff {
        /// Whether the server fell silent, and did not hang up.
        stalled: bool,
    },
    /// `--offline` forbids to ask.
    Offline,
    /// An archive does what no honest one does.
    HostileArchive,
    /// An archive can't be read.
    DamagedArchive,
    /// Bytes are not the ones that were promised.
    Mismatch {
        /// What of them was compared.
        what: Measure,
        /// As it should be.
        expected: String,
        /// As it is.
        got: String,
    },
    /// A Debian mirror that was asked has no such suite.
    NoSuchSuite,
    /// A file of the user's says what can't be: each problem with its place.
    Problems(Vec<(Place, String)>),
}

/// What is compared of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Their SHA-256 digest.
    Sha256,
    /// Their length in bytes.
    Size,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io { kind, .. } => write!(f, "{kind}"),
            Cause::NoSuchFile => f.write_str("there is no such file"),
            Cause::Http { status, reason } => write!(f, "the server answered {status} {reason}"),
            Cause::Unreachable => f.write_str("no connection came about"),
            Cause::BrokenOff { stalled: true } => f.write_str("the server fell silent"),
            Cause::BrokenOff { stalled: false } => f.write_str("the transfer broke off"),
            Cause::Offline => f.write_str("--offline forbids to ask"),
            Cause::HostileArchive => f.write_str("the archive is refused"),
            Cause::DamagedArchive => f.write_str("the archive is damaged"),
            Cause::Mismatch { what: Measure::Sha256, expected, got } => {
                write!(f, "expected sha256 {expected}, got {got}")
            }
            Cause::Mismatch { what: Measure::Size, expected, got } => {
                write!(f, "expected {expected} bytes, got {got}")
            }
            Cause::NoSuchSuite => f.write_str("it has no such suite"),
            Cause::Problems(list) => write!(f, "{} problems", list.len()),
        }
    }
}

/// What an operation on a file was for: it decides what the user can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// The store, with its caches and staging directories.
    Store,
    /// A file or directory of the user's that is written: the lock, an environment, what is emitted.
    Output,
    /// Standard output.
    StandardOutput,
}

impl Medium {
    /// The next step after a failure.
    fn hint(self, kind: io::ErrorKind) -> Option<&'static str> {
        match (kind, self) {
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, Medium::Store) => Some(
                "free some space (`cotter gc` drops what nothing uses), or put the store elsewhere with --store",
            ),
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, Medium::Output) => {
                Some("free some space on the disk that is written to")
            }
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, Medium::StandardOutput) => {
                Some("send the output to a place that has room for it")
            }
            (
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied,
                Medium::Store,
            ) => Some("name a directory you may write to with --store DIR or COTTER_STORE"),
            (
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied,
                Medium::Output,
            ) => Some("name a place that you may write to, or change who may write there"),
            _ => None,
        }
    }
}

/// A place in a file that the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as messages name it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A failure as the user sees it: an `error:` line, perhaps an `at:` line, `caused by:` lines and `hint:` lines. Beside the text stands what the program acts on: a kind,
/// a [`Cause`], and what the failure is about.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    place: Option<Place>,
    cause: Option<Cause>,
    subjects: Vec<String>,
    causes: Vec<String>,
    hints: Vec<String>,
}

/// `Result` with this program's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of the given kind. The message starts in lower case and has no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            place: None,
            cause: None,
            subjects: vec![],
            causes: vec![],
            hints: vec![],
        }))
    }

    /// A failure that the user can mend.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    /// A failure to confirm that bytes are what they should be.
    pub fn verification(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Verification, message)
    }

    /// A failure of the network or a server.
    pub fn network(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Network, message)
    }

    /// A failure to compose a tree out of verified inputs.
    pub fn build(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Build, message)
    }

    /// A failed operation on the store. A full disk and a read-only store get a hint of their own.
    pub fn io(what: impl Into<String>, error: io::Error) -> Self {
        Self::io_of(Medium::Store, what, error)
    }

    /// [`Error::io`] for an operation on one path of the store.
    pub fn at(verb: &str, path: &Path, error: io::Error) -> Self {
        Self::io_of(Medium::Store, format!("can't {verb} {}", path.display()), error)
    }

    /// [`Error::at`] for a file or directory of the user's that is written: an environment, what is emitted.
    pub fn output(verb: &str, path: &Path, error: io::Error) -> Self {
        Self::io_of(Medium::Output, format!("can't {verb} {}", path.display()), error)
    }

    /// A file of the user's that can't be read: the user can mend it.
    pub fn unreadable(path: &Path, error: io::Error) -> Self {
        let out = Self::user(format!("can't read {}", path.display())).cause(&error);
        match error.kind() {
            io::ErrorKind::NotFound => out.with_cause(Cause::NoSuchFile),
            _ => out,
        }
    }

    /// A failed operation on a file; what it was for decides on the hint.
    pub fn io_of(medium: Medium, what: impl Into<String>, error: io::Error) -> Self {
        let kind = error.kind();
        let out =
            Self::new(ErrorKind::Store, what).cause(&error).with_cause(Cause::Io { kind, medium });
        match medium.hint(kind) {
            Some(hint) => out.hint(hint),
            None => out,
        }
    }

    /// Tells the program what stands behind the failure, and the reader nothing new.
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.0.cause = Some(cause);
        self
    }

    /// Tells both the program and, in a `caused by:` line, the reader what stands behind the failure.
    pub fn because_of(self, cause: Cause) -> Self {
        let text = cause.to_string();
        self.because(text).with_cause(cause)
    }

    /// Says what the failure is about: a toolchain, a package as it was asked for. See [`Error::is_about`].
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.0.subjects.push(subject.into());
        self
    }

    /// Says where in a file of the user's the cause lies. The innermost place stays: it was nearest.
    pub fn located(mut self, place: Place) -> Self {
        self.0.place.get_or_insert(place);
        self
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
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What stands behind it, as far as the program needs to know.
    pub fn reason(&self) -> Option<&Cause> {
        self.0.cause.as_ref()
    }

    /// Whether it was said to be about `subject`.
    pub fn is_about(&self, subject: &str) -> bool {
        self.0.subjects.iter().any(|s| s == subject)
    }

    /// What it was said to be about.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.0.subjects.iter().map(String::as_str)
    }

    /// Where in a file of the user's its cause lies.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// Whether nobody reads standard output any more: the end of a pipe, and no failure.
    pub fn is_closed_output(&self) -> bool {
        self.reason()
            == Some(&Cause::Io { kind: io::ErrorKind::BrokenPipe, medium: Medium::StandardOutput })
    }

    /// Whether an archive's own content is at fault: hostile, or damaged.
    pub fn blames_archive(&self) -> bool {
        matches!(self.reason(), Some(Cause::HostileArchive | Cause::DamagedArchive))
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

/// A hint for a name that is not known: the most alike of those that are, or else some of them all.
pub fn known_names(name: &str, known: &[&str]) -> Option<String> {
    const SHOWN: usize = 12;
    let near = nearest(name, known.iter().copied(), 3);
    if !near.is_empty() {
        return Some(format!("did you mean {}?", near.join(" or ")));
    }
    match known {
        [] => None,
        all if all.len() > SHOWN => {
            Some(format!("there are {} and {} more", all[..SHOWN].join(", "), all.len() - SHOWN))
        }
        [one] => Some(format!("there is {one}")),
        all => Some(format!("there are {}", all.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_fits_what_was_written() {
        use io::ErrorKind::{BrokenPipe, PermissionDenied, ReadOnlyFilesystem, StorageFull};
        let hints = |medium: Medium, kind: io::ErrorKind| {
            Error::io_of(medium, "can't write", kind.into()).hints().join(" ")
        };
        for kind in [StorageFull, ReadOnlyFilesystem, PermissionDenied] {
            assert!(hints(Medium::Store, kind).contains("--store"), "{kind}");
            for medium in [Medium::Output, Medium::StandardOutput] {
                let hint = hints(medium, kind);
                assert!(!hint.contains("store") && !hint.contains("gc"), "{kind}: {hint}");
            }
        }
        assert!(Error::output("make", Path::new("venv"), StorageFull.into()).hints().len() == 1);
        let closed = |medium| Error::io_of(medium, "x", BrokenPipe.into()).is_closed_output();
        assert!(
            closed(Medium::StandardOutput) && !closed(Medium::Output) && !closed(Medium::Store)
        );
    }

    #[test]
    fn what_an_error_is_about_does_not_depend_on_its_words() {
        let error = Error::user("there is no such program in bin/").about("gcc");
        assert!(error.is_about("gcc") && !error.is_about("bin"));
        let place = |line| Place { file: "f".to_owned(), line, column: 1 };
        let error = error.located(place(2)).context("can't lock").located(place(1));
        assert_eq!(error.place(), Some(&place(2)));
        let error = io::Error::from(error.because_of(Cause::NoSuchFile));
        let error = from_io("not this", error);
        assert_eq!(error.reason(), Some(&Cause::NoSuchFile));
        assert_eq!(error.causes().last().map(String::as_str), Some("there is no such file"));
    }

    #[test]
    fn of_names_the_near_ones_or_all_are_told() {
        assert_eq!(known_names("gc", &["gcc", "python"]).as_deref(), Some("did you mean gcc?"));
        assert_eq!(known_names("q", &["gcc", "zig"]).as_deref(), Some("there are gcc, zig"));
        assert_eq!(known_names("q", &["gcc"]).as_deref(), Some("there is gcc"));
        assert_eq!(known_names("q", &[]), None);
        let many: Vec<String> = (0..40).map(|i| format!("t{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(known_names("q", &many).is_some_and(|h| h.ends_with("and 28 more")));
    }
}
