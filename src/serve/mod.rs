//! Serves the trees of a store as a binary cache over HTTP/1.1 (RFC 9112). It only reads, and answers nothing but the files of a cache.

mod answer;
mod connection;
mod request;
mod shelf;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use request::hear;
pub use shelf::Shelf;

use crate::error::{Error, Result};
use crate::reporter::Reporter;

/// The greatest number of connections at once. Each has a thread of little memory.
const MOST_CONNECTIONS: usize = 512;

/// The memory for the calls of a thread. Directories of a tree may lie deep within each other.
const STACK: usize = 1 << 20;

/// A server that listens.
pub struct CacheServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl CacheServer {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the address is in use, or not one of this machine.
    pub fn bind(address: SocketAddr) -> Result<Self> {
        let refused = |e| {
            Error::user(format!("can't listen on {address}"))
                .cause(&e)
                .hint("name another address with --listen; port 0 takes any that is free")
        };
        let listener = TcpListener::bind(address).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(CacheServer { listener, address })
    }

    /// Returns the address, with the port that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the user asks the program to stop.
    pub fn run(self, shelf: Shelf, reporter: Reporter) {
        let (shelf, open) = (Arc::new(shelf), Arc::new(AtomicUsize::new(0)));
        let listener = self.listener;
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else {
                    // Too many files are open: some connections end soon.
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                };
                if open.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS {
                    open.fetch_sub(1, Ordering::Relaxed);
                    connection::refuse(&stream);
                    continue;
                }
                let (shelf, reporter) = (shelf.clone(), reporter.clone());
                let held = Held(open.clone());
                // If no thread can be made, the connection is closed.
                let _ = std::thread::Builder::new().stack_size(STACK).spawn(move || {
                    let _held = held;
                    let _ = crate::fault::caught(|| {
                        connection::serve(&stream, &shelf, &reporter);
                        Ok(())
                    });
                });
            }
        });
        while crate::interrupt::sleep(Duration::from_secs(1)).is_ok() {}
    }
}

/// Counts a connection until it is dropped.
struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
