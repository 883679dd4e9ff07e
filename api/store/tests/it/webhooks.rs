//! Webhooks and their deliveries, as a dispatcher sees them.

use crate::fixture::{Fixture, finish_with, new_task};
use mecapy_model::{ErrorKind, TaskError, WebhookId};
use mecapy_store::{
    DELIVERIES_KEPT_FOR, Delivery, DeliveryReport, DeliveryRoom, DeliveryState, DisabledReason, DueDelivery,
    EndpointEffect, EventType, Finish, Found, NewTask, NewWebhook, NextAttempt, Replay, SECRET_KEPT_FOR, Store,
    Submission, WEBHOOKS_PER_TENANT_MAX, WebhookChange, WebhookError, WebhookState, Written,
};
use std::collections::BTreeSet;
use std::time::Duration;

const ROOM: DeliveryRoom =
    DeliveryRoom { max: 100, per_endpoint_max: 100, per_tenant_max: 100, lease: Duration::from_secs(60) };

impl Fixture {
    /// A webhook of ours for these events; its id and secret.
    async fn webhook(&self, name: &str, events: &[EventType]) -> (WebhookId, String) {
        let url = format!("https://{name}.example/hook");
        let new = NewWebhook { tenant: self.tenant, url, events: events.to_vec() };
        let (webhook, secret) = self.store.create_webhook(new).await.unwrap();
        (webhook.id, secret.secret.expose().to_owned())
    }

    /// Submits a task, runs it and ends it.
    async fn end_one(&self, webhook_url: Option<&str>, finish: Finish) {
        let task = NewTask { webhook_url: webhook_url.map(str::to_owned), ..new_task(self.tenant) };
        self.store.submit(Submission { task, ..self.submission() }).await.unwrap();
        self.store.finish(self.claim_one().await.claim, finish).await.unwrap();
    }

    async fn due(&self) -> Vec<DueDelivery> {
        self.store.claim_deliveries(ROOM).await.unwrap()
    }

    async fn log(&self, webhook: WebhookId) -> Vec<Delivery> {
        self.store.deliveries(self.tenant, webhook, None, 1_000).await.unwrap().unwrap()
    }
}

fn failing() -> Finish {
    Finish { result: Err(TaskError::new(ErrorKind::Exception, "no")), ..finish_with("{}") }
}

fn report(due: &DueDelivery, next: NextAttempt, effect: EndpointEffect) -> DeliveryReport {
    DeliveryReport {
        id: due.id,
        attempt: due.attempt,
        duration_ms: 12,
        status: Some(500),
        error: None,
        snippet: "sorry".to_owned(),
        next,
        effect,
    }
}

async fn fail(store: &Store, due: &DueDelivery) {
    let report = report(due, NextAttempt::After(Duration::from_secs(5)), EndpointEffect::Fails);
    assert_eq!(store.report_delivery(report).await.unwrap(), Written::Done);
}

async fn deliver(store: &Store, due: &DueDelivery) {
    let report = report(due, NextAttempt::Delivered, EndpointEffect::Works);
    assert_eq!(store.report_delivery(report).await.unwrap(), Written::Done);
}

