//! Access tokens of an OpenID Connect issuer: who gets in, who does not, and what happens while the issuer is down.

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mecapy_tests::{
    Answer, Cluster, ClusterOptions, Server, ServerOptions, python,
    services::oidc::{MachineClient, Mode, OidcProvider, OldKeys},
    until,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// At most one request for keys begins in so long, whoever asks.
const WINDOW: Duration = Duration::from_secs(10);
/// A new key or an issuer that is back counts by then.
const KEYS_DEADLINE: Duration = Duration::from_secs(40);
const MACHINE: &str = "mecapy-machine";

fn clients() -> Vec<MachineClient> {
    let client = |id, company, realm_roles, client_roles| MachineClient { id, company, realm_roles, client_roles };
    vec![
        client(MACHINE, Some("default"), &[], &["engineer"]),
        client("viewer", Some("default"), &["viewer"], &[]),
        client("author", Some("default"), &["viewer"], &["author"]),
        client("admin", Some("default"), &["mecapy-admin"], &["viewer"]),
        client("stranger", Some("nobody-made-this"), &["admin"], &[]),
        client("roleless", Some("default"), &["uma_authorization"], &["mecapy"]),
        client("homeless", None, &["admin"], &[]),
    ]
}

/// A provider and a server that trusts it, with more variables.
async fn start(more: &[(&str, &str)]) -> Result<(OidcProvider, Server)> {
    let provider = OidcProvider::start(&clients()).await?;
    let server = Server::with(options(&provider, more)).await?;
    Ok((provider, server))
}

fn options(provider: &OidcProvider, more: &[(&str, &str)]) -> ServerOptions {
    let mut variables = provider.variables();
    variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    ServerOptions { variables, ..ServerOptions::default() }
}

async fn get(server: &Server, path: &str, token: &str) -> Result<Answer> {
    server.send(server.anonymous(Method::GET, path).bearer_auth(token)).await
}

async fn post(server: &Server, path: &str, token: &str, body: &Value) -> Result<Answer> {
    server.send(server.anonymous(Method::POST, path).bearer_auth(token).json(body)).await
}

/// The status of `GET /v1/me`.
async fn status(server: &Server, token: &str) -> Result<u16> {
    Ok(get(server, "/v1/me", token).await?.status)
}

async fn until_status(server: &Server, token: &str, wanted: u16, deadline: Duration) -> Result<Answer> {
    until(&format!("the token is answered {wanted}"), deadline, || async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let answer = get(server, "/v1/me", token).await?;
        Ok((answer.status == wanted).then_some(answer))
    })
    .await
}

/// A token of any header and claims, signed by nobody.
fn forged(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode([7; 256]))
}

/// What a token claims.
fn claims_of(token: &str) -> Result<Value> {
    let claims = token.split('.').nth(1).context("no claims")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?)
}

#[tokio::test]
async fn a_machine_computes_with_the_token_of_its_client() -> Result<()> {
    let (provider, server) = start(&[]).await?;
    let token = provider.token(MACHINE).await?;
    let me = get(&server, "/v1/me", &token).await?.expect(200)?.json()?;
    let mut shown = me.clone();
    let fields = shown.as_object_mut().context("no object")?;
    ensure!(fields.remove("tenant_id").is_some_and(|id| id.is_string()), "{me}");
    ensure!(fields.remove("expires_at").is_some_and(|at| at.is_string()), "{me}");
    let expected = json!({
        "tenant": "default", "name": "service-account-mecapy-machine", "role": "engineer", "scopes": ["read", "compute"],
        "credential": "access_token", "client": MACHINE, "api_key": null,
    });
    ensure!(shown == expected, "{me}");
    let preview = post(&server, "/v1/preview", &token, &python("result = 6 * 7")).await?;
    preview.expect_result(&json!({"result": 42}))?;
    let task = post(&server, "/v1/tasks", &token, &python("result = 'by a machine'")).await?.expect(202)?;
    let path = format!("/v1/tasks/{}/result?wait=30", task.str_at("/id")?);
    get(&server, &path, &token).await?.expect_result(&json!({"result": "by a machine"}))?;
    // The admin key is of the same tenant.
    server.get(&path).await?.expect_result(&json!({"result": "by a machine"}))?;
    let mine = server.get("/v1/me").await?.expect(200)?.json()?;
    ensure!(
        mine.get("credential") == Some(&json!("api_key")) && mine.get("tenant") == Some(&json!("default")),
        "{mine}"
    );
    ensure!(mine.get("tenant_id") == me.get("tenant_id"), "{mine} {me}");
    Ok(())
}

