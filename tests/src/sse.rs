//! A reader of server-sent events.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::time::Duration;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent {
    pub id: Option<String>,
    pub event: String,
    pub data: String,
}

impl SseEvent {
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.data).with_context(|| format!("the data of {self:?} is not JSON"))
    }
}

/// An open event stream.
pub struct EventStream {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl EventStream {
    /// Takes over a response, which must be an event stream.
    pub fn of(response: reqwest::Response) -> Result<Self> {
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        ensure!(response.status().is_success(), "the stream was refused: {}", response.status());
        ensure!(kind.starts_with("text/event-stream"), "not an event stream but {kind:?}");
        Ok(Self { response, buffer: Vec::new() })
    }

    /// The next event (comments are skipped), or `None` when the server ended the stream.
    pub async fn next(&mut self, deadline: Duration) -> Result<Option<SseEvent>> {
        let read = async {
            loop {
                while let Some(block) = self.take_block() {
                    let event = parse(&String::from_utf8_lossy(&block));
                    if event != SseEvent::default() {
                        return Ok(Some(event));
                    }
                }
                match self.response.chunk().await? {
                    Some(chunk) => self.buffer.extend_from_slice(&chunk),
                    None => return Ok(None),
                }
            }
        };
        match tokio::time::timeout(deadline, read).await {
            Ok(event) => event,
            Err(_) => bail!("no event within {deadline:?}"),
        }
    }

    /// All events up to and with `last`, each waited for at most `deadline`.
    pub async fn collect_until(&mut self, last: &str, deadline: Duration) -> Result<Vec<SseEvent>> {
        let mut events = Vec::new();
        while let Some(event) = self.next(deadline).await? {
            let found = event.event == last;
            events.push(event);
            if found {
                return Ok(events);
            }
        }
        bail!("the stream ended before {last:?}: {events:?}")
    }

    /// The bytes up to the next empty line.
    fn take_block(&mut self) -> Option<Vec<u8>> {
        let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let rest = self.buffer.split_off(end + 2);
        Some(std::mem::replace(&mut self.buffer, rest))
    }
}

fn parse(block: &str) -> SseEvent {
    let mut event = SseEvent::default();
    let mut data = Vec::new();
    for (field, value) in block.lines().filter_map(|line| line.split_once(':')) {
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.event = value.to_owned(),
            "data" => data.push(value),
            _ => {}
        }
    }
    event.data = data.join("\n");
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_field_by_field_and_comments_are_nothing() {
        let event = parse("id: 7\nevent: log\ndata: one\ndata: two\n");
        assert_eq!(event, SseEvent { id: Some("7".into()), event: "log".into(), data: "one\ntwo".into() });
        assert_eq!(parse(": keep-alive"), SseEvent::default());
    }
}