#[tokio::test]
async fn an_end_is_sent_to_whoever_asked_for_it() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    let theirs =
        NewWebhook { tenant: other, url: "https://other.example/".to_owned(), events: EventType::ALL.to_vec() };
    fixture.store.create_webhook(theirs).await.unwrap();
    let (all, secret) = fixture.webhook("all", &EventType::ALL).await;
    let (failures, _) = fixture.webhook("failures", &[EventType::TaskFailed]).await;
    let (off, _) = fixture.webhook("off", &EventType::ALL).await;
    let disable = WebhookChange { enabled: Some(false), ..WebhookChange::default() };
    fixture.store.update_webhook(fixture.tenant, off, disable).await.unwrap().unwrap();

    fixture.end_one(None, finish_with("{}")).await;
    let due = fixture.due().await;
    let [only] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!((only.webhook, only.attempt, only.tenant), (Some(all), 1, fixture.tenant));
    assert_eq!(only.url, "https://all.example/hook");
    assert_eq!(only.secrets.iter().map(|secret| secret.expose()).collect::<Vec<_>>(), [secret]);
    let event = fixture.store.tenant_events(fixture.tenant, 0).await.unwrap().remove(0);
    assert_eq!((only.event, only.payload.as_str()), (event.id, event.body().unwrap().as_str()));

    fixture.end_one(Some("https://own.example/done?task=7"), failing()).await;
    let mut due = fixture.due().await;
    due.sort_by_key(|due| due.url.clone());
    let targets: Vec<_> = due.iter().map(|due| (due.webhook, due.url.as_str())).collect();
    let expected = [
        (Some(all), "https://all.example/hook"),
        (Some(failures), "https://failures.example/hook"),
        (None, "https://own.example/done?task=7"),
    ];
    assert_eq!(targets, expected);
    assert!(due.iter().all(|each| each.event == due[0].event && each.payload == due[0].payload));
    // Whoever is told nothing else has a log without entries.
    assert!(fixture.log(off).await.is_empty());
    let id = fixture.submit().await.id;
    fixture.store.cancel(fixture.tenant, id).await.unwrap();
    assert_eq!(fixture.due().await.iter().map(|due| due.webhook).collect::<Vec<_>>(), [Some(all)]);
}

#[tokio::test]
async fn a_delivery_is_tried_until_it_works_in_the_same_words() {
    let fixture = Fixture::new().await;
    let (webhook, _) = fixture.webhook("a", &EventType::ALL).await;
    fixture.end_one(None, finish_with("{}")).await;
    let first = fixture.due().await.remove(0);
    assert!(fixture.due().await.is_empty(), "it is under way");
    fail(&fixture.store, &first).await;
    let entry = fixture.log(webhook).await.remove(0);
    assert_eq!((entry.state, entry.attempt, entry.delivered_at), (DeliveryState::Pending, 1, None));
    let last = entry.last.clone().unwrap();
    assert_eq!((last.status, last.duration_ms, last.snippet.as_str()), (Some(500), 12, "sorry"));
    assert_eq!(entry.due_at, Some(last.at + Duration::from_secs(5)));
    assert!(fixture.due().await.is_empty());
    fixture.clock.advance(Duration::from_secs(5));
    let second = fixture.due().await.remove(0);
    assert_eq!((second.id, second.attempt, second.event), (first.id, 2, first.event));
    assert_eq!(second.payload, first.payload);
    assert_eq!((second.health.failures, second.health.failing_since), (1, Some(last.at)));
    deliver(&fixture.store, &second).await;
    let entry = fixture.log(webhook).await.remove(0);
    assert_eq!((entry.state, entry.attempt, entry.due_at), (DeliveryState::Delivered, 2, None));
    assert!(entry.delivered_at.is_some());
    let health = fixture.store.webhook(fixture.tenant, webhook).await.unwrap().unwrap().health;
    assert_eq!((health.failures, health.failing_since), (0, None));
    fixture.clock.advance(Duration::from_secs(3_600));
    assert!(fixture.due().await.is_empty());
}

#[tokio::test]
async fn a_dispatcher_that_dies_loses_nothing_and_comes_too_late() {
    let fixture = Fixture::new().await;
    fixture.webhook("a", &EventType::ALL).await;
    fixture.end_one(None, finish_with("{}")).await;
    // The process dies after the task's end was committed, and before anything was sent.
    let fixture = fixture.reopen().await;
    let first = fixture.due().await.remove(0);
    assert_eq!(first.attempt, 1);
    fixture.clock.advance(Duration::from_secs(59));
    assert!(fixture.due().await.is_empty());
    fixture.clock.advance(Duration::from_secs(1));
    let second = fixture.due().await.remove(0);
    assert_eq!((second.id, second.attempt), (first.id, 2));
    let late = report(&first, NextAttempt::Never, EndpointEffect::Disable(DisabledReason::Gone));
    assert_eq!(fixture.store.report_delivery(late).await.unwrap(), Written::Stale);
    deliver(&fixture.store, &second).await;
    let again = report(&second, NextAttempt::Never, EndpointEffect::Fails);
    assert_eq!(fixture.store.report_delivery(again).await.unwrap(), Written::Stale);
    assert_eq!(fixture.log(second.webhook.unwrap()).await[0].state, DeliveryState::Delivered);
}

