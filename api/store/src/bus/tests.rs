//! The bus against real Redis servers, each started by its test.

use super::outbox::{HINTS_PER_MESSAGE_MAX, HINTS_WAITING_MAX};
use super::{Bus, BusAddress, BusCounts, BusState, Hint};
use crate::{Clock, SystemClock};
use mecapy_model::{Lane, TaskId, TenantId};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::timeout;
use uuid::Uuid;

/// For what takes milliseconds, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// A Redis server in a temporary folder, which ends with its test.
struct Redis {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Redis {
    async fn start() -> Redis {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let redis = Redis { child: spawn(port, folder.path()), port, folder };
        redis.answers().await;
        redis
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn restart(&mut self) {
        self.child = spawn(self.port, self.folder.path());
        self.answers().await;
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn address(&self, prefix: &str) -> BusAddress {
        BusAddress::parse(&format!("redis://127.0.0.1:{}?prefix={prefix}", self.port)).unwrap()
    }

    fn bus(&self) -> Bus {
        Bus::connect(&self.address("test:"), clock())
    }

    /// A bus that is up, and its subscription from before that.
    async fn joined(&self) -> (Bus, Receiver<Arc<Vec<Hint>>>) {
        let bus = self.bus();
        let mut hints = bus.subscribe();
        state_is(&bus, true, SOON).await;
        assert_eq!(next(&mut hints).await, [Hint::Everything]);
        (bus, hints)
    }

    async fn tell(&self, command: &[&[u8]]) -> redis::RedisResult<()> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut order = redis::Cmd::new();
        for part in command {
            order.arg(*part);
        }
        order.exec_async(&mut connection).await
    }

    async fn answers(&self) {
        let deadline = Instant::now() + SOON;
        while self.tell(&[b"PING"]).await.is_err() {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &std::path::Path) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]).current_dir(folder);
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    started.expect("redis-server is needed: apt-get install redis-server")
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new().unwrap())
}

fn tasks(numbers: std::ops::Range<u128>) -> Hint {
    Hint::Tasks(numbers.map(|number| (TaskId(Uuid::from_u128(number)), true)).collect())
}

async fn state_is(bus: &Bus, up: bool, within: Duration) {
    let mut state = bus.state();
    let wanted = state.wait_for(|state| (*state == BusState::Up) == up);
    timeout(within, wanted).await.unwrap_or_else(|_| panic!("not up={up} within {within:?}")).unwrap();
}

async fn next(hints: &mut Receiver<Arc<Vec<Hint>>>) -> Vec<Hint> {
    timeout(SOON, hints.recv()).await.expect("no hint came").unwrap().to_vec()
}

