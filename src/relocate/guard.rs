//! Guards: a guard is a copy of the committed static program `launcher/guard.c` with its text. It
//! has the name of a program of the host that must not be started by accident.

use crate::model::Platform;

const X86_64: &[u8] = include_bytes!("../../launcher/guard-x86_64");
const AARCH64: &[u8] = include_bytes!("../../launcher/guard-aarch64");
const MAGIC: &[u8] = b"cotter-guard--1\0";
const CONFIG: usize = 2048;

/// Returns the bytes of a guard for `platform` that prints `text`. What does not fit is cut off.
pub fn render(platform: Platform, text: &str) -> Vec<u8> {
    let mut out = match platform {
        Platform::X86_64Linux => X86_64,
        Platform::Aarch64Linux => AARCH64,
    }
    .to_vec();
    let start = out
        .windows(MAGIC.len())
        .position(|w| w == MAGIC)
        .expect("the committed guard has its magic")
        + MAGIC.len();
    let fits = text.floor_char_boundary(text.len().min(CONFIG - MAGIC.len() - 1));
    out[start..start + fits].copy_from_slice(&text.as_bytes()[..fits]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_fits() {
        for platform in Platform::ALL {
            let long = "ä".repeat(5000);
            let guard = render(platform, &long);
            assert_eq!(guard.len(), render(platform, "").len());
            let texts = guard.windows(2).filter(|w| *w == "ä".as_bytes()).count();
            assert_eq!(texts, (CONFIG - MAGIC.len() - 1) / 2);
        }
    }
}
