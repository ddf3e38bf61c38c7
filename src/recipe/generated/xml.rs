//! A reader for the XML that packages bring: elements, attributes and text. A document type is
//! skipped, and only the five entities of XML itself and character references are known.

/// The number of elements that may be in each other. More would exhaust the stack later.
const DEEPEST: usize = 100;

/// An element.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Element {
    /// The name, with its prefix.
    pub name: String,
    /// The attributes, in their order.
    pub attributes: Vec<(String, String)>,
    /// The elements in it.
    pub children: Vec<Element>,
    /// The text in it, without that of the elements in it.
    pub text: String,
}

impl Element {
    /// Parses a document and returns its outermost element. Returns `None` if it is not well-formed.
    pub fn parse(document: &str) -> Option<Element> {
        let mut open: Vec<Element> = vec![];
        let mut rest = document.trim_start_matches('\u{feff}');
        loop {
            let (text, markup) = rest.split_at(rest.find('<')?);
            if let Some(element) = open.last_mut() {
                element.text.push_str(&unescape(text)?);
            }
            if let Some(after) = markup.strip_prefix("<!--") {
                rest = after.split_once("-->")?.1;
            } else if let Some(after) = markup.strip_prefix("<![CDATA[") {
                let (text, after) = after.split_once("]]>")?;
                open.last_mut()?.text.push_str(text);
                rest = after;
            } else if markup.starts_with("<!") {
                rest = after_document_type(markup)?;
            } else if let Some(after) = markup.strip_prefix("<?") {
                rest = after.split_once("?>")?.1;
            } else if let Some(after) = markup.strip_prefix("</") {
                let (name, after) = after.split_once('>')?;
                let element = open.pop().filter(|e| e.name == name.trim_end())?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Some(element),
                }
                rest = after;
            } else {
                let (element, closed, after) = start(&markup[1..])?;
                if open.len() == DEEPEST {
                    return None;
                }
                match open.last_mut() {
                    Some(parent) if closed => parent.children.push(element),
                    None if closed => return Some(element),
                    _ => open.push(element),
                }
                rest = after;
            }
        }
    }

    /// Returns the value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Returns the elements in it that have a name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| c.name == name)
    }
}

/// Parses what follows `<` at the start of an element. Returns the element, whether it is closed
/// already, and the rest.
fn start(text: &str) -> Option<(Element, bool, &str)> {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>'))?;
    let mut element = Element { name: text[..end].to_owned(), ..Element::default() };
    let mut rest = text[end..].trim_start();
    loop {
        if let Some(after) = rest.strip_prefix("/>") {
            return Some((element, true, after));
        }
        if let Some(after) = rest.strip_prefix('>') {
            return Some((element, false, after));
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after[1..].split_once(quote)?;
        element.attributes.push((name.trim().to_owned(), unescape(value)?));
        rest = after.trim_start();
    }
}

/// Returns what follows a document type, which may have declarations in brackets.
fn after_document_type(text: &str) -> Option<&str> {
    let mut depth = 0u32;
    let mut quote = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if quote.is_none() && rest.starts_with("<!--") {
            rest = rest.split_once("-->")?.1;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '<') => depth += 1,
            (None, '>') if depth <= 1 => return Some(rest),
            (None, '>') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Replaces references to characters.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (name, after) = after.split_once(';')?;
        out.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_attributes_and_text_are_read() {
        let root = Element::parse(
            "<?xml version='1.0'?>\n<!DOCTYPE a [ <!-- ' --> <!ENTITY b \">\"> ]>\n<a x=\"1 &lt; 2\"><!-- <no> --><b y='&#65;'/>text &amp;<c>\n<![CDATA[<d>]]></c> more</a>",
        )
        .unwrap();
        assert_eq!(root.attribute("x"), Some("1 < 2"));
        assert_eq!(root.text, "text & more");
        assert_eq!(root.named("b").next().unwrap().attribute("y"), Some("A"));
        assert_eq!(root.named("c").next().unwrap().text, "\n<d>");
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for bad in
            ["", "<a>", "<a></b>", "<a x=1/>", "<a>&unknown;</a>", "<!DOCTYPE a [", "<a x='1>"]
        {
            assert_eq!(Element::parse(bad), None, "{bad}");
        }
    }
}