#[tokio::test]
async fn what_a_dead_server_was_sending_is_sent_at_once_by_the_next() {
    let fixture = Fixture::embedded().await;
    fixture.webhook("a", &EventType::ALL).await;
    fixture.end_one(None, finish_with("{}")).await;
    let first = fixture.due().await.remove(0);
    let fixture = fixture.reopen().await;
    let second = fixture.due().await.remove(0);
    assert_eq!((second.id, second.attempt), (first.id, 2));
}

#[tokio::test]
async fn both_secrets_sign_for_a_day_after_a_rotation() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let (webhook, first) = fixture.webhook("a", &EventType::ALL).await;
    let rotated = store.rotate_webhook_secret(tenant, webhook).await.unwrap().unwrap();
    let second = rotated.secret.expose().to_owned();
    assert_ne!(first, second);
    let of_tasks = store.rotate_task_secret(tenant).await.unwrap().secret.expose().to_owned();
    let secrets = async || {
        fixture.end_one(Some("https://own.example/"), finish_with("{}")).await;
        let mut due = fixture.due().await;
        due.sort_by_key(|due| due.webhook.is_none());
        for due in &due {
            deliver(store, due).await;
        }
        due.into_iter()
            .map(|due| due.secrets.iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let both = secrets().await;
    assert_eq!(both[0], [second.clone(), first]);
    assert_eq!((both[1].len(), &both[1][0]), (2, &of_tasks));
    assert_eq!(store.webhook(tenant, webhook).await.unwrap().unwrap().former_secret_until, rotated.former_until);
    fixture.clock.advance(SECRET_KEPT_FOR);
    assert_eq!(secrets().await, [vec![second], vec![of_tasks]]);
    // A secret is the same after a restart, and another for each.
    let (_, third) = fixture.webhook("b", &EventType::ALL).await;
    let fixture = fixture.reopen().await;
    fixture.end_one(None, finish_with("{}")).await;
    let due = fixture.due().await;
    assert!(due.iter().any(|due| due.secrets[0].expose() == third));
}

#[tokio::test]
async fn a_long_line_at_one_endpoint_delays_no_other() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let (bad, _) = fixture.webhook("bad", &EventType::ALL).await;
    // More than one look at the oldest sees.
    for _ in 0..300 {
        assert!(matches!(store.ping_webhook(tenant, bad).await.unwrap(), Replay::Made(_)));
    }
    let (good, _) = fixture.webhook("good", &EventType::ALL).await;
    fixture.end_one(Some("https://own.example/a"), finish_with("{}")).await;
    fixture.end_one(Some("https://own.example/b"), finish_with("{}")).await;
    let room = DeliveryRoom { max: 10, per_endpoint_max: 2, ..ROOM };
    let mut claimed = Vec::new();
    for _ in 0..4 {
        for due in store.claim_deliveries(room).await.unwrap() {
            if due.webhook != Some(bad) {
                deliver(store, &due).await;
            }
            claimed.push(due);
        }
    }
    let count = |webhook| claimed.iter().filter(|due| due.webhook == webhook).count();
    // Each event once to the webhook that works and to the tasks' own URLs, and no more than two to the one that hangs.
    assert_eq!((count(Some(bad)), count(Some(good)), count(None)), (2, 2, 2));
    let of_tenant = DeliveryRoom { per_tenant_max: 2, ..ROOM };
    assert!(store.claim_deliveries(of_tenant).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_sent_nothing_more_until_it_is_enabled() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let (webhook, _) = fixture.webhook("a", &EventType::ALL).await;
    for _ in 0..3 {
        fixture.end_one(None, finish_with("{}")).await;
    }
    let due = store.claim_deliveries(DeliveryRoom { max: 1, ..ROOM }).await.unwrap().remove(0);
    let gone = report(&due, NextAttempt::Never, EndpointEffect::Disable(DisabledReason::Gone));
    store.report_delivery(gone).await.unwrap();
    let state = |webhook: mecapy_store::Webhook| webhook.state;
    let found = store.webhook(tenant, webhook).await.unwrap().map(state);
    assert_eq!(found, Some(WebhookState::Disabled(DisabledReason::Gone)));
    fixture.end_one(None, finish_with("{}")).await;
    assert!(fixture.due().await.is_empty());
    let states: Vec<_> = fixture.log(webhook).await.into_iter().map(|entry| entry.state).collect();
    assert_eq!(states.iter().filter(|state| **state == DeliveryState::Abandoned).count(), 2);
    assert_eq!(states.iter().filter(|state| **state == DeliveryState::Failed).count(), 1);
    assert_eq!(store.ping_webhook(tenant, webhook).await.unwrap(), Replay::Disabled);
    assert_eq!(store.replay_delivery(tenant, webhook, due.id).await.unwrap(), Replay::Disabled);
    let enable = WebhookChange { enabled: Some(true), ..WebhookChange::default() };
    let enabled = store.update_webhook(tenant, webhook, enable).await.unwrap().unwrap();
    assert_eq!((enabled.state, enabled.health), (WebhookState::Enabled, Default::default()));
    assert!(fixture.due().await.is_empty(), "what was abandoned stays so");
    fixture.end_one(None, finish_with("{}")).await;
    assert_eq!(fixture.due().await.len(), 1);
}

#[tokio::test]
async fn a_replay_is_a_new_delivery_of_the_same_event() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let (webhook, _) = fixture.webhook("a", &EventType::ALL).await;
    fixture.end_one(None, finish_with("{}")).await;
    let first = fixture.due().await.remove(0);
    deliver(store, &first).await;
    fixture.clock.advance(Duration::from_secs(60));
    let Replay::Made(made) = store.replay_delivery(tenant, webhook, first.id).await.unwrap() else { panic!() };
    assert_eq!(fixture.log(webhook).await[0], made);
    let again = fixture.due().await.remove(0);
    assert_eq!((again.id, again.attempt), (made.id, 1));
    assert_eq!((again.event, again.payload.as_str()), (first.event, first.payload.as_str()));
    // The page after the newest holds the first.
    let rest = store.deliveries(tenant, webhook, Some(made.id), 10).await.unwrap().unwrap();
    assert_eq!(rest.iter().map(|entry| entry.id).collect::<Vec<_>>(), [first.id]);
    let url = WebhookChange { url: Some("https://new.example/".to_owned()), ..WebhookChange::default() };
    store.update_webhook(tenant, webhook, url).await.unwrap().unwrap();
    fail(store, &again).await;
    fixture.clock.advance(Duration::from_secs(5));
    assert_eq!(fixture.due().await.remove(0).url, "https://new.example/");
    assert_eq!(fixture.log(webhook).await[0].url, "https://new.example/");
}

