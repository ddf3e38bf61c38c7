//! Which Python package indexes a machine is configured for. Source: the documentation of the
//! configuration of pip and uv.

/// The indexes that the configuration of a machine names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfiguredIndexes {
    /// Those that are asked before the default index.
    pub before: Vec<String>,
    /// The default index, unless it is the one that installers know.
    pub default: Option<String>,
    /// Those that are asked after it.
    pub after: Vec<String>,
}

impl ConfiguredIndexes {
    /// Returns all of them in the order in which they are asked, with `default` in the place of a
    /// default that is not configured.
    pub fn in_order(&self, default: Option<String>) -> Vec<String> {
        let default = self.default.clone().or(default);
        let mut out: Vec<String> = vec![];
        for url in self.before.iter().chain(&default).chain(&self.after) {
            if !out.contains(url) {
                out.push(url.clone());
            }
        }
        out
    }
}

/// Returns the indexes that the configuration of pip and uv names. `var` reads the environment.
/// `files` are the texts of pip.conf and uv.toml files, the most specific first, each with a flag
/// that is set for a file of uv.
///
/// The order is that of uv: further indexes come before the default one. pip, which compares all of
/// them, names them in addition to it, so that they come behind.
pub fn configured(
    var: &dyn Fn(&str) -> Option<String>,
    files: &[(bool, String)],
) -> ConfiguredIndexes {
    let of_variable = |name: &str| -> Vec<String> {
        let value = var(name).unwrap_or_default();
        // uv allows the form `name=url`.
        let url = |word: &str| match word.split_once('=') {
            Some((head, tail)) if !head.contains(':') => tail.to_owned(),
            _ => word.to_owned(),
        };
        value.split_whitespace().map(url).collect()
    };
    let of_uv: Vec<UvIndexes> =
        files.iter().filter(|(uv, _)| *uv).map(|(_, text)| from_uv_toml(text)).collect();
    let of_pip = |key: &str| -> Vec<String> {
        let texts = files.iter().filter(|(uv, _)| !uv);
        texts.map(|(_, text)| from_pip_conf(text, key)).find(|l| !l.is_empty()).unwrap_or_default()
    };
    let is_url = |url: &String| url.contains("://");
    let before = of_variable("UV_INDEX")
        .into_iter()
        .chain(of_uv.iter().flat_map(|uv| uv.named.clone()))
        .chain(of_variable("UV_EXTRA_INDEX_URL"))
        .chain(of_uv.iter().flat_map(|uv| uv.extra.clone()));
    let mut default = of_variable("UV_DEFAULT_INDEX")
        .into_iter()
        .chain(of_variable("UV_INDEX_URL"))
        .chain(of_uv.iter().flat_map(|uv| uv.default.clone()))
        .chain(of_variable("PIP_INDEX_URL"))
        .chain(of_pip("index-url"));
    let after = match of_variable("PIP_EXTRA_INDEX_URL") {
        none if none.is_empty() => of_pip("extra-index-url"),
        some => some,
    };
    ConfiguredIndexes {
        before: before.filter(is_url).collect(),
        default: default.find(is_url),
        after: after.into_iter().filter(is_url).collect(),
    }
}

/// Returns the values of a key of pip. The section of a command counts more than the general one.
fn from_pip_conf(text: &str, wanted: &str) -> Vec<String> {
    let mut section = String::new();
    let mut in_list = false;
    let mut found: [Vec<String>; 3] = Default::default();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        if trimmed.starts_with('[') {
            section = trimmed.trim_matches(['[', ']']).trim().to_owned();
            in_list = false;
            continue;
        }
        let Some(rank) = ["install", "download", "global"].iter().position(|s| *s == section)
        else {
            continue;
        };
        if line.starts_with(char::is_whitespace) && in_list {
            found[rank].extend(trimmed.split_whitespace().map(str::to_owned));
        } else if let Some(at) = trimmed.find(['=', ':']) {
            in_list = trimmed[..at].trim().to_ascii_lowercase().replace('_', "-") == wanted;
            if in_list {
                found[rank].extend(trimmed[at + 1..].split_whitespace().map(str::to_owned));
            }
        }
    }
    found.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
}

