//! Reads locks that git could not merge. Source: git-merge(1), "How conflicts are presented".

/// Whether the text holds conflict markers.
pub fn has_conflict_markers(text: &str) -> bool {
    text.lines().any(|l| l.starts_with("<<<<<<< "))
        && text.lines().any(|l| l.starts_with(">>>>>>> "))
}

/// Returns the number of the first line that is a conflict marker, starting at 1. The markers need
/// not be complete: somebody may have deleted some of them by hand. None of these lines occurs in a
/// lock.
pub fn first_marker(text: &str) -> Option<usize> {
    let is_marker = |line: &str| {
        ["<<<<<<< ", "||||||| ", ">>>>>>> "].iter().any(|marker| line.starts_with(marker))
            || ["<<<<<<<", "|||||||", "=======", ">>>>>>>"].contains(&line.trim_end())
    };
    text.lines().position(is_marker).map(|i| i + 1)
}

/// Returns the two versions that a text with conflict markers represents: ours and theirs. The
/// common ancestor of the diff3 style is dropped.
pub fn sides(text: &str) -> [String; 2] {
    #[derive(PartialEq)]
    enum At {
        Both,
        Ours,
        Base,
        Theirs,
    }
    let mut at = At::Both;
    let mut out = [String::new(), String::new()];
    for line in text.split_inclusive('\n') {
        match at {
            At::Both if line.starts_with("<<<<<<< ") => at = At::Ours,
            At::Ours if line.starts_with("||||||| ") => at = At::Base,
            At::Ours | At::Base if line.trim_end() == "=======" => at = At::Theirs,
            At::Theirs if line.starts_with(">>>>>>> ") => at = At::Both,
            _ => {
                if matches!(at, At::Both | At::Ours) {
                    out[0].push_str(line);
                }
                if matches!(at, At::Both | At::Theirs) {
                    out[1].push_str(line);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_come_back() {
        let text = "a\n<<<<<<< ours\nb\n||||||| base\nx\n=======\nc\n>>>>>>> theirs\nd\n";
        assert!(has_conflict_markers(text));
        assert_eq!(first_marker(text), Some(2));
        assert_eq!(sides(text), ["a\nb\nd\n", "a\nc\nd\n"]);
    }

    #[test]
    fn a_single_marker_is_found() {
        for (text, line) in [
            ("a\n=======\nb\n", Some(2)),
            ("a\nb\n>>>>>>> theirs\n", Some(3)),
            ("<<<<<<<\r\na\n", Some(1)),
            ("a = \"=======\"\n# ======= x\n", None),
        ] {
            assert_eq!(first_marker(text), line, "{text:?}");
            assert!(!has_conflict_markers(text));
        }
    }
}
