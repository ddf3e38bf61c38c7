//! The proxies that the environment names. The HTTP client reads the same variables by itself; this
//! module finds out which of them is to be named if no connection comes about.

use crate::model::redact;

/// The proxies that the environment names.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// The hosts that are reached without a proxy.
    without: Vec<String>,
}

/// A proxy, and the variable that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The variable.
    pub variable: &'static str,
    /// Its value, without the user name and the password.
    pub url: String,
}

impl Proxies {
    /// Reads the variables, in the order in which the HTTP client reads them.
    pub fn of(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 4]| {
            names
                .into_iter()
                .find_map(|name| Some(Proxy { variable: name, url: redact(&variable(name)?) }))
        };
        let without = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
        Proxies {
            http: first(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            https: first(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            without: without.split(',').map(|host| host.trim().to_ascii_lowercase()).collect(),
        }
    }

    /// Returns the proxy of a URL. An address of a network in `no_proxy` is not recognised, because
    /// only the text of a message depends on the result.
    pub fn of_url(&self, url: &reqwest::Url) -> Option<&Proxy> {
        let host = url.host_str()?;
        let is_direct = self.without.iter().any(|entry| {
            let name = entry.trim_start_matches('.');
            entry == "*"
                || (!name.is_empty() && (host == name || host.ends_with(&format!(".{name}"))))
        });
        match url.scheme() {
            _ if is_direct => None,
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_that_counts_is_named() {
        let of = |set: &[(&str, &str)], url: &str| {
            let read = |name: &str| {
                set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
            };
            let url = reqwest::Url::parse(url).unwrap();
            Proxies::of(&read).of_url(&url).map(|p| (p.variable, p.url.clone()))
        };
        let both = [("https_proxy", "http://u:secret@p:1"), ("ALL_PROXY", "http://q:2")];
        let of_https = of(&both, "https://x.example/f").unwrap();
        assert_eq!(of_https, ("https_proxy", "http://p:1".to_owned()));
        assert_eq!(of(&both, "http://x.example/f").unwrap().0, "ALL_PROXY");
        assert_eq!(of(&both, "file:///f"), None);
        for (list, is_direct) in
            [("x.example", true), (".example", true), ("*", true), ("ample", false), ("", false)]
        {
            let set = [both[0], ("no_proxy", list)];
            assert_eq!(of(&set, "https://x.example/f").is_none(), is_direct, "{list:?}");
        }
    }
}