/// The indexes that a `uv.toml` names.
#[derive(Default)]
struct UvIndexes {
    named: Vec<String>,
    extra: Vec<String>,
    default: Vec<String>,
}

fn from_uv_toml(text: &str) -> UvIndexes {
    let mut out = UvIndexes::default();
    let Ok(table) = text.parse::<toml::Table>() else { return out };
    let own = |value: &toml::Value| value.as_str().map(str::to_owned);
    for scope in [Some(&table), table.get("pip").and_then(|v| v.as_table())].into_iter().flatten() {
        for index in scope.get("index").and_then(|v| v.as_array()).into_iter().flatten() {
            let is = |key: &str| index.get(key).and_then(toml::Value::as_bool) == Some(true);
            let Some(url) = index.get("url").and_then(own) else { continue };
            // An explicit index serves only the packages that name it.
            match is("explicit") {
                true => {}
                false if is("default") => out.default.push(url),
                false => out.named.push(url),
            }
        }
        out.default.extend(scope.get("index-url").and_then(own));
        let extra = scope.get("extra-index-url").and_then(|v| v.as_array());
        out.extra.extend(extra.into_iter().flatten().filter_map(own));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], files: &[(bool, &str)]) -> ConfiguredIndexes {
        let var = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let files: Vec<(bool, String)> =
            files.iter().map(|(uv, text)| (*uv, (*text).to_owned())).collect();
        configured(&var, &files)
    }

    #[test]
    fn further_indexes_of_uv_come_before_its_default() {
        let found = read(
            &[
                ("UV_DEFAULT_INDEX", "http://default"),
                ("UV_INDEX", "own=http://own http://two"),
                ("UV_EXTRA_INDEX_URL", "http://extra"),
            ],
            &[(
                true,
                "extra-index-url = [\"http://old\"]\n[[index]]\nurl = \"http://d2\"\ndefault = true\n[[index]]\nurl = \"http://named\"\n[[index]]\nname = \"x\"\nurl = \"http://explicit\"\nexplicit = true\n",
            )],
        );
        let expected = [
            "http://own",
            "http://two",
            "http://named",
            "http://extra",
            "http://old",
            "http://default",
        ];
        assert_eq!(found.in_order(None), expected);
        // What is only added to the default does not replace it.
        let found = read(&[("UV_INDEX", "http://own")], &[]);
        assert_eq!(found.in_order(Some("http://d".to_owned())), ["http://own", "http://d"]);
        let found = read(&[("PIP_EXTRA_INDEX_URL", "http://own")], &[]);
        assert_eq!(found.in_order(Some("http://d".to_owned())), ["http://d", "http://own"]);
    }

    #[test]
    fn the_most_specific_configuration_of_pip_counts() {
        let user = "[global]\ncert = /x\nindex-url = https://a.example/simple\n# index-url = https://no.example\nextra-index-url =\n  https://b.example/simple\n  https://c.example/simple\n";
        let machine = "[global]\nindex_url: https://m.example/simple\n[install]\nextra-index-url = https://n.example/simple\n";
        let all =
            ["https://a.example/simple", "https://b.example/simple", "https://c.example/simple"];
        assert_eq!(read(&[], &[(false, user), (false, machine)]).in_order(None), all);
        let found = read(&[("PIP_INDEX_URL", "https://e.example")], &[(false, machine)]);
        assert_eq!(found.in_order(None), ["https://e.example", "https://n.example/simple"]);
        // uv does not read the configuration of pip.
        let uv = "[[index]]\nurl = \"https://u.example\"\ndefault = true\n";
        let found = read(&[], &[(true, uv), (false, machine)]);
        assert_eq!(found.in_order(None), ["https://u.example", "https://n.example/simple"]);
    }
}
