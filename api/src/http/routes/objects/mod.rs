//! Objects by signed URL: no credentials but the signature.

pub(in crate::http) mod get;
pub(in crate::http) mod put;

use crate::{app::App, http::Problem};
use axum::{
    extract::FromRequestParts,
    http::{Uri, header, request::Parts},
};
use mecapy_store::{Grant, Link, Method, ObjectKey, Signer};
use std::convert::Infallible;
use time::OffsetDateTime;

/// Where objects are.
const OBJECTS: &str = "/v1/objects/";

/// What the client called this server; empty where it said nothing that can be used.
#[derive(Debug, Default)]
pub(in crate::http) struct Origin(String);

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
        let plain = |host: &&str| !host.is_empty() && host.bytes().all(is_of_a_host);
        Ok(Self(host.filter(plain).map(|host| format!("http://{host}")).unwrap_or_default()))
    }
}

/// The bytes of a host name, an address in brackets, and a port.
fn is_of_a_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
}

/// The whole URL of a link: the object store's, or one of this server.
pub(in crate::http) fn url_of(app: &App, origin: &Origin, link: Link) -> String {
    let origin = app.public_url.as_deref().unwrap_or(&origin.0);
    match link {
        Link::Absolute(url) => url,
        Link::Local(key_and_query) => format!("{origin}{OBJECTS}{key_and_query}"),
    }
}

/// What the URL of a request allows.
fn granted(signer: &Signer, method: Method, uri: &Uri, now: OffsetDateTime) -> Result<Grant, Problem> {
    // The key as it was signed: percent signs are part of it.
    let key = uri.path().strip_prefix(OBJECTS).unwrap_or_default();
    let key = ObjectKey::parse(key).map_err(|_| Problem::not_found("object"))?;
    Ok(signer.verify(method, &key, uri.query().unwrap_or_default(), now)?)
}
