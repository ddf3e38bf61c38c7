//! Where servers are from the view of this machine. A page of an index on the Internet must not make
//! cotter ask servers that only this machine, or its network, can reach: they may answer without
//! credentials. Sources: RFC 1122 and RFC 4291 (loopback), RFC 3927 and RFC 4291 (link-local), RFC 1918,
//! RFC 4193 and RFC 6598 (private), RFC 6761 (`localhost`), RFC 6052 and RFC 8215 (translation from
//! IPv6), RFC 3056 (6to4).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use super::addresses::Addresses;

/// How near a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vicinity {
    /// It is this machine.
    Machine,
    /// It is on the same link, where clouds answer with secrets of the machine.
    Link,
    /// It has an address of a private network.
    Network,
    /// It may be anywhere.
    Internet,
}

impl Vicinity {
    /// Returns the words for it, to stand behind "on".
    pub fn words(self) -> &'static str {
        match self {
            Vicinity::Machine => "this machine",
            Vicinity::Link => "the link of this machine",
            Vicinity::Network => "a private network",
            Vicinity::Internet => "the Internet",
        }
    }
}

/// The addresses at which clouds answer with secrets of the machine, besides link-local ones. Sources:
/// the documentation of the metadata services of EC2 (IPv6), Alibaba Cloud, Azure and Oracle Cloud.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Returns how near an address is.
fn of_address(address: IpAddr) -> Vicinity {
    match address.to_canonical() {
        known if METADATA.contains(&known) => Vicinity::Link,
        IpAddr::V4(v4) if v4.is_loopback() || v4.octets()[0] == 0 => Vicinity::Machine,
        IpAddr::V4(v4) if v4.is_link_local() || v4.is_broadcast() => Vicinity::Link,
        IpAddr::V4(v4) if v4.is_private() || is_shared(v4) => Vicinity::Network,
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => Vicinity::Machine,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Vicinity::Link,
        // Where a network translates addresses of this prefix to is its own affair.
        IpAddr::V6(v6) if v6.is_unique_local() || v6.segments()[..3] == [0x64, 0xff9b, 1] => {
            Vicinity::Network
        }
        IpAddr::V6(v6) => embedded(v6).map_or(Vicinity::Internet, |v4| of_address(IpAddr::V4(v4))),
        IpAddr::V4(_) => Vicinity::Internet,
    }
}

/// Returns the IPv4 address to which a translator or a tunnel leads what is sent to an IPv6 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        // The last is the deprecated form `::192.0.2.1` (RFC 4291, section 2.5.5.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => {
            Some(of(high, low))
        }
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

/// Whether an address is of the space that providers share (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0xC0 == 64
}

/// Returns how near the server of a URL is, as far as the URL itself tells.
pub(super) fn stated(url: &Url) -> Option<Vicinity> {
    let host = url.host_str()?;
    let name = host.trim_end_matches('.');
    if name == "localhost" || name.ends_with(".localhost") {
        return Some(Vicinity::Machine);
    }
    host.trim_matches(['[', ']']).parse().ok().map(of_address)
}

/// Returns how near the addresses of the server of a URL are. A name that cannot be resolved has none.
pub(super) fn resolved(url: &Url, addresses: &Addresses) -> BTreeSet<Vicinity> {
    if let Some(vicinity) = stated(url) {
        return [vicinity].into();
    }
    let found = addresses.of(url.host_str().unwrap_or_default());
    found.into_iter().flatten().map(of_address).collect()
}

/// Whether a redirection leads nearer to this machine than the first server is. `from` and `to` are how
/// near the addresses of the two are.
pub(super) fn leads_nearer(
    from: impl FnOnce() -> BTreeSet<Vicinity>,
    mut to: BTreeSet<Vicinity>,
) -> bool {
    to.remove(&Vicinity::Internet);
    if to.is_empty() {
        return false;
    }
    let from = from();
    to.into_iter().any(|to| !reaches(&from, to))
}