#[tokio::test]
async fn roles_and_tenants_decide_what_a_token_opens() -> Result<()> {
    let (provider, server) = start(&[]).await?;
    let key = json!({"name": "made with a token"});
    for (client, role, submit, keys) in [
        ("viewer", "viewer", 403, 403),
        (MACHINE, "engineer", 202, 403),
        ("author", "author", 202, 403),
        ("admin", "admin", 202, 201),
    ] {
        let token = provider.token(client).await?;
        let me = get(&server, "/v1/me", &token).await?.expect(200)?;
        ensure!(me.str_at("/role")? == role, "{client}: {}", me.text());
        get(&server, "/v1/tasks", &token).await?.expect(200).context(client)?;
        let submitted = post(&server, "/v1/tasks", &token, &python("result = 1")).await?;
        ensure!(submitted.status == submit, "{client}: {} {}", submitted.status, submitted.text());
        let made = post(&server, "/v1/api-keys", &token, &key).await?;
        ensure!(made.status == keys, "{client}: {} {}", made.status, made.text());
    }
    for (client, said) in
        [("stranger", "not known"), ("roleless", "admin, author, engineer and viewer"), ("homeless", "no tenant")]
    {
        let token = provider.token(client).await?;
        for (method, path) in [(Method::GET, "/v1/tasks"), (Method::POST, "/v1/tasks"), (Method::GET, "/v1/api-keys")] {
            let answer = server.send(server.anonymous(method, path).bearer_auth(&token)).await?.expect_problem(403)?;
            ensure!(answer.str_at("/detail")?.contains(said), "{client}: {}", answer.text());
        }
    }
    Ok(())
}

#[tokio::test]
async fn only_clients_on_the_list_are_let_in() -> Result<()> {
    let (provider, server) = start(&[("MECAPY_OIDC_CLIENTS_ALLOWED", "mecapy-console,mecapy-machine")]).await?;
    ensure!(status(&server, &provider.token(MACHINE).await?).await? == 200);
    ensure!(status(&server, &provider.token("viewer").await?).await? == 401);
    Ok(())
}

#[tokio::test]
async fn without_an_issuer_no_token_is_looked_at() -> Result<()> {
    let provider = OidcProvider::start(&clients()).await?;
    let server = Server::start().await?;
    get(&server, "/v1/me", &provider.token(MACHINE).await?).await?.expect_problem(401)?;
    ensure!(provider.key_requests().await? == 0);
    Ok(())
}

/// What `sign` is asked for to make a token that must not count.
fn hostile() -> Vec<Value> {
    let header = |fields: Value| json!({"header": fields});
    let claims = |fields: Value| json!({"claims": fields});
    let times = |fields: Value| json!({"times": fields});
    vec![
        json!({"key": "hmac", "header": {"alg": "HS256"}}),
        json!({"key": "hmac", "header": {"alg": "RS256"}}),
        json!({"key": "foreign"}),
        header(json!({"alg": "none"})),
        header(json!({"alg": "NONE"})),
        header(json!({"alg": "RS512"})),
        header(json!({"alg": "PS256"})),
        header(json!({"alg": null})),
        header(json!({"kid": null})),
        header(json!({"kid": "../../../../etc/passwd\u{0}"})),
        header(json!({"kid": "' UNION SELECT 'x' --"})),
        header(json!({"kid": "k".repeat(257)})),
        header(json!({"kid": ["key-1"]})),
        header(json!({"crit": ["exp"], "exp": 1})),
        header(json!({"crit": []})),
        header(json!({"b64": false, "crit": ["b64"]})),
        header(json!({"zip": "DEF"})),
        header(json!({"typ": "logout+jwt"})),
        header(json!({"typ": "dpop+jwt"})),
        header(json!({"cty": "JWT"})),
        json!({"header": "{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"key-1\"}"}),
        times(json!({"exp": 0})),
        times(json!({"exp": -3600})),
        times(json!({"nbf": 3600})),
        times(json!({"iat": 3600})),
        claims(json!({"exp": null})),
        claims(json!({"exp": "4102444800"})),
        claims(json!({"exp": 1e300})),
        claims(json!({"nbf": "now"})),
        claims(json!({"iat": {}})),
        claims(json!({"aud": null})),
        claims(json!({"aud": "account"})),
        claims(json!({"aud": ["mecapy-apis"]})),
        claims(json!({"aud": ["mecapy-api", 1]})),
        claims(json!({"iss": null})),
        claims(json!({"iss": "https://evil.example/realms/mecapy"})),
        claims(json!({"sub": null})),
        claims(json!({"sub": ""})),
        claims(json!({"typ": "ID"})),
        claims(json!({"typ": "Refresh"})),
        claims(json!({"typ": "Offline"})),
        claims(json!({"nonce": "n", "typ": null})),
        claims(json!({"at_hash": "h", "typ": null})),
        claims(json!({"cnf": {"jkt": "k"}})),
    ]
}

