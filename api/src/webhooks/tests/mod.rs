//! Webhooks against sockets of this machine, from the URL to the report.

mod dispatching;
mod sending;
mod sink;
mod urls;

use super::{
    guard::Guard,
    lookup::Lookup,
    outbox::{Due, Health},
    signature::Secret,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mecapy_model::TenantId;
use mecapy_store::ManualClock;
use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use time::OffsetDateTime;
use uuid::Uuid;

const BODY: &[u8] = br#"{"type":"task.completed"}"#;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap(), 1))
}

/// A resolver that gives `answers` one after another, the last for ever, and counts how often it was asked.
fn scripted(answers: &[&[&str]]) -> (Lookup, Arc<AtomicUsize>) {
    let answers: Vec<Vec<IpAddr>> =
        answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_, _| {
        let at = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let answer = answers[at].clone();
        Box::pin(async move { Ok(answer) })
    });
    (lookup, asked)
}

/// A guard with a resolver that says that no name exists.
fn strict() -> Guard {
    let lookup: Lookup = Arc::new(|_, _| Box::pin(async { Err(io::Error::other("no such name").into()) }));
    Guard::with_lookup("".parse().unwrap(), false, lookup)
}

fn secret(byte: u8) -> Secret {
    Secret::parse(&format!("whsec_{}", STANDARD.encode([byte; 32]))).unwrap()
}

fn due(url: &str) -> Due {
    Due {
        delivery: Uuid::from_u128(1),
        attempt: 1,
        tenant: TenantId::from_parts(1, &[1; 10]),
        endpoint: Some(Uuid::from_u128(2)),
        url: url.to_owned(),
        secrets: [7, 8].map(secret).to_vec(),
        event: Uuid::from_u128(3),
        body: BODY.to_vec(),
        health: Health::default(),
    }
}
