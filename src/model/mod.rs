//! Value types that are validated when they are constructed and need no later checks. Pure.

pub mod base32;
mod digest;
mod input;
mod kind;
mod member_path;
mod name;
mod number;
mod platform;
mod python;
mod shorten;

pub use digest::{Digest, Hasher, HashingReader};
pub use input::{
    Built, Component, Ecosystem, Format, Input, Layout, Location, NixPath, SourcePackage,
    has_login, redact,
};
pub use kind::Kind;
pub use member_path::{MemberPath, MemberPathError};
pub use name::{StoreName, ToolchainName};
pub use number::decimal;
pub use platform::Platform;
pub use python::{
    LIBRARIES_FILE, PACKAGES_INDEX, VENV_MARK, WheelName, abi_tag, is_project_name, minor_version,
    normalize_project, site_packages,
};
pub use shorten::shortened;