#[tokio::test]
async fn what_is_deleted_or_old_is_gone() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let (webhook, _) = fixture.webhook("a", &EventType::ALL).await;
    let (kept, _) = fixture.webhook("b", &EventType::ALL).await;
    fixture.end_one(None, finish_with("{}")).await;
    assert_eq!(store.delete_webhook(tenant, webhook).await.unwrap(), Found::Yes);
    assert_eq!(store.delete_webhook(tenant, webhook).await.unwrap(), Found::No);
    assert!(store.deliveries(tenant, webhook, None, 10).await.unwrap().is_none());
    assert_eq!(fixture.due().await.iter().map(|due| due.webhook).collect::<Vec<_>>(), [Some(kept)]);
    assert_eq!(store.webhooks(tenant).await.unwrap().iter().map(|webhook| webhook.id).collect::<Vec<_>>(), [kept]);
    fixture.clock.advance(DELIVERIES_KEPT_FOR);
    assert_eq!(store.collect_garbage().await.unwrap().deliveries, 0);
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(store.collect_garbage().await.unwrap().deliveries, 1);
    assert!(fixture.log(kept).await.is_empty());
}

#[tokio::test]
async fn security_27_anothers_webhooks_are_absent() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let other = store.create_tenant("other").await.unwrap();
    let (webhook, _) = fixture.webhook("a", &EventType::ALL).await;
    fixture.end_one(None, finish_with("{}")).await;
    let delivery = fixture.log(webhook).await[0].id;
    assert!(store.webhooks(other).await.unwrap().is_empty());
    assert!(store.webhook(other, webhook).await.unwrap().is_none());
    let change = WebhookChange { enabled: Some(false), ..WebhookChange::default() };
    assert!(store.update_webhook(other, webhook, change).await.unwrap().is_none());
    assert!(store.rotate_webhook_secret(other, webhook).await.unwrap().is_none());
    assert!(store.deliveries(other, webhook, None, 10).await.unwrap().is_none());
    assert_eq!(store.ping_webhook(other, webhook).await.unwrap(), Replay::Missing);
    assert_eq!(store.replay_delivery(other, webhook, delivery).await.unwrap(), Replay::Missing);
    assert_eq!(store.delete_webhook(other, webhook).await.unwrap(), Found::No);
    let found = store.webhook(fixture.tenant, webhook).await.unwrap().unwrap();
    assert_eq!((found.state, found.former_secret_until), (WebhookState::Enabled, None));
}

