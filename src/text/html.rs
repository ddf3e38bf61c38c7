//! A writer of HTML. Source: HTML Living Standard, "Serializing HTML fragments".

use super::terminal::is_hidden;

/// A piece of HTML that is well formed. Text gets into it only with its special characters escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Returns a piece that shows a text.
    pub fn text(text: &str) -> Html {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                c if is_hidden(c) && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
                c => out.push(c),
            }
        }
        Html(out)
    }

    /// Returns an element around other pieces. `name` is the name of an element with an end tag.
    pub fn element(name: &'static str, content: impl IntoIterator<Item = Html>) -> Html {
        let inner: String = content.into_iter().map(|piece| piece.0).collect();
        Html(format!("<{name}>{inner}</{name}>"))
    }

    /// Returns an element that shows a text.
    pub fn of_text(name: &'static str, text: &str) -> Html {
        Html::element(name, [Html::text(text)])
    }

    /// Returns a table whose rows are on lines of their own.
    pub fn table(header: &[&str], rows: Vec<Vec<Html>>) -> Html {
        let head = Html::element("tr", header.iter().map(|cell| Html::of_text("th", cell)));
        let row = |cells: Vec<Html>| {
            let cells = cells.into_iter().map(|cell| Html::element("td", [cell]));
            Html(Html::element("tr", cells).0 + "\n")
        };
        let body = rows.into_iter().map(row);
        let head = Html::element("thead", [head]);
        Html::element("table", [Html(head.0 + "\n"), Html::element("tbody", body)])
    }

    /// Returns a whole page in English.
    pub fn page(title: &str, body: impl IntoIterator<Item = Html>) -> String {
        let body: Vec<String> = body.into_iter().map(|piece| piece.0).collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">{}</head>\n<body>\n{}\n</body>\n</html>\n",
            Html::of_text("title", title).0,
            body.join("\n")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let table = Html::table(&["<a>"], vec![vec![Html::of_text("b", "x & <script>")]]);
        assert_eq!(
            table.0,
            "<table><thead><tr><th>&lt;a&gt;</th></tr></thead>\n<tbody><tr><td><b>x &amp; &lt;script&gt;</b></td></tr>\n</tbody></table>"
        );
        let page = Html::page("</title>", [table]);
        assert!(page.contains("<title>&lt;/title&gt;</title>") && page.ends_with("</html>\n"));
    }
}
