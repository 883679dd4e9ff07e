//! Looking at Redis without joining the bus: for a diagnosis.

use super::BusAddress;
use super::hint::Message;
use crate::StoreError;
use redis::{AsyncCommands, AsyncConnectionConfig, RedisResult};
use std::io;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long connecting and each answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Messages that are timed; the quickest counts.
const MESSAGES: usize = 5;

/// Logs in to Redis and sends heartbeats, which tell nobody anything; answers how long one takes.
pub async fn probe_bus(address: &BusAddress) -> Result<Duration, StoreError> {
    quickest_message(address).await.map_err(|error| StoreError::io("asking Redis")(io::Error::other(error)))
}

async fn quickest_message(address: &BusAddress) -> RedisResult<Duration> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    let mut connection = address.client.get_multiplexed_async_connection_with_config(&config).await?;
    let heartbeat = Message::new(Uuid::nil(), Vec::new()).encode();
    let mut quickest = Duration::MAX;
    for _ in 0..MESSAGES {
        let started = Instant::now();
        let _heard_by: i64 = connection.publish(&address.channel, &heartbeat).await?;
        quickest = quickest.min(started.elapsed());
    }
    Ok(quickest)
}
