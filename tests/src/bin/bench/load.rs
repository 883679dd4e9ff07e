//! Sends calls and takes times: one client after another answer, or many at once.

use crate::http::{Call, Connection, Endpoint, Reply};
use anyhow::{Result, ensure};
use hyper::StatusCode;
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime};

/// Every so many answers one is kept, to see what the server says of its own times.
const KEPT_EVERY: usize = 8;
/// How long a client lets the server wait for a task's end, seconds.
const WAIT_SECONDS: u32 = 30;
/// Calls of one kind before those of the next: what the server does after an answer falls to the same kind.
const IN_A_ROW: usize = 20;

/// How many calls a measurement makes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) warm_up: usize,
    pub(crate) samples: usize,
    /// Ends the measurement early, on slow machines.
    pub(crate) time_max: Duration,
}

/// What one client saw.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    pub(crate) milliseconds: Vec<f64>,
    kept: Vec<Reply>,
}

/// What each of many clients does again and again.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    Preview(Call),
    /// Submits a task: it counts once it is accepted.
    Submit(Call),
    /// Submits a task and waits for its result.
    SubmitAndWait(Call),
}

/// What many clients saw.
#[derive(Debug, Default)]
pub(crate) struct Throughput {
    pub(crate) milliseconds: Vec<f64>,
    /// Answers a second, one figure for each window.
    pub(crate) per_second: Vec<f64>,
    /// What went right, in the windows and outside of them.
    pub(crate) answers: usize,
    pub(crate) errors: usize,
    /// The first of them.
    pub(crate) error: Option<String>,
}

/// One client, one call at a time.
pub(crate) async fn latency(endpoint: &Endpoint, call: &Call, amount: Amount) -> Result<Latency> {
    let [seen] = in_turn(endpoint, [call], amount).await?;
    Ok(seen)
}

/// The same of several calls, some of each in turn: a busy moment of the machine meets them all.
pub(crate) async fn in_turn<const N: usize>(
    endpoint: &Endpoint,
    calls: [&Call; N],
    amount: Amount,
) -> Result<[Latency; N]> {
    let mut connection = endpoint.connect().await?;
    let mut all: [Latency; N] = std::array::from_fn(|_| Latency::default());
    let (started, count) = (Instant::now(), amount.warm_up + amount.samples);
    for begin in (0..count).step_by(IN_A_ROW) {
        for (call, seen) in calls.iter().zip(&mut all) {
            for number in begin..count.min(begin + IN_A_ROW) {
                let sent = Instant::now();
                let reply = connection.exchange(call).await?;
                let time = sent.elapsed();
                ensure!(reply.completed(), "a preview failed: {} {}", reply.status, reply.text());
                if number >= amount.warm_up {
                    seen.milliseconds.push(milliseconds(time));
                    if number % KEPT_EVERY == 0 {
                        seen.kept.push(reply);
                    }
                }
            }
        }
        if started.elapsed() > amount.time_max {
            break;
        }
    }
    Ok(all)
}

/// So many clients, each as fast as it is answered, for so long after as long a warm-up as one window.
pub(crate) async fn throughput(endpoint: &Endpoint, turn: &Turn, clients: usize, windows: usize) -> Result<Throughput> {
    const WINDOW: Duration = Duration::from_millis(500);
    let begin = Instant::now() + WINDOW;
    let end = begin + WINDOW * u32::try_from(windows)?;
    let mut running = Vec::new();
    for connection in endpoint.connect_many(clients).await? {
        running.push(tokio::spawn(client(connection, turn.clone(), end)));
    }
    let (mut seen, mut counts) = (Throughput::default(), vec![0_u32; windows]);
    for client in running {
        let (answers, errors) = client.await??;
        seen.answers += answers.len();
        for (at, time) in answers {
            let window =
                at.checked_duration_since(begin).map(|since| (since.as_millis() / WINDOW.as_millis()) as usize);
            if let Some(count) = window.and_then(|window| counts.get_mut(window)) {
                *count += 1;
                seen.milliseconds.push(milliseconds(time));
            }
        }
        seen.errors += errors.len();
        seen.error = seen.error.or(errors.into_iter().next());
    }
    seen.per_second = counts.into_iter().map(|count| f64::from(count) / WINDOW.as_secs_f64()).collect();
    Ok(seen)
}

type Answers = Vec<(Instant, Duration)>;

/// When each answer came and how long it took; and what was no answer.
async fn client(mut connection: Connection, turn: Turn, end: Instant) -> Result<(Answers, Vec<String>)> {
    let (mut answers, mut errors) = (Vec::new(), Vec::new());
    while Instant::now() < end {
        let sent = Instant::now();
        let (reply, is_right) = turn.take(&mut connection).await?;
        if is_right {
            answers.push((Instant::now(), sent.elapsed()));
        } else {
            errors.push(format!("{} {}", reply.status, reply.text()));
        }
    }
    Ok((answers, errors))
}

impl Turn {
    /// The last reply, and whether it is what was asked for.
    async fn take(&self, connection: &mut Connection) -> Result<(Reply, bool)> {
        let (Turn::Preview(call) | Turn::Submit(call) | Turn::SubmitAndWait(call)) = self;
        let reply = connection.exchange(call).await?;
        let is_right = match self {
            Turn::Preview(_) => reply.completed(),
            Turn::Submit(_) | Turn::SubmitAndWait(_) => reply.status == StatusCode::ACCEPTED,
        };
        if !is_right || !matches!(self, Turn::SubmitAndWait(_)) {
            return Ok((reply, is_right));
        }
        let path = format!("/v1/tasks/{}/result?wait={WAIT_SECONDS}", reply.task_id()?);
        let reply = connection.exchange(&Call::get(path)).await?;
        let is_right = reply.completed();
        Ok((reply, is_right))
    }
}

impl Latency {
    /// What the server said of one of its own times (a field of `usage`), milliseconds.
    pub(crate) fn usage(&self, field: &str) -> Vec<f64> {
        let value = |reply: &Reply| {
            let answer: Value = serde_json::from_slice(&reply.body).ok()?;
            answer.get("usage")?.get(field)?.as_f64()
        };
        self.kept.iter().filter_map(value).collect()
    }
}

/// Wall time, Unix microseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "what it is compared with was stamped by other processes of this machine"
)]
pub(crate) fn unix_us() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros())?)
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
