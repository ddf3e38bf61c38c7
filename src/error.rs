//! The only error type of the program: what went wrong, why, and what to do next.

use std::fmt;
use std::io;
use std::path::Path;

use crate::text::terminal::escaped;

/// The kind of a failure. Each kind has one exit code, which is documented in `docs/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user can correct it: a manifest, a name, a setting.
    User,
    /// Incorrect usage of the command line.
    Usage,
    /// The lock does not fit the manifest, or does not exist.
    LockStale,
    /// The lock is damaged: it cannot be read, or contains invalid values.
    LockDamaged,
    /// Bytes are not the expected ones: a hash, a size, a signature, a hostile archive, a damaged
    /// store.
    Verification,
    /// The network, or a server, failed.
    Network,
    /// A build or a composition failed.
    Build,
    /// An access to the host was found.
    Leak,
    /// A disk could not be read or written: it is full, read-only, or permission is denied.
    Store,
    /// A fault of cotter itself: a panic.
    Internal,
    /// `exec`: the command cannot be started.
    CommandNotExecutable,
    /// `exec`: the command does not exist.
    CommandNotFound,
    /// The user interrupted the program.
    Interrupted,
}

impl ErrorKind {
    /// Returns the exit code of the process for this kind of failure.
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
            ErrorKind::Internal => 9,
            ErrorKind::CommandNotExecutable => 126,
            ErrorKind::CommandNotFound => 127,
            ErrorKind::Interrupted => 130,
        }
    }

    /// Returns the name of the kind in the JSON form of an error, documented in
    /// `docs/exit-codes.md`.
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
            ErrorKind::Internal => "internal",
            ErrorKind::CommandNotExecutable => "command-not-executable",
            ErrorKind::CommandNotFound => "command-not-found",
            ErrorKind::Interrupted => "interrupted",
        }
    }
}

/// The cause of a failure, for use by the program: no behaviour depends on the words of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The operating system refused an operation on a file.
    Io {
        /// The kind of error that it reported.
        kind: io::ErrorKind,
        /// The file that was read or written.
        medium: Medium,
    },
    /// The file does not exist on this machine.
    NoSuchFile,
    /// A server responded with something other than the file.
    Http {
        /// The status code (RFC 9110, section 15).
        status: u16,
        /// The status in words.
        reason: &'static str,
    },
    /// A server or file could not be reached: there is no such host, nobody listens, a certificate
    /// is not trusted, or a file of a local mirror cannot be opened.
    Unreachable,
    /// A transfer ended too early.
    BrokenOff {
        /// Whether the server stopped sending instead of closing the connection.
        stalled: bool,
    },
    /// `--offline` forbids the request.
    Offline,
    /// An archive has content that no legitimate archive has.
    HostileArchive,
    /// An archive cannot be read.
    DamagedArchive,
    /// Bytes are not the expected ones.
    Mismatch {
        /// The property of the bytes that was compared.
        what: Measure,
        /// The expected value.
        expected: String,
        /// The actual value.
        got: String,
    },
    /// A Debian mirror does not have the suite.
    NoSuchSuite,
    /// A file of the user has invalid content. Each problem has its place.
    Problems(Vec<(Place, String)>),
}

/// A property of bytes that is compared.
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

/// The purpose of an operation on a file. It determines what the user can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// The store, including its caches and staging directories.
    Store,
    /// A file or directory of the user that is written: the lock, an environment, emitted files.
    Output,
    /// Standard output.
    StandardOutput,
}

impl Medium {
    /// Returns advice for the next step after a failure.
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
            (io::ErrorKind::CrossesDevices, Medium::Store) => Some(
                "all directories of a store must be on one file system: replace the mount or the symlink in it by a directory, or put the whole store elsewhere with --store",
            ),
            _ => None,
        }
    }
}

/// A place in a file that the user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of the file in messages.
    pub file: String,
    /// The line, starting at 1.
    pub line: usize,
    /// The column in characters, starting at 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A repository chooses the names of its files.
        write!(f, "{}:{}:{}", escaped(&self.file), self.line, self.column)
    }
}

