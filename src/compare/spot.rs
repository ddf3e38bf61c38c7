//! A place where two files differ.

use super::cause::Influence;

/// The greatest number of places that are told of one file.
pub const MOST: usize = 48;

/// The number of bytes up to which an archive is unpacked.
pub const MOST_UNPACKED: u64 = 512 << 20;

/// Adds the differences of what stands in two archives, by its name and place.
pub type CompareInner<'a> = &'a dyn Fn([&[u8]; 2], &str, &[String], &mut Spots);

/// The number of bytes of a difference that are kept.
pub const LONGEST: usize = 512;

/// A place where two files differ, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Where it is, from the outside to the inside, such as `member a.o` and `section .text`.
    pub within: Vec<String>,
    /// How they differ.
    pub what: What,
    /// Whether other differences of the file explain this one, such as moved addresses.
    pub follows: bool,
}

/// How two files differ at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Something is only in the old file.
    Gone(String),
    /// Something is only in the new file.
    New(String),
    /// The same things stand in another order.
    Order {
        /// What they are, such as `lines`.
        of: &'static str,
        /// The first that differs, in the old and in the new file.
        first: [String; 2],
        /// Whether the new order is that of another locale.
        of_locale: bool,
    },
    /// A field of a header.
    Field {
        /// Its name.
        name: &'static str,
        /// Its values.
        values: [String; 2],
        /// What such a field depends on.
        cause: Option<Influence>,
    },
    /// Bytes.
    Bytes(Hunk),
}

/// Bytes that differ, with a few that do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// Where they are: a line number of a text, otherwise an offset in bytes.
    pub at: u64,
    /// Whether `at` is a line number.
    pub is_line: bool,
    /// The old bytes.
    pub old: Vec<u8>,
    /// The new bytes.
    pub new: Vec<u8>,
}

/// The number of bytes of a value that are printed.
const SHOWN: usize = 100;

impl Spot {
    /// Says on one line where it is and how the files differ.
    pub fn text(&self) -> String {
        let mut out: String = self.within.iter().map(|part| format!("{part}, ")).collect();
        let became = |old: &str, new: &str| format!("{old} became {new}");
        out.push_str(&match &self.what {
            What::Gone(name) => format!("only the old one has {}", short(name.as_bytes(), name)),
            What::New(name) => format!("only the new one has {}", short(name.as_bytes(), name)),
            What::Order { of, first: [old, new], .. } => {
                let [old, new] = [old, new].map(|name| quoted(name.as_bytes()));
                format!("the same {of} in another order: where {old} was, there is {new}")
            }
            What::Field { name, values: [old, new], .. } => {
                let [old, new] = [old, new].map(|value| short(value.as_bytes(), value));
                format!("{name}: {}", became(&old, &new))
            }
            What::Bytes(hunk) => {
                let at = if hunk.is_line { "line" } else { "byte" };
                let (old, new) = focus(&hunk.old, &hunk.new);
                format!("{at} {}: {}", hunk.at, became(&quoted(old), &quoted(new)))
            }
        });
        out
    }
}

/// Returns the parts of two long values that differ.
fn focus<'a>(old: &'a [u8], new: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    if old.len() <= SHOWN && new.len() <= SHOWN {
        return (old, new);
    }
    let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(SHOWN / 4);
    (&old[from..], &new[from..])
}

fn short(bytes: &[u8], text: &str) -> String {
    if bytes.len() > SHOWN || text.chars().any(char::is_control) {
        return quoted(bytes);
    }
    text.to_owned()
}

fn quoted(bytes: &[u8]) -> String {
    let part = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { "..." } else { "" };
    let text = match std::str::from_utf8(part) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => part.escape_ascii().to_string(),
    };
    format!("\"{text}\"{more}")
}

/// The places where two files differ.
#[derive(Debug, Default)]
pub struct Spots {
    /// The places.
    pub list: Vec<Spot>,
    /// The number of places that were left out.
    pub left_out: usize,
}

impl Spots {
    /// Adds a place.
    pub fn add(&mut self, within: &[String], what: What) {
        if self.list.len() < MOST {
            self.list.push(Spot { within: within.to_owned(), what, follows: false });
        } else {
            self.left_out += 1;
        }
    }

    /// Adds a field if its values differ.
    pub fn field<T: PartialEq + ToString>(
        &mut self,
        within: &[String],
        name: &'static str,
        values: [T; 2],
        cause: Option<Influence>,
    ) {
        if values[0] != values[1] {
            let values = values.map(|value| value.to_string());
            self.add(within, What::Field { name, values, cause });
        }
    }
}

/// Returns the parts of a place and a further one.
pub fn inside(within: &[String], part: impl Into<String>) -> Vec<String> {
    let mut out = within.to_owned();
    out.push(part.into());
    out
}

/// What two lists of names share, and what they do not.
pub struct Paired {
    /// The places of what both have, in the order of the old list.
    pub both: Vec<(usize, usize)>,
    /// The places of what only the old list has.
    pub gone: Vec<usize>,
    /// The places of what only the new list has.
    pub new: Vec<usize>,
}

/// Pairs the entries of two lists that have the same name. The same name may stand there more than
/// once.
pub fn pair<T: Ord + Clone>(old: &[T], new: &[T]) -> Paired {
    let mut places: std::collections::BTreeMap<&T, std::collections::VecDeque<usize>> =
        Default::default();
    for (place, name) in new.iter().enumerate() {
        places.entry(name).or_default().push_back(place);
    }
    let (mut both, mut gone) = (vec![], vec![]);
    for (place, name) in old.iter().enumerate() {
        match places.get_mut(name).and_then(std::collections::VecDeque::pop_front) {
            Some(other) => both.push((place, other)),
            None => gone.push(place),
        }
    }
    let mut new: Vec<usize> = places.into_values().flatten().collect();
    new.sort_unstable();
    Paired { both, gone, new }
}

impl Paired {
    /// Returns the first pair that is not in the same order in both lists.
    pub fn first_moved(&self) -> Option<(usize, usize)> {
        let mut sorted: Vec<usize> = self.both.iter().map(|(_, new)| *new).collect();
        sorted.sort_unstable();
        let moved = self.both.iter().zip(sorted).find(|((_, new), place)| new != place);
        moved.map(|((old, _), place)| (*old, place))
    }
}

/// Adds what only one of two lists of names has, and whether the others have another order.
pub fn lists(
    [old, new]: [&[String]; 2],
    of: &'static str,
    within: &[String],
    out: &mut Spots,
) -> Paired {
    let paired = pair(old, new);
    for place in &paired.gone {
        out.add(within, What::Gone(old[*place].clone()));
    }
    for place in &paired.new {
        out.add(within, What::New(new[*place].clone()));
    }
    if let Some((from, to)) = paired.first_moved() {
        let first = [old[from].clone(), new[to].clone()];
        out.add(within, What::Order { of, first, of_locale: false });
    }
    paired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_same_name_are_paired_in_their_order() {
        let paired = pair(&["a", "b", "a", "c"], &["a", "a", "d", "b"]);
        assert_eq!(paired.both, [(0, 0), (1, 3), (2, 1)]);
        assert_eq!((paired.gone, paired.new), (vec![3], vec![2]));
        assert_eq!(pair(&[1, 2, 3], &[1, 2, 3]).first_moved(), None);
        assert_eq!(pair(&[1, 2, 3], &[1, 3, 2]).first_moved(), Some((1, 1)));
    }
}
