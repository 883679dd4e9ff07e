//! Who changed what.

use crate::fixture::{Fixture, finish_with};
use mecapy_store::{Access, Actor, AuditEntry, ListError, NewApiKey, Quota, Role};

fn actor(name: &str) -> Actor {
    Actor { principal: format!("api_key:{name}"), name: name.to_owned(), request_id: Some("request 7".to_owned()) }
}

fn actions(entries: &[AuditEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.action.as_str()).collect()
}

#[tokio::test]
async fn every_change_is_told_once_and_by_whom_and_no_secret_with_it() {
    let fixture = Fixture::new().await;
    let (tenant, store) = (fixture.tenant, fixture.store.acting_for(actor("ada")));
    let new = NewApiKey { tenant, name: "ci".to_owned(), role: Role::Engineer, scopes: None, expires_at: None };
    let key = store.create_api_key(new).await.unwrap();
    store.revoke_api_key(tenant, key.key.id).await.unwrap();
    // What changes nothing leaves no entry.
    store.revoke_api_key(tenant, key.key.id).await.unwrap();
    store.set_quota(tenant, Quota { running_max: Some(2), ..Quota::default() }).await.unwrap();
    let queued = fixture.submit().await.id;
    store.cancel(tenant, queued).await.unwrap();
    store.cancel(tenant, queued).await.unwrap();
    store.delete_task(tenant, queued).await.unwrap();
    store.delete_task(tenant, queued).await.unwrap();
    let running = fixture.submit().await.id;
    let claimed = fixture.claim_one().await;
    store.cancel(tenant, running).await.unwrap();
    store.cancel(tenant, running).await.unwrap();
    store.finish(claimed.claim, finish_with("{}")).await.unwrap();
    store.set_tenant_access(tenant, Access::Disabled).await.unwrap();

    let log = fixture.store.audit(Some(tenant), 200, None).await.unwrap();
    let expected = [
        "tenant.changed",
        "task.cancelled",
        "task.deleted",
        "task.cancelled",
        "quota.changed",
        "api_key.revoked",
        "api_key.created",
        "tenant.created",
    ];
    assert_eq!(actions(&log.entries), expected);
    assert_eq!(log.next_cursor, None);
    let (made, by_hand) = log.entries.split_last().unwrap();
    assert_eq!((made.principal.as_str(), made.principal_name.as_deref()), ("platform", None));
    for entry in by_hand {
        assert_eq!((entry.principal.as_str(), entry.principal_name.as_deref()), ("api_key:ada", Some("ada")));
        assert_eq!((entry.request_id.as_deref(), entry.tenant), (Some("request 7"), tenant));
        assert_eq!(entry.at, mecapy_store::Clock::now(&*fixture.clock));
    }
    let detail = |at: usize| log.entries[at].detail.as_ref().map(|detail| detail.get().to_owned());
    assert_eq!(detail(4).as_deref(), Some(r#"{"running_max":2}"#));
    assert_eq!(detail(0).as_deref(), Some(r#"{"access":"disabled"}"#));
    assert_eq!(log.entries[2].target, queued.to_string());
    assert!(detail(6).unwrap().contains(r#""scopes":["read","compute"]"#));
    assert!(!format!("{log:?}").contains(key.secret.expose()), "a secret is in the log");
}

#[tokio::test]
async fn a_log_is_its_tenants_and_comes_in_pages() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let other = store.create_tenant("other").await.unwrap();
    for running_max in 0..5 {
        store.set_quota(other, Quota { running_max: Some(running_max), ..Quota::default() }).await.unwrap();
    }
    assert_eq!(actions(&store.audit(Some(fixture.tenant), 10, None).await.unwrap().entries), ["tenant.created"]);
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.audit(Some(other), 4, cursor.as_deref()).await.unwrap();
        seen.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
        // A cursor is good for its own log alone.
        for wrong in [Some(fixture.tenant), None] {
            let refused = store.audit(wrong, 4, cursor.as_deref()).await;
            assert!(matches!(refused, Err(ListError::BadCursor)));
        }
    }
    assert_eq!(seen.len(), 6);
    let details: Vec<_> = seen.iter().map(|entry| entry.detail.as_ref().unwrap().get()).collect();
    assert_eq!(details[0], r#"{"running_max":4}"#);
    assert_eq!(details[5], r#"{"name":"other"}"#);
    assert_eq!(store.audit(None, 200, None).await.unwrap().entries.len(), 7);
    for limit in [0, 201] {
        assert!(matches!(store.audit(None, limit, None).await, Err(ListError::BadLimit { .. })));
    }
    assert!(matches!(store.audit(None, 1, Some("AAAA")).await, Err(ListError::BadCursor)));
}

#[tokio::test]
async fn the_log_is_only_added_to() {
    let fixture = Fixture::new().await;
    for sql in ["UPDATE audit SET principal = 'nobody'", "DELETE FROM audit"] {
        fixture.tamper(sql).await;
    }
    let log = fixture.store.audit(Some(fixture.tenant), 10, None).await.unwrap();
    assert_eq!(log.entries[0].principal, "platform");
}
