//! `nix-cache-info`, the file by which a binary cache introduces itself. Source: `BinaryCacheStore::init` in Nix's `libstore`.

use super::store_path::STORE_DIR;

/// The name of the file at the top of a cache.
pub const FILE_NAME: &str = "nix-cache-info";

/// What a cache says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    /// Whether it may be asked for thousands of paths at once.
    pub want_mass_query: bool,
    /// Caches of a lower number are asked first.
    pub priority: Option<u32>,
}

impl CacheInfo {
    /// Returns what a cache of cotter says: it is behind the public one of Nix, whose priority is 40.
    pub fn own() -> Self {
        CacheInfo { want_mass_query: true, priority: Some(50) }
    }

    /// Parses the file. As with Nix, lines without a colon and unknown keys mean nothing.
    ///
    /// # Errors
    /// A sentence, if the cache is one of another store directory, or if a value is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut out = CacheInfo { want_mass_query: false, priority: None };
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match key {
                "StoreDir" if value != STORE_DIR => {
                    return Err(format!("it is a cache for the store {value:?}, not {STORE_DIR}"));
                }
                "WantMassQuery" => out.want_mass_query = value == "1",
                "Priority" => {
                    let number = value
                        .parse()
                        .map_err(|_| format!("expected a number as its priority, got {value:?}"))?;
                    out.priority = Some(number);
                }
                _ => {}
            }
        }
        Ok(out)
    }

    /// Returns the text of the file.
    pub fn render(&self) -> String {
        let mut out = format!("StoreDir: {STORE_DIR}\n");
        if self.want_mass_query {
            out += "WantMassQuery: 1\n";
        }
        if let Some(priority) = self.priority {
            out += &format!("Priority: {priority}\n");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_caches_say() {
        let public = CacheInfo::parse("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n");
        let public = public.unwrap();
        assert_eq!(public, CacheInfo { want_mass_query: true, priority: Some(40) });
        assert_eq!(CacheInfo::parse(&public.render()), Ok(public));
        // As written by `nix copy --to file://...`.
        let plain = CacheInfo::parse("StoreDir: /nix/store\n").unwrap();
        assert_eq!(plain.render(), "StoreDir: /nix/store\n");
        assert_eq!(CacheInfo::parse("nothing\nNew: 1\n").unwrap(), plain);
        assert!(CacheInfo::parse("StoreDir: /gnu/store\n").unwrap_err().contains("/gnu/store"));
        assert!(CacheInfo::parse("Priority: -x\n").is_err());
    }
}
