//! From a line that a solver says to a client that follows its task. The line carries the time at which it was said, by
//! the clock that is the client's too: they are on one machine.

use super::{SECTION, lane::Lane};
use crate::{
    http::Call,
    load::unix_us,
    report::{Report, Row},
};
use anyhow::{Context, Result, ensure};
use hyper::header::AUTHORIZATION;
use mecapy_tests::EventStream;
use serde_json::json;
use std::time::Duration;

pub(super) const LINE: &str = "containers.line";
pub(super) const LINE_LABEL: &str = "a line, until the client's stream has it";
const LINES: usize = 150;
/// Between two lines, seconds: no whole part of the time between two writes of the log, so that they fall anywhere in it.
const PAUSE: &str = "0.13";
const EVENT_DEADLINE: Duration = Duration::from_secs(30);
/// Before the time in a line: seconds, and nine digits after the point.
const MARK: &str = "at=";

pub(super) async fn measure(report: &mut Report, lane: &Lane) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let script = format!("i=0; while [ $i -lt {LINES} ]; do date +{MARK}%s.%N; i=$((i+1)); sleep {PAUSE}; done");
    let upload = lane.upload(&client, script.into_bytes()).await?;
    let endpoint = lane.endpoint();
    let code = json!({"solver": "shell", "files": {"run.sh": upload}});
    let body = json!({"code": code, "limits": {"timeout_ms": 120_000}});
    let accepted = endpoint.connect().await?.exchange(&Call::post("/v1/tasks", &body)).await?;
    ensure!(accepted.status.as_u16() == 202, "the run was refused: {} {}", accepted.status, accepted.text());
    let request = client.get(format!("http://{}/v1/tasks/{}/events", endpoint.address, accepted.task_id()?));
    let mut events = EventStream::of(request.header(AUTHORIZATION, endpoint.authorization.clone()).send().await?)?;
    let mut waits = Vec::with_capacity(LINES);
    while let Some(event) = events.next(EVENT_DEADLINE).await? {
        let now_us = unix_us()?;
        for said in event.data.split(MARK).skip(1) {
            waits.push((now_us - said_us(said)?) as f64 / 1e3);
        }
    }
    ensure!(waits.len() == LINES, "{} of {LINES} lines were heard", waits.len());
    let note =
        format!("one every {PAUSE} s; from `date` in the container, through engine, worker, PostgreSQL and server");
    report.add(Row::new(LINE, SECTION, LINE_LABEL).values(waits).note(note));
    Ok(())
}

/// The time at the head of a text, Unix microseconds.
fn said_us(text: &str) -> Result<i64> {
    let (seconds, rest) = text.split_once('.').with_context(|| format!("no time: {text}"))?;
    let nanoseconds: i64 = rest.get(..9).with_context(|| format!("no time: {text}"))?.parse()?;
    Ok(seconds.parse::<i64>()? * 1_000_000 + nanoseconds / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lines_time_is_read_whatever_follows_it() {
        assert_eq!(said_us("1700000000.123456789\\n\"}").unwrap(), 1_700_000_000_123_456);
        assert!(said_us("soon").is_err());
    }
}