/// A failure as the user sees it: an `error:` line, optionally an `at:` line, `caused by:` lines
/// and `hint:` lines. In addition to the text, it contains the data on which the program acts: a
/// kind, a [`Cause`], and the subjects of the failure.
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
    /// Creates a failure of the given kind. The message starts in lower case and has no full stop.
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

    /// Creates a failure that the user can correct.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    /// Creates a failure to verify that bytes are the expected ones.
    pub fn verification(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Verification, message)
    }

    /// Creates a failure of the network or of a server.
    pub fn network(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Network, message)
    }

    /// Creates a failure to compose a tree from verified inputs.
    pub fn build(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Build, message)
    }

    /// Creates the error for a failed operation on the store. A full disk and a read-only store
    /// have hints of their own.
    pub fn io(what: impl Into<String>, error: io::Error) -> Self {
        Self::io_of(Medium::Store, what, error)
    }

    /// Creates the error for an operation on one path of the store, like [`Error::io`].
    pub fn at(verb: &str, path: &Path, error: io::Error) -> Self {
        Self::io_of(Medium::Store, format!("can't {verb} {}", path.display()), error)
    }

    /// Creates the error for a file or directory of the user that is written, such as an
    /// environment or emitted files, like [`Error::at`].
    pub fn output(verb: &str, path: &Path, error: io::Error) -> Self {
        Self::io_of(Medium::Output, format!("can't {verb} {}", path.display()), error)
    }

    /// Creates the error for a file of the user that cannot be read. The user can correct it.
    pub fn unreadable(path: &Path, error: io::Error) -> Self {
        let out = Self::user(format!("can't read {}", path.display())).cause(&error);
        match error.kind() {
            io::ErrorKind::NotFound => out.with_cause(Cause::NoSuchFile),
            _ => out,
        }
    }

    /// Creates the error for a failed operation on a file. Its purpose determines the hint.
    pub fn io_of(medium: Medium, what: impl Into<String>, error: io::Error) -> Self {
        let kind = error.kind();
        let out =
            Self::new(ErrorKind::Store, what).cause(&error).with_cause(Cause::Io { kind, medium });
        match medium.hint(kind) {
            Some(hint) => out.hint(hint),
            None => out,
        }
    }

    /// Records the cause of the failure for the program without adding text for the reader.
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.0.cause = Some(cause);
        self
    }

    /// Records the cause of the failure for the program, and adds a `caused by:` line for the
    /// reader.
    pub fn because_of(self, cause: Cause) -> Self {
        let text = cause.to_string();
        self.because(text).with_cause(cause)
    }

    /// Records a subject of the failure: a toolchain, or a package in the form in which it was
    /// requested. See [`Error::is_about`].
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.0.subjects.push(subject.into());
        self
    }

    /// Records the place of the cause in a file of the user. A place that is already recorded
    /// stays, because it is closer to the cause.
    pub fn located(mut self, place: Place) -> Self {
        self.0.place.get_or_insert(place);
        self
    }

    /// Adds a `caused by:` line, and one for each deeper source that contains new information.
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

    /// Replaces the next steps by others, where those of a general place do not fit.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints = vec![hint.into()];
        self
    }

    /// Puts a new message on top. The previous message becomes the first cause.
    pub fn context(mut self, message: impl Into<String>) -> Self {
        let old = std::mem::replace(&mut self.0.message, message.into());
        self.0.causes.insert(0, old);
        self
    }

    /// Returns the same failure with another kind.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the cause of the failure, if the program needs to know it.
    pub fn reason(&self) -> Option<&Cause> {
        self.0.cause.as_ref()
    }

    /// Whether `subject` was recorded as a subject of the failure.
    pub fn is_about(&self, subject: &str) -> bool {
        self.0.subjects.iter().any(|s| s == subject)
    }

    /// Returns the recorded subjects of the failure.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.0.subjects.iter().map(String::as_str)
    }

    /// Returns the place of the cause in a file of the user.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// Whether the failure is a closed standard output, which is the end of a pipe and no real
    /// failure.
    pub fn is_closed_output(&self) -> bool {
        self.reason()
            == Some(&Cause::Io { kind: io::ErrorKind::BrokenPipe, medium: Medium::StandardOutput })
    }

    /// Whether the content of an archive is to blame: it is hostile or damaged.
    pub fn blames_archive(&self) -> bool {
        matches!(self.reason(), Some(Cause::HostileArchive | Cause::DamagedArchive))
    }

    /// Returns the first line without the prefix `error:`.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the `caused by:` lines, the outermost first.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// Returns the `hint:` lines.
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

/// Wraps an [`Error`] in an [`io::Error`], so that it passes unchanged through a `Read` or `Write`.
impl From<Error> for io::Error {
    fn from(e: Error) -> Self {
        io::Error::other(e)
    }
}

/// Extracts the [`Error`] from an [`io::Error`] that contains one. Any other failure is described
/// as `what`.
pub fn from_io(what: impl Into<String>, error: io::Error) -> Error {
    if error.get_ref().is_some_and(|e| e.is::<Error>()) {
        let inner = error.into_inner().expect("checked above");
        return *inner.downcast::<Error>().expect("checked above");
    }
    Error::io(what, error)
}

/// Returns the most similar of `names` for "did you mean" hints: at most `most`, the best first.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    // The time grows with the product of the lengths, and nobody misspells a name of that length.
    const LONGEST: usize = 300;
    if name.len() > LONGEST {
        return vec![];
    }
    let mut scored: Vec<(f64, &str)> = names
        .filter(|n| n.len() <= LONGEST)
        .map(|n| (strsim::jaro_winkler(name, n), n))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(most).map(|(_, n)| n).collect()
}

/// Returns a hint for an unknown name: the most similar known names, or otherwise some of all known
/// names.
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
