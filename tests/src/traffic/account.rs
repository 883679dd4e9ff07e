//! What became of every promise.

use super::{Kind, Promise, Traffic};
use crate::Cluster;
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const ASKED_AT_ONCE: usize = 16;
/// How many faults of a kind are told.
const TOLD_MAX: usize = 10;

/// All promises, by what became of them.
#[derive(Debug, Clone, Default)]
pub struct Account {
    pub accepted: usize,
    /// Terminal state → tasks.
    pub states: BTreeMap<String, usize>,
    /// Accepted, and absent or not terminal.
    pub lost: Vec<String>,
    /// Two tasks of one key, or rows twice.
    pub doubled: Vec<String>,
    /// Ended otherwise than it had to.
    pub wrong: Vec<String>,
}

/// How one promise was found.
enum Found {
    Ended { state: String, fault: Option<String> },
    Lost(String),
}

impl Account {
    pub fn is_settled(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.wrong.is_empty()
    }

    pub fn count(&self, state: &str) -> usize {
        self.states.get(state).copied().unwrap_or(0)
    }

    /// Fails with what is lost, doubled or wrong.
    pub fn must_be_settled(&self) -> Result<()> {
        let told = |faults: &[String]| faults.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>().join("\n  ");
        ensure!(
            self.is_settled(),
            "of {} accepted tasks {} are lost, {} doubled, {} wrong:\n  {}\n  {}\n  {}",
            self.accepted,
            self.lost.len(),
            self.doubled.len(),
            self.wrong.len(),
            told(&self.lost),
            told(&self.doubled),
            told(&self.wrong)
        );
        Ok(())
    }
}

impl Traffic {
    /// Waits, in all at most so long, until every promise is kept; says which are not.
    pub async fn settle(self: &Arc<Self>, cluster: &Cluster, deadline: Duration) -> Result<Account> {
        let (until, promises) = (Instant::now() + deadline, self.promises().clone());
        let mut account = Account { accepted: promises.len(), ..Account::default() };
        for promise in &promises {
            if let Some(again) = promise.again.as_ref().filter(|again| **again != promise.id) {
                account.doubled.push(format!("task {}: {} and {again}", promise.number, promise.id));
            }
        }
        let mut asking = JoinSet::new();
        let mut waiting = promises.iter().cloned();
        loop {
            while asking.len() < ASKED_AT_ONCE
                && let Some(promise) = waiting.next()
            {
                let traffic = Arc::clone(self);
                asking.spawn(async move { traffic.look(promise, until).await });
            }
            let Some(found) = asking.join_next().await else { break };
            match found?? {
                Found::Lost(why) => account.lost.push(why),
                Found::Ended { state, fault } => {
                    *account.states.entry(state).or_default() += 1;
                    account.wrong.extend(fault);
                }
            }
        }
        self.compare_rows(cluster, &promises, &mut account).await?;
        Ok(account)
    }

    /// The tasks of this traffic that nobody was promised are doubles: each was sent with its own key, until it was
    /// accepted.
    async fn compare_rows(&self, cluster: &Cluster, promises: &[Promise], account: &mut Account) -> Result<()> {
        let promised: BTreeSet<&str> = promises.iter().map(|promise| promise.id.as_str()).collect();
        let sql = "SELECT t.id FROM tasks t JOIN tenants o ON o.id = t.tenant WHERE o.name LIKE 'traffic %'";
        let rows = cluster.rows(sql).await?;
        let there: BTreeSet<&str> = rows.lines().collect();
        account.doubled.extend(there.difference(&promised).map(|id| format!("{id} was promised to nobody")));
        account.lost.extend(promised.difference(&there).map(|id| format!("{id} has no row")));
        Ok(())
    }

    async fn look(&self, promise: Promise, until: Instant) -> Result<Found> {
        let tenant = self.tenant(promise.number)?;
        let Promise { number, kind, ref id, .. } = promise;
        loop {
            let result = self.get(tenant, &format!("/v1/tasks/{id}/result?wait=20")).await?;
            match result.status {
                200 => {
                    let state = result.str_at("/state")?;
                    let checked = match kind.check(number, result) {
                        Ok(()) if kind == Kind::Artifact => self.check_artifact(&promise).await,
                        checked => checked,
                    };
                    let fault = checked.err().map(|error| format!("task {number} ({kind:?}, {id}): {error:#}"));
                    return Ok(Found::Ended { state, fault });
                }
                409 if Instant::now() < until => {}
                status => {
                    let why = format!("task {number} ({kind:?}, {id}): {status} {}", result.text());
                    return Ok(Found::Lost(why));
                }
            }
        }
    }

    /// One file, with what this task wrote.
    async fn check_artifact(&self, promise: &Promise) -> Result<()> {
        let (tenant, id) = (self.tenant(promise.number)?, &promise.id);
        let listed = self.get(tenant, &format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?;
        let count = listed.json()?.as_array().map_or(0, Vec::len);
        ensure!(count == 1, "{count} artifacts: {}", listed.text());
        let url = listed.at("/0/url")?;
        let url = Value::as_str(&url).context("no URL")?;
        let read = self.until_answered(|_| self.client.request(Method::GET, url)).await?.expect(200)?;
        ensure!(read.bytes == promise.number.to_string().as_bytes(), "the artifact holds {:?}", read.text());
        Ok(())
    }
}
