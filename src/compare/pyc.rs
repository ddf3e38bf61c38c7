//! Compares compiled Python modules: the fields of their headers, and their code. Source: PEP 552.

use super::binary;
use super::cause::Influence;
use super::spot::{Spots, inside};

/// The length of the header.
const HEADER: usize = 16;

/// Whether a file is a compiled module of Python 3.7 or newer.
pub fn is_pyc(name: &str, bytes: &[u8]) -> bool {
    name.ends_with(".pyc") && bytes.len() > HEADER && bytes[2..4] == *b"\r\n"
}

/// Adds the differences of two modules.
pub fn modules([old, new]: [&[u8]; 2], within: &[String], out: &mut Spots) {
    let both = [old, new];
    let word = |bytes: &[u8], from: usize| -> u32 {
        bytes[from..from + 4].try_into().map_or(0, u32::from_le_bytes)
    };
    let flags = both.map(|bytes| word(bytes, 4));
    out.field(within, "magic number", both.map(|bytes| word(bytes, 0)), None);
    let name = |flags: u32| match flags {
        0 => "time".to_owned(),
        1 => "unchecked hash".to_owned(),
        3 => "checked hash".to_owned(),
        other => format!("{other:#x}"),
    };
    out.field(within, "validated by", flags.map(name), None);
    if flags == [0, 0] {
        let times = both.map(|bytes| word(bytes, 8));
        out.field(within, "time of the source", times, Some(Influence::Time));
        out.field(within, "size of the source", both.map(|bytes| word(bytes, 12)), None);
    } else {
        let hash = |bytes: &[u8]| format!("{:08x}{:08x}", word(bytes, 8), word(bytes, 12));
        out.field(within, "hash of the source", both.map(hash), None);
    }
    let code = both.map(|bytes| &bytes[HEADER..]);
    if code[0] != code[1] {
        binary::bytes(code, HEADER as u64, &inside(within, "code"), out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::spot::What;
    use super::*;

    #[test]
    fn the_fields_of_a_header_and_the_code_are_told() {
        let module = |time: u8, path: &str| {
            let mut out = vec![0xa7, 0x0d, b'\r', b'\n', 0, 0, 0, 0, time, 0, 0, 0, 5, 0, 0, 0];
            out.extend(path.bytes());
            out
        };
        let (old, new) = (module(1, "/build/a.py"), module(2, "/other/a.py"));
        assert!(is_pyc("x/a.cpython-311.pyc", &old));
        let mut out = Spots::default();
        modules([&old, &new], &[], &mut out);
        let [time, code] = &out.list[..] else { panic!("{out:?}") };
        assert!(matches!(&time.what, What::Field { cause: Some(Influence::Time), .. }));
        assert_eq!(code.within, ["code"]);
        assert!(matches!(&code.what, What::Bytes(hunk) if hunk.old == b"/build/a.py"));
    }
}
