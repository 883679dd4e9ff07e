//! Tenants, keys, and that nobody sees another's.

use crate::fixture::{Fixture, finish_with};
use mecapy_model::{Digest, Lane, TenantId};
use mecapy_store::{
    API_KEYS_PER_TENANT_MAX, Access, ApiKeyError, Cancelled, Clock, Deleted, Found, NewApiKey, NewModule, NewUpload,
    Role, Scope, Scopes, SubmitError, TenantError, UploadDeleted, UploadError,
};
use std::os::unix::fs::PermissionsExt;
use std::task::Poll;
use std::time::Duration;

#[tokio::test]
async fn the_first_start_makes_an_admin_key_and_no_later_one() {
    let fixture = Fixture::new().await;
    let admin = fixture.store.ensure_admin().await.unwrap().unwrap();
    let written = std::fs::read_to_string(&admin.path).unwrap();
    assert_eq!(written.trim(), admin.secret.expose());
    assert_eq!(std::fs::metadata(&admin.path).unwrap().permissions().mode() & 0o777, 0o600);
    let key = fixture.store.authenticate(admin.secret.expose()).unwrap();
    assert_eq!((key.tenant, key.role), (admin.tenant, Role::Admin));
    assert!(fixture.store.ensure_admin().await.unwrap().is_none());

    let fixture = fixture.reopen().await;
    assert!(fixture.store.ensure_admin().await.unwrap().is_none());
    assert!(fixture.store.authenticate(admin.secret.expose()).is_some());
    // Whoever revokes the last admin key gets a new one at the next start.
    fixture.store.revoke_api_key(admin.tenant, key.id).await.unwrap();
    let next = fixture.store.ensure_admin().await.unwrap().unwrap();
    assert_eq!(next.tenant, admin.tenant);
    assert_ne!(next.secret, admin.secret);
    assert!(fixture.store.authenticate(admin.secret.expose()).is_none());
}

#[tokio::test]
async fn keys_end_by_revocation_expiry_and_with_their_tenant() {
    let fixture = Fixture::new().await;
    let new = |expires_at| NewApiKey {
        tenant: fixture.tenant,
        name: "ci".to_owned(),
        role: Role::Engineer,
        scopes: None,
        expires_at,
    };
    let lasting = fixture.store.create_api_key(new(None)).await.unwrap();
    let short = fixture.store.create_api_key(new(Some(fixture.clock.now() + Duration::from_secs(60)))).await.unwrap();
    assert!(lasting.secret.expose().starts_with(&lasting.key.prefix));
    assert!(!format!("{lasting:?}").contains(lasting.secret.expose()), "a secret is printed");
    assert_eq!(*fixture.store.authenticate(lasting.secret.expose()).unwrap(), lasting.key);
    assert!(fixture.store.authenticate(short.secret.expose()).is_some());
    fixture.clock.advance(Duration::from_secs(60));
    assert!(fixture.store.authenticate(short.secret.expose()).is_none());

    fixture.store.set_tenant_access(fixture.tenant, Access::Disabled).await.unwrap();
    assert!(fixture.store.authenticate(lasting.secret.expose()).is_none());
    let refused = fixture.store.submit(fixture.submission()).await;
    assert!(matches!(refused, Err(SubmitError::TenantDisabled)));
    let fixture = fixture.reopen().await;
    assert!(fixture.store.authenticate(lasting.secret.expose()).is_none());
    fixture.store.set_tenant_access(fixture.tenant, Access::Enabled).await.unwrap();
    assert!(fixture.store.authenticate(lasting.secret.expose()).is_some());

    assert_eq!(fixture.store.revoke_api_key(fixture.tenant, lasting.key.id).await.unwrap(), Found::Yes);
    assert!(fixture.store.authenticate(lasting.secret.expose()).is_none());
    let listed = fixture.store.api_keys(fixture.tenant).await.unwrap();
    assert_eq!(listed.iter().map(|key| key.revoked_at.is_some()).collect::<Vec<_>>(), [true, false]);
    let fixture = fixture.reopen().await;
    assert!(fixture.store.authenticate(lasting.secret.expose()).is_none());
}

