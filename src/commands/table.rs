//! Aligned columns for people.

use std::io::IsTerminal;

use crate::text::terminal::escaped;

/// The least width of a column that is made narrower.
const LEAST: usize = 5;

/// Formats rows under a header. Others may have written the cells, so hidden characters are escaped. Columns of numbers are aligned to the right. If standard output is a terminal, the table fits its
/// width as far as columns of [`LEAST`] characters allow: what is cut ends in an ellipsis.
pub fn render(header: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let stdout = std::io::stdout();
    let columns = match stdout.is_terminal() {
        true => rustix::termios::tcgetwinsize(stdout).ok().map(|size| usize::from(size.ws_col)),
        false => None,
    };
    render_within(header, rows, right, columns.filter(|columns| *columns > 0))
}

/// Returns a text with at most `width` characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn render_within(
    header: &[&str],
    rows: &[Vec<String>],
    right: &[usize],
    columns: Option<usize>,
) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| escaped(cell)).collect()).collect();
    let width = |c: usize| {
        rows.iter().map(|r| r[c].chars().count()).chain([header[c].len()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..header.len()).map(width).collect();
    let between = 2 * header.len().saturating_sub(1);
    while columns.is_some_and(|columns| widths.iter().sum::<usize>() + between > columns) {
        match widths.iter_mut().filter(|width| **width > LEAST).max() {
            Some(widest) => *widest -= 1,
            None => break,
        }
    }
    let dim = anstyle::Style::new().dimmed();
    let line = |cells: Vec<&str>| -> String {
        let mut out = String::new();
        for (c, cell) in cells.iter().enumerate() {
            let cell = &cut(cell, widths[c]);
            let pad = " ".repeat(widths[c].saturating_sub(cell.chars().count()));
            if c > 0 {
                out.push_str("  ");
            }
            if right.contains(&c) {
                out.push_str(&pad);
                out.push_str(cell);
            } else {
                out.push_str(cell);
                if c + 1 < cells.len() {
                    out.push_str(&pad);
                }
            }
        }
        out
    };
    let mut out = format!("{dim}{}{dim:#}\n", line(header.to_vec()));
    for row in &rows {
        out.push_str(&line(row.iter().map(String::as_str).collect()));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_the_terminal() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows =
            [row(["a-long-name-of-a-toolchain", "1.2.3", "12.5 MiB"]), row(["b", "1", "1 B"])];
        let wide = render_within(&["name", "version", "size"], &rows, &[2], Some(80));
        assert_eq!(wide, render_within(&["name", "version", "size"], &rows, &[2], None));
        let narrow = render_within(&["name", "version", "size"], &rows, &[2], Some(30));
        let lines: Vec<&str> = narrow.lines().skip(1).collect();
        assert_eq!(lines, ["a-long-nam…  1.2.3    12.5 MiB", "b            1             1 B"]);
        let least = render_within(&["name", "version", "size"], &rows, &[2], Some(3));
        assert!(least.lines().all(|line| line.chars().count() < 40), "{least}");
    }
}