/// A message counts as published once Redis has confirmed it, which may be after it was heard.
async fn counts_are(bus: &Bus, wanted: BusCounts) {
    let deadline = Instant::now() + SOON;
    while bus.counts() != wanted {
        assert!(Instant::now() < deadline, "{:?} instead of {wanted:?}", bus.counts());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn processes_hear_one_another_and_not_themselves() {
    let redis = Redis::start().await;
    let (one, mut from_two) = redis.joined().await;
    let (two, mut from_one) = redis.joined().await;
    let tenant = TenantId(Uuid::from_u128(9));
    let said = vec![
        Hint::Lane(Lane::LongRunning),
        Hint::Cancel { task: TaskId(Uuid::from_u128(5)) },
        Hint::Access,
        Hint::Tenant { tenant, seq: 3 },
        Hint::Deliveries,
        tasks(1..4),
    ];
    one.publish(said.clone());
    assert_eq!(next(&mut from_one).await, said);
    // What two answers comes after everything that one said, so by now one would have heard itself.
    two.publish(vec![Hint::Access]);
    assert_eq!(next(&mut from_two).await, [Hint::Access]);
    assert_eq!(from_two.try_recv(), Err(TryRecvError::Empty));
    counts_are(&one, BusCounts { published: 1, received: 1, ..BusCounts::default() }).await;
    counts_are(&two, BusCounts { published: 1, received: 1, ..BusCounts::default() }).await;
}

#[tokio::test]
async fn what_is_published_together_is_one_message() {
    let redis = Redis::start().await;
    let (one, _) = redis.joined().await;
    let (_two, mut from_one) = redis.joined().await;
    for _ in 0..100 {
        one.publish(vec![Hint::Lane(Lane::Default), tasks(0..2)]);
        one.publish(vec![Hint::Lane(Lane::Default), tasks(1..3)]);
    }
    assert_eq!(next(&mut from_one).await, [Hint::Lane(Lane::Default), tasks(0..3)]);
    counts_are(&one, BusCounts { published: 1, ..BusCounts::default() }).await;
    assert_eq!(from_one.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test]
async fn prefixes_are_apart() {
    let redis = Redis::start().await;
    let (one, mut from_two) = redis.joined().await;
    let (two, mut from_one) = redis.joined().await;
    let other = Bus::connect(&redis.address("other:"), clock());
    let mut elsewhere = other.subscribe();
    assert_eq!(next(&mut elsewhere).await, [Hint::Everything]);
    one.publish(vec![Hint::Deliveries]);
    assert_eq!(next(&mut from_one).await, [Hint::Deliveries]);
    other.publish(vec![Hint::Access]);
    // Closing waits until Redis has the message, so it would be here before the next one.
    other.close().await;
    two.publish(vec![Hint::Lane(Lane::Default)]);
    assert_eq!(next(&mut from_two).await, [Hint::Lane(Lane::Default)]);
    assert_eq!(timeout(SOON, elsewhere.recv()).await.unwrap(), Err(RecvError::Closed), "it heard of another bus");
}

#[tokio::test]
async fn a_restarted_redis_is_found_again_and_everything_is_looked_at() {
    let mut redis = Redis::start().await;
    let (one, mut from_two) = redis.joined().await;
    let (two, mut from_one) = redis.joined().await;
    redis.stop();
    state_is(&one, false, SOON).await;
    state_is(&two, false, SOON).await;
    redis.restart().await;
    state_is(&one, true, SOON).await;
    state_is(&two, true, SOON).await;
    assert_eq!(next(&mut from_one).await, [Hint::Everything]);
    assert_eq!(next(&mut from_two).await, [Hint::Everything]);
    one.publish(vec![Hint::Deliveries]);
    assert_eq!(next(&mut from_one).await, [Hint::Deliveries]);
    assert_eq!((one.counts().reconnects, two.counts().reconnects), (1, 1));
}

#[tokio::test]
async fn a_wiped_redis_and_foreign_messages_do_nothing() {
    let redis = Redis::start().await;
    let (one, _) = redis.joined().await;
    let (two, mut from_one) = redis.joined().await;
    let large = vec![b'['; 1 << 20];
    let foreign: [&[u8]; 6] = [b"", b"garbage", b"\xff\x00\xfe", b"{\"v\":99}", b"{\"v\":1,\"hints\":[]}", &large];
    for message in foreign {
        redis.tell(&[b"PUBLISH", b"test:hints", message]).await.unwrap();
    }
    redis.tell(&[b"FLUSHALL"]).await.unwrap();
    one.publish(vec![Hint::Access]);
    assert_eq!(next(&mut from_one).await, [Hint::Access]);
    assert_eq!(two.counts(), BusCounts { received: 1, unreadable: 6, ..BusCounts::default() });
    assert_eq!(*two.state().borrow(), BusState::Up);
}

#[tokio::test]
async fn a_redis_that_stands_still_is_noticed_and_publishing_never_waits() {
    let redis = Redis::start().await;
    let (one, _) = redis.joined().await;
    let (two, mut from_one) = redis.joined().await;
    redis.signal("-STOP");
    let stopped = Instant::now();
    let mut longest = Duration::ZERO;
    while *one.state().borrow() == BusState::Up {
        assert!(stopped.elapsed() < Duration::from_secs(6), "still up");
        let before = Instant::now();
        one.publish(vec![tasks(0..10)]);
        longest = longest.max(before.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(longest < Duration::from_millis(500), "a publish took {longest:?}");
    redis.signal("-CONT");
    state_is(&one, true, SOON).await;
    state_is(&two, true, SOON).await;
    one.publish(vec![Hint::Deliveries]);
    while !next(&mut from_one).await.contains(&Hint::Deliveries) {}
}

#[tokio::test]
async fn a_login_that_loses_the_channel_is_down() {
    let redis = Redis::start().await;
    let (one, mut hints) = redis.joined().await;
    redis.tell(&[b"ACL", b"SETUSER", b"default", b"resetchannels"]).await.unwrap();
    state_is(&one, false, SOON).await;
    redis.tell(&[b"ACL", b"SETUSER", b"default", b"allchannels"]).await.unwrap();
    state_is(&one, true, SOON).await;
    assert_eq!(next(&mut hints).await, [Hint::Everything]);
}

/// Answers every command, as Redis would, and never delivers a message.
async fn answer_only(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let reply: &[u8] = match line.as_str() {
                    "SUBSCRIBE" => b">3\r\n$9\r\nsubscribe\r\n$10\r\ntest:hints\r\n:1\r\n",
                    "HELLO" | "CLIENT" | "PING" | "PUBLISH" => b"+OK\r\n",
                    _ => continue,
                };
                write.write_all(reply).await.unwrap();
            }
        });
    }
}

#[tokio::test]
async fn a_connection_that_hears_no_heartbeat_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("redis://{}?prefix=test:", listener.local_addr().unwrap());
    tokio::spawn(answer_only(listener));
    let one = Bus::connect(&BusAddress::parse(&address).unwrap(), clock());
    state_is(&one, true, SOON).await;
    state_is(&one, false, Duration::from_secs(6)).await;
    state_is(&one, true, SOON).await;
    assert_eq!(one.counts().reconnects, 1);
}

