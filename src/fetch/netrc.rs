//! Credentials from a netrc file. Source: the GNU inetutils manual, "The .netrc file". Macros are
//! skipped.

/// Logins by host.
#[derive(Default)]
pub struct Netrc {
    entries: Vec<(Option<String>, String, String)>,
}

impl Netrc {
    /// Parses the text of a netrc file. Unknown words are skipped, as curl does.
    pub fn parse(text: &str) -> Self {
        let mut entries: Vec<(Option<String>, String, String)> = vec![];
        let mut words = text
            .lines()
            .filter(|l| !l.trim_start().starts_with('#'))
            .flat_map(str::split_whitespace);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or("").to_owned();
            match word {
                "machine" => entries.push((Some(value()), String::new(), String::new())),
                "default" => entries.push((None, String::new(), String::new())),
                "login" => {
                    let v = value();
                    if let Some(last) = entries.last_mut() {
                        last.1 = v;
                    }
                }
                "password" => {
                    let v = value();
                    if let Some(last) = entries.last_mut() {
                        last.2 = v;
                    }
                }
                _ => {}
            }
        }
        Netrc { entries }
    }

    /// Returns the user name and the password for a host.
    pub fn login(&self, host: &str) -> Option<(&str, &str)> {
        let exact = self.entries.iter().find(|(m, ..)| m.as_deref() == Some(host));
        exact
            .or_else(|| self.entries.iter().find(|(m, ..)| m.is_none()))
            .map(|(_, user, password)| (user.as_str(), password.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_by_host() {
        let netrc = Netrc::parse(
            "# note\nmachine a.example login u password p\nmachine b.example\n  login v\n  password q\n",
        );
        assert_eq!(netrc.login("a.example"), Some(("u", "p")));
        assert_eq!(netrc.login("b.example"), Some(("v", "q")));
        assert_eq!(netrc.login("c.example"), None);
    }
}
