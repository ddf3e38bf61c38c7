//! Buckets of S3 and of servers that are compatible with it. The addresses of requests are signed; no key is ever in a message.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, DeleteObject, GetObject,
    HeadObject, ListObjectsV2, ListParts, PutObject, S3Action, UploadPart,
};
use rusty_s3::{Bucket, Credentials, UrlStyle};

use crate::error::{Error, Result};
use crate::model::redact;

/// How long a signed address is valid. Each is signed just before it is used.
const VALID: Duration = Duration::from_secs(60 * 60);

/// The keys of an account.
#[derive(Clone)]
pub struct S3Login {
    /// The public part.
    pub key: String,
    /// The secret part.
    pub secret: String,
    /// The token of a session.
    pub token: Option<String>,
}

/// What the machine says of accounts and regions.
#[derive(Clone, Default)]
pub struct S3Defaults {
    /// The keys of the account.
    pub login: Option<S3Login>,
    /// The region.
    pub region: Option<String>,
}

/// A place in a bucket.
pub struct S3Place {
    bucket: Bucket,
    login: Option<Credentials>,
    prefix: String,
    shown: String,
}

/// What is asked of a bucket.
#[derive(Debug, Clone, Copy)]
pub enum S3Request<'a> {
    /// The content of an object.
    Get,
    /// Whether an object is there.
    Head,
    /// Writes an object.
    Put,
    /// Deletes an object.
    Delete,
    /// Begins an upload of several parts.
    Begin,
    /// One part, with the identity of its upload and its number from 1.
    Part(&'a str, u16),
    /// The parts that are there, behind a number.
    Parts(&'a str, Option<u16>),
    /// Ends an upload.
    End(&'a str),
    /// Gives an upload up.
    GiveUp(&'a str),
}

impl S3Login {
    /// Reads the keys of a profile from the text of a file of credentials, as the tools of AWS write it.
    pub fn of_file(text: &str, profile: &str) -> Option<S3Login> {
        let mut section = "";
        let mut values = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.trim();
            } else if let Some((key, value)) = line.split_once('=').filter(|_| section == profile) {
                values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
        Some(S3Login {
            key: values.remove("aws_access_key_id")?,
            secret: values.remove("aws_secret_access_key")?,
            token: values.remove("aws_session_token"),
        })
    }
}

impl S3Place {
    /// Parses `s3://bucket/prefix?endpoint=HOST&scheme=http&region=REGION`, as Nix does. Without an endpoint, it is a bucket of AWS.
    ///
    /// # Errors
    /// If it is no such URL.
    pub fn parse(url: &str, defaults: &S3Defaults) -> Result<S3Place> {
        let bad = |why: String| {
            Error::user(format!("{:?} names no bucket", shown(url)))
                .because(why)
                .hint("write s3://BUCKET/PREFIX?endpoint=HOST:PORT&region=REGION; `scheme=http` is for servers without TLS")
        };
        let parsed = Url::parse(url).map_err(|e| bad(e.to_string()))?;
        let name = parsed.host_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| bad("expected the name of a bucket, got none".to_owned()))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(bad("expected no keys in the address".to_owned())
                .hint("keys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from the file of credentials"));
        }
        let (mut endpoint, mut scheme, mut region) = (None, "https".to_owned(), None);
        for (key, value) in parsed.query_pairs() {
            match key.as_ref() {
                "endpoint" => endpoint = Some(value.into_owned()),
                "scheme" => scheme = value.into_owned(),
                "region" => region = Some(value.into_owned()),
                other => {
                    return Err(bad(format!("expected endpoint, scheme or region, got {other:?}")));
                }
            }
        }
        let region = region.or_else(|| defaults.region.clone());
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let (endpoint, style) = match endpoint {
            Some(named) if named.contains("://") => (named, UrlStyle::Path),
            Some(named) => (format!("{scheme}://{named}"), UrlStyle::Path),
            None => (format!("https://s3.{region}.amazonaws.com"), UrlStyle::VirtualHost),
        };
        let endpoint = Url::parse(&endpoint).map_err(|e| bad(format!("the endpoint: {e}")))?;
        let bucket = Bucket::new(endpoint, style, name.to_owned(), region)
            .map_err(|e| bad(e.to_string()))?;
        let login = defaults.login.as_ref().map(|login| match &login.token {
            Some(token) => Credentials::new_with_token(&*login.key, &*login.secret, &**token),
            None => Credentials::new(&*login.key, &*login.secret),
        });
        let prefix = parsed.path().trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(S3Place { bucket, login, prefix, shown: shown(url) })
    }

    /// Returns the name for messages, without what is behind the `?`.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns what identifies the place of an object among all servers.
    pub fn identity(&self, path: &str) -> String {
        self.bucket.object_url(&self.key(path)).to_string()
    }

    /// Whether there are keys to sign with.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Returns the signed address of a request.
    pub fn address(&self, request: S3Request, path: &str) -> String {
        let key = self.key(path);
        let (bucket, login) = (&self.bucket, self.login.as_ref());
        let none = std::iter::empty::<&str>;
        match request {
            S3Request::Get => GetObject::new(bucket, login, &key).sign(VALID),
            S3Request::Head => HeadObject::new(bucket, login, &key).sign(VALID),
            S3Request::Put => PutObject::new(bucket, login, &key).sign(VALID),
            S3Request::Delete => DeleteObject::new(bucket, login, &key).sign(VALID),
            S3Request::Begin => CreateMultipartUpload::new(bucket, login, &key).sign(VALID),
            S3Request::Part(id, number) => {
                UploadPart::new(bucket, login, &key, number, id).sign(VALID)
            }
            S3Request::Parts(id, behind) => {
                let mut list = ListParts::new(bucket, login, &key, id);
                if let Some(number) = behind {
                    list.set_part_number_marker(number);
                }
                list.sign(VALID)
            }
            S3Request::End(id) => {
                CompleteMultipartUpload::new(bucket, login, &key, id, none()).sign(VALID)
            }
            S3Request::GiveUp(id) => AbortMultipartUpload::new(bucket, login, &key, id).sign(VALID),
        }
        .to_string()
    }

    /// Returns the body by which an upload of parts with these tags ends.
    pub fn end(&self, path: &str, id: &str, tags: &[String]) -> String {
        let key = self.key(path);
        let tags = tags.iter().map(String::as_str);
        CompleteMultipartUpload::new(&self.bucket, self.login.as_ref(), &key, id, tags).body()
    }

    /// Returns the signed address of a list of all objects, or of its next part.
    pub fn list(&self, next: Option<&str>) -> String {
        let mut list = ListObjectsV2::new(&self.bucket, self.login.as_ref());
        if !self.prefix.is_empty() {
            list.with_prefix(&*self.prefix);
        }
        if let Some(next) = next {
            list.with_continuation_token(next);
        }
        list.sign(VALID).to_string()
    }

    /// Returns the path below this place of an object that a list names.
    pub fn below<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&self.prefix)
    }
}

