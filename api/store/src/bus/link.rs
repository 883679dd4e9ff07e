//! The background task: one connection that sends and hears, made again whenever it is in doubt.

use super::hint::{Hint, Message};
use super::{BusAddress, BusState, Shared, lock};
use crate::fail_point;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, PushInfo, PushKind, RedisResult, Value};
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::MissedTickBehavior;

/// How often the connection is tried when nothing else uses it.
const BEAT: Duration = Duration::from_secs(1);
/// A channel that is silent for longer gets a heartbeat. Below the beat, so that one is heard at nearly each beat.
const SILENCE_WANTED: Duration = Duration::from_millis(500);
/// A channel that is silent for longer, heartbeats included, isn't heard any more.
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// How long an answer may take.
const RESPONSE_MAX: Duration = Duration::from_secs(2);
/// How long connecting may take, names, TLS and login included.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// The pauses between attempts; each is shortened by up to half at random.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A connection that held for this long was a good one: the next pause is short again.
const STEADY: Duration = Duration::from_secs(5);

/// What the background task owns; its end is the end of all subscriptions.
pub(super) struct Link {
    pub(super) address: BusAddress,
    pub(super) shared: Arc<Shared>,
    pub(super) hints: broadcast::Sender<Arc<Vec<Hint>>>,
    pub(super) state: watch::Sender<BusState>,
}

/// A connection, and what listens on it.
struct Line {
    connection: MultiplexedConnection,
    ear: Arc<Ear>,
}

/// Takes what Redis pushes, on the connection's own task.
struct Ear {
    shared: Arc<Shared>,
    hints: broadcast::Sender<Arc<Vec<Hint>>>,
    channel: String,
    heard: Mutex<Instant>,
    lost: Notify,
}

impl Link {
    /// Runs until the bus is closed.
    pub(super) async fn run(self) {
        let mut failures = 0;
        let mut connected_before = false;
        while !self.shared.closed.load(Ordering::Acquire) {
            match self.dial().await {
                Ok(line) => {
                    let since = Instant::now();
                    self.up(connected_before);
                    connected_before = true;
                    let Err(error) = self.serve(line).await else { return };
                    tracing::warn!(bus.address = %self.address, bus.error = %error, "the hint bus lost Redis");
                    if since.elapsed() >= STEADY {
                        failures = 0;
                    }
                }
                // Said once: what keeps failing is the bus's state, not news.
                Err(error) if failures == 0 && !connected_before => {
                    tracing::warn!(bus.address = %self.address, bus.error = %error, "the hint bus can't reach Redis");
                }
                Err(error) => tracing::debug!(bus.address = %self.address, bus.error = %error, "still no Redis"),
            }
            self.down();
            tokio::time::sleep(self.pause(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Connects, subscribes, and says something, so that a login that may not do so is found out here.
    async fn dial(&self) -> RedisResult<Line> {
        let ear = Arc::new(Ear {
            shared: Arc::clone(&self.shared),
            hints: self.hints.clone(),
            channel: self.address.channel.clone(),
            heard: Mutex::new(Instant::now()),
            lost: Notify::new(),
        });
        let listening = Arc::clone(&ear);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(RESPONSE_MAX))
            .set_push_sender(move |push| {
                listening.hear(&push);
                Ok::<(), Infallible>(())
            });
        let connection = self.address.client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut line = Line { connection, ear };
        line.connection.subscribe(&self.address.channel).await?;
        self.say_nothing(&mut line).await?;
        Ok(line)
    }

    /// Sends and listens until the connection is in doubt; `Ok` when the bus was closed and everything is sent.
    async fn serve(&self, mut line: Line) -> RedisResult<()> {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.send_waiting(&mut line).await?;
            if self.shared.closed.load(Ordering::Acquire) {
                return Ok(());
            }
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = line.ear.lost.notified() => return Err((ErrorKind::Io, "Redis closed the connection").into()),
                _ = beat.tick() => self.beat(&mut line).await?,
            }
        }
    }

    async fn send_waiting(&self, line: &mut Line) -> RedisResult<()> {
        loop {
            let hints = lock(&self.shared.outbox).take();
            if hints.is_empty() {
                return Ok(());
            }
            let message = Message::new(self.shared.sender, hints);
            if let Err(error) = self.say(line, &message).await {
                // They may have gone through, and go again with the next connection.
                self.shared.put(message.hints);
                return Err(error);
            }
            self.shared.counters.published.fetch_add(1, Ordering::Relaxed);
            fail_point("store.after_hint");
        }
    }

    /// Tries both directions. Anybody's message shows that the channel is heard, so all processes together need few
    /// heartbeats.
    async fn beat(&self, line: &mut Line) -> RedisResult<()> {
        let silence = lock(&line.ear.heard).elapsed();
        if silence >= SILENCE_MAX {
            return Err((ErrorKind::Io, "the channel went silent").into());
        }
        if silence >= SILENCE_WANTED {
            return self.say_nothing(line).await;
        }
        redis::cmd("PING").exec_async(&mut line.connection).await
    }

    async fn say_nothing(&self, line: &mut Line) -> RedisResult<()> {
        self.say(line, &Message::new(self.shared.sender, Vec::new())).await
    }

    async fn say(&self, line: &mut Line, message: &Message) -> RedisResult<()> {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&self.address.channel).arg(message.encode());
        publish.exec_async(&mut line.connection).await
    }

    fn up(&self, again: bool) {
        self.state.send_replace(BusState::Up);
        // There may be nobody to tell.
        let _ = self.hints.send(Arc::new(vec![Hint::Everything]));
        self.shared.counters.reconnects.fetch_add(u64::from(again), Ordering::Relaxed);
        tracing::info!(bus.address = %self.address, "the hint bus is up");
    }

    fn down(&self) {
        self.state.send_if_modified(|state| {
            let was_up = *state == BusState::Up;
            if was_up {
                *state = BusState::Down { since: Instant::now() };
            }
            was_up
        });
    }

    fn pause(&self, failures: u32) -> Duration {
        let mut random = [0];
        self.shared.clock.fill_random(&mut random);
        let [random] = random;
        let full = PAUSE_MIN.saturating_mul(2_u32.saturating_pow(failures)).min(PAUSE_MAX);
        full.mul_f64(1.0 - f64::from(random) / 512.0)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.down();
    }
}

impl Ear {
    fn hear(&self, push: &PushInfo) {
        match (&push.kind, push.data.as_slice()) {
            (PushKind::Disconnection, _) => self.lost.notify_one(),
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)])
                if channel == self.channel.as_bytes() =>
            {
                *lock(&self.heard) = Instant::now();
                self.take(payload);
            }
            _ => {}
        }
    }

    fn take(&self, payload: &[u8]) {
        let counters = &self.shared.counters;
        let Some(message) = Message::decode(payload) else {
            counters.unreadable.fetch_add(1, Ordering::Relaxed);
            return;
        };
        // The process told itself what it published, and a heartbeat says nothing.
        if message.from == self.shared.sender || message.hints.is_empty() {
            return;
        }
        counters.received.fetch_add(1, Ordering::Relaxed);
        // There may be nobody to tell.
        let _ = self.hints.send(Arc::new(message.hints));
    }
}