/// Whether a page of a server at `page` may name a server at `file`: one that is as near, or one that
/// is further away.
pub(super) fn reaches(page: &BTreeSet<Vicinity>, file: Vicinity) -> bool {
    file == Vicinity::Internet || page.iter().any(|page| *page <= file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_vicinity() {
        for (url, expected) in [
            ("http://127.0.0.1:80/x", Some(Vicinity::Machine)),
            ("http://2130706433/x", Some(Vicinity::Machine)),
            ("http://0/x", Some(Vicinity::Machine)),
            ("http://localhost./x", Some(Vicinity::Machine)),
            ("http://a.LOCALHOST/x", Some(Vicinity::Machine)),
            ("http://[::1]/x", Some(Vicinity::Machine)),
            ("http://[::ffff:127.0.0.1]/x", Some(Vicinity::Machine)),
            ("http://169.254.169.254/latest", Some(Vicinity::Link)),
            ("http://[fe80::1]/x", Some(Vicinity::Link)),
            ("http://10.1.2.3/x", Some(Vicinity::Network)),
            ("http://192.168.0.1/x", Some(Vicinity::Network)),
            ("http://100.64.0.1/x", Some(Vicinity::Network)),
            ("http://[fd00::1]/x", Some(Vicinity::Network)),
            ("http://9.9.9.9/x", Some(Vicinity::Internet)),
            ("http://[64:ff9b::a9fe:a9fe]/latest", Some(Vicinity::Link)),
            ("http://[64:ff9b::7f00:1]/x", Some(Vicinity::Machine)),
            ("http://[64:ff9b::10.0.0.1]/x", Some(Vicinity::Network)),
            ("http://[64:ff9b::9.9.9.9]/x", Some(Vicinity::Internet)),
            ("http://[64:ff9b:1::9.9.9.9]/x", Some(Vicinity::Network)),
            ("http://[2002:7f00:1::1]/x", Some(Vicinity::Machine)),
            ("http://[2002:c0a8:1::1]/x", Some(Vicinity::Network)),
            ("http://[2002:909:909::1]/x", Some(Vicinity::Internet)),
            ("http://[::127.0.0.1]/x", Some(Vicinity::Machine)),
            ("http://[fd00:ec2::254]/latest", Some(Vicinity::Link)),
            ("http://[fd00:ec2::255]/x", Some(Vicinity::Network)),
            ("http://100.100.100.200/latest", Some(Vicinity::Link)),
            ("http://168.63.129.16/x", Some(Vicinity::Link)),
            ("http://[::ffff:168.63.129.16]/x", Some(Vicinity::Link)),
            ("http://[64:ff9b::168.63.129.16]/x", Some(Vicinity::Link)),
            ("http://192.0.0.192/x", Some(Vicinity::Link)),
            ("http://[2620:fe::fe]/x", Some(Vicinity::Internet)),
            ("http://x.example/x", None),
        ] {
            assert_eq!(stated(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn what_is_far_does_not_lead_to_what_is_near() {
        use Vicinity::{Internet, Link, Machine, Network};
        for (page, file, expected) in [
            (Internet, Internet, true),
            (Internet, Network, false),
            (Internet, Machine, false),
            (Network, Network, true),
            (Network, Link, false),
            (Network, Machine, false),
            (Machine, Network, true),
            (Machine, Machine, true),
        ] {
            assert_eq!(reaches(&[page].into(), file), expected, "{page:?} {file:?}");
        }
        assert!(!reaches(&BTreeSet::new(), Machine) && reaches(&BTreeSet::new(), Internet));
        let url = |url: &str| Url::parse(url).unwrap();
        // A name that leads here, and one that leads elsewhere and here.
        let near = |url: &Url| match url.host_str() {
            Some("here.example") => [Machine].into(),
            Some("both.example") => [Internet, Network].into(),
            Some("far.example") => [Internet].into(),
            _ => stated(url).into_iter().collect(),
        };
        let leads = |from: &str, to: &str| leads_nearer(|| near(&url(from)), near(&url(to)));
        assert!(leads("http://9.9.9.9/", "http://127.0.0.1/"));
        assert!(!leads("http://127.0.0.1/", "http://127.0.0.1:1/"));
        assert!(!leads("http://10.0.0.1/", "http://far.example/"));
        assert!(!leads("http://10.0.0.1/", "http://unknown.example/"));
        assert!(leads("http://9.9.9.9/", "http://here.example/"));
        assert!(leads("http://far.example/", "http://both.example/"));
        assert!(leads("http://10.0.0.1/", "http://here.example/"));
        assert!(!leads("http://here.example/", "http://here.example/"));
    }
}
