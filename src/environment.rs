//! The environment variables through which programs find the toolchains. Pure: the recipe of a tree
//! decides which variables the tree needs.

use std::collections::BTreeMap;

/// The variable that names the directory, in the tree of a compiler, whose libraries programs find at
/// run time. Programs are linked to it only if the variable is set.
pub const RUNTIME_VARIABLE: &str = "COTTER_RUNTIME";

/// The variable that lists directories of libraries which the interpreters of trees search behind their
/// own.
pub const LIBRARIES_VARIABLE: &str = "COTTER_PYTHON_LIBRARIES";

/// The changes of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The directories to prepend to PATH.
    pub path: Vec<String>,
    /// The variables to set.
    pub set: BTreeMap<String, String>,
    /// The variables to unset, because they would lead tools to files of the host.
    pub unset: Vec<String>,
    /// Groups of variables that are set unless the user has set one of the group.
    pub unless_set: Vec<Vec<(String, String)>>,
}

/// The lists of directories that end with those of the user.
pub const WITH_THE_USERS: [&str; 1] = ["XDG_DATA_DIRS"];

/// The list of directories in which Python looks for modules first.
pub const IMPORTS: &str = "PYTHONPATH";

/// The variable that names the directory of Python packages.
const SITE: &str = "PYTHONUSERBASE";

/// The variable that hides this directory.
const NO_SITE: &str = "PYTHONNOUSERSITE";

impl Changes {
    /// Completes the changes with what depends on the user's own variables, which `outer` returns
    /// unless they are empty: the user's `XDG_DATA_DIRS` stay behind those of the
    /// trees, what the user selected of certificates and run-time libraries stays, and programs get a UTF-8 locale if the
    /// user selected no locale.
    pub fn complete(&mut self, outer: &dyn Fn(&str) -> Option<String>) {
        for name in WITH_THE_USERS {
            let (Some(ours), Some(theirs)) = (self.set.get_mut(name), outer(name)) else {
                continue;
            };
            let known: Vec<String> = ours.split(':').map(str::to_owned).collect();
            for path in theirs.split(':').filter(|path| !known.iter().any(|k| k == path)) {
                ours.push(':');
                ours.push_str(path);
            }
        }
        // The user's own directories come first.
        if let (Some(ours), Some(theirs)) = (self.set.get_mut(IMPORTS), outer(IMPORTS)) {
            let known: Vec<&str> = theirs.split(':').collect();
            let more = ours.split(':').filter(|path| !known.contains(path));
            let all: Vec<&str> = known.iter().copied().chain(more).collect();
            *ours = all.join(":");
        }
        for group in std::mem::take(&mut self.unless_set) {
            if group.iter().all(|(name, _)| outer(name).is_none()) {
                for (name, value) in group {
                    self.set.entry(name).or_insert(value);
                }
            }
        }
        if ["LC_ALL", "LC_CTYPE", "LANG"].iter().all(|name| outer(name).is_none()) {
            self.set.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
        }
        // By default, ccache identifies a compiler by the size and the time of its file, which are
        // the same for the launchers of two trees.
        if self.set.contains_key("CC") && outer("CCACHE_COMPILERCHECK").is_none() {
            let check = self.set.entry("CCACHE_COMPILERCHECK".to_owned());
            check.or_insert_with(|| "content".to_owned());
        }
    }
}

/// Collects the changes that several trees need, one tree after the other.
#[derive(Debug, Default)]
pub struct Variables {
    changes: Changes,
    /// The variables that are lists of paths.
    lists: BTreeMap<String, Vec<String>>,
    /// The groups of variables that are set if no tree sets them.
    otherwise: Vec<Vec<(String, String)>>,
    /// The variables that override those that recipes set.
    last: BTreeMap<String, String>,
    /// Whether an interpreter is to see no directory of Python packages unless a tree sets one.
    hides_site: bool,
}

