//! Constants that open nothing of the host although nothing changes them.

use super::fate::Reason;

/// A constant that opens nothing of the host.
struct Known {
    /// The name of the recipe of the tree, or `*`.
    recipe: &'static str,
    /// The path of the file in the tree; `*` stands for any characters.
    file: &'static str,
    /// The constant, in the same form.
    path: &'static str,
    reason: Reason,
}

const fn known(
    recipe: &'static str,
    file: &'static str,
    path: &'static str,
    reason: Reason,
) -> Known {
    Known { recipe, file, path, reason }
}

/// The first entry that fits counts. Each was looked at: the source of the program says so, and
/// the traces of tests/it/online/jail.rs show no such file.
const KNOWN: &[Known] = &[
    known("*", "*", "/usr/tmp", Reason::Temporary),
    known("*", "*", "/usr/share/locale", Reason::Translation),
    known("*", "*", "/usr/share/doc/*", Reason::Output),
    known("*", "*", "/var/lib/*", Reason::State),
    known("*", "*", "/usr/lib/debug*", Reason::DebugFile),
    known("*", "*", "/usr/lib64/debug*", Reason::DebugFile),
    known("*", "*", "/usr/lib/*-linux-gnu/debug", Reason::DebugFile),
    known("*", "*/libc.so.6", "/bin/*sh", Reason::Shell),
    known("*", "*/libc.so.6", "/etc/.pwd.lock", Reason::State),
    known("*", "*/libc.so.6", "/etc/hosts.equiv", Reason::Asked),
    known("*", "*/libc.so.6", "/etc/ttys", Reason::Asked),
    known("*", "*/libc.so.6", "/etc/hostid", Reason::Configuration),
    // What confstr(_CS_PATH) returns.
    known("*", "*/libc.so.6", "/usr/bin", Reason::Output),
    // The text of --help.
    known("*", "*/ld-linux-*", "/etc/ld.so.cache", Reason::Output),
    known("*", "*/gconv/gconv-modules.cache", "*", Reason::Variable),
    // ldconfig alone reads it, and the loader of a tree is told not to use its cache.
    known("*", "etc/ld.so.conf*", "*", Reason::Unread),
    // tset alone reads them.
    known("*", "*/terminfo/*", "/usr/share/tabset/*", Reason::Unread),
    known("*", "*", "/lib64/ld-linux-x86-64.so.2", Reason::Output),
    known("*", "*", "/lib/ld-linux-aarch64.so.1", Reason::Output),
    // The loaders that programs can be linked for.
    known("gcc", "*", "/lib*/ld*.so.*", Reason::Output),
    known("gcc", "*", "/lib/ld-nacl-*", Reason::Output),
    known("gcc", "*", "/usr/lib/libc.so.1", Reason::Output),
    known("gcc", "*", "/usr/share/apport/gcc_ice_hook", Reason::Crash),
    known("gcc", "*", "/usr/bin/awk", Reason::Crash),
    known("gcc", "*/ldscripts/*", "*", Reason::Sysroot),
    known("gcc", "*/lib*.so", "/*lib/*", Reason::Sysroot),
    known("gcc", "*ld.bfd.real", "*", Reason::Sysroot),
    known("gcc", "*ld.gold.real", "/*lib*", Reason::Sysroot),
    known("gcc", "*/.cc1*.real", "/usr/*include*", Reason::Sysroot),
    known("gcc", "*.real", "/usr/include/finclude", Reason::Sysroot),
    known("gcc", "*.real", "/usr/lib", Reason::OwnPlace),
    known("gcc", "*.real", "/usr/bin", Reason::OwnPlace),
    known("gcc", "*.real", "/lib", Reason::OwnPlace),
    known("gcc", "*.real", "/usr/lib/gcc*", Reason::OwnPlace),
    known("gcc", "*.real", "/usr/*-linux-gnu/include", Reason::Sysroot),
    known("gcc", "*dwp.real", "/usr/lib/*-linux-gnu", Reason::Sysroot),
    known("gcc", "*.real", "/usr/libexec/gcc*", Reason::OwnPlace),
    known("gcc", "*/libbfd-*", "/usr/bin", Reason::OwnPlace),
    known("gcc", "*/libbfd-*", "/usr/lib*/bfd-plugins", Reason::OwnPlace),
    known("clang", "*/libclang-cpp.so.*", "*", Reason::Sysroot),
    known("clang", "*/libLLVM*", "*", Reason::Output),
    known("clang", "*/.lld.real", "/usr/*", Reason::Sysroot),
    known("clang", "*/.llvm-config.real", "*", Reason::Output),
    known("clang", "*/cmake/*", "*", Reason::Unread),
    known("clang", "*/ldscripts/*", "*", Reason::Sysroot),
    known("clang", "*/lib*.so", "/*lib/*", Reason::Sysroot),
    known("clang", "*ld.bfd.real", "*", Reason::Sysroot),
    known("clang", "*ld.gold.real", "/*lib*", Reason::Sysroot),
    known("clang", "*/libbfd-*", "/lib*/ld*.so.*", Reason::Output),
    known("clang", "*/libbfd-*", "/usr/lib/libc.so.1", Reason::Output),
    known("clang", "*/libbfd-*", "/usr/bin", Reason::OwnPlace),
    known("clang", "*/libbfd-*", "/usr/lib*/bfd-plugins", Reason::OwnPlace),
    // What OpenSSL prints as its version; the directories themselves are sealed.
    known("python", "*/libcrypto.so.*", "/usr/lib/*", Reason::Output),
    known("python", "*/.openssl.real", "/lib/libdriver.so", Reason::Output),
    // The documentation in the modules that are compiled into the interpreter.
    known("python", "*python3*", "/usr/local/lib/python2.5*", Reason::Output),
    known("python", "*python3*", "/usr/lib/python3/dist-packages.", Reason::Output),
    // The interpreter computes these from its own place.
    known("python", "*/*python3*", "/lib/python*", Reason::OwnPlace),
    known("python", "usr/bin/.python3*.real", "/usr/l*", Reason::OwnPlace),
    known("python", "*/libpython3*", "/usr/l*", Reason::OwnPlace),
    // os.defpath, in which programs are searched if PATH is not set.
    known("python", "usr/bin/.python3*.real", "/usr/bin", Reason::Asked),
    known("python", "*/libpython3*", "/usr/bin", Reason::Asked),
    known("python", "*/_sysconfigdata_*", "*", Reason::OwnPlace),
    known("python", "*/config-3*/Makefile", "*", Reason::Unread),
    known("python", "*/mimetypes.py", "/*/mime.types", Reason::Configuration),
    known("python", "*/mimetypes.py", "/usr/lib/python", Reason::OwnPlace),
    known("python", "*/mailcap.py", "*/etc/mailcap", Reason::Configuration),
    known("python", "*/platformdirs/unix.py", "*", Reason::Configuration),
    known("python", "*/distro/distro.py", "/usr/lib", Reason::Configuration),
    known("python", "*/platform.py", "/usr/lib/os-release", Reason::Configuration),
    known("python", "*/ssl.py", "*", Reason::OwnPlace),
    known("python", "*/certifi/core.py", "*", Reason::OwnPlace),
    known("python", "*/subprocess.py", "/bin/sh", Reason::Shell),
    known("python", "*/subprocess.py", "/bin/*", Reason::Output),
    known("python", "*/aifc.py", "*", Reason::Output),
    known("python", "*/pydoc_data/topics.py", "*", Reason::Output),
    known("python", "*/ctypes/util.py", "/sbin/ldconfig", Reason::OtherSystem),
    known("python", "*/uuid.py", "/usr/sbin", Reason::Asked),
    known("python", "*/ctypes/*", "/usr/*", Reason::OtherSystem),
    known("python", "*/_aix_support.py", "*", Reason::OtherSystem),
    known("python", "*/_osx_support.py", "*", Reason::OtherSystem),
    // What is compared with the place of the interpreter, or written into packages that are built.
    known("python", "*/_distutils_system_mod.py", "*", Reason::Output),
    known("python", "*/distutils/*", "*", Reason::Output),
    known("python", "*/_distutils/*", "*", Reason::Output),
    known("python", "*/pip/_internal/*", "*", Reason::Output),
    known("python", "*/distlib/scripts.py", "*", Reason::Output),
    // What pip and setuptools bring, in an interpreter that is built from source.
    known("python", "*/distlib/*.exe", "*", Reason::OtherSystem),
    known("python", "*/_vendor/appdirs.py", "*", Reason::Configuration),
    // The documentation that IDLE shows if its user asks for it.
    known("python", "*/idlelib/editor.py", "/usr/share/doc", Reason::Asked),
];

/// Returns the reason why a constant opens nothing of the host, if one is known.
pub fn explanation(recipe: &str, file: &str, path: &str) -> Option<Reason> {
    let fits = |pattern: &str, text: &str| pattern == "*" || matches(pattern, text);
    KNOWN
        .iter()
        .find(|k| fits(k.recipe, recipe) && fits(k.path, path) && fits(k.file, file))
        .map(|k| k.reason)
}

/// Whether a path is `dir` or below it.
pub fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