/// Returns the signed address of an object that is named as `s3://bucket/path?endpoint=...`.
///
/// # Errors
/// See [`S3Place::parse`].
pub fn object_address(url: &str, defaults: &S3Defaults) -> Result<String> {
    let end = url.find('?').unwrap_or(url.len());
    let (path, query) = url.split_at(end);
    let (dir, name) = path.rsplit_once('/').unwrap_or((path, ""));
    let place = S3Place::parse(&format!("{dir}{query}"), defaults)?;
    Ok(place.address(S3Request::Get, name))
}

/// Returns an address without its query and without a login.
fn shown(url: &str) -> String {
    redact(url.split(['?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> S3Defaults {
        let login = S3Login { key: "public".to_owned(), secret: "hidden".to_owned(), token: None };
        S3Defaults { login: Some(login), region: None }
    }

    #[test]
    fn addresses_of_buckets_are_those_of_nix() {
        let url = "s3://team/trees/?endpoint=127.0.0.1:9000&scheme=http&region=eu-1";
        let place = S3Place::parse(url, &defaults()).unwrap();
        assert_eq!(place.shown(), "s3://team/trees/");
        let address = place.address(S3Request::Get, "nar/x.nar.zst");
        assert!(
            address.starts_with("http://127.0.0.1:9000/team/trees/nar/x.nar.zst?"),
            "{address}"
        );
        assert!(address.contains("eu-1") && address.contains("Signature="), "{address}");
        assert!(!address.contains("hidden"), "{address}");
        assert_eq!(place.below("trees/a"), Some("a"));
        let url = "s3://team/trees/nar/x.nar.zst?endpoint=127.0.0.1:9000&scheme=http&region=eu-1";
        let object = object_address(url, &defaults()).unwrap();
        assert_eq!(object.split('?').next(), address.split('?').next());
        let aws = S3Place::parse("s3://team", &S3Defaults::default()).unwrap();
        let address = aws.address(S3Request::Get, "a");
        assert_eq!(address, "https://team.s3.us-east-1.amazonaws.com/a");
        for bad in ["s3://", "s3://k:secret@team", "s3://team?x=1", "s3://team?endpoint=a%20b"] {
            let error = S3Place::parse(bad, &defaults()).map(|_| ()).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn profiles_of_a_file_of_credentials() {
        let text = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=B=\n[ci]\nAWS_ACCESS_KEY_ID=C\naws_secret_access_key=D\naws_session_token = E\n";
        let login = S3Login::of_file(text, "default").unwrap();
        assert_eq!((login.key.as_str(), login.secret.as_str(), login.token), ("A", "B=", None));
        let login = S3Login::of_file(text, "ci").unwrap();
        assert_eq!((login.key.as_str(), login.token.as_deref()), ("C", Some("E")));
        assert!(S3Login::of_file(text, "other").is_none());
    }
}