impl Variables {
    /// Appends a directory to those that will be prepended to PATH.
    pub fn path(&mut self, directory: String) {
        self.changes.path.push(directory);
    }

    /// Adds a path to a variable that is a list of paths.
    pub fn list(&mut self, variable: &str, path: String) {
        self.lists.entry(variable.to_owned()).or_default().push(path);
    }

    /// Sets variables that belong together after all trees were asked, if none of them was set.
    pub fn set_otherwise(&mut self, group: Vec<(String, String)>) {
        self.otherwise.push(group);
    }

    /// Sets variables that belong together, unless the user has set one of them.
    pub fn set_unless_the_user_does(&mut self, group: Vec<(String, String)>) {
        self.changes.unless_set.push(group);
    }

    /// Returns the paths that were added to a list so far.
    pub fn listed(&self, variable: &str) -> Vec<String> {
        self.lists.get(variable).cloned().unwrap_or_default()
    }

    /// Sets a variable, regardless of what trees set.
    pub fn set_last(&mut self, variable: &str, value: String) {
        self.last.entry(variable.to_owned()).or_insert(value);
    }

    /// Sets a variable, unless an earlier tree set it.
    pub fn set_default(&mut self, variable: &str, value: String) {
        self.changes.set.entry(variable.to_owned()).or_insert(value);
    }

    /// Sets the directory of Python packages: that below which Python looks for those of a user. What
    /// hides such a directory is unset.
    pub fn set_site(&mut self, directory: String) {
        self.set_default(SITE, directory);
        self.unset(&[NO_SITE]);
    }

    /// Hides the directory of packages that the user has for the host's Python, unless there is a
    /// directory of Python packages: neither that of the user nor that of an outer session counts.
    pub fn hide_site(&mut self) {
        self.hides_site = true;
    }

    /// Whether an earlier tree set a variable.
    pub fn is_set(&self, variable: &str) -> bool {
        self.changes.set.contains_key(variable)
    }

    /// Unsets variables.
    pub fn unset(&mut self, variables: &[&str]) {
        for name in variables {
            if !self.changes.unset.iter().any(|n| n == name) {
                self.changes.unset.push((*name).to_owned());
            }
        }
    }

