//! The platforms for which a tree can be made.

use std::fmt;
use std::str::FromStr;

/// A CPU and an operating system, as Nix spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Platform {
    /// 64-bit ARM Linux with glibc.
    Aarch64Linux,
    /// 64-bit x86 Linux with glibc.
    X86_64Linux,
}

impl Platform {
    /// Every platform, sorted by name.
    pub const ALL: [Platform; 2] = [Platform::Aarch64Linux, Platform::X86_64Linux];

    /// Returns the platform on which this program runs, if cotter makes trees for it.
    pub fn native() -> Option<Self> {
        match (std::env::consts::ARCH, std::env::consts::OS) {
            ("x86_64", "linux") => Some(Platform::X86_64Linux),
            ("aarch64", "linux") => Some(Platform::Aarch64Linux),
            _ => None,
        }
    }

    /// Returns `x86_64-linux` or `aarch64-linux`.
    pub fn as_str(self) -> &'static str {
        match self {
            Platform::Aarch64Linux => "aarch64-linux",
            Platform::X86_64Linux => "x86_64-linux",
        }
    }

    /// Returns only the CPU: `x86_64` or `aarch64`.
    pub fn cpu(self) -> &'static str {
        match self {
            Platform::Aarch64Linux => "aarch64",
            Platform::X86_64Linux => "x86_64",
        }
    }

    /// Returns Debian's name for the architecture.
    pub fn debian_arch(self) -> &'static str {
        match self {
            Platform::Aarch64Linux => "arm64",
            Platform::X86_64Linux => "amd64",
        }
    }

    /// Returns Debian's multiarch triplet, which is the name of the library directories.
    pub fn multiarch(self) -> &'static str {
        match self {
            Platform::Aarch64Linux => "aarch64-linux-gnu",
            Platform::X86_64Linux => "x86_64-linux-gnu",
        }
    }

    /// Returns the file name of glibc's dynamic loader.
    pub fn loader(self) -> &'static str {
        match self {
            Platform::Aarch64Linux => "ld-linux-aarch64.so.1",
            Platform::X86_64Linux => "ld-linux-x86-64.so.2",
        }
    }

    /// Returns the ABI's path of the dynamic loader (PT_INTERP), relative to a root.
    pub fn abi_loader(self) -> &'static str {
        match self {
            Platform::Aarch64Linux => "lib/ld-linux-aarch64.so.1",
            Platform::X86_64Linux => "lib64/ld-linux-x86-64.so.2",
        }
    }

    /// Returns the `e_machine` value of the platform's ELF files (System V ABI: EM_X86_64 is 62,
    /// EM_AARCH64 is 183).
    pub fn elf_machine(self) -> u16 {
        match self {
            Platform::Aarch64Linux => 183,
            Platform::X86_64Linux => 62,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| {
            format!("expected one of \"aarch64-linux\", \"x86_64-linux\", got {text:?}")
        })
    }
}
