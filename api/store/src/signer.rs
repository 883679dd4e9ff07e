//! Tokens that only this installation can make: signed URLs for objects, list cursors, and what others add. Knows no
//! row and no file.

use crate::objects::ObjectKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

/// The bytes of a tag kept in a cursor.
const CURSOR_TAG_BYTES: usize = 16;
/// The longest cursor or query that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 512;

/// What a signed URL allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub method: Method,
    pub key: ObjectKey,
    /// Nothing is allowed from this second on.
    pub expires_at: OffsetDateTime,
    /// The largest body of a PUT, bytes.
    pub bytes_max: Option<u64>,
}

/// What may be done to an object by URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Put,
}

/// Why a signed URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the URL carries no complete signature")]
    Malformed,
    #[error("the URL has expired")]
    Expired,
    #[error("the URL's signature does not match it")]
    Forged,
}

/// Makes and checks tokens with one secret key.
#[derive(Clone)]
pub struct Signer {
    keyed: Hmac<Sha256>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // A key as long as the block or shorter is padded, as HMAC says; 32 bytes always are.
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        Self { keyed: Hmac::new(&block.into()) }
    }

    /// Begins a tag of one kind; no tag of one kind is one of another, as long as no kind's name holds a line feed.
    pub(crate) fn mac(&self, kind: &'static str) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(kind.as_bytes());
        mac.update(b"\n");
        mac
    }

    /// The query (`expires=…&signature=…`, with `bytes_max=…` for a PUT) that makes a URL of the grant's object valid.
    pub fn sign(&self, grant: &Grant) -> String {
        let expires = grant.expires_at.unix_timestamp();
        let tag = self.grant_mac(grant.method, &grant.key, expires, grant.bytes_max).finalize().into_bytes();
        let signature = URL_SAFE_NO_PAD.encode(tag);
        match grant.bytes_max {
            Some(bytes_max) => format!("expires={expires}&bytes_max={bytes_max}&signature={signature}"),
            None => format!("expires={expires}&signature={signature}"),
        }
    }

    /// What the URL's query grants for this method and object; the tag is compared in constant time.
    ///
    /// # Errors
    /// Each part must be there once and nothing else; a grant for another object, method, size or time is forged.
    pub fn verify(
        &self,
        method: Method,
        key: &ObjectKey,
        query: &str,
        now: OffsetDateTime,
    ) -> Result<Grant, SignatureError> {
        let parts = Parts::parse(query).ok_or(SignatureError::Malformed)?;
        let tag = URL_SAFE_NO_PAD.decode(parts.signature).map_err(|_| SignatureError::Malformed)?;
        let mac = self.grant_mac(method, key, parts.expires, parts.bytes_max);
        mac.verify_slice(&tag).map_err(|_| SignatureError::Forged)?;
        let expires_at = OffsetDateTime::from_unix_timestamp(parts.expires).map_err(|_| SignatureError::Malformed)?;
        if now >= expires_at {
            return Err(SignatureError::Expired);
        }
        Ok(Grant { method, key: key.clone(), expires_at, bytes_max: parts.bytes_max })
    }

    fn grant_mac(&self, method: Method, key: &ObjectKey, expires: i64, bytes_max: Option<u64>) -> Hmac<Sha256> {
        let method = match method {
            Method::Get => "GET",
            Method::Put => "PUT",
        };
        let bytes_max = bytes_max.map_or_else(String::new, |bytes| bytes.to_string());
        let mut mac = self.mac("object");
        // No part can hold a line feed, so the parts can't run into each other.
        mac.update(format!("{method}\n{}\n{expires}\n{bytes_max}", key.as_str()).as_bytes());
        mac
    }

    /// A cursor: `position` in the clear with a tag over it and over `scope`, which the reader must know again.
    pub(crate) fn cursor(&self, position: &[u8; 16], scope: &[u8]) -> String {
        let tag = self.cursor_mac(position, scope).finalize().into_bytes();
        let mut bytes = position.to_vec();
        bytes.extend(tag.into_iter().take(CURSOR_TAG_BYTES));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position in a cursor that this signer made for the same scope.
    pub(crate) fn read_cursor(&self, cursor: &str, scope: &[u8]) -> Option<[u8; 16]> {
        if cursor.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (position, tag) = bytes.split_first_chunk::<16>()?;
        if tag.len() != CURSOR_TAG_BYTES {
            return None;
        }
        self.cursor_mac(position, scope).verify_truncated_left(tag).ok()?;
        Some(*position)
    }

    fn cursor_mac(&self, position: &[u8; 16], scope: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac("cursor");
        mac.update(position);
        mac.update(scope);
        mac
    }
}