#[tokio::test]
async fn a_key_is_as_narrow_as_its_scopes_and_remembers_when_it_was_used() {
    let fixture = Fixture::new().await;
    let scopes: Scopes = [Scope::Read, Scope::Publish].into_iter().collect();
    let new = NewApiKey {
        tenant: fixture.tenant,
        name: "ci".to_owned(),
        role: Role::Engineer,
        scopes: Some(scopes),
        expires_at: None,
    };
    let made = fixture.store.create_api_key(new).await.unwrap();
    let allowed = |key: &mecapy_store::ApiKey| key.scopes().iter().map(Scope::as_str).collect::<Vec<_>>();
    assert_eq!(allowed(&made.key), ["read"]);
    let fixture = fixture.reopen().await;
    let store = &fixture.store;
    assert_eq!(allowed(&store.authenticate(made.secret.expose()).unwrap()), ["read"]);
    // Written behind, in the order of the calls.
    store.ping().await.unwrap();
    let used = async || store.api_key(fixture.tenant, made.key.id).await.unwrap().unwrap().last_used_at;
    let first = used().await.unwrap();
    assert_eq!(first, fixture.clock.now());
    fixture.clock.advance(Duration::from_secs(59));
    store.authenticate(made.secret.expose()).unwrap();
    store.ping().await.unwrap();
    assert_eq!(used().await, Some(first));
    fixture.clock.advance(Duration::from_secs(1));
    store.authenticate(made.secret.expose()).unwrap();
    store.ping().await.unwrap();
    assert_eq!(used().await, Some(fixture.clock.now()));
}

#[tokio::test]
async fn an_admin_key_of_another_tenant_or_a_narrow_one_operates_nothing() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let first = store.ensure_admin().await.unwrap().unwrap();
    assert!(store.is_operator(first.tenant) && !store.is_operator(fixture.tenant));
    let new = |tenant, scopes| NewApiKey { tenant, name: String::new(), role: Role::Admin, scopes, expires_at: None };
    store.create_api_key(new(fixture.tenant, None)).await.unwrap();
    let narrow = [Scope::Read].into_iter().collect();
    store.create_api_key(new(first.tenant, Some(narrow))).await.unwrap();
    let key = store.authenticate(first.secret.expose()).unwrap();
    store.revoke_api_key(first.tenant, key.id).await.unwrap();
    assert!(store.ensure_admin().await.unwrap().is_some(), "nobody could operate the platform");
}

