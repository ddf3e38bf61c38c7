//! The arguments of the verbs for downloads and for binary caches.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::parse_days;
use crate::model::{Platform, ToolchainName};
use crate::nix::keys::CacheKey;
use crate::nix::narinfo::NarCompression;

/// `cotter cache`
#[derive(Args, Debug)]
pub struct CacheArgs {
    /// What to do
    #[command(subcommand)]
    pub what: CacheWhat,
}

/// What is done with the downloads, and with binary caches.
#[derive(Subcommand, Debug)]
pub enum CacheWhat {
    /// Print the directories of the downloads
    Dir,
    /// Print the size of the downloads
    Size(CacheSize),
    /// Delete the downloads that no running process uses. Trees stay as they are
    Clean,
    /// Ask a binary cache for finished trees first
    Add(CacheAdd),
    /// Ask a binary cache no more
    Remove(CacheRemove),
    /// Print the binary caches that are asked
    List(CacheList),
    /// Write a new key that signs a binary cache, and print its public part
    Key(CacheKeyArgs),
    /// Push trees to a binary cache, from which cotter and Nix take them
    Push(CachePush),
    /// Serve the trees of the store as a binary cache
    Serve(CacheServe),
    /// Delete from a binary cache what no lock names
    Gc(CacheGc),
}

/// `cotter cache size`
#[derive(Args, Debug)]
pub struct CacheSize {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter cache add`
#[derive(Args, Debug)]
pub struct CacheAdd {
    /// The address: https://, http://, file:// or s3://
    pub url: String,
    /// A public key that signs the cache; may be repeated
    #[arg(long, value_name = "NAME:BASE64", required = true)]
    pub key: Vec<CacheKey>,
}

/// `cotter cache remove`
#[derive(Args, Debug)]
pub struct CacheRemove {
    /// The address
    pub url: String,
}

/// `cotter cache list`
#[derive(Args, Debug)]
pub struct CacheList {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter cache key`
#[derive(Args, Debug)]
pub struct CacheKeyArgs {
    /// The name of the key, such as cache.example.com-1
    pub name: String,
    /// The file to write, which only you may read
    pub file: PathBuf,
}

/// `cotter cache push`
#[derive(Args, Debug)]
pub struct CachePush {
    /// The cache: a directory, or an address that begins with file://, http://, https:// or s3://
    pub to: String,
    /// The toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// The file with the secret key that signs
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// How the files are compressed: zstd, xz or none
    #[arg(long, value_name = "HOW", default_value = "zstd", value_parser = parse_compression)]
    pub compression: NarCompression,
    /// The platform [default: the one of this machine]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter cache serve`
#[derive(Args, Debug)]
pub struct CacheServe {
    /// The address to listen at; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8064")]
    pub listen: SocketAddr,
    /// The file with the secret key that signs
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// How the files are compressed: zstd, xz or none
    #[arg(long, value_name = "HOW", default_value = "zstd", value_parser = parse_compression)]
    pub compression: NarCompression,
}

/// `cotter cache gc`
#[derive(Args, Debug)]
pub struct CacheGc {
    /// The cache: a directory, or an address that begins with file:// or s3://
    pub of: String,
    /// A lock whose trees are kept; may be repeated
    #[arg(long, value_name = "LOCK", required = true, num_args = 1..)]
    pub keep: Vec<PathBuf>,
    /// Delete only what was pushed more than N days ago
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_days, allow_negative_numbers = true)]
    pub older_than: u32,
    /// Delete nothing, only print what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl CacheWhat {
    /// Whether the result is printed as JSON.
    pub fn is_json(&self) -> bool {
        match self {
            CacheWhat::Size(args) => args.json,
            CacheWhat::List(args) => args.json,
            CacheWhat::Push(args) => args.json,
            CacheWhat::Gc(args) => args.json,
            _ => false,
        }
    }

    /// Whether the store is read or written.
    pub fn needs_store(&self) -> bool {
        !matches!(
            self,
            CacheWhat::Add(_)
                | CacheWhat::Remove(_)
                | CacheWhat::List(_)
                | CacheWhat::Key(_)
                | CacheWhat::Gc(_)
        )
    }
}

/// Parses a compression that is written.
fn parse_compression(text: &str) -> Result<NarCompression, String> {
    match NarCompression::of_word(text) {
        Ok(how @ (NarCompression::Zstd | NarCompression::Xz | NarCompression::None)) => Ok(how),
        _ => Err(format!("expected zstd, xz or none, got {text:?}")),
    }
}