    /// Returns the collected changes.
    pub fn finish(mut self) -> Changes {
        if self.hides_site && !self.is_set(SITE) && !self.last.contains_key(SITE) {
            self.set_default(NO_SITE, "1".to_owned());
            self.unset(&[SITE]);
        }
        for (variable, paths) in self.lists {
            self.changes.set.insert(variable.to_owned(), paths.join(":"));
        }
        for group in self.otherwise {
            if !group.iter().any(|(name, _)| self.changes.set.contains_key(name)) {
                self.changes.set.extend(group);
            }
        }
        // Without the directory of a user, there is nothing for this variable to hide.
        if self.changes.set.contains_key(SITE) {
            self.last.remove(NO_SITE);
        }
        self.changes.unset.retain(|name| !self.last.contains_key(name));
        self.changes.set.extend(self.last);
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_variables_are_kept() {
        let changes = |pairs: &[(&str, &str)]| {
            let mut variables = Variables::default();
            variables.list("XDG_DATA_DIRS", "/s/app".to_owned());
            variables.set_default("CC", "/s/gcc".to_owned());
            let mut out = variables.finish();
            let of = |name: &str| Some(pairs.iter().find(|(n, _)| *n == name)?.1.to_owned());
            out.complete(&of);
            out.set
        };
        let alone = changes(&[]);
        assert_eq!(alone["XDG_DATA_DIRS"], "/s/app");
        assert_eq!(alone["LANG"], "C.UTF-8");
        assert_eq!(alone["CCACHE_COMPILERCHECK"], "content");
        let own = changes(&[("XDG_DATA_DIRS", "src:/s/app:"), ("CCACHE_COMPILERCHECK", "mtime")]);
        assert_eq!(own["XDG_DATA_DIRS"], "/s/app:src:");
        assert!(!own.contains_key("CCACHE_COMPILERCHECK"));
        for name in ["LANG", "LC_ALL", "LC_CTYPE"] {
            assert!(!changes(&[(name, "C")]).contains_key("LANG"), "{name}");
        }
    }

    #[test]
    fn the_users_own_certificates_count() {
        let of = |pairs: &[(&str, &str)]| {
            let mut variables = Variables::default();
            for tree in ["/s/a", "/s/b"] {
                let pair = |name: &str| (name.to_owned(), format!("{tree}/{name}"));
                variables
                    .set_unless_the_user_does(vec![pair("SSL_CERT_FILE"), pair("SSL_CERT_DIR")]);
            }
            variables.list("XDG_DATA_DIRS", "/s/a/share".to_owned());
            let mut out = variables.finish();
            out.complete(&|name| Some(pairs.iter().find(|(n, _)| *n == name)?.1.to_owned()));
            out.set
        };
        assert_eq!(of(&[])["SSL_CERT_DIR"], "/s/a/SSL_CERT_DIR");
        let own = of(&[("SSL_CERT_FILE", "/own.pem"), ("XDG_DATA_DIRS", "/usr/share")]);
        assert!(!own.contains_key("SSL_CERT_FILE") && !own.contains_key("SSL_CERT_DIR"));
        assert_eq!(own["XDG_DATA_DIRS"], "/s/a/share:/usr/share");
    }

    #[test]
    fn a_group_is_set_as_a_whole_or_not_at_all() {
        let group = || {
            let pair = |n: &str| (n.to_owned(), format!("/s/cross/{n}"));
            vec![pair("CC"), pair("LD")]
        };
        let mut variables = Variables::default();
        variables.set_otherwise(group());
        variables.set_default("CC", "/s/zig/cc".to_owned());
        let set = variables.finish().set;
        assert_eq!((set["CC"].as_str(), set.contains_key("LD")), ("/s/zig/cc", false));
        let mut variables = Variables::default();
        variables.set_otherwise(group());
        assert_eq!(variables.finish().set["LD"], "/s/cross/LD");
    }

    #[test]
    fn an_interpreter_without_a_set_sees_no_packages_of_the_user() {
        let of = |set: bool, last: &[(&str, &str)]| {
            let mut variables = Variables::default();
            variables.hide_site();
            if set {
                variables.set_site("/s/app".to_owned());
            }
            for (name, value) in last {
                variables.set_last(name, (*value).to_owned());
            }
            variables.finish()
        };
        let alone = of(false, &[]);
        assert_eq!(alone.set[NO_SITE], "1");
        assert_eq!(alone.unset, [SITE]);
        let with_set = of(true, &[]);
        assert_eq!(with_set.set[SITE], "/s/app");
        assert!(!with_set.set.contains_key(NO_SITE));
        assert_eq!(with_set.unset, [NO_SITE]);
        // The manifest may ask for them.
        assert_eq!(of(false, &[(NO_SITE, "")]).set[NO_SITE], "");
        let own = of(false, &[(SITE, "/own")]);
        assert_eq!(own.set[SITE], "/own");
        assert!(!own.set.contains_key(NO_SITE) && own.unset.is_empty());
    }

    #[test]
    fn what_the_manifest_sets_counts() {
        let mut variables = Variables::default();
        variables.set_last("CC", "mine".to_owned());
        variables.set_last("CC", "of a later tree".to_owned());
        variables.set_default("CC", "/s/gcc".to_owned());
        variables.set_last("CPATH", "mine".to_owned());
        variables.unset(&["CPATH", "LIBRARY_PATH"]);
        let changes = variables.finish();
        assert_eq!(changes.set["CC"], "mine");
        assert_eq!(changes.unset, ["LIBRARY_PATH"]);
    }
}
