//! Reads back the instructions in a launcher of a finished tree.

use memchr::memmem;

use super::launcher::MAGIC;
use crate::model::MemberPath;

/// No launcher is as large as this, in bytes. Larger files are not searched for instructions.
pub const LARGEST: u64 = 64 << 10;

/// What a launcher starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The program behind the launcher, as a path in the tree.
    pub target: MemberPath,
    /// Whether the loader of the tree loads the redirection into the program.
    pub is_redirected: bool,
}

/// Returns what the launcher `bytes` starts, or `None` if it is no launcher.
pub fn read(bytes: &[u8]) -> Option<Launched> {
    if !bytes.starts_with(b"\x7fELF") || bytes.len() as u64 > LARGEST {
        return None;
    }
    let start = memmem::find(bytes, MAGIC)? + MAGIC.len();
    let (mut target, mut is_redirected) = (None, false);
    for string in bytes[start..].split(|b| *b == 0).take_while(|s| !s.is_empty()) {
        match string[0] {
            b't' => target = MemberPath::parse(&string[1..]).ok().flatten(),
            b'r' => is_redirected = true,
            _ => {}
        }
    }
    Some(Launched { target: target?, is_redirected })
}
