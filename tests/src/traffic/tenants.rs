//! Tenants with a key and a module each. They are written into the database, as an operator's tool would.

use super::Traffic;
use crate::{Cluster, guest, until};
use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Nodes read keys anew each second.
const KNOWN_DEADLINE: Duration = Duration::from_secs(20);

/// A tenant, as its client knows it.
#[derive(Debug, Clone)]
pub(super) struct Tenant {
    pub(super) key: String,
    /// The digest of a module that answers `{"n": 7}`.
    pub(super) module: String,
}

pub(super) async fn create(cluster: &Cluster, traffic: &Traffic, count: usize) -> Result<Vec<Tenant>> {
    let mut tenants = Vec::new();
    for number in 0..count {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let key = format!("mecapy_{}", hex(&random));
        let sql = format!(
            "INSERT INTO tenants (id, name, created_ms) VALUES (gen_random_uuid(), 'traffic {number}', 0); \
             INSERT INTO api_keys (id, tenant, name, prefix, secret_sha256, role, created_ms) \
             SELECT gen_random_uuid(), id, 'traffic', 'mecapy_', decode('{}', 'hex'), 'engineer', 0 \
             FROM tenants WHERE name = 'traffic {number}'",
            hex(&Sha256::digest(key.as_bytes()))
        );
        cluster.rows(&sql).await?;
        tenants.push(Tenant { key, module: String::new() });
    }
    cluster.rows("UPDATE access_version SET version = version + 1").await?;
    for tenant in &mut tenants {
        for node in &traffic.nodes {
            until("the node knows the tenant's key", KNOWN_DEADLINE, || async {
                let answer = traffic.client.get(format!("{node}/v1/me")).bearer_auth(&tenant.key).send().await?;
                Ok(answer.status().is_success().then_some(()))
            })
            .await?;
        }
        tenant.module = module(traffic, tenant).await?;
    }
    Ok(tenants)
}

async fn module(traffic: &Traffic, tenant: &Tenant) -> Result<String> {
    let wasm = wat::parse_str(guest::answering("{\"n\": 7}"))?;
    let send = |node: &str| {
        let request = traffic.client.post(format!("{node}/v1/modules")).bearer_auth(&tenant.key);
        request.header("content-type", "application/wasm").body(wasm.clone())
    };
    let answer = traffic.until_answered(send).await?;
    ensure!((200..300).contains(&answer.status), "the module was refused: {} {}", answer.status, answer.text());
    answer.str_at("/module")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
