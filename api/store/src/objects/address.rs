//! Where objects are kept, as one URL says it: `file:FOLDER`, or `s3://BUCKET[/PREFIX]?endpoint=…&region=…`.
//! `public_endpoint` is the endpoint as clients reach it, where that differs; `path_style=false` puts the bucket's name
//! in the host name.

use super::ObjectKey;
use std::path::PathBuf;
use url::Url;

/// The longest prefix of a bucket's keys, in bytes: with it, no key passes the 1024 bytes that a store takes.
const PREFIX_BYTES_MAX: usize = 256;
/// What is signed for where neither a region nor an endpoint's own was named.
const REGION_USUAL: &str = "us-east-1";

/// Where objects are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectsAddress {
    Folder(PathBuf),
    S3(S3Address),
}

/// A bucket, and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Address {
    pub bucket: String,
    /// What stands before every key, without a slash at its end; may be empty.
    pub prefix: String,
    /// `http://HOST[:PORT]` or `https://…`; `None` is the region's own endpoint at AWS.
    pub endpoint: Option<String>,
    /// The endpoint as clients reach it, for the URLs that they are handed; `None` where it is the same.
    pub public_endpoint: Option<String>,
    pub region: String,
    /// The bucket in the path instead of the host name.
    pub path_style: bool,
}

/// The right to read and write a bucket. Its secrets are in no `Debug` text.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

/// Why a text is no address of objects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObjectsAddress {
    #[error("an objects' address begins with file: or s3://")]
    Scheme,
    #[error("the objects' folder has no name")]
    NoFolder,
    #[error("the objects' address can't be read as a URL")]
    Malformed,
    #[error("the objects' address names no bucket: s3://BUCKET?endpoint=…&region=…")]
    NoBucket,
    #[error(
        "the prefix in the objects' address can't begin a key (A-Z a-z 0-9 . _ - in parts, {PREFIX_BYTES_MAX} bytes)"
    )]
    Prefix,
    #[error("the endpoint in the objects' address must be http:// or https:// with a host and no path or password")]
    Endpoint,
    #[error("the objects' address needs a region or an endpoint")]
    NoRegion,
    #[error("the objects' address has an unknown part or a wrong value: {0}")]
    Parameter(String),
    #[error("credentials do not belong in the objects' address")]
    Credentials,
}

impl std::str::FromStr for ObjectsAddress {
    type Err = InvalidObjectsAddress;

    fn from_str(text: &str) -> Result<Self, InvalidObjectsAddress> {
        if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(InvalidObjectsAddress::NoFolder) } else { Ok(Self::Folder(path.into())) };
        }
        if text.starts_with("s3:") { S3Address::parse(text).map(Self::S3) } else { Err(InvalidObjectsAddress::Scheme) }
    }
}

impl S3Address {
    fn parse(text: &str) -> Result<Self, InvalidObjectsAddress> {
        let url = Url::parse(text).map_err(|_| InvalidObjectsAddress::Malformed)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidObjectsAddress::Credentials);
        }
        let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or(InvalidObjectsAddress::NoBucket)?;
        let prefix = url.path().trim_matches('/');
        if prefix.len() > PREFIX_BYTES_MAX || !(prefix.is_empty() || ObjectKey::parse(prefix).is_ok()) {
            return Err(InvalidObjectsAddress::Prefix);
        }
        let (mut endpoint, mut public_endpoint, mut region, mut path_style) = (None, None, None, None);
        for (name, value) in url.query_pairs() {
            let wrong = || InvalidObjectsAddress::Parameter(name.clone().into_owned());
            let earlier = match &*name {
                "endpoint" => endpoint.replace(endpoint_of(&value)?).is_some(),
                "public_endpoint" => public_endpoint.replace(endpoint_of(&value)?).is_some(),
                "region" if is_region(&value) => region.replace(value.into_owned()).is_some(),
                "path_style" => path_style.replace(value.parse::<bool>().map_err(|_| wrong())?).is_some(),
                _ => return Err(wrong()),
            };
            if earlier {
                return Err(wrong());
            }
        }
        let region = region.or_else(|| endpoint.as_ref().map(|_| REGION_USUAL.to_owned()));
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            region: region.ok_or(InvalidObjectsAddress::NoRegion)?,
            // A bucket's name as a host name needs DNS entries that only AWS and its like have.
            path_style: path_style.unwrap_or(endpoint.is_some()),
            endpoint,
            public_endpoint,
        })
    }

    /// For people: the bucket and where it is.
    pub fn place(&self) -> String {
        let at = self.endpoint.as_deref().unwrap_or(&self.region);
        format!("bucket {} at {at}", self.bucket)
    }
}

