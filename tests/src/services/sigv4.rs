//! AWS Signature Version 4 as a client writes it: in headers, or in the query of a presigned URL.
//!
//! Written out here so that the tests look at objects, and at what a server refuses, without the client that they test.

use anyhow::Result;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]");
const DATE_TIME: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// A key and where it is used.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) region: String,
}

/// What of a request is signed beside the time.
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    /// With the port, as in the `host` header.
    pub(super) host: &'a str,
    /// Begins with `/`; not encoded.
    pub(super) path: &'a str,
    /// Not encoded.
    pub(super) query: &'a [(&'a str, &'a str)],
}

impl Signer {
    /// The headers to send with this body.
    pub(super) fn headers(&self, request: &Unsigned<'_>, body: &[u8]) -> Result<Vec<(&'static str, String)>> {
        let (date, date_time) = now()?;
        let payload = hex(&Sha256::digest(body));
        let headers = format!("host:{}\nx-amz-content-sha256:{payload}\nx-amz-date:{date_time}\n", request.host);
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let canonical = canonical(request, &canonical_query(request.query), &headers, signed, &payload);
        let signature = self.signature(&date, &date_time, &canonical)?;
        let credential = format!("{}/{}", self.access_key_id, self.scope(&date));
        let authorization =
            format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}");
        Ok(vec![("authorization", authorization), ("x-amz-content-sha256", payload), ("x-amz-date", date_time)])
    }

    /// The query that lets anybody send this request within the next `seconds`.
    pub(super) fn query(&self, request: &Unsigned<'_>, seconds: u64) -> Result<String> {
        let (date, date_time) = now()?;
        let (credential, seconds) = (format!("{}/{}", self.access_key_id, self.scope(&date)), seconds.to_string());
        let mut pairs = request.query.to_vec();
        pairs.extend([
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", credential.as_str()),
            ("X-Amz-Date", date_time.as_str()),
            ("X-Amz-Expires", seconds.as_str()),
            ("X-Amz-SignedHeaders", "host"),
        ]);
        let query = canonical_query(&pairs);
        let headers = format!("host:{}\n", request.host);
        let canonical = canonical(request, &query, &headers, "host", "UNSIGNED-PAYLOAD");
        Ok(format!("{query}&X-Amz-Signature={}", self.signature(&date, &date_time, &canonical)?))
    }

    fn scope(&self, date: &str) -> String {
        format!("{date}/{}/s3/aws4_request", self.region)
    }

    fn signature(&self, date: &str, date_time: &str, canonical: &str) -> Result<String> {
        let text = format!("{ALGORITHM}\n{date_time}\n{}\n{}", self.scope(date), hex(&Sha256::digest(canonical)));
        let mut key = format!("AWS4{}", self.secret_access_key).into_bytes();
        for part in [date, &self.region, "s3", "aws4_request", &text] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        Ok(hex(&key))
    }
}

fn canonical(request: &Unsigned<'_>, query: &str, headers: &str, signed: &str, payload: &str) -> String {
    format!("{}\n{}\n{query}\n{headers}\n{signed}\n{payload}", request.method, encode_path(request.path))
}

/// Encoded and in the order that is signed.
pub(super) fn canonical_query(pairs: &[(&str, &str)]) -> String {
    let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

pub(super) fn encode_path(path: &str) -> String {
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The day and the second.
#[expect(clippy::disallowed_methods, reason = "the server under test checks signatures against the real clock")]
fn now() -> Result<(String, String)> {
    let now = OffsetDateTime::now_utc();
    Ok((now.format(DATE)?, now.format(DATE_TIME)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example "GET Bucket (List Objects)" of AWS's documentation of Signature Version 4 for S3.
    #[test]
    fn the_signature_of_the_documents_example_is_right() {
        let signer = Signer {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            region: "us-east-1".to_owned(),
        };
        let request = Unsigned {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/",
            query: &[("prefix", "J"), ("max-keys", "2")],
        };
        let payload = hex(&Sha256::digest(b""));
        let headers = format!("host:{}\nx-amz-content-sha256:{payload}\nx-amz-date:20130524T000000Z\n", request.host);
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let canonical = canonical(&request, &canonical_query(request.query), &headers, signed, &payload);
        assert_eq!(
            signer.signature("20130524", "20130524T000000Z", &canonical).unwrap(),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn keys_are_encoded_once_and_their_slashes_stay() {
        assert_eq!(encode_path("/b/a%20b~c/é+"), "/b/a%2520b~c/%C3%A9%2B");
    }
}
