//! An S3 server of its own (the program `s3_server`), its buckets, and a plain client of them.

use super::{
    daemon::{Daemon, sibling},
    on_free_port, random_hex,
    sigv4::{Signer, Unsigned, canonical_query, encode_path},
};
use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};
use tempfile::TempDir;

/// Any will do: signatures name it.
const REGION: &str = "eu-west-1";
/// What the server prints when it can be used.
const READY: &str = "listening on";

/// A running S3 server over a temporary folder; dropped, it is killed.
pub struct S3 {
    daemon: Option<Daemon>,
    buckets: Buckets,
    port: u16,
    home: TempDir,
}

/// An S3 server where buckets can be made.
#[derive(Debug, Clone)]
pub struct Buckets {
    /// Scheme, host and port alone.
    endpoint: Url,
    signer: Signer,
    client: Client,
}

/// A bucket of one test.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    buckets: Buckets,
}

impl S3 {
    /// An empty server, ready to answer.
    pub async fn start() -> Result<Self> {
        let home = tempfile::Builder::new().prefix("mecapy-s3-").tempdir()?;
        fs::create_dir(home.path().join("buckets"))?;
        let (key, secret) = (format!("test{}", random_hex(8)?), random_hex(20)?);
        let (port, daemon) = on_free_port(async |port| serve(home.path(), port, &key, &secret).await).await?;
        let buckets = Buckets::parse(&format!("http://{key}:{secret}@127.0.0.1:{port}"))?;
        Ok(Self { daemon: Some(daemon), buckets, port, home })
    }

    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGTERM. Objects stay.
    pub async fn stop(&mut self) -> Result<()> {
        let daemon = self.daemon.take().context("the server is not running")?;
        daemon.end(libc::SIGTERM).await?;
        Ok(())
    }

    /// Starts it on the same folder and port.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.daemon.is_none(), "the server is running");
        let signer = &self.buckets.signer;
        let served = serve(self.home.path(), self.port, &signer.access_key_id, &signer.secret_access_key).await?;
        self.daemon = Some(served);
        Ok(())
    }
}

impl Buckets {
    /// `http://ACCESS_KEY_ID:SECRET_ACCESS_KEY@HOST:PORT`; neither part may need an escape.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let mut endpoint = Url::parse(url)?;
        let signer = Signer {
            access_key_id: endpoint.username().to_owned(),
            secret_access_key: endpoint.password().context("the URL has no secret")?.to_owned(),
            region: REGION.to_owned(),
        };
        let cleared = endpoint.set_username("").and_then(|()| endpoint.set_password(None));
        cleared.ok().context("the URL has no host")?;
        Ok(Self { endpoint, signer, client: Client::builder().no_proxy().build()? })
    }

    /// With the credentials, as `MECAPY_TEST_S3` names it.
    pub fn url(&self) -> Result<String> {
        let mut url = self.endpoint.clone();
        let signer = &self.signer;
        let named =
            url.set_username(&signer.access_key_id).and_then(|()| url.set_password(Some(&signer.secret_access_key)));
        named.ok().context("the endpoint has no host")?;
        Ok(url.into())
    }

    pub fn access_key_id(&self) -> &str {
        &self.signer.access_key_id
    }

    pub fn secret_access_key(&self) -> &str {
        &self.signer.secret_access_key
    }

    /// An empty bucket with a random name.
    pub async fn bucket(&self) -> Result<Bucket> {
        let bucket = Bucket { name: format!("mecapy-{}", random_hex(8)?), buckets: self.clone() };
        let answer = bucket.send(Method::PUT, "", &[], Vec::new()).await?;
        ensure!(answer.status().is_success(), "the bucket was refused: {}", answer.text().await?);
        Ok(bucket)
    }
}

impl Bucket {
    /// As MecaPy's settings name it: `s3://BUCKET?endpoint=…&region=…`.
    pub fn url(&self) -> String {
        self.url_at(self.buckets.endpoint.as_str())
    }

    /// The same through a proxy in front of the server.
    pub fn url_through(&self, proxy: SocketAddr) -> String {
        self.url_at(&format!("http://{proxy}"))
    }

    fn url_at(&self, endpoint: &str) -> String {
        format!("s3://{}?endpoint={}&region={REGION}", self.name, endpoint.trim_end_matches('/'))
    }

