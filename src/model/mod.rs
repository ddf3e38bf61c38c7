//! Value types that parse themselves: past their constructors nothing is checked again. Pure.

mod digest;
mod input;
mod member_path;
mod name;
mod number;
mod platform;
mod python;

pub use digest::{Digest, Hasher, HashingReader};
pub use input::{Built, Input, Location, Package, redact};
pub use member_path::{MemberPath, MemberPathError};
pub use name::{StoreName, ToolchainName};
pub use number::decimal;
pub use platform::Platform;
pub use python::{WheelName, normalize_project, site_packages};
