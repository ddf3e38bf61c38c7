//! The listing of a NAR in a binary cache (`<hash>.ls`): what it holds, and at which byte of it the content of each file begins. Source: `listNar` in Nix's
//! `libutil/nar-accessor.cc`.

use std::borrow::Cow;
use std::io;

use serde_json::{Map, Value, json};

use super::nar::NarVisitor;

/// Makes the listing of a NAR whose parts it is told in their order.
#[derive(Debug, Default)]
pub struct NarListing {
    /// The directories that were begun, each with its entries so far.
    open: Vec<Map<String, Value>>,
    /// The names of the entries that were begun.
    names: Vec<String>,
    root: Option<Value>,
    /// The number of bytes of the NAR before the content of the file that comes next.
    at: u64,
    executable: bool,
    /// Whether a name or a link is no UTF-8: JSON cannot have it, and a changed one would fall
    /// together with others.
    is_unfit: bool,
}

impl NarListing {
    /// Says how many bytes of the NAR were written when the content of a file begins.
    pub fn content_begins_at(&mut self, at: u64) {
        self.at = at;
    }

    /// Returns the text of the listing, if the NAR is complete and all of its names and links are UTF-8.
    pub fn render(self) -> Option<String> {
        let is_fit = !self.is_unfit;
        let root = self.root.filter(|_| is_fit)?;
        Some(json!({ "version": 1, "root": root }).to_string())
    }

    fn text(&mut self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        self.is_unfit |= matches!(text, Cow::Owned(_));
        text.into_owned()
    }

    fn add(&mut self, node: Value) {
        match (self.open.last_mut(), self.names.last()) {
            (Some(entries), Some(name)) => drop(entries.insert(name.clone(), node)),
            _ => self.root = Some(node),
        }
    }
}

impl NarVisitor for NarListing {
    fn begin_directory(&mut self) -> io::Result<()> {
        self.open.push(Map::new());
        Ok(())
    }

    fn end_directory(&mut self) -> io::Result<()> {
        let entries = self.open.pop().unwrap_or_default();
        self.add(json!({ "type": "directory", "entries": entries }));
        Ok(())
    }

    fn begin_entry(&mut self, name: &[u8]) -> io::Result<()> {
        let name = self.text(name);
        self.names.push(name);
        Ok(())
    }

    fn end_entry(&mut self) -> io::Result<()> {
        self.names.pop();
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        let target = self.text(target);
        self.add(json!({ "type": "symlink", "target": target }));
        Ok(())
    }

    fn begin_file(&mut self, executable: bool, _: u64) -> io::Result<()> {
        self.executable = executable;
        Ok(())
    }

    fn content(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end_file(&mut self, size: u64) -> io::Result<()> {
        let mut node = json!({ "type": "regular", "size": size, "narOffset": self.at });
        if self.executable {
            node["executable"] = json!(true);
        }
        self.add(node);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_json_cannot_have_have_no_listing() {
        let listing = |name: &[u8], target: &[u8]| {
            let mut out = NarListing::default();
            out.begin_directory().unwrap();
            out.begin_entry(name).unwrap();
            out.symlink(target).unwrap();
            out.end_entry().unwrap();
            out.end_directory().unwrap();
            out.render()
        };
        assert!(listing(b"a", b"b").unwrap().contains("\"target\":\"b\""));
        assert_eq!(listing(b"\xff", b"b"), None);
        assert_eq!(listing(b"a", b"\xfe"), None);
    }
}
