//! Public keys of OpenPGP: their fingerprint, and the parameters with which signatures are verified.
//! Source: RFC 9580, section 5.5. Versions 4 and 6 are supported. All primitives come from ring, which the program contains for
//! TLS anyway.

use ring::{digest, signature as ring_signature};

use super::openpgp_packet::{hashed_key, hex, mpi, number, padded, seconds};

/// The lengths of RSA keys in bits that count. Shorter ones have been broken, or soon will be; `sqv` and
/// apt draw the same line. The upper limit is that of ring.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key.
#[derive(Debug)]
pub struct PublicKey {
    /// The fingerprint of the key in upper-case hexadecimal.
    pub fingerprint: String,
    /// The key in the form in which it is hashed for the fingerprint and for signatures about it.
    pub hashed: Vec<u8>,
    /// The version of its format.
    pub version: u8,
    /// The number of its algorithm (section 9.1).
    pub algorithm: u8,
    /// The parameters, or `None` if the algorithm or the curve is not supported.
    pub material: Option<Material>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

/// The parameters with which a signature is verified.
#[derive(Debug)]
pub enum Material {
    /// The modulus and the exponent.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// A point.
    Ed25519([u8; 32]),
    /// A point.
    EcdsaP256(Vec<u8>),
    /// A point.
    EcdsaP384(Vec<u8>),
}

/// The object identifiers of the curves, without tag and length (section 9.2).
const ED25519_LEGACY: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
const NIST_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const NIST_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

impl PublicKey {
    /// Parses the body of a key packet. Returns `None` if it is damaged or of another version. A
    /// key with an unknown algorithm is accepted but verifies nothing.
    pub fn parse(body: &[u8]) -> Option<PublicKey> {
        let (&version, rest) = body.split_first()?;
        let (created, rest) = seconds(rest)?;
        let (&algorithm, mut rest) = rest.split_first()?;
        if version == 6 {
            let (len, material) = number(rest, 4)?;
            if len != material.len() {
                return None;
            }
            rest = material;
        }
        let hashed = hashed_key(version, body)?;
        let fingerprint = match version {
            4 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &hashed),
            6 => digest::digest(&digest::SHA256, &hashed),
            _ => return None,
        };
        Some(PublicKey {
            fingerprint: hex(fingerprint.as_ref()),
            hashed,
            version,
            algorithm,
            material: Material::parse(algorithm, rest),
            created,
        })
    }
}

impl Material {
    fn parse(algorithm: u8, bytes: &[u8]) -> Option<Material> {
        let curve = |bytes: &'_ [u8]| -> Option<(Vec<u8>, Vec<u8>)> {
            let (len, rest) = number(bytes, 1)?;
            let (oid, rest) = rest.split_at_checked(len)?;
            let (point, []) = mpi(rest)? else { return None };
            Some((oid.to_owned(), point.to_owned()))
        };
        match algorithm {
            1 | 3 => {
                let (n, rest) = mpi(bytes)?;
                let (e, []) = mpi(rest)? else { return None };
                Some(Material::Rsa { n: n.to_owned(), e: e.to_owned() })
            }
            19 => match curve(bytes)? {
                (oid, point) if oid == NIST_P256 => Some(Material::EcdsaP256(point)),
                (oid, point) if oid == NIST_P384 => Some(Material::EcdsaP384(point)),
                _ => None,
            },
            22 => {
                let (oid, point) = curve(bytes)?;
                let key = point.strip_prefix(&[0x40])?;
                (oid == ED25519_LEGACY).then_some(Material::Ed25519(key.try_into().ok()?))
            }
            27 => Some(Material::Ed25519(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    /// Whether the key is long enough to count.
    pub fn is_strong(&self) -> bool {
        let Material::Rsa { n, .. } = self else { return true };
        let top = n.first().map_or(8, |byte| byte.leading_zeros() as usize);
        RSA_BITS.contains(&(n.len() * 8).saturating_sub(top))
    }

    /// Verifies the values of a signature by the algorithm `public` (section 5.2.3) over `message`,
    /// whose digest is `digest`. `hash` is the number of the hash (section 9.5).
    pub fn verify(
        &self,
        public: u8,
        hash: u8,
        message: &[u8],
        digest: &[u8],
        values: &[u8],
    ) -> Option<()> {
        match (self, public, hash) {
            (Material::Rsa { n, e }, 1 | 3, hash) => {
                let (s, []) = mpi(values)? else { return None };
                let parameters = match hash {
                    2 => &ring_signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    8 => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
                    9 => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
                    10 => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
                    _ => return None,
                };
                ring_signature::RsaPublicKeyComponents { n, e }
                    .verify(parameters, message, &padded(s, n.len())?)
                    .ok()
            }
            (Material::Ed25519(key), 22, _) => {
                verify(&ring_signature::ED25519, key, digest, &pair(values, 32)?)
            }
            (Material::Ed25519(key), 27, _) => {
                verify(&ring_signature::ED25519, key, digest, values)
            }
            (Material::EcdsaP256(key), 19, 8) => {
                let parameters = &ring_signature::ECDSA_P256_SHA256_FIXED;
                verify(parameters, key, message, &pair(values, 32)?)
            }
            (Material::EcdsaP384(key), 19, 9) => {
                let parameters = &ring_signature::ECDSA_P384_SHA384_FIXED;
                verify(parameters, key, message, &pair(values, 48)?)
            }
            _ => None,
        }
    }

    /// Whether [`Material::verify`] can judge a signature by this algorithm with this hash.
    pub fn judges(&self, public: u8, hash: u8) -> bool {
        match self {
            Material::Rsa { .. } => matches!(public, 1 | 3),
            Material::Ed25519(_) => matches!(public, 22 | 27),
            Material::EcdsaP256(_) => (public, hash) == (19, 8),
            Material::EcdsaP384(_) => (public, hash) == (19, 9),
        }
    }
}

fn verify(
    parameters: &'static dyn ring_signature::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<()> {
    ring_signature::UnparsedPublicKey::new(parameters, key).verify(message, signature).ok()
}

/// Concatenates two integers of `len` bytes each.
fn pair(values: &[u8], len: usize) -> Option<Vec<u8>> {
    let (r, rest) = mpi(values)?;
    let (s, []) = mpi(rest)? else { return None };
    Some([padded(r, len)?, padded(s, len)?].concat())
}
