//! An HTTP server on loopback that misbehaves in a given way.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The fault of a path.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The server responds with an error status the given number of times, and then correctly.
    Status(u16, u32),
    /// The connection ends normally after the given number of bytes of the body, and the response has no length. This happens each time.
    Truncate(usize),
    /// The connection breaks after the given number of bytes, the given number of times.
    Break(usize, u32),
    /// The server sends nothing more after the given number of bytes, each time.
    Stall(usize),
    /// The response has a length that is not that of the file.
    LieAboutLength,
    /// The server ignores ranges, after the connection broke at the given number of bytes.
    NoRanges(usize, u32),
    /// The response has other bytes of the same length.
    Corrupt,
    /// The server sends the given number of bytes per second.
    Slow(usize),
    /// The server leads to the same file again, each time.
    Circle,
}

#[derive(Default)]
struct Shared {
    files: HashMap<String, Arc<Vec<u8>>>,
    faults: HashMap<String, Fault>,
    log: Vec<String>,
}

/// A running server. It ends when the value is dropped.
pub struct Server {
    pub url: String,
    port: u16,
    shared: Arc<Mutex<Shared>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared_too, stop_too) = (shared.clone(), stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                if stop_too.load(Ordering::Relaxed) {
                    break;
                }
                let (shared, stop) = (shared_too.clone(), stop_too.clone());
                // Otherwise each answer waits for the word that its head has arrived.
                let _ = stream.set_nodelay(true);
                std::thread::spawn(move || serve(stream, &shared, &stop));
            }
        });
        Server { url: format!("http://127.0.0.1:{port}"), port, shared, stop }
    }

    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.shared.lock().unwrap().files.insert(path.to_owned(), Arc::new(bytes.into()));
        format!("{}{path}", self.url)
    }

    /// Writes all files into a directory, for mirrors that are asked without a network.
    pub fn write_to(&self, dir: &std::path::Path) {
        for (path, bytes) in &self.shared.lock().unwrap().files {
            let file = dir.join(path.trim_start_matches('/'));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes.as_slice()).unwrap();
        }
    }

    pub fn fault(&self, path: &str, fault: Fault) {
        self.shared.lock().unwrap().faults.insert(path.to_owned(), fault);
    }

    pub fn heal(&self) {
        self.shared.lock().unwrap().faults.clear();
    }

    /// Returns the requests so far in the form `path range`.
    pub fn log(&self) -> Vec<String> {
        self.shared.lock().unwrap().log.clone()
    }

    pub fn clear_log(&self) {
        self.shared.lock().unwrap().log.clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: TcpStream, shared: &Mutex<Shared>, stop: &AtomicBool) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while !stop.load(Ordering::Relaxed) {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
        let mut range = None;
        let mut authorization = String::new();
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) == 0 || header == "\r\n" {
                break;
            }
            let lower = header.to_lowercase();
            if let Some(r) = lower.strip_prefix("range: bytes=") {
                range = r.trim().trim_end_matches('-').parse::<usize>().ok();
            }
            if lower.starts_with("authorization:") {
                authorization =
                    header.split_once(' ').map(|h| h.1.trim().to_owned()).unwrap_or_default();
            }
        }
        if line.starts_with("HEAD ") {
            // The response does not mention ranges, so clients ask for the whole file.
            let size = shared.lock().unwrap().files.get(&path).map(|f| f.len());
            let head = size
                .map_or("HTTP/1.1 404 Told so\r\nContent-Length: 0\r\n\r\n".to_owned(), |n| {
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n")
                });
            if (&stream).write_all(head.as_bytes()).is_err() {
                return;
            }
            continue;
        }
        if !answer(&stream, &path, range, &authorization, shared, stop) {
            return;
        }
    }
}