impl std::fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("S3Credentials(…)")
    }
}

fn endpoint_of(text: &str) -> Result<String, InvalidObjectsAddress> {
    let url = Url::parse(text).map_err(|_| InvalidObjectsAddress::Endpoint)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url.as_str().trim_end_matches('/').to_owned()) } else { Err(InvalidObjectsAddress::Endpoint) }
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_read_with_what_reaches_it() {
        let s3 = |text: &str| match text.parse::<ObjectsAddress>().unwrap() {
            ObjectsAddress::S3(address) => address,
            ObjectsAddress::Folder(folder) => panic!("{text} is the folder {}", folder.display()),
        };
        let local = s3("s3://My_bucket/a/b/?endpoint=http://127.0.0.1:9000/&region=garage");
        assert_eq!((&*local.bucket, &*local.prefix, &*local.region), ("My_bucket", "a/b", "garage"));
        assert_eq!((local.endpoint.as_deref(), local.path_style), (Some("http://127.0.0.1:9000"), true));
        assert_eq!(local.public_endpoint, None);
        assert_eq!(local.place(), "bucket My_bucket at http://127.0.0.1:9000");
        let encoded = s3("s3://b?endpoint=https%3A%2F%2Fs3.fr-par.scw.cloud&region=fr-par&path_style=false");
        assert_eq!((encoded.endpoint.as_deref(), encoded.path_style), (Some("https://s3.fr-par.scw.cloud"), false));
        let aws = s3("s3://b?region=eu-west-3");
        assert_eq!((aws.endpoint, &*aws.prefix, aws.path_style), (None, "", false));
    }

    #[test]
    fn a_folder_is_a_path() {
        for (text, path) in [("file:/a b/c", "/a b/c"), ("file:///a", "/a"), ("file:data/objects", "data/objects")] {
            assert_eq!(text.parse(), Ok(ObjectsAddress::Folder(path.into())), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        use InvalidObjectsAddress::{Credentials, Endpoint, Malformed, NoBucket, NoFolder, NoRegion, Prefix, Scheme};
        let parameter = |name: &str| InvalidObjectsAddress::Parameter(name.to_owned());
        let long = format!("s3://b/{}?region=x", "p".repeat(300));
        let rows = [
            ("", Scheme),
            ("/objects", Scheme),
            ("http://b", Scheme),
            ("file:", NoFolder),
            ("file://", NoFolder),
            ("s3://?region=x", NoBucket),
            ("s3:b?region=x", NoBucket),
            ("s3://b:x?region=x", Malformed),
            ("s3://key:secret@b?region=x", Credentials),
            ("s3://b", NoRegion),
            ("s3://b/a//b?region=x", Prefix),
            ("s3://b/tmp?region=x", Prefix),
            (&long, Prefix),
            ("s3://b?endpoint=ftp://h", Endpoint),
            ("s3://b?endpoint=http://u:p@h", Endpoint),
            ("s3://b?endpoint=http://h/path", Endpoint),
            ("s3://b?region=x&public_endpoint=h", Endpoint),
            ("s3://b?region=", parameter("region")),
            ("s3://b?region=x&region=y", parameter("region")),
            ("s3://b?region=x&path_style=yes", parameter("path_style")),
            ("s3://b?region=x&secret=y", parameter("secret")),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<ObjectsAddress>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn credentials_do_not_show() {
        let credentials = S3Credentials {
            access_key_id: "AKIA1".to_owned(),
            secret_access_key: "verysecret".to_owned(),
            session_token: Some("token".to_owned()),
        };
        assert_eq!(format!("{credentials:?}"), "S3Credentials(…)");
    }
}
