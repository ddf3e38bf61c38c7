//! The addresses of servers. A name is looked up once in a run: what was checked is then what is
//! connected to, and a network that loses a request for a name costs its five seconds once.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, OnceLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::names;

/// What is known of one name. Threads that ask for it at the same time wait for one request.
type Slot = Arc<OnceLock<Result<Vec<IpAddr>, (io::ErrorKind, String)>>>;

/// The addresses that were looked up in this run.
#[derive(Default)]
pub(super) struct Addresses(Mutex<HashMap<String, Slot>>);

impl Addresses {
    /// Returns the addresses of a host.
    ///
    /// # Errors
    /// If the name cannot be resolved. It is asked for again the next time.
    pub fn of(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let slot = {
            let mut known = self.0.lock().expect("no panic holds it");
            known.entry(host.to_owned()).or_default().clone()
        };
        let found = slot.get_or_init(|| look_up(host).map_err(|e| (e.kind(), e.to_string())));
        found.clone().map_err(|(kind, text)| {
            self.forget(host);
            io::Error::new(kind, text)
        })
    }

    /// Lets the name of a host be looked up again, because its addresses were of no use.
    pub fn forget(&self, host: &str) {
        self.0.lock().expect("no panic holds it").remove(host);
    }
}

fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    names::restrict_to_builtin();
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// The resolver of the HTTP client. Its port 0 stands for that of the URL.
pub(super) struct Resolver(pub Arc<Addresses>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        // Who makes a request has looked the name up before, so this does not keep other requests waiting.
        let found = self.0.of(name.as_str());
        Box::pin(std::future::ready(found.map_err(Into::into).map(|addresses| {
            Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_once_and_a_failure_is_not_kept() {
        let addresses = Addresses::default();
        let found = addresses.of("localhost").unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
        assert_eq!(addresses.of("127.0.0.1").unwrap(), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(addresses.of("no name").is_err());
        let known = |host: &str| addresses.0.lock().unwrap().contains_key(host);
        assert!(known("localhost") && !known("no name"));
        // What is known is not asked for again.
        let planted: IpAddr = "192.0.2.1".parse().unwrap();
        let slot = Slot::default();
        slot.set(Ok(vec![planted])).unwrap();
        addresses.0.lock().unwrap().insert("localhost".to_owned(), slot);
        assert_eq!(addresses.of("localhost").unwrap(), [planted]);
        addresses.forget("localhost");
        assert_eq!(addresses.of("localhost").unwrap(), found);
    }
}
