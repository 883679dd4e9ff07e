//! An OpenID Connect provider shaped as a Keycloak realm (`tests/oidc/provider.mjs`), for one test.

use crate::repository_root;
use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The audience that its tokens name.
pub const AUDIENCE: &str = "mecapy-api";
/// All machine clients have this secret: it opens nothing outside a test.
const CLIENT_SECRET: &str = "a-secret-of-the-tests";
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// A running provider; dropped, it is killed by its own pid.
pub struct OidcProvider {
    child: Child,
    issuer: String,
    control: String,
    http: Client,
}

/// A machine client: who it is for, and what it may do.
#[derive(Debug, Clone, Default)]
pub struct MachineClient {
    pub id: &'static str,
    pub company: Option<&'static str>,
    pub realm_roles: &'static [&'static str],
    pub client_roles: &'static [&'static str],
}

/// How the provider answers.
#[derive(Debug, Clone, Copy)]
pub enum Mode {
    Up,
    /// Nobody listens.
    Refuse,
    /// Connections are accepted, and nothing is answered.
    Hang,
    /// Everything is answered 500.
    Fail,
}

/// What becomes of the keys that were there, when a new one comes.
#[derive(Debug, Clone, Copy)]
pub enum OldKeys {
    Kept,
    Revoked,
}

impl OidcProvider {
    /// Installs the provider where that was not done, and starts it. The first client is the one whose claims
    /// [`Self::sign`] begins with.
    pub async fn start(clients: &[MachineClient]) -> Result<Self> {
        let installed = Command::new(repository_root().join("tests/oidc/install.sh")).stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&installed.stderr).into_owned();
        ensure!(installed.status.success(), "tests/oidc/install.sh failed: {said}");
        let clients: Vec<_> = clients.iter().map(MachineClient::written).collect();
        let mut child = Command::new("node")
            .arg(repository_root().join("target/oidc/provider.mjs"))
            .arg(json!(clients).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("node can't be started")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).with_context(|| format!("the provider says {line:?}"))?;
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned).context("no address");
        let http = Client::builder().no_proxy().timeout(ANSWER_DEADLINE).build()?;
        Ok(Self { issuer: text("issuer")?, control: text("control")?, child, http })
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The settings of a server that trusts this issuer.
    pub fn variables(&self) -> Vec<(String, String)> {
        let variables = [("MECAPY_OIDC_ISSUER", self.issuer.as_str()), ("MECAPY_OIDC_AUDIENCE", AUDIENCE)];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// An access token by the client credentials grant, as a machine gets it.
    pub async fn token(&self, client: &str) -> Result<String> {
        let url = format!("{}/protocol/openid-connect/token", self.issuer);
        let request = self.http.post(url).basic_auth(client, Some(CLIENT_SECRET));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer: Value = request.body("grant_type=client_credentials").send().await?.json().await?;
        let token = answer.get("access_token").and_then(Value::as_str);
        token.map(str::to_owned).with_context(|| format!("no token but {answer}"))
    }

    /// A token as `asked` says: see `token` in `provider.mjs`.
    pub async fn sign(&self, asked: &Value) -> Result<String> {
        let answer = self.control("token", asked).await?;
        answer.get("token").and_then(Value::as_str).map(str::to_owned).context("no token")
    }

    pub async fn set_mode(&self, mode: Mode) -> Result<()> {
        let mode = match mode {
            Mode::Up => "up",
            Mode::Refuse => "refuse",
            Mode::Hang => "hang",
            Mode::Fail => "fail",
        };
        self.control("mode", &json!({"mode": mode})).await.map(drop)
    }

    /// Lays fields over the discovery document.
    pub async fn set_discovery(&self, fields: &Value) -> Result<()> {
        self.control("discovery", fields).await.map(drop)
    }

    /// A new key signs from now on.
    pub async fn rotate(&self, old: OldKeys) -> Result<()> {
        self.control("rotate", &json!({"forget": matches!(old, OldKeys::Revoked)})).await.map(drop)
    }

    /// How often each path was asked for.
    pub async fn counts(&self) -> Result<Value> {
        self.control("counts", &json!({})).await
    }

    /// How often the keys were asked for.
    pub async fn key_requests(&self) -> Result<u64> {
        let counts = self.counts().await?;
        Ok(counts.get("/realms/mecapy/protocol/openid-connect/certs").and_then(Value::as_u64).unwrap_or(0))
    }

    async fn control(&self, what: &str, asked: &Value) -> Result<Value> {
        let response = self.http.post(format!("{}/{what}", self.control)).body(asked.to_string()).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{what}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl MachineClient {
    fn written(&self) -> Value {
        let mut client = json!({
            "client_id": self.id, "client_secret": CLIENT_SECRET,
            "realm_roles": self.realm_roles, "client_roles": self.client_roles,
        });
        if let (Some(company), Some(fields)) = (self.company, client.as_object_mut()) {
            fields.insert("company".to_owned(), company.into());
        }
        client
    }
}
