//! Aligned columns for people.

/// Formats rows under a header. Columns of numbers are aligned to the right.
pub fn render(header: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let width = |c: usize| {
        rows.iter().map(|r| r[c].chars().count()).chain([header[c].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let dim = anstyle::Style::new().dimmed();
    let line = |cells: Vec<&str>| -> String {
        let mut out = String::new();
        for (c, cell) in cells.iter().enumerate() {
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
    for row in rows {
        out.push_str(&line(row.iter().map(String::as_str).collect()));
        out.push('\n');
    }
    out
}
