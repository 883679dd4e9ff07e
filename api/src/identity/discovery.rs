//! Asks the issuer where its keys are, and for the keys: bounded in time and size, never led elsewhere.

use super::keys::KeySet;
use crate::json;
use reqwest::{Client, Url, redirect};
use serde_json::{Map, Value};
use std::time::Duration;

/// How long both requests together may take.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read, bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Where keys come from.
#[derive(Debug)]
pub(super) struct Source {
    http: Client,
    issuer: String,
}

/// Why there are no keys, for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the issuer did not answer in time")]
    Late,
    #[error("the issuer can't be asked")]
    Http(#[from] reqwest::Error),
    #[error("{url} answers {status}")]
    Status { url: Url, status: u16 },
    #[error("{url} answers with more than {ANSWER_BYTES_MAX} bytes")]
    TooLong { url: Url },
    #[error("{url} does not answer with {what}")]
    Form { url: Url, what: &'static str },
    #[error("the discovery document names another issuer")]
    OtherIssuer,
    #[error("the keys are said to be at {url:?}, which is neither the issuer's place nor https")]
    OtherPlace { url: String },
}

impl Source {
    pub(super) fn new(issuer: &str) -> Result<Self, reqwest::Error> {
        let mut builder = Client::builder()
            .user_agent(concat!("mecapy/", env!("CARGO_PKG_VERSION")))
            .timeout(FETCH_TIMEOUT)
            // Where an answer leads is the discovery document's to say, and nothing else's.
            .redirect(redirect::Policy::none())
            // Nor is it what the environment says, which is nobody's setting here.
            .no_proxy();
        if issuer.starts_with("http:") {
            // Plain HTTP is for neighbours: no certificates.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { http: builder.build()?, issuer: issuer.to_owned() })
    }

    /// The keys as they are now.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        tokio::time::timeout(FETCH_TIMEOUT, self.discover()).await.map_err(|_| FetchError::Late)?
    }

    async fn discover(&self) -> Result<KeySet, FetchError> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let other_place = |url: &str| FetchError::OtherPlace { url: url.chars().take(200).collect() };
        let url: Url = address.parse().map_err(|_| other_place(&address))?;
        let document = self.get(url.clone()).await?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if text("issuer") != Some(self.issuer.as_str()) {
            return Err(FetchError::OtherIssuer);
        }
        let keys = text("jwks_uri").unwrap_or_default();
        let keys = keys_url(&url, keys).ok_or_else(|| other_place(keys))?;
        let set = self.get(keys.clone()).await?;
        KeySet::parse(&set).ok_or(FetchError::Form { url: keys, what: "a key set" })
    }

    async fn get(&self, url: Url) -> Result<Map<String, Value>, FetchError> {
        let mut response = self.http.get(url.clone()).header("accept", "application/json").send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status { status: response.status().as_u16(), url });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(FetchError::TooLong { url });
            }
            body.extend_from_slice(&chunk);
        }
        let text = json::check(&body).ok();
        let object = text.and_then(|text| serde_json::from_str(text).ok());
        object.ok_or(FetchError::Form { url, what: "a JSON object" })
    }
}

/// Where the keys are, if that is the place of the discovery document, or one that proves who it is.
fn keys_url(discovery: &Url, keys: &str) -> Option<Url> {
    let url: Url = keys.parse().ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    (plain && (url.origin() == discovery.origin() || url.scheme() == "https")).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use axum::{
        Router,
        http::StatusCode,
        response::Redirect,
        routing::{MethodRouter, get},
    };
    use serde_json::json;
    use tokio::net::TcpListener;

    /// What is fetched from an issuer that answers for its keys so.
    async fn fetched(keys: MethodRouter) -> Result<KeySet, FetchError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let issuer = format!("http://{}/realms/x", listener.local_addr().unwrap());
        let document = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/certs")}).to_string();
        let router = Router::new()
            .route("/realms/x/.well-known/openid-configuration", get(move || async move { document }))
            .route("/realms/x/certs", keys)
            .route("/elsewhere", get(|| async { samples::keys().to_string() }));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let fetched = Source::new(&issuer).unwrap().fetch().await;
        serving.abort();
        fetched
    }

    #[tokio::test]
    async fn keys_are_fetched_and_nothing_else_is_followed_or_swallowed() {
        let keys = fetched(get(|| async { samples::keys().to_string() })).await.unwrap();
        assert_eq!(keys.len(), 3);
        let redirected = fetched(get(|| async { Redirect::temporary("/elsewhere") })).await;
        assert!(matches!(redirected, Err(FetchError::Status { status: 307, .. })), "{redirected:?}");
        let long = fetched(get(|| async { " ".repeat(ANSWER_BYTES_MAX + 1) })).await;
        assert!(matches!(long, Err(FetchError::TooLong { .. })), "{long:?}");
        let failed = fetched(get(|| async { StatusCode::INTERNAL_SERVER_ERROR })).await;
        assert!(matches!(failed, Err(FetchError::Status { status: 500, .. })), "{failed:?}");
        for text in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}"] {
            let other = fetched(get(move || async move { text })).await;
            assert!(matches!(other, Err(FetchError::Form { .. })), "{text}: {other:?}");
        }
    }

    #[test]
    fn keys_are_at_the_issuers_place_or_where_https_vouches_for_them() {
        let rows = [
            ("http://127.0.0.1:8080/realms/x/certs", true),
            ("https://keys.example/certs", true),
            ("http://127.0.0.1:8081/certs", false),
            ("http://localhost:8080/certs", false),
            ("http://169.254.169.254/latest/meta-data", false),
            ("https://user:word@keys.example/certs", false),
            ("file:///etc/passwd", false),
            ("data:application/json,{}", false),
            ("/certs", false),
            ("", false),
        ];
        let discovery = "http://127.0.0.1:8080/realms/x/.well-known/openid-configuration".parse().unwrap();
        for (keys, accepted) in rows {
            assert_eq!(keys_url(&discovery, keys).is_some(), accepted, "{keys}");
        }
    }
}