#[tokio::test]
async fn security_25_hostile_tokens_get_one_answer_and_cause_no_call() -> Result<()> {
    let (provider, server) = start(&[]).await?;
    let good = provider.sign(&json!({})).await?;
    until_status(&server, &good, 200, KEYS_DEADLINE).await?;
    let claims = claims_of(&good)?;
    let (unsigned, signature) = good.rsplit_once('.').context("no signature")?;
    let mut tokens = vec![
        forged(&json!({"alg": "none", "typ": "JWT", "kid": "key-1"}), &claims),
        format!("{}.", forged(&json!({"alg": "none"}), &claims).rsplit_once('.').context("no signature")?.0),
        forged(&json!({"alg": "RS256", "kid": "key-1"}), &claims),
        format!("{unsigned}."),
        unsigned.to_owned(),
        format!("{good}."),
        format!("{good}.{signature}.{signature}"),
        format!("{unsigned}.{}", signature.chars().rev().collect::<String>()),
        format!("{unsigned}.{signature}="),
        "..".to_owned(),
        "mecapy_.a.b".to_owned(),
        format!("{good}{}", "A".repeat(20_000)),
        format!("{good}{}", "A".repeat(50_000)),
    ];
    // A key that the token brings along, or says where to find: the address would be counted.
    let elsewhere = format!("{}/a-key-of-my-own", provider.issuer());
    for more in [
        json!({"jku": elsewhere}),
        json!({"x5u": elsewhere}),
        json!({"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
        json!({"x5c": ["MIIB"]}),
    ] {
        tokens.push(provider.sign(&json!({"header": more, "key": "foreign"})).await?);
        tokens.push(provider.sign(&json!({"header": more})).await?);
    }
    let doubled = claims.to_string().replacen('{', "{\"company\":\"other\",", 1);
    tokens.push(provider.sign(&json!({"claims": doubled})).await?);
    for asked in hostile() {
        tokens.push(provider.sign(&asked).await?);
    }
    let before = provider.counts().await?;
    let began = Instant::now();
    let mut bodies = BTreeSet::new();
    for token in &tokens {
        let shown: String = token.chars().take(200).collect();
        let answer = get(&server, "/v1/tasks", token).await?.expect_problem(401).with_context(|| shown)?;
        bodies.insert(answer.text());
    }
    let nobody = server.send(server.anonymous(Method::GET, "/v1/tasks")).await?.expect_problem(401)?;
    bodies.insert(nobody.text());
    ensure!(bodies.len() == 1, "the answers differ: {bodies:?}");
    // Two of the tokens name keys that nobody has: those may cause a look, as often as the window allows.
    let (asked, allowed) = (calls(&before, &provider.counts().await?)?, looks_allowed(began.elapsed()));
    ensure!(asked.keys <= allowed && asked.others == 0, "{asked:?}, {allowed} looks allowed");
    // One that does not even fit into the headers that are read.
    let huge = get(&server, "/v1/tasks", &"A".repeat(1 << 20)).await;
    ensure!(huge.is_err() || huge.is_ok_and(|answer| [401, 431].contains(&answer.status)), "a megabyte was taken");
    ensure!(status(&server, &good).await? == 200, "good tokens are as good as before");
    Ok(())
}

#[derive(Debug)]
struct Calls {
    /// For the keys.
    keys: u64,
    /// For anything but the keys and where they are.
    others: u64,
}

/// What the provider was asked for between two counts.
fn calls(before: &Value, after: &Value) -> Result<Calls> {
    let mut calls = Calls { keys: 0, others: 0 };
    for (path, count) in after.as_object().context("no counts")? {
        let earlier = before.get(path).and_then(Value::as_u64).unwrap_or(0);
        let more = count.as_u64().unwrap_or(0) - earlier;
        match path {
            path if path.ends_with("/certs") => calls.keys += more,
            path if path.ends_with("/openid-configuration") => (),
            _ => calls.others += more,
        }
    }
    Ok(calls)
}

/// How many fetches may begin in such a time.
fn looks_allowed(elapsed: Duration) -> u64 {
    elapsed.as_secs() / WINDOW.as_secs() + 1
}

#[tokio::test]
async fn security_26_a_flood_of_unknown_keys_costs_one_look_a_window() -> Result<()> {
    const FLOOD: usize = 10_000;
    const SENDERS: usize = 20;
    let (provider, server) = start(&[]).await?;
    let good = provider.token(MACHINE).await?;
    until_status(&server, &good, 200, KEYS_DEADLINE).await?;
    let (server, good) = (Arc::new(server), Arc::new(good));
    let calm = percentile_99(&server, &good, Duration::from_secs(2)).await?;
    let claims = claims_of(&good)?;
    let before = provider.counts().await?;
    let began = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (server, claims) = (Arc::clone(&server), claims.clone());
        senders.spawn(async move {
            let mut pace =
                tokio::time::interval(Duration::from_secs(10) * u32::try_from(SENDERS)? / u32::try_from(FLOOD)?);
            for number in 0..FLOOD / SENDERS {
                pace.tick().await;
                let header = json!({"alg": "RS256", "typ": "JWT", "kid": format!("random-{sender}-{number}")});
                let answer = get(&server, "/v1/me", &forged(&header, &claims)).await?;
                ensure!(answer.status == 401, "{}: {}", answer.status, answer.text());
            }
            Ok(())
        });
    }
    let flooded = percentile_99(&server, &good, Duration::from_secs(9)).await?;
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    let (elapsed, asked) = (began.elapsed(), calls(&before, &provider.counts().await?)?);
    println!("{FLOOD} tokens in {elapsed:?}: {} key requests; p99 {flooded:?}, before {calm:?}", asked.keys);
    ensure!(asked.keys <= looks_allowed(elapsed) && asked.others == 0, "{asked:?} in {elapsed:?}");
    ensure!(flooded <= calm * 2 + Duration::from_millis(25), "good tokens wait: p99 {flooded:?}, before {calm:?}");
    Ok(())
}

/// The 99th percentile of the time that a good token takes, asked for again and again for such a time.
async fn percentile_99(server: &Server, token: &str, lasting: Duration) -> Result<Duration> {
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < lasting {
        let started = Instant::now();
        let answer = get(server, "/v1/me", token).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        times.push(started.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().context("no times")
}

#[tokio::test]
async fn fault_12_a_provider_that_is_down_stops_nobody_whose_key_is_known() -> Result<()> {
    let (provider, mut server) = start(&[("MECAPY_OIDC_REFRESH_SECONDS", "10")]).await?;
    let token = provider.token(MACHINE).await?;
    until_status(&server, &token, 200, KEYS_DEADLINE).await?;
    // The one that hangs is watched for longer than lies between two fetches.
    for (mode, seconds) in [(Mode::Fail, 1), (Mode::Hang, 12), (Mode::Refuse, 1)] {
        provider.set_mode(mode).await?;
        let unknown = forged(&json!({"alg": "RS256", "kid": format!("{mode:?}")}), &claims_of(&token)?);
        ensure!(status(&server, &unknown).await? == 401, "{mode:?}");
        let slowest = percentile_99(&server, &token, Duration::from_secs(seconds)).await?;
        ensure!(slowest < Duration::from_secs(1), "{mode:?}: {slowest:?}");
    }
    // A server that starts meanwhile has no keys, is ready, and takes API keys.
    server.stop_and_restart().await?;
    let answer = get(&server, "/v1/me", &token).await?.expect_problem(503)?;
    ensure!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
    ensure!(status(&server, "a.b.c").await? == 401);
    server.get("/v1/me").await?.expect(200)?;
    server.send(server.anonymous(Method::GET, "/ready")).await?.expect(200)?;
    provider.set_mode(Mode::Up).await?;
    until_status(&server, &token, 200, KEYS_DEADLINE).await?;
    Ok(())
}

#[tokio::test]
async fn fault_12_rotated_keys_count_at_once_and_revoked_ones_go() -> Result<()> {
    let (provider, server) = start(&[("MECAPY_OIDC_REFRESH_SECONDS", "10")]).await?;
    let first = provider.token(MACHINE).await?;
    until_status(&server, &first, 200, KEYS_DEADLINE).await?;
    provider.rotate(OldKeys::Kept).await?;
    let second = provider.token(MACHINE).await?;
    until_status(&server, &second, 200, KEYS_DEADLINE).await?;
    ensure!(status(&server, &first).await? == 200, "an earlier key that is still shown is good");
    // Nobody shows a token of a new key now: the revoked ones go all the same.
    provider.rotate(OldKeys::Revoked).await?;
    until_status(&server, &first, 401, KEYS_DEADLINE).await?;
    ensure!(status(&server, &second).await? == 401, "both keys were revoked");
    let third = provider.token(MACHINE).await?;
    until_status(&server, &third, 200, KEYS_DEADLINE).await?;
    Ok(())
}

#[tokio::test]
async fn fault_12_keys_are_not_used_for_ever_without_their_issuer() -> Result<()> {
    let (provider, server) = start(&[("MECAPY_OIDC_REFRESH_SECONDS", "10")]).await?;
    let token = provider.token(MACHINE).await?;
    until_status(&server, &token, 200, KEYS_DEADLINE).await?;
    provider.set_mode(Mode::Refuse).await?;
    let down = Instant::now();
    until_status(&server, &token, 503, Duration::from_secs(90)).await?;
    // Six refreshes, counted from the last one that worked.
    ensure!(down.elapsed() > Duration::from_secs(45), "given up after {:?}", down.elapsed());
    server.get("/v1/me").await?.expect(200)?;
    provider.set_mode(Mode::Up).await?;
    until_status(&server, &token, 200, KEYS_DEADLINE).await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_leaves_the_issuer_alone() -> Result<()> {
    let provider = OidcProvider::start(&clients()).await?;
    let mut cluster =
        Cluster::with(ClusterOptions { workers: 1, variables: provider.variables(), ..ClusterOptions::default() })
            .await?;
    ensure!(provider.key_requests().await? == 0, "a worker asked for keys");
    // A server with the same settings asks.
    cluster.add_node(&[]).await?;
    until("the server has asked for keys", KEYS_DEADLINE, || async {
        Ok((provider.key_requests().await? > 0).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_discovery_document_that_leads_elsewhere_is_not_followed() -> Result<()> {
    let (provider, other) = (OidcProvider::start(&clients()).await?, OidcProvider::start(&clients()).await?);
    let keys_of_another = format!("{}/protocol/openid-connect/certs", other.issuer());
    for lie in [
        json!({"jwks_uri": keys_of_another}),
        json!({"issuer": other.issuer()}),
        json!({"jwks_uri": "file:///etc/passwd"}),
    ] {
        provider.set_discovery(&lie).await?;
        let server = Server::with(options(&provider, &[])).await?;
        for signer in [&provider, &other] {
            let token = signer.sign(&json!({"claims": {"iss": provider.issuer()}})).await?;
            get(&server, "/v1/me", &token).await?.expect_problem(503).with_context(|| lie.to_string())?;
        }
    }
    ensure!(other.key_requests().await? == 0, "keys were taken from elsewhere");
    Ok(())
}
