//! Host name resolution in a program that is linked statically with glibc. The resolver of glibc
//! loads a shared library for each service that the machine's nsswitch.conf names, and a library of
//! another glibc would crash the program. The services `files` (/etc/hosts) and `dns`
//! (/etc/resolv.conf) are part of glibc itself since 2.34, so a static program uses only these.
//! Source: glibc's manual, chapter "System Databases and Name Service Switch", and `nss.h`.

#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
#[expect(unsafe_code, reason = "glibc has no other way to say it, and no crate wraps it")]
mod services {
    use std::ffi::{c_char, c_int};

    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }

    /// Restricts the resolver to the services that glibc itself contains.
    pub fn restrict() {
        // SAFETY: Both texts are constants that end in NUL. glibc copies what it needs from them
        // and takes its own lock.
        unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}

/// Restricts a static program to the services that are linked into it. This must be called before
/// the first name is resolved.
pub fn restrict_to_builtin() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    services::restrict();
}
