//! The loop over an outbox in memory.

use super::{
    BODY, clock, due, scripted,
    sink::{Manner, Sink, http, http_text},
};
use crate::webhooks::{
    Dispatcher,
    guard::Guard,
    outbox::{Due, Effect, Next, Outbox, Report, Room, WhyDisabled},
    send::{Patience, Sender},
};
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use uuid::Uuid;

const PATIENCE: Patience = Patience { connect: Duration::from_millis(500), whole: Duration::from_secs(4) };
const DEADLINE: Duration = Duration::from_secs(10);

/// Does what [`Outbox`] asks for, but makes retries due at once.
#[derive(Clone, Default)]
struct Memory(Arc<State>);

#[derive(Default)]
struct State {
    waiting: Mutex<Vec<Due>>,
    under_way: Mutex<BTreeMap<Uuid, Due>>,
    reports: Mutex<Vec<Report>>,
    wakeup: Arc<Notify>,
    /// Claims, and reports, that fail before one works.
    claim_faults: AtomicUsize,
    report_faults: AtomicUsize,
    /// The most that one endpoint had under way.
    most: AtomicUsize,
}

impl Memory {
    fn put(&self, dues: impl IntoIterator<Item = Due>) {
        self.0.waiting.lock().unwrap().extend(dues);
        self.0.wakeup.notify_one();
    }

    fn reports_of(&self, endpoint: u128) -> Vec<Report> {
        let reports = self.0.reports.lock().unwrap();
        reports.iter().filter(|report| report.endpoint == Some(Uuid::from_u128(endpoint))).cloned().collect()
    }

