//! GVDB, GLib's format of a database that is read where it lies: hash tables whose items are values of
//! GVariant, lists of other items, or further tables. Source: the format as `gvdb-format.h` of GLib
//! defines it. All numbers are little-endian, which is what programs expect on the platforms of cotter.

use std::collections::BTreeMap;

/// The signature of a little-endian file.
const SIGNATURE: &[u8] = b"GVariant";

/// The parent of an item that has none.
const NO_PARENT: u32 = u32::MAX;

/// What a name of a table stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GvdbItem {
    /// A variant in its binary form.
    Value(Vec<u8>),
    /// Another table.
    Table(GvdbTable),
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GvdbTable {
    /// The items that the list of the table has.
    pub listed: BTreeMap<String, GvdbItem>,
    /// The items beside the list.
    pub others: BTreeMap<String, GvdbItem>,
}

/// Returns the file of a table.
pub fn write(root: &GvdbTable) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    // The version, options, and the place of the outermost table.
    out.resize(24, 0);
    let (start, end) = root.write(&mut out);
    set(&mut out, 16, start);
    set(&mut out, 20, end);
    out
}

enum Kept<'a> {
    List,
    Item(&'a GvdbItem),
}

impl GvdbTable {
    /// Appends the table and what is in it. Returns its place.
    fn write(&self, out: &mut Vec<u8>) -> (u32, u32) {
        let listed = self.listed.iter().map(|(name, item)| (name.as_str(), Kept::Item(item), true));
        let others =
            self.others.iter().map(|(name, item)| (name.as_str(), Kept::Item(item), false));
        let all = listed.chain(others).chain([("", Kept::List, false)]);
        let mut items: Vec<(u32, &str, Kept, bool)> =
            all.map(|(name, item, listed)| (hash(name), name, item, listed)).collect();
        let buckets = u32::try_from(items.len()).expect("a table is far below 4 GB");
        items.sort_by_key(|(hash, name, ..)| (hash % buckets, *name));
        let index = |wanted: &str| {
            let at = items.iter().position(|(_, name, ..)| *name == wanted);
            u32::try_from(at.expect("it is one of the items")).expect("there are few items")
        };

        align(out, 4);
        let start = out.len();
        // A filter of no words, and the shift that GLib writes.
        out.extend((5u32 << 27).to_le_bytes());
        out.extend(buckets.to_le_bytes());
        for bucket in 0..buckets {
            let first = items.partition_point(|(hash, ..)| hash % buckets < bucket);
            out.extend(u32::try_from(first).expect("there are few items").to_le_bytes());
        }
        let places = out.len();
        out.resize(places + 24 * items.len(), 0);
        let end = out.len();
        for (number, (hash, name, item, listed)) in items.iter().enumerate() {
            let at = places + 24 * number;
            set(out, at, *hash);
            set(out, at + 4, if *listed { index("") } else { NO_PARENT });
            let name_at = position(out);
            set(out, at + 8, name_at);
            let length = u16::try_from(name.len()).expect("names were checked");
            out[at + 12..at + 14].copy_from_slice(&length.to_le_bytes());
            out.extend(name.as_bytes());
            let (letter, (from, to)) = match item {
                // GLib writes nothing about an empty list.
                Kept::List if self.listed.is_empty() => (0, (0, 0)),
                Kept::List => {
                    align(out, 4);
                    let from = position(out);
                    for name in self.listed.keys() {
                        out.extend(index(name).to_le_bytes());
                    }
                    (b'L', (from, position(out)))
                }
                Kept::Item(GvdbItem::Value(value)) => {
                    align(out, 8);
                    let from = position(out);
                    out.extend(value);
                    (b'v', (from, position(out)))
                }
                Kept::Item(GvdbItem::Table(table)) => (b'H', table.write(out)),
            };
            out[at + 14] = letter;
            set(out, at + 16, from);
            set(out, at + 20, to);
        }
        (u32::try_from(start).expect("as above"), u32::try_from(end).expect("as above"))
    }
}

/// The hash of a name, Bernstein's with signed characters.
fn hash(name: &str) -> u32 {
    name.bytes().fold(5381u32, |hash, byte| {
        hash.wrapping_mul(33).wrapping_add(i32::from(byte.cast_signed()).cast_unsigned())
    })
}

fn position(out: &[u8]) -> u32 {
    u32::try_from(out.len()).expect("a database is far below 4 GB")
}

fn align(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

fn set(out: &mut [u8], at: usize, number: u32) {
    out[at..at + 4].copy_from_slice(&number.to_le_bytes());
}
