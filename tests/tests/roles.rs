//! The commands that make a service of one binary: migrate, worker, serve on shared backends, doctor.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Cluster, SharedBackends, run_binary};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const COMPLETED: i32 = 0;
const MISUSE: i32 = 2;

type Variables = Vec<(String, String)>;

/// The backends' variables with others over them.
fn with(backends: &SharedBackends, more: &[(&str, &str)]) -> Variables {
    let mut variables = backends.variables();
    variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    variables
}

#[tokio::test]
async fn migrate_prepares_a_database_once_and_makes_the_first_admin_key() -> Result<()> {
    let backends = SharedBackends::new().await?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let data_text = data.to_str().context("a folder with a plain name")?;
    let owner =
        with(&backends, &[("MECAPY_DATABASE_URL", &backends.database.owner_url), ("MECAPY_DATA_DIR", data_text)]);
    let app = with(&backends, &[("MECAPY_DATA_DIR", data_text), ("MECAPY_LISTEN", "127.0.0.1:0")]);
    for command in ["serve", "worker"] {
        let (code, _, said) = run_binary(&[command], &app).await?;
        ensure!(code == MISUSE && said.contains("mecapy migrate"), "{command} before migrate: {code}: {said}");
        ensure!(!said.contains(password(&backends.database.app_url)?), "a password is shown: {said}");
    }
    let migrate = ["migrate", "--grant-to", &backends.database.app_role];
    let (code, said, errors) = run_binary(&migrate, &owner).await?;
    ensure!(
        code == COMPLETED && said.contains("versions applied") && said.contains("admin.key"),
        "{code}: {said}{errors}"
    );
    let key = data.join("admin.key");
    ensure!(std::fs::metadata(&key)?.permissions().mode() & 0o777 == 0o600);
    let before = std::fs::read_to_string(&key)?;
    ensure!(!said.contains(before.trim()), "the key is shown: {said}");
    let (code, said, errors) = run_binary(&migrate, &owner).await?;
    ensure!(code == COMPLETED && said.contains("already current"), "{code}: {said}{errors}");
    ensure!(std::fs::read_to_string(&key)? == before, "a second run made another key");
    let (_, report, _) = run_binary(&["--json", "migrate"], &owner).await?;
    let report: Value = serde_json::from_str(&report)?;
    ensure!(report == json!({"versions_applied": 0, "granted_to": null, "admin_key_file": null}), "{report}");
    Ok(())
}

fn password(url: &str) -> Result<&str> {
    let (_, rest) = url.split_once("://").context("no URL")?;
    let (login, _) = rest.split_once('@').context("no login")?;
    Ok(login.split_once(':').context("no password")?.1)
}

#[tokio::test]
async fn what_needs_a_shared_database_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().context("a folder with a plain name")?.to_owned();
    let embedded: Variables = vec![("MECAPY_DATA_DIR".to_owned(), data.clone())];
    let (code, _, said) = run_binary(&["worker"], &embedded).await?;
    ensure!(code == MISUSE && said.contains("postgres://") && said.contains("runs a worker itself"), "{code}: {said}");
    let (code, _, said) = run_binary(&["migrate"], &embedded).await?;
    ensure!(code == COMPLETED && said.contains("mecapy serve"), "{code}: {said}");
    ensure!(std::fs::read_dir(&data)?.next().is_none(), "migrate made something in the data folder");
    let redis = ("MECAPY_QUEUE_URL".to_owned(), "redis://:hunter2@127.0.0.1:9".to_owned());
    let (code, _, said) = run_binary(&["serve"], &[embedded, vec![redis]].concat()).await?;
    ensure!(code == MISUSE && said.contains("database-url") && !said.contains("hunter2"), "{code}: {said}");
    Ok(())
}

#[tokio::test]
async fn help_shows_no_password_of_the_environment() -> Result<()> {
    let secret = |name: &str, url: &str| (name.to_owned(), url.to_owned());
    let database = secret("MECAPY_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:9/d");
    let variables = [
        database.clone(),
        secret("MECAPY_QUEUE_URL", "redis://:hunter2@127.0.0.1:9"),
        secret("MECAPY_S3_SECRET_ACCESS_KEY", "hunter2"),
    ];
    for command in ["serve", "worker", "migrate", "doctor"] {
        let (code, said, _) = run_binary(&[command, "--help"], &variables).await?;
        ensure!(code == COMPLETED && said.contains("MECAPY_DATABASE_URL") && !said.contains("hunter2"), "{said}");
    }
    // What can't be reached is named without it too.
    let (_, said, errors) = run_binary(&["migrate"], &[database]).await?;
    ensure!(!said.contains("hunter2") && !errors.contains("hunter2") && errors.contains("database"), "{said}{errors}");
    Ok(())
}

#[tokio::test]
async fn doctor_looks_at_every_backend_of_a_service() -> Result<()> {
    let cluster = Cluster::start(0, 0).await?;
    let backends = cluster.backends()?;
    let statuses = async |variables: &[(String, String)]| -> Result<Vec<(String, String)>> {
        let (_, report, _) = run_binary(&["--json", "doctor"], variables).await?;
        let report: Value = serde_json::from_str(&report)?;
        let checks = report.get("checks").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |check: &Value, name: &str| check.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let names = ["database", "schema", "database role", "queue", "objects"];
        let wanted = checks.iter().filter(|check| names.contains(&text(check, "name").as_str()));
        Ok(wanted.map(|check| (text(check, "name"), text(check, "status"))).collect())
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, status)| ((*name).to_owned(), (*status).to_owned())).collect()
    };
    let good = statuses(&backends.variables()).await?;
    let expected = [("database", "ok"), ("schema", "ok"), ("database role", "ok"), ("queue", "ok"), ("objects", "ok")];
    ensure!(good == pairs(&expected), "{good:?}");
    let bad = with(
        backends,
        &[
            ("MECAPY_DATABASE_URL", &backends.database.owner_url),
            ("MECAPY_QUEUE_URL", "redis://127.0.0.1:9"),
            ("MECAPY_S3_SECRET_ACCESS_KEY", "wrong"),
        ],
    );
    let bad = statuses(&bad).await?;
    let expected =
        [("database", "ok"), ("schema", "ok"), ("database role", "warn"), ("queue", "fail"), ("objects", "fail")];
    ensure!(bad == pairs(&expected), "{bad:?}");
    Ok(())
}