struct Parts<'a> {
    expires: i64,
    bytes_max: Option<u64>,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn parse(query: &'a str) -> Option<Self> {
        if query.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (mut expires, mut bytes_max, mut signature) = (None, None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=')?;
            let earlier = match name {
                "expires" => expires.replace(decimal(value)?).map(drop),
                "bytes_max" => bytes_max.replace(u64::try_from(decimal(value)?).ok()?).map(drop),
                "signature" => signature.replace(value).map(drop),
                _ => return None,
            };
            if earlier.is_some() {
                return None;
            }
        }
        Some(Self { expires: expires?, bytes_max, signature: signature? })
    }
}

/// A number as `sign` writes it: digits only, so that one grant has one spelling.
fn decimal(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn grant() -> Grant {
        Grant {
            method: Method::Put,
            key: ObjectKey::parse("uploads/a/b").unwrap(),
            expires_at: OffsetDateTime::from_unix_timestamp(2_000).unwrap(),
            bytes_max: Some(1_000),
        }
    }

    #[test]
    fn a_signed_query_grants_exactly_what_was_signed_until_it_expires() {
        let signer = Signer::new(&[7; 32]);
        let grant = grant();
        let query = signer.sign(&grant);
        let before = grant.expires_at - Duration::from_secs(1);
        assert_eq!(signer.verify(Method::Put, &grant.key, &query, before), Ok(grant.clone()));
        assert_eq!(signer.verify(Method::Put, &grant.key, &query, grant.expires_at), Err(SignatureError::Expired));
        let get = Grant { method: Method::Get, bytes_max: None, ..grant };
        assert_eq!(signer.verify(Method::Get, &get.key, &signer.sign(&get), before), Ok(get));
    }

    #[test]
    fn another_key_method_time_size_or_signer_is_refused() {
        let signer = Signer::new(&[7; 32]);
        let grant = grant();
        let query = signer.sign(&grant);
        let now = OffsetDateTime::from_unix_timestamp(1_000).unwrap();
        let other_key = ObjectKey::parse("uploads/a/c").unwrap();
        let forged = Err(SignatureError::Forged);
        assert_eq!(signer.verify(Method::Put, &other_key, &query, now), forged);
        assert_eq!(signer.verify(Method::Get, &grant.key, &query, now), forged);
        assert_eq!(Signer::new(&[8; 32]).verify(Method::Put, &grant.key, &query, now), forged);
        for (from, to) in
            [("expires=2000", "expires=9000"), ("bytes_max=1000", "bytes_max=9000"), ("bytes_max=1000&", "")]
        {
            assert_eq!(signer.verify(Method::Put, &grant.key, &query.replace(from, to), now), forged, "{to:?}");
        }
    }

    #[test]
    fn malformed_queries_are_told_apart() {
        let signer = Signer::new(&[7; 32]);
        let grant = grant();
        let query = signer.sign(&grant);
        let long = "x".repeat(10_000);
        let now = OffsetDateTime::UNIX_EPOCH;
        let rows = ["", "expires=1", "a&b", &format!("{query}&extra=1"), &format!("{query}&expires=2000"), &long];
        for row in rows {
            assert_eq!(signer.verify(Method::Put, &grant.key, row, now), Err(SignatureError::Malformed), "{row:?}");
        }
        let respelt = query.replace("expires=2000", "expires=02000");
        assert_eq!(signer.verify(Method::Put, &grant.key, &respelt, now), Err(SignatureError::Malformed));
    }

    #[test]
    fn a_cursor_reads_back_only_whole_and_in_its_scope() {
        let signer = Signer::new(&[7; 32]);
        let cursor = signer.cursor(&[3; 16], b"tenant one");
        assert_eq!(signer.read_cursor(&cursor, b"tenant one"), Some([3; 16]));
        assert_eq!(signer.read_cursor(&cursor, b"tenant two"), None);
        for at in 0..cursor.len() {
            let mut bytes = cursor.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(signer.read_cursor(std::str::from_utf8(&bytes).unwrap(), b"tenant one"), None);
        }
        assert_eq!(signer.read_cursor(&cursor[..20], b"tenant one"), None);
    }
}