    async fn until_reported(&self, endpoint: u128, count: usize) -> Vec<Report> {
        let started = Instant::now();
        loop {
            let reports = self.reports_of(endpoint);
            if reports.len() >= count {
                return reports;
            }
            assert!(started.elapsed() < DEADLINE, "{} of {count} reports", reports.len());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Outbox for Memory {
    type Error = io::Error;

    async fn claim(&self, room: Room) -> io::Result<Vec<Due>> {
        fault(&self.0.claim_faults)?;
        let mut under_way = self.0.under_way.lock().unwrap();
        let mut claimed = Vec::new();
        self.0.waiting.lock().unwrap().retain(|due| {
            let of_endpoint = under_way.values().filter(|other| other.endpoint == due.endpoint).count();
            if claimed.len() >= room.max || of_endpoint >= room.per_endpoint_max {
                return true;
            }
            self.0.most.fetch_max(of_endpoint + 1, Ordering::SeqCst);
            under_way.insert(due.delivery, due.clone());
            claimed.push(due.clone());
            false
        });
        Ok(claimed)
    }

    async fn report(&self, report: &Report) -> io::Result<()> {
        fault(&self.0.report_faults)?;
        let due = self.0.under_way.lock().unwrap().remove(&report.delivery).expect("it was claimed");
        assert_eq!(due.attempt, report.attempt);
        self.0.reports.lock().unwrap().push(report.clone());
        if matches!(report.next, Next::Retry { .. }) {
            self.put([Due { attempt: due.attempt + 1, ..due }]);
        }
        Ok(())
    }

    fn wakeup(&self) -> Arc<Notify> {
        Arc::clone(&self.0.wakeup)
    }
}

fn fault(left: &AtomicUsize) -> io::Result<()> {
    let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if taken.is_ok() { Err(io::Error::other("the database is away")) } else { Ok(()) }
}

fn start(outbox: &Memory) -> Dispatcher {
    let guard = Guard::with_lookup("127.0.0.1".parse().unwrap(), true, scripted(&[&[]]).0);
    Dispatcher::start(outbox.clone(), Sender::with_patience(guard, PATIENCE).unwrap(), clock())
}

/// Deliveries to one endpoint.
fn deliveries(endpoint: u128, url: &str, count: u128) -> impl Iterator<Item = Due> {
    (0..count).map(move |number| Due {
        delivery: Uuid::from_u128(endpoint * 1_000_000 + number),
        endpoint: Some(Uuid::from_u128(endpoint)),
        event: Uuid::from_u128(number),
        ..due(url)
    })
}

#[tokio::test]
async fn an_event_is_tried_again_with_the_same_id_and_body_until_it_is_delivered() {
    let answers = ["500 No", "503 Later", "200 OK"].map(|status| http_text(status, "", ""));
    let sink = Sink::start(Manner::SaysInTurn(answers.to_vec())).await;
    let outbox = Memory::default();
    let dispatcher = start(&outbox);
    outbox.put(deliveries(1, &sink.url(), 1));
    let reports = outbox.until_reported(1, 3).await;
    let seen: Vec<_> = reports.iter().map(|report| (report.attempt, report.outcome.status, report.effect)).collect();
    let expected = [(1, Some(500), Effect::Fails), (2, Some(503), Effect::Fails), (3, Some(200), Effect::Works)];
    assert_eq!(seen, expected);
    assert_eq!(reports[2].next, Next::Delivered);
    let wait = |report: &Report| match report.next {
        Next::Retry { after } => after.as_millis(),
        _ => 0,
    };
    assert!((4000..=6000).contains(&wait(&reports[0])) && (24_000..=36_000).contains(&wait(&reports[1])));
    let hits = sink.hits();
    assert_eq!(hits.len(), 3);
    assert!(hits.iter().all(|hit| hit.body == BODY && hit.header("webhook-id") == hits[0].header("webhook-id")));
    dispatcher.drain(DEADLINE).await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_at_once() {
    let sink = Sink::start(http("410 Gone", "", "")).await;
    let outbox = Memory::default();
    let _dispatcher = start(&outbox);
    outbox.put(deliveries(1, &sink.url(), 1));
    let report = outbox.until_reported(1, 1).await.remove(0);
    assert_eq!((report.next, report.effect), (Next::GivenUp, Effect::Disable(WhyDisabled::Gone)));
}

#[tokio::test]
async fn a_silent_endpoint_delays_no_other() {
    let silent = Sink::start(Manner::Silent).await;
    let good = Sink::start(http("200 OK", "", "")).await;
    let outbox = Memory::default();
    let _dispatcher = start(&outbox);
    outbox.put(deliveries(1, &silent.url(), 1000));
    // The bad ones are under way before the good ones come, and all were due first.
    while silent.hits().len() < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    let started = Instant::now();
    outbox.put(deliveries(2, &good.url(), 50));
    outbox.until_reported(2, 50).await;
    assert!(started.elapsed() < PATIENCE.whole / 2, "{:?}", started.elapsed());
    assert_eq!(outbox.reports_of(1).len(), 0);
    assert_eq!((silent.hits().len(), outbox.0.most.load(Ordering::SeqCst)), (2, 2));
}

#[tokio::test]
async fn an_outbox_that_fails_is_asked_again_and_no_event_goes_out_twice_for_that() {
    let sink = Sink::start(http("200 OK", "", "")).await;
    let outbox = Memory::default();
    outbox.0.claim_faults.store(2, Ordering::SeqCst);
    outbox.0.report_faults.store(3, Ordering::SeqCst);
    let dispatcher = start(&outbox);
    outbox.put(deliveries(1, &sink.url(), 3));
    outbox.until_reported(1, 3).await;
    assert_eq!(sink.hits().len(), 3);
    let left = [&outbox.0.claim_faults, &outbox.0.report_faults].map(|faults| faults.load(Ordering::SeqCst));
    assert_eq!(left, [0, 0]);
    dispatcher.drain(DEADLINE).await;
}

#[tokio::test]
async fn a_hint_that_is_lost_delays_a_delivery_by_a_second() {
    let sink = Sink::start(http("200 OK", "", "")).await;
    let outbox = Memory::default();
    let _dispatcher = start(&outbox);
    sleep(Duration::from_millis(50)).await;
    outbox.0.waiting.lock().unwrap().extend(deliveries(1, &sink.url(), 1));
    let started = Instant::now();
    outbox.until_reported(1, 1).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_drain_waits_for_what_is_under_way_and_takes_nothing_more() {
    let ok = "HTTP/1.1 200 OK\r\n\r\n";
    let slow = Sink::start(Manner::Endless { head: ok, chunk: "xxxx", every: Duration::from_millis(1) }).await;
    let outbox = Memory::default();
    let dispatcher = start(&outbox);
    outbox.put(deliveries(1, &slow.url(), 10));
    while slow.hits().len() < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    let before = outbox.reports_of(1).len();
    dispatcher.drain(DEADLINE).await;
    let after = outbox.reports_of(1).len();
    assert!(outbox.0.under_way.lock().unwrap().is_empty());
    assert!(after > before && after + outbox.0.waiting.lock().unwrap().len() == 10);
    outbox.0.wakeup.notify_one();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(outbox.reports_of(1).len(), after);
    // What isn't done in time is left to its lease.
    let silent = Sink::start(Manner::Silent).await;
    let dispatcher = start(&outbox);
    outbox.0.waiting.lock().unwrap().clear();
    outbox.put(deliveries(2, &silent.url(), 1));
    while silent.hits().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    let started = Instant::now();
    dispatcher.drain(Duration::from_millis(100)).await;
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(outbox.reports_of(2).is_empty());
}