/// Returns whether the connection may be used again.
fn answer(
    mut out: &TcpStream,
    path: &str,
    range: Option<usize>,
    authorization: &str,
    shared: &Mutex<Shared>,
    stop: &AtomicBool,
) -> bool {
    let (body, fault) = {
        let mut shared = shared.lock().unwrap();
        shared.log.push(format!("{path} {}", range.map_or("-".to_owned(), |r| r.to_string())));
        let body = shared.files.get(path).cloned();
        let fault = shared.faults.get(path).cloned();
        match shared.faults.get_mut(path) {
            Some(Fault::Status(_, left) | Fault::Break(_, left) | Fault::NoRanges(_, left))
                if *left > 0 =>
            {
                *left -= 1
            }
            _ => {}
        }
        (body, fault)
    };
    let plain = |code: u16| format!("HTTP/1.1 {code} Told so\r\nContent-Length: 0\r\n\r\n");
    let Some(body) = body else { return out.write_all(plain(404).as_bytes()).is_ok() };
    if path.starts_with("/private/") && authorization != "Basic dXNlcjpzZWNyZXQ=" {
        return out.write_all(plain(401).as_bytes()).is_ok();
    }
    let mut body = body.to_vec();
    let total = body.len();
    if let Some(Fault::Corrupt) = fault {
        for b in &mut body {
            *b ^= 0x55;
        }
    }
    let ignore_range = matches!(fault, Some(Fault::NoRanges(..)));
    let from = if ignore_range { 0 } else { range.unwrap_or(0).min(total) };
    let head = match from {
        0 if path.ends_with('/') => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n".to_owned(),
        0 => "HTTP/1.1 200 OK\r\n".to_owned(),
        _ => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}\r\n",
            total - 1
        ),
    };
    let rest = &body[from..];
    let length = format!("Content-Length: {}\r\n\r\n", rest.len());
    let send = |mut out: &TcpStream, head: &str, bytes: &[u8]| {
        out.write_all(head.as_bytes())
            .and_then(|()| out.write_all(bytes))
            .and_then(|()| out.flush())
            .is_ok()
    };
    match fault {
        Some(Fault::Status(code, left)) if left > 0 => {
            out.write_all(plain(code).as_bytes()).is_ok()
        }
        Some(Fault::Circle) => {
            let head =
                format!("HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n\r\n");
            out.write_all(head.as_bytes()).is_ok()
        }
        Some(Fault::Truncate(n)) => {
            send(out, &format!("{head}Connection: close\r\n\r\n"), &rest[..n.min(rest.len())]);
            let _ = out.shutdown(std::net::Shutdown::Both);
            false
        }
        Some(Fault::Break(n, left) | Fault::NoRanges(n, left)) if left > 0 => {
            send(out, &format!("{head}{length}"), &rest[..n.min(rest.len())]);
            let _ = out.shutdown(std::net::Shutdown::Both);
            false
        }
        Some(Fault::Stall(n)) => {
            send(out, &format!("{head}{length}"), &rest[..n.min(rest.len())]);
            for _ in 0..100 {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            false
        }
        Some(Fault::LieAboutLength) => {
            send(out, &format!("{head}Content-Length: {}\r\n\r\n", rest.len() + 7), rest);
            let _ = out.shutdown(std::net::Shutdown::Both);
            false
        }
        Some(Fault::Slow(rate)) => {
            if out.write_all(format!("{head}{length}").as_bytes()).is_err() {
                return false;
            }
            for chunk in rest.chunks((rate / 20).max(1)) {
                if stop.load(Ordering::Relaxed) || out.write_all(chunk).is_err() {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            true
        }
        _ => send(out, &format!("{head}{length}"), rest),
    }
}

/// Serves `body` at every path over TLS, under a certificate for `name`. Returns the port, and the certificate as PEM.
pub fn trusted_tls(name: &str, body: Vec<u8>) -> (u16, String) {
    let length = body.len();
    answering_tls(name, format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n"), body)
}

/// Answers every request over TLS with a redirection.
pub fn redirecting_tls(name: &str, to: &str) -> (u16, String) {
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n");
    answering_tls(name, head, vec![])
}

fn answering_tls(name: &str, head: String, body: Vec<u8>) -> (u16, String) {
    let (config, certificate) = tls_config(name);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().filter_map(Result::ok) {
            let Ok(mut tls) = rustls::ServerConnection::new(config.clone()) else { continue };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let mut tls = rustls::Stream::new(&mut tls, &mut stream);
            let mut request = vec![];
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && tls.read(&mut byte).is_ok_and(|n| n == 1) {
                request.push(byte[0]);
            }
            let head = format!("{head}Connection: close\r\n\r\n");
            let _ = tls.write_all(head.as_bytes()).and_then(|()| tls.write_all(&body));
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    });
    (port, certificate)
}

fn tls_config(name: &str) -> (Arc<rustls::ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Arc::new(config), made.cert.pem())
}

/// Accepts one TLS handshake after the other with a certificate that nobody trusts.
pub fn untrusted_tls() -> String {
    let (config, _) = tls_config("localhost");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(20).filter_map(Result::ok) {
            let Ok(mut tls) = rustls::ServerConnection::new(config.clone()) else { continue };
            let mut stream = stream;
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let mut byte = [0];
            let _ = rustls::Stream::new(&mut tls, &mut stream).read(&mut byte);
        }
    });
    format!("https://localhost:{port}")
}
