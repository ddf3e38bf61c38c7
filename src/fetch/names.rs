//! Names of hosts in a program that is linked statically to glibc. Its resolver loads a shared library for each service that the machine's nsswitch.conf names;
//! one of another glibc would bring the program down. `files` (/etc/hosts) and `dns` (/etc/resolv.conf) are part of glibc itself since 2.34, so those are
//! what a static program uses. Source: glibc's manual, chapter "System Databases and Name Service Switch", and `nss.h`.

#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
#[expect(unsafe_code, reason = "glibc has no other way to say it, and no crate wraps it")]
mod services {
    use std::ffi::{c_char, c_int};

    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }

    /// Names the services that glibc itself holds as the only ones.
    pub fn restrict() {
        // SAFETY: both texts are constant and end in NUL, glibc copies what it needs of them, and takes its own lock.
        unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}

/// Restricts a static program to what it can do by itself. To be called before the first name is looked up.
pub fn restrict_to_builtin() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    services::restrict();
}