#[tokio::test]
async fn a_tenant_has_so_many_webhooks_and_no_more() {
    let fixture = Fixture::new().await;
    for _ in 0..WEBHOOKS_PER_TENANT_MAX {
        fixture.webhook("a", &EventType::ALL).await;
    }
    let one_more =
        NewWebhook { tenant: fixture.tenant, url: "https://a.example/".to_owned(), events: EventType::ALL.to_vec() };
    let refused = fixture.store.create_webhook(one_more).await;
    assert!(matches!(refused, Err(WebhookError::TooMany { max: WEBHOOKS_PER_TENANT_MAX })));
}

#[tokio::test]
async fn several_dispatchers_make_each_delivery_once() {
    let fixture = Fixture::shared().await;
    let (webhook, _) = fixture.webhook("a", &EventType::ALL).await;
    for _ in 0..60 {
        fixture.store.ping_webhook(fixture.tenant, webhook).await.unwrap();
    }
    let mut dispatchers = tokio::task::JoinSet::new();
    for number in 0..3 {
        let store = fixture.another_process(&format!("dispatcher {number}")).await;
        dispatchers.spawn(async move {
            let mut made = Vec::new();
            // One that found everything taken by others may find nothing for a moment.
            let mut idle = 0;
            while idle < 20 {
                let room = DeliveryRoom { max: 5, ..ROOM };
                let due = store.claim_deliveries(room).await.unwrap();
                idle = if due.is_empty() { idle + 1 } else { 0 };
                for due in due {
                    deliver(&store, &due).await;
                    made.push(due.id);
                }
            }
            made
        });
    }
    let made = dispatchers.join_all().await.concat();
    assert_eq!((made.len(), made.iter().collect::<BTreeSet<_>>().len()), (60, 60));
    assert_eq!(fixture.number("SELECT max(attempt) FROM webhook_deliveries").await, 1);
}