/// Makes a call and goes away before its answer.
async fn abandon<T>(call: impl Future<Output = T>) {
    let mut call = Box::pin(call);
    std::future::poll_fn(|context| {
        let _ = call.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn access_ends_although_nobody_waits_for_the_answer() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let other = store.create_tenant("other").await.unwrap();
    let new = |tenant| NewApiKey { tenant, name: String::new(), role: Role::Admin, scopes: None, expires_at: None };
    let revoked = store.create_api_key(new(fixture.tenant)).await.unwrap();
    let disabled = store.create_api_key(new(other)).await.unwrap();
    abandon(store.revoke_api_key(fixture.tenant, revoked.key.id)).await;
    abandon(store.set_tenant_access(other, Access::Disabled)).await;
    // Answered after what came before it.
    store.ping().await.unwrap();
    assert!(store.authenticate(revoked.secret.expose()).is_none());
    assert!(store.authenticate(disabled.secret.expose()).is_none());
    let key = store.api_key(fixture.tenant, revoked.key.id).await.unwrap().unwrap();
    assert!(key.revoked_at.is_some());
    assert!(store.api_key(other, revoked.key.id).await.unwrap().is_none());
}

#[tokio::test]
async fn only_keys_that_are_good_count_towards_the_limit() {
    let fixture = Fixture::new().await;
    let new = |expires_at| NewApiKey {
        tenant: fixture.tenant,
        name: String::new(),
        role: Role::Viewer,
        scopes: None,
        expires_at,
    };
    let soon = Some(fixture.clock.now() + Duration::from_secs(60));
    let mut making = tokio::task::JoinSet::new();
    for number in 0..API_KEYS_PER_TENANT_MAX {
        let (store, key) = (fixture.store.clone(), new(soon.filter(|_| number == 0)));
        making.spawn(async move { store.create_api_key(key).await.unwrap().key });
    }
    let made = making.join_all().await;
    let full = fixture.store.create_api_key(new(None)).await;
    assert!(matches!(full, Err(ApiKeyError::TooMany { max: API_KEYS_PER_TENANT_MAX })));
    fixture.clock.advance(Duration::from_secs(60));
    fixture.store.create_api_key(new(None)).await.unwrap();
    assert!(fixture.store.create_api_key(new(None)).await.is_err());
    let lasting = made.iter().find(|key| key.expires_at.is_none()).unwrap();
    fixture.store.revoke_api_key(fixture.tenant, lasting.id).await.unwrap();
    fixture.store.create_api_key(new(None)).await.unwrap();
}

#[tokio::test]
async fn what_is_no_secret_authenticates_nobody() {
    let fixture = Fixture::new().await;
    let admin = fixture.store.ensure_admin().await.unwrap().unwrap();
    let secret = admin.secret.expose();
    let long = "x".repeat(1 << 20);
    for text in
        ["", "mecapy_", &secret[1..], &secret[..secret.len() - 1], &format!("{secret} "), &secret.to_uppercase(), &long]
    {
        assert!(fixture.store.authenticate(text).is_none());
    }
    let stranger = NewApiKey {
        tenant: TenantId::from_parts(1, &[1; 10]),
        name: String::new(),
        role: Role::Admin,
        scopes: None,
        expires_at: None,
    };
    assert!(matches!(fixture.store.create_api_key(stranger).await, Err(ApiKeyError::UnknownTenant)));
}

#[tokio::test]
async fn tenants_have_names_of_their_own() {
    let fixture = Fixture::new().await;
    let (first, second) = tokio::join!(fixture.store.create_tenant("acme"), fixture.store.create_tenant("acme"));
    let taken = [first, second].into_iter().filter(|made| matches!(made, Err(TenantError::NameTaken))).count();
    assert_eq!(taken, 1);
    let names: Vec<_> =
        fixture.store.tenants().await.unwrap().into_iter().map(|tenant| (tenant.name, tenant.access)).collect();
    assert_eq!(names, [("ours".to_owned(), Access::Enabled), ("acme".to_owned(), Access::Enabled)]);
    let absent = TenantId::from_parts(1, &[1; 10]);
    assert_eq!(fixture.store.set_tenant_access(absent, Access::Disabled).await.unwrap(), Found::No);
}

#[tokio::test]
async fn anothers_things_are_absent() {
    let fixture = Fixture::new().await;
    let other = fixture.store.create_tenant("other").await.unwrap();
    let store = &fixture.store;
    let queued = fixture.submit().await.id;
    let ended = fixture.submit_for(fixture.tenant, Lane::HighPriority).await;
    let claimed = fixture.claim(Lane::HighPriority, 1).await.pop().unwrap();
    store.finish(claimed.claim, finish_with("{}")).await.unwrap();
    for id in [queued, ended] {
        assert!(store.task(other, id).await.unwrap().is_none());
        assert!(store.task_with_position(other, id).await.unwrap().is_none());
        assert!(store.result(other, id).await.unwrap().is_none());
        assert!(store.wait(other, id, Duration::from_secs(30)).await.unwrap().is_none());
        assert!(store.events(other, id, 0).await.unwrap().is_none());
        assert!(store.logs(other, id, 0).await.unwrap().is_none());
        assert!(store.artifacts(other, id).await.unwrap().is_none());
        assert_eq!(store.cancel(other, id).await.unwrap(), Cancelled::Missing);
        assert_eq!(store.delete_task(other, id).await.unwrap(), Deleted::Missing);
    }
    let upload = NewUpload { name: None, content_type: None, bytes_max: 4 };
    let upload = store.begin_upload(fixture.tenant, upload).await.unwrap().finish().await.unwrap();
    assert!(store.upload(other, upload.id).await.unwrap().is_none());
    assert!(matches!(store.complete_upload(other, upload.id).await, Err(UploadError::Missing)));
    assert_eq!(store.delete_upload(other, upload.id).await.unwrap(), UploadDeleted::Missing);
    let module =
        NewModule { digest: Digest([1; 32]), bytes: vec![0], imports: vec![], exports: vec![], warnings: vec![] };
    let digest = store.put_module(fixture.tenant, module).await.unwrap().digest;
    assert!(store.module(other, digest).await.unwrap().is_none());
    assert!(store.module_bytes(other, digest).await.unwrap().is_none());
    assert_eq!(store.delete_module(other, digest).await.unwrap(), Found::No);
    let admin = store.ensure_admin().await.unwrap().unwrap();
    let key = store.authenticate(admin.secret.expose()).unwrap();
    assert_eq!(store.revoke_api_key(other, key.id).await.unwrap(), Found::No);
    assert!(store.api_keys(other).await.unwrap().is_empty());
    assert_eq!(store.tenant_counts(other).iter().map(|count| count.queued + count.running).sum::<u64>(), 0);
}