#[tokio::test]
async fn a_server_without_tls_is_no_rediss_and_the_bus_goes_on_trying() {
    let redis = Redis::start().await;
    let bus = Bus::connect(&BusAddress::parse(&format!("rediss://127.0.0.1:{}", redis.port)).unwrap(), clock());
    // Several attempts: the pauses before them are 50 to 400 ms.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(matches!(*bus.state().borrow(), BusState::Down { .. }));
    assert!(bus.state().has_changed().is_ok(), "the background task ended");
}

#[tokio::test]
async fn an_idle_bus_stays_up() {
    let redis = Redis::start().await;
    let (one, mut hints) = redis.joined().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(*one.state().borrow(), BusState::Up);
    assert_eq!(hints.try_recv(), Err(TryRecvError::Empty), "a heartbeat is no hint");
    assert_eq!(one.counts(), BusCounts::default());
}

#[tokio::test]
async fn without_redis_publishing_is_quick_and_bounded_and_what_is_kept_is_sent() {
    let mut redis = Redis::start().await;
    redis.stop();
    let one = redis.bus();
    let started = Instant::now();
    for number in 0..100_000 {
        one.publish(vec![tasks(number..number + 1)]);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(one.counts().dropped, 100_000 - HINTS_WAITING_MAX as u64);
    assert!(matches!(*one.state().borrow(), BusState::Down { since } if since <= Instant::now()));
    redis.restart().await;
    let messages = (HINTS_WAITING_MAX / HINTS_PER_MESSAGE_MAX) as u64;
    let counts = BusCounts { published: messages, dropped: one.counts().dropped, ..BusCounts::default() };
    counts_are(&one, counts).await;
}

#[tokio::test]
async fn closing_sends_what_waits_and_ends_the_subscriptions() {
    let redis = Redis::start().await;
    let (one, mut hints) = redis.joined().await;
    let (_two, mut from_one) = redis.joined().await;
    one.publish(vec![Hint::Lane(Lane::HighPriority)]);
    one.close().await;
    assert_eq!(next(&mut from_one).await, [Hint::Lane(Lane::HighPriority)]);
    assert_eq!(timeout(SOON, hints.recv()).await.unwrap(), Err(RecvError::Closed));
    assert_eq!(one.subscribe().recv().await, Err(RecvError::Closed));
    assert!(matches!(*one.state().borrow(), BusState::Down { .. }));
    one.publish(vec![Hint::Access]);
    one.close().await;
    assert_eq!(one.counts().published, 1);
}

#[tokio::test]
async fn the_background_task_ends_with_the_last_handle() {
    let mut redis = Redis::start().await;
    let (one, _) = redis.joined().await;
    let (mut state, clone) = (one.state(), one.clone());
    drop(one);
    assert_eq!(*state.borrow_and_update(), BusState::Up, "a clone is left");
    drop(clone);
    let ended = async { while state.changed().await.is_ok() {} };
    timeout(SOON, ended).await.expect("it goes on");
    // The same while there is no Redis, where closing has nothing to wait for.
    redis.stop();
    let without = redis.bus();
    without.publish(vec![Hint::Access]);
    timeout(Duration::from_millis(500), without.close()).await.expect("it waits for Redis");
}
