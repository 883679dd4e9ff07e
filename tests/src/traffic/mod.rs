//! A load of mixed tasks of several tenants, sent by a client that writes down what it was promised, and what became of
//! each promise.

mod account;
mod mix;
mod tenants;

pub use account::Account;
pub use mix::Kind;

use crate::{Answer, Cluster};
use anyhow::{Context, Result, anyhow, bail, ensure};
use reqwest::{Client, Method, RequestBuilder, multipart};
use serde_json::{Value, json};
use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tenants::Tenant;
use tokio::{task::JoinSet, time::sleep};

const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// Longer than any node waits for a result.
const REQUEST_DEADLINE: Duration = Duration::from_secs(45);
/// How long a request is sent again that got no answer for good: longer than any fault of the tests lasts.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// One in so many tasks is sent a second time with its key, to another node, after it was accepted.
const SENT_TWICE_ONE_IN: usize = 4;

/// The client of all tenants.
pub struct Traffic {
    nodes: Vec<String>,
    client: Client,
    tenants: Vec<Tenant>,
    promises: Mutex<Vec<Promise>>,
    /// For turns among the nodes.
    turns: AtomicUsize,
}

/// An accepted task.
#[derive(Debug, Clone)]
struct Promise {
    number: usize,
    kind: Kind,
    id: String,
    /// What a second request with the same key was answered.
    again: Option<String>,
}

impl Traffic {
    /// A client of all nodes, for so many new tenants.
    pub async fn new(cluster: &Cluster, tenants: usize) -> Result<Arc<Self>> {
        let nodes: Vec<String> = cluster.nodes().iter().map(|node| node.base_url()).collect();
        ensure!(!nodes.is_empty() && tenants > 0, "traffic needs a node and a tenant");
        let client =
            Client::builder().no_proxy().connect_timeout(CONNECT_DEADLINE).timeout(REQUEST_DEADLINE).build()?;
        let mut traffic =
            Self { nodes, client, tenants: Vec::new(), promises: Mutex::default(), turns: AtomicUsize::new(0) };
        traffic.tenants = tenants::create(cluster, &traffic, tenants).await?;
        Ok(Arc::new(traffic))
    }

    /// Sends the tasks with these numbers, so many at once; each until it is accepted.
    pub async fn send_all(self: &Arc<Self>, numbers: Range<usize>, at_once: usize) -> Result<()> {
        let mut sending = JoinSet::new();
        for number in numbers {
            if sending.len() >= at_once
                && let Some(sent) = sending.join_next().await
            {
                sent??;
            }
            let traffic = Arc::clone(self);
            sending.spawn(async move { traffic.send(number).await.with_context(|| format!("task {number}")) });
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        Ok(())
    }

    /// How many tasks were accepted.
    pub fn accepted(&self) -> usize {
        self.promises().len()
    }

    async fn send(&self, number: usize) -> Result<()> {
        let (tenant, kind) = (self.tenant(number)?, Kind::of(number));
        let body = match kind {
            Kind::Upload => kind.body(number, &self.upload(tenant, number).await?),
            _ => kind.body(number, &tenant.module),
        };
        let id = self.submit(tenant, number, &body).await?;
        let twice = number.is_multiple_of(SENT_TWICE_ONE_IN);
        // Written down before anything else can go wrong.
        self.promises().push(Promise { number, kind, id: id.clone(), again: None });
        if twice {
            let again = self.submit(tenant, number, &body).await?;
            if let Some(promise) = self.promises().iter_mut().find(|promise| promise.number == number) {
                promise.again = Some(again);
            }
        }
        if kind == Kind::Cancelled {
            self.cancel(tenant, &id).await?;
        }
        Ok(())
    }

    async fn submit(&self, tenant: &Tenant, number: usize, body: &Value) -> Result<String> {
        let key = format!("traffic-{number}");
        let send = |node: &str| {
            let request = self.client.post(format!("{node}/v1/tasks")).bearer_auth(&tenant.key);
            request.header("idempotency-key", &key).json(body)
        };
        self.until_answered(send).await?.expect(202)?.str_at("/id")
    }

    async fn cancel(&self, tenant: &Tenant, id: &str) -> Result<()> {
        let send = |node: &str| {
            self.client.post(format!("{node}/v1/tasks/{id}/cancel")).bearer_auth(&tenant.key).json(&json!({}))
        };
        self.until_answered(send).await?.expect(202)?;
        Ok(())
    }

    async fn upload(&self, tenant: &Tenant, number: usize) -> Result<String> {
        let send = |node: &str| {
            let part = multipart::Part::bytes(number.to_string().into_bytes()).file_name("n.txt");
            let form = multipart::Form::new().part("file", part);
            self.client.post(format!("{node}/v1/uploads")).bearer_auth(&tenant.key).multipart(form)
        };
        self.until_answered(send).await?.expect(201)?.str_at("/upload_id")
    }

    async fn get(&self, tenant: &Tenant, path: &str) -> Result<Answer> {
        self.until_answered(|node| self.request(Method::GET, node, path).bearer_auth(&tenant.key)).await
    }

    fn request(&self, method: Method, node: &str, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{node}{path}"))
    }

    /// Sends a request, to one node after the other, until one answers it for good: nodes may be down, or without their
    /// database. (A node may hear of a new tenant a second after it knows its key: 403 until then.)
    async fn until_answered(&self, make: impl Fn(&str) -> RequestBuilder) -> Result<Answer> {
        let started = Instant::now();
        loop {
            let turn = self.turns.fetch_add(1, Ordering::Relaxed);
            let node = self.nodes.get(turn % self.nodes.len()).context("no node")?;
            let passing = match answer_of(make(node)).await {
                Ok(answer) if ![403, 429, 503].contains(&answer.status) => return Ok(answer),
                Ok(answer) => anyhow!("{} {}", answer.status, answer.text()),
                Err(error) => error,
            };
            if started.elapsed() > PATIENCE {
                bail!("no answer for good within {PATIENCE:?}: {passing:#}");
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    fn tenant(&self, number: usize) -> Result<&Tenant> {
        self.tenants.get(number % self.tenants.len()).context("no tenant")
    }

    fn promises(&self) -> MutexGuard<'_, Vec<Promise>> {
        self.promises.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer_of(request: RequestBuilder) -> Result<Answer> {
    Answer::of(request.send().await?).await
}
