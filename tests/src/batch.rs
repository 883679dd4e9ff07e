//! Batches on a server: submitted, waited for, read.

use crate::{Answer, Server, until};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;

const END_DEADLINE: Duration = Duration::from_secs(90);

impl Server {
    /// Submits a batch and answers its id.
    pub async fn submit_batch(&self, body: &Value) -> Result<String> {
        self.post("/v1/batches", body).await?.expect(202)?.str_at("/id")
    }

    pub async fn batch(&self, id: &str) -> Result<Answer> {
        self.get(&format!("/v1/batches/{id}")).await?.expect(200)
    }

    /// The batch, once it has ended.
    pub async fn ended_batch(&self, id: &str) -> Result<Answer> {
        until(&format!("batch {id} has ended"), END_DEADLINE, || async move {
            let batch = self.batch(id).await?;
            let state = batch.str_at("/state")?;
            Ok(["completed", "failed", "cancelled"].contains(&state.as_str()).then_some(batch))
        })
        .await
    }

    /// All items of a batch in pages of `limit`, which must come in order and each once. `query` is empty, or begins
    /// with `&`.
    pub async fn items(&self, id: &str, limit: u32, query: &str) -> Result<Vec<Value>> {
        let (mut items, mut cursor): (Vec<Value>, _) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/batches/{id}/results?limit={limit}&cursor={cursor}{query}");
            let page = self.get(&path).await?.expect(200)?;
            let found = page.at("/items")?.as_array().cloned().context("no list")?;
            ensure!(found.len() <= limit as usize, "a page of {}", found.len());
            items.extend(found);
            match page.at("/next_cursor")?.as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let indexes: Vec<_> = items.iter().map(|item| item["index"].as_u64()).collect();
        ensure!(indexes.is_sorted_by(|a, b| a < b), "not in order: {indexes:?}");
        Ok(items)
    }

    /// Submits a batch and answers its items once it has ended.
    pub async fn batch_items(&self, body: &Value) -> Result<Vec<Value>> {
        let id = self.submit_batch(body).await?;
        self.ended_batch(&id).await?;
        self.items(&id, 1_000, "").await
    }
}