    /// The environment variables with the credentials for it.
    pub fn variables(&self) -> Vec<(String, String)> {
        vec![
            ("MECAPY_S3_ACCESS_KEY_ID".to_owned(), self.buckets.access_key_id().to_owned()),
            ("MECAPY_S3_SECRET_ACCESS_KEY".to_owned(), self.buckets.secret_access_key().to_owned()),
        ]
    }

    /// The same bucket for somebody who has the key's id but not its secret.
    pub fn with_secret(&self, secret_access_key: &str) -> Self {
        let mut other = self.clone();
        other.buckets.signer.secret_access_key = secret_access_key.to_owned();
        other
    }

    /// A signed request for a key (empty: the bucket itself), with a query that is not encoded yet.
    pub fn request(&self, method: Method, key: &str, query: &[(&str, &str)], body: Vec<u8>) -> Result<RequestBuilder> {
        let (host, path) = (self.host()?, self.path(key));
        let unsigned = Unsigned { method: method.as_str(), host: &host, path: &path, query };
        let headers = self.buckets.signer.headers(&unsigned, &body)?;
        let url = format!("http://{host}{}?{}", encode_path(&path), canonical_query(query));
        let request = self.buckets.client.request(method, url.trim_end_matches('?'));
        Ok(headers.into_iter().fold(request.body(body), |request, (name, value)| request.header(name, value)))
    }

    /// Sends a signed request and answers whatever the server says.
    pub async fn send(&self, method: Method, key: &str, query: &[(&str, &str)], body: Vec<u8>) -> Result<Response> {
        Ok(self.request(method, key, query, body)?.send().await?)
    }

    /// The object's bytes, or none where there is no such object.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let answer = self.send(Method::GET, key, &[], Vec::new()).await?;
        match answer.status().as_u16() {
            200 => Ok(Some(answer.bytes().await?.to_vec())),
            404 => Ok(None),
            status => bail!("GET {key}: {status} {}", answer.text().await?),
        }
    }

    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let answer = self.send(Method::PUT, key, &[], bytes).await?;
        ensure!(answer.status().is_success(), "PUT {key}: {} {}", answer.status(), answer.text().await?);
        Ok(())
    }

    /// All keys that begin with `prefix`, in order. (None of ours needs an XML escape.)
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut after = String::new();
        loop {
            let query = [("list-type", "2"), ("prefix", prefix), ("start-after", after.as_str())];
            let answer = self.send(Method::GET, "", &query, Vec::new()).await?;
            ensure!(answer.status().is_success(), "the list was refused: {}", answer.text().await?);
            let text = answer.text().await?;
            let found = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            keys.extend(found.map(str::to_owned));
            match keys.last() {
                Some(last) if text.contains("<IsTruncated>true") => after.clone_from(last),
                _ => return Ok(keys),
            }
        }
    }

    /// A URL that lets anybody send this request for so long.
    pub fn presigned(&self, method: Method, key: &str, valid: Duration) -> Result<String> {
        let (host, path) = (self.host()?, self.path(key));
        let unsigned = Unsigned { method: method.as_str(), host: &host, path: &path, query: &[] };
        let query = self.buckets.signer.query(&unsigned, valid.as_secs())?;
        Ok(format!("http://{host}{}?{query}", encode_path(&path)))
    }

    fn host(&self) -> Result<String> {
        let endpoint = &self.buckets.endpoint;
        let host = endpoint.host_str().context("the endpoint has no host")?;
        Ok(format!("{host}:{}", endpoint.port_or_known_default().unwrap_or(80)))
    }

    fn path(&self, key: &str) -> String {
        if key.is_empty() { format!("/{}", self.name) } else { format!("/{}/{key}", self.name) }
    }
}

async fn serve(home: &Path, port: u16, key: &str, secret: &str) -> Result<Daemon> {
    let log = home.join("s3.log");
    // What an earlier process said must not pass for this one's; there may be none.
    let _ = fs::remove_file(&log);
    let mut command = Command::new(sibling("s3_server")?);
    command.arg("--root").arg(home.join("buckets"));
    command.args(["--port", &port.to_string(), "--access-key-id", key, "--secret-access-key", secret]);
    let mut daemon = Daemon::start(command, &[], &log, libc::SIGKILL)?;
    daemon.until_ready(|daemon| daemon.log().contains(READY).then_some(())).await?;
    Ok(daemon)
}
