//! Published packages: who may publish, see and yank them, and that a version never changes.

use crate::fixture::Fixture;
use mecapy_model::{Digest, TenantId, Visibility};
use mecapy_store::{
    Actor, Maintainer, NewPackageVersion, ObjectKey, PackageOutcome, PackagePin, PackageVersion, PublishError, Quota,
    QuotaKind, Store, StoreError, Viewer, YankOutcome,
};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use std::time::Duration;
use uuid::Uuid;

const ADA: Uuid = Uuid::from_bytes([1; 16]);
const BOB: Uuid = Uuid::from_bytes([2; 16]);
const JOINT: PackagePin<'static> = PackagePin { owner: "acme", name: "joint", version: "1.0.0" };

fn member(tenant: TenantId, principal: Uuid) -> Viewer {
    Viewer { tenant, principal, is_admin: false }
}

fn admin(tenant: TenantId) -> Viewer {
    Viewer { tenant, principal: Uuid::from_bytes([9; 16]), is_admin: true }
}

/// By Ada, with content that the pin alone decides.
fn new(pin: PackagePin<'_>, visibility: Visibility) -> NewPackageVersion {
    let zip = format!("the zip of {pin}").into_bytes();
    NewPackageVersion {
        owner: pin.owner.to_owned(),
        name: pin.name.to_owned(),
        version: pin.version.to_owned(),
        visibility,
        description: "Bolts under load".to_owned(),
        digest: Digest(<sha2::Sha256 as sha2::Digest>::digest(&zip).into()),
        zip,
        manifest: r#"{"functions":[]}"#.to_owned(),
        report: r#"{"cases":3}"#.to_owned(),
        publisher: ADA,
        publisher_name: "Ada".to_owned(),
    }
}

async fn publish(store: &Store, tenant: TenantId, pin: PackagePin<'_>, visibility: Visibility) -> PackageVersion {
    store.publish_package(member(tenant, ADA), new(pin, visibility)).await.unwrap()
}

/// The zips that a tenant's publications have left.
async fn zips(store: &Store, tenant: TenantId) -> usize {
    let folder = ObjectKey::parse(&format!("packages/{tenant}")).unwrap();
    store.objects().list_under(&folder).next(100).await.unwrap().len()
}

#[tokio::test]
async fn a_published_version_reads_back_and_never_changes() {
    let fixture = Fixture::new().await;
    let ada = member(fixture.tenant, ADA);
    let first = publish(&fixture.store, fixture.tenant, JOINT, Visibility::Private).await;
    assert_eq!((first.tenant, first.size_bytes, &first.yanked), (fixture.tenant, 27, &None));
    assert_eq!((first.published_by.as_str(), first.report.as_str()), ("Ada", r#"{"cases":3}"#));
    let fixture = fixture.reopen().await;
    let store = &fixture.store;
    assert_eq!(store.package_version(ada, JOINT).await.unwrap().unwrap(), first);
    assert_eq!(store.package_zip(ada, JOINT).await.unwrap().unwrap(), b"the zip of acme/joint@1.0.0");
    let other = NewPackageVersion { digest: Digest([7; 32]), zip: vec![7], ..new(JOINT, Visibility::Public) };
    for yanked in [false, true] {
        if yanked {
            store.yank_package(ada, JOINT, None).await.unwrap();
        }
        for again in [new(JOINT, Visibility::Private), other.clone()] {
            match store.publish_package(ada, again).await {
                Err(PublishError::VersionExists { digest }) => assert_eq!(digest, first.digest),
                published => panic!("{published:?}"),
            }
        }
    }
    let kept = store.package_version(ada, JOINT).await.unwrap().unwrap();
    assert_eq!(PackageVersion { yanked: None, ..kept }, first);
    assert_eq!(zips(store, fixture.tenant).await, 1);
    for absent in [PackagePin { version: "1.0.1", ..JOINT }, PackagePin { owner: "joint", ..JOINT }] {
        assert!(store.package_version(ada, absent).await.unwrap().is_none());
        assert!(store.package_zip(ada, absent).await.unwrap().is_none());
        assert!(store.package_zip_by_pin(absent).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn of_many_that_publish_the_same_version_at_once_one_does() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let mut publishing = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        publishing.spawn(async move {
            match store.publish_package(member(tenant, ADA), new(JOINT, Visibility::Private)).await {
                Ok(_) => 1,
                Err(PublishError::VersionExists { .. }) => 0,
                Err(other) => panic!("{other}"),
            }
        });
    }
    assert_eq!(publishing.join_all().await.iter().sum::<u32>(), 1);
    assert_eq!(zips(store, tenant).await, 1, "who was refused left its zip, or took the other's away");
    assert!(store.package_zip_by_pin(JOINT).await.unwrap().is_some());
}

#[tokio::test]
async fn an_owners_name_belongs_to_the_tenant_that_publishes_under_it_first() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let other = store.create_tenant("other").await.unwrap();
    publish(store, fixture.tenant, JOINT, Visibility::Public).await;
    let shaft = PackagePin { name: "shaft", ..JOINT };
    for viewer in [member(other, ADA), admin(other)] {
        for pin in [JOINT, shaft] {
            let refused = store.publish_package(viewer, new(pin, Visibility::Private)).await;
            assert!(matches!(refused, Err(PublishError::OwnerTaken)), "{refused:?}");
        }
    }
    publish(store, fixture.tenant, shaft, Visibility::Private).await;
    publish(store, other, PackagePin { owner: "other", ..JOINT }, Visibility::Private).await;
    assert_eq!((zips(store, fixture.tenant).await, zips(store, other).await), (2, 1));
}

#[tokio::test]
async fn of_two_tenants_that_want_an_owners_name_at_once_one_gets_it() {
    let fixture = Fixture::shared().await;
    let other = fixture.another_process("other").await;
    let theirs = fixture.store.create_tenant("theirs").await.unwrap();
    for number in 0..10 {
        let owner = format!("owner-{number}");
        let pin = PackagePin { owner: &owner, ..JOINT };
        let (ours, their) = tokio::join!(
            fixture.store.publish_package(member(fixture.tenant, ADA), new(pin, Visibility::Private)),
            other.publish_package(member(theirs, BOB), new(pin, Visibility::Private)),
        );
        let taken = |published: &Result<_, _>| matches!(published, Err(PublishError::OwnerTaken));
        assert!(ours.is_ok() && taken(&their) || taken(&ours) && their.is_ok(), "{ours:?} {their:?}");
    }
    assert_eq!(fixture.number("SELECT count(*) FROM packages").await, 10);
}

#[tokio::test]
async fn maintainers_and_administrators_alone_change_a_package() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let (ada, bob) = (member(tenant, ADA), member(tenant, BOB));
    let bobs = vec![Maintainer { id: BOB, name: "Bob".to_owned() }, Maintainer { id: BOB, name: "Twice".to_owned() }];
    publish(store, tenant, JOINT, Visibility::Internal).await;
    let next = |version| new(PackagePin { version, ..JOINT }, Visibility::Internal);
    let refused = store.publish_package(bob, next("1.1.0")).await;
    assert!(matches!(refused, Err(PublishError::NotMaintainer)), "{refused:?}");
    assert_eq!(store.yank_package(bob, JOINT, None).await.unwrap(), YankOutcome::NotMaintainer);
    assert_eq!(store.unyank_package(bob, JOINT).await.unwrap(), YankOutcome::NotMaintainer);
    let named = store.set_maintainers(bob, "acme", "joint", bobs.clone()).await.unwrap();
    assert_eq!(named, PackageOutcome::NotMaintainer);
    store.publish_package(admin(tenant), next("1.1.0")).await.unwrap();
    let maintainers = async || store.package(ada, "acme", "joint").await.unwrap().unwrap().maintainers;
    assert_eq!(maintainers().await, [Maintainer { id: ADA, name: "Ada".to_owned() }]);

    match store.set_maintainers(ada, "acme", "joint", bobs.clone()).await.unwrap() {
        PackageOutcome::Done(package) => assert_eq!(package.maintainers, bobs[..1]),
        other => panic!("{other:?}"),
    }
    assert_eq!(maintainers().await, bobs[..1]);
    let refused = store.publish_package(ada, next("1.2.0")).await;
    assert!(matches!(refused, Err(PublishError::NotMaintainer)), "{refused:?}");
    store.publish_package(bob, next("1.2.0")).await.unwrap();
    assert!(matches!(store.yank_package(bob, JOINT, None).await.unwrap(), YankOutcome::Done(_)));
    // Nobody is left, but for the administrators.
    store.set_maintainers(bob, "acme", "joint", Vec::new()).await.unwrap();
    assert!(store.publish_package(bob, next("1.3.0")).await.is_err());
    store.publish_package(admin(tenant), next("1.3.0")).await.unwrap();
    let absent = store.set_maintainers(admin(tenant), "acme", "shaft", bobs).await.unwrap();
    assert_eq!(absent, PackageOutcome::NotFound);
}

#[tokio::test]
async fn security_27_who_may_see_a_package_follows_from_its_visibility() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let other = store.create_tenant("other").await.unwrap();
    for visibility in Visibility::ALL {
        publish(store, tenant, PackagePin { name: visibility.as_str(), ..JOINT }, visibility).await;
    }
    // Ada's id in another tenant is somebody else.
    let viewers = [
        (member(tenant, ADA), [true, true, true]),
        (member(tenant, BOB), [false, true, true]),
        (admin(tenant), [true, true, true]),
        (member(other, ADA), [false, false, true]),
        (admin(other), [false, false, true]),
    ];
    for (viewer, expected) in viewers {
        for (visibility, expected) in Visibility::ALL.into_iter().zip(expected) {
            let pin = PackagePin { name: visibility.as_str(), ..JOINT };
            let found = [
                store.package_version(viewer, pin).await.unwrap().is_some(),
                store.package_zip(viewer, pin).await.unwrap().is_some(),
                store.package(viewer, pin.owner, pin.name).await.unwrap().is_some(),
                store.packages(viewer, Some(pin.name), None, 10).await.unwrap().len() == 1,
            ];
            assert_eq!(found, [expected; 4], "{viewer:?} {visibility}");
            assert!(store.package_zip_by_pin(pin).await.unwrap().is_some());
            if viewer.tenant == other {
                let hidden = if expected { YankOutcome::NotMaintainer } else { YankOutcome::NotFound };
                assert_eq!(store.yank_package(viewer, pin, None).await.unwrap(), hidden);
            }
        }
    }
    // What another tenant sees of a public package is all of it.
    let package = store.package(member(other, ADA), "acme", "public").await.unwrap().unwrap();
    assert_eq!((package.tenant, package.maintainers.len(), package.versions.len()), (tenant, 1, 1));
}

#[tokio::test]
async fn a_package_is_as_visible_as_its_last_version() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    publish(store, tenant, JOINT, Visibility::Public).await;
    let later = PackagePin { version: "0.9.0", ..JOINT };
    let said = NewPackageVersion { description: "Older".to_owned(), ..new(later, Visibility::Private) };
    store.publish_package(member(tenant, ADA), said).await.unwrap();
    for pin in [JOINT, later] {
        assert!(store.package_version(member(tenant, BOB), pin).await.unwrap().is_none());
        let version = store.package_version(member(tenant, ADA), pin).await.unwrap().unwrap();
        assert_eq!(version.visibility, Visibility::Private);
    }
    let package = store.package(member(tenant, ADA), "acme", "joint").await.unwrap().unwrap();
    assert_eq!((package.visibility, package.description.as_str()), (Visibility::Private, "Older"));
    let first = store.package_version(member(tenant, ADA), JOINT).await.unwrap().unwrap();
    assert_eq!(first.description, "Bolts under load");
}

#[tokio::test]
async fn a_yanked_version_is_still_had_by_who_names_it() {
    let fixture = Fixture::new().await;
    let (store, ada) = (&fixture.store, member(fixture.tenant, ADA));
    let published = publish(store, fixture.tenant, JOINT, Visibility::Private).await;
    let yank = async |reason: &str| match store.yank_package(ada, JOINT, Some(reason.to_owned())).await.unwrap() {
        YankOutcome::Done(version) => version,
        other => panic!("{other:?}"),
    };
    let yanked = yank("wrong preload").await;
    assert_eq!(yanked.yanked.as_ref().unwrap().reason.as_deref(), Some("wrong preload"));
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(yank("another reason").await, yanked);
    assert_eq!(store.package_version(ada, JOINT).await.unwrap().unwrap(), yanked);
    assert!(store.package_zip(ada, JOINT).await.unwrap().is_some());
    let version = store.package_version_by_pin(JOINT).await.unwrap().unwrap();
    let zip = store.package_zip_by_pin(JOINT).await.unwrap().unwrap();
    assert_eq!((version, zip.len()), (yanked.clone(), 27));
    let package = store.package(ada, "acme", "joint").await.unwrap().unwrap();
    assert_eq!(package.versions[0].yanked, yanked.yanked);
    assert_eq!(store.unyank_package(ada, JOINT).await.unwrap(), YankOutcome::Done(published.clone()));
    assert_eq!(store.unyank_package(ada, JOINT).await.unwrap(), YankOutcome::Done(published));
    for absent in [PackagePin { version: "2.0.0", ..JOINT }, PackagePin { name: "shaft", ..JOINT }] {
        assert_eq!(store.yank_package(ada, absent, None).await.unwrap(), YankOutcome::NotFound);
        assert_eq!(store.unyank_package(ada, absent).await.unwrap(), YankOutcome::NotFound);
    }
}

#[tokio::test]
async fn packages_are_listed_by_name_searched_and_paged() {
    let fixture = Fixture::new().await;
    let (store, ada) = (&fixture.store, member(fixture.tenant, ADA));
    for (owner, name) in [("acme", "joint_b"), ("acme", "joint-a"), ("acme-x", "beam"), ("acme", "shaft")] {
        publish(store, fixture.tenant, PackagePin { owner, name, ..JOINT }, Visibility::Internal).await;
    }
    for version in ["1.1.0", "2.0.0"] {
        let pin = PackagePin { name: "shaft", version, ..JOINT };
        let described = NewPackageVersion { description: "100% Keyways".to_owned(), ..new(pin, Visibility::Internal) };
        store.publish_package(ada, described).await.unwrap();
    }
    let listed = async |search: Option<&str>, limit| {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = store.packages(ada, search, after, limit).await.unwrap();
            let Some(last) = page.last() else { return names };
            after = Some((last.owner.clone(), last.name.clone()));
            names.extend(page.iter().map(|package| format!("{}/{}", package.owner, package.name)));
        }
    };
    let all = ["acme/joint-a", "acme/joint_b", "acme/shaft", "acme-x/beam"];
    for limit in [1, 2, 3, 4, 200, u32::MAX] {
        assert_eq!(listed(None, limit).await, all, "{limit}");
    }
    let rows: [(&str, &[&str]); 7] = [
        ("JOINT", &all[..2]),
        ("t_b", &all[1..2]),
        ("acme-x/b", &all[3..]),
        ("under load", &[all[0], all[1], all[3]]),
        ("100% key", &all[2..3]),
        ("%", &all[2..3]),
        ("'; DROP TABLE packages; --", &[]),
    ];
    for (search, expected) in rows {
        assert_eq!(listed(Some(search), 2).await, expected, "{search}");
    }
    let shaft = store.packages(ada, Some("shaft"), None, 10).await.unwrap().pop().unwrap();
    assert_eq!(store.package(ada, "acme", "shaft").await.unwrap().unwrap(), shaft);
    let mut versions: Vec<_> = shaft.versions.iter().map(|version| version.version.as_str()).collect();
    versions.sort_unstable();
    assert_eq!(versions, ["1.0.0", "1.1.0", "2.0.0"]);
    assert!(shaft.versions.iter().all(|version| version.published_by == "Ada" && version.size_bytes == 27));
}

#[tokio::test]
async fn zips_count_towards_the_storage_quota_and_what_is_refused_leaves_nothing() {
    let fixture = Fixture::new().await;
    let (store, tenant, ada) = (&fixture.store, fixture.tenant, member(fixture.tenant, ADA));
    store.set_quota(tenant, Quota { storage_bytes_max: Some(60), ..Quota::default() }).await.unwrap();
    publish(store, tenant, JOINT, Visibility::Private).await;
    assert_eq!(store.stored_bytes(tenant).await.unwrap(), 27);
    // Each of them fits, and the two together do not.
    let sent = ["1.1.0", "1.2.0"].map(|version| new(PackagePin { version, ..JOINT }, Visibility::Private));
    let [first, second] = sent.map(|new| store.publish_package(ada, new));
    let (first, second) = tokio::join!(first, second);
    let (done, refused) = if first.is_ok() { (first, second) } else { (second, first) };
    done.unwrap();
    match refused {
        Err(PublishError::Store(StoreError::OverQuota(over))) => {
            assert_eq!((over.kind, over.used, over.limit), (QuotaKind::StorageBytes, 54, 60));
        }
        other => panic!("{other:?}"),
    }
    let free = PackagePin { owner: "free", ..JOINT };
    assert!(store.publish_package(ada, new(free, Visibility::Private)).await.is_err());
    assert_eq!((store.stored_bytes(tenant).await.unwrap(), zips(store, tenant).await), (54, 2));
    // Nor has it taken the owner's name.
    let other = store.create_tenant("other").await.unwrap();
    publish(store, other, free, Visibility::Private).await;
}

#[tokio::test]
async fn every_change_of_a_package_is_told_once_and_by_whom() {
    let fixture = Fixture::new().await;
    let actor = Actor { principal: "api_key:ada".to_owned(), name: "Ada".to_owned(), request_id: None };
    let (store, ada) = (fixture.store.acting_for(actor), member(fixture.tenant, ADA));
    publish(&store, fixture.tenant, JOINT, Visibility::Internal).await;
    store.publish_package(ada, new(JOINT, Visibility::Internal)).await.unwrap_err();
    for _ in 0..2 {
        store.yank_package(ada, JOINT, Some("wrong".to_owned())).await.unwrap();
    }
    for _ in 0..2 {
        store.unyank_package(ada, JOINT).await.unwrap();
    }
    store.yank_package(member(fixture.tenant, BOB), JOINT, None).await.unwrap();
    let maintainers = vec![Maintainer { id: BOB, name: "Bob".to_owned() }];
    store.set_maintainers(ada, "acme", "joint", maintainers).await.unwrap();
    let log = store.audit(Some(fixture.tenant), 200, None).await.unwrap().entries;
    let told: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.target.as_str())).collect();
    let expected = [
        ("package.maintainers_changed", "acme/joint"),
        ("package.unyanked", "acme/joint@1.0.0"),
        ("package.yanked", "acme/joint@1.0.0"),
        ("package.published", "acme/joint@1.0.0"),
    ];
    assert_eq!(told[..4], expected);
    assert_eq!(told.len(), 5, "the tenant was created, and that is all");
    assert!(log[..4].iter().all(|entry| entry.principal == "api_key:ada"));
    assert_eq!(log[2].detail.as_ref().unwrap().get(), r#"{"reason":"wrong"}"#);
}

#[tokio::test]
async fn a_sweep_keeps_published_zips_and_takes_those_that_no_row_names() {
    let fixture = Fixture::new().await;
    let (store, tenant) = (&fixture.store, fixture.tenant);
    let version = publish(store, tenant, JOINT, Visibility::Private).await;
    for digest in [version.digest, Digest([7; 32])] {
        let left = ObjectKey::parse(&format!("packages/{tenant}/{digest}/left.zip")).unwrap();
        store.objects().put(&left, vec![0; 3]).await.unwrap();
    }
    // Files have the machine's time, which the test's clock does not.
    fixture.clock.advance(Duration::from_secs(100 * 365 * 24 * 3_600));
    let swept = store.sweep_orphans(Duration::from_secs(24 * 3_600)).await.unwrap();
    assert_eq!((swept.objects, swept.bytes), (2, 6));
    assert!(store.package_zip_by_pin(JOINT).await.unwrap().is_some());
}

#[tokio::test]
async fn security_27_row_security_shows_other_tenants_public_packages_alone_and_lets_nobody_change_them() {
    let fixture = Fixture::shared().await;
    let theirs = fixture.store.create_tenant("theirs").await.unwrap();
    for visibility in Visibility::ALL {
        let pin = PackagePin { owner: "theirs", name: visibility.as_str(), ..JOINT };
        publish(&fixture.store, theirs, pin, visibility).await;
    }
    publish(&fixture.store, fixture.tenant, JOINT, Visibility::Private).await;
    let mut connection = PgConnection::connect(fixture.database.app_url()).await.unwrap();
    let mut enter = async |tenant: &str| {
        let setting = sqlx::query("SELECT set_config('mecapy.tenant', $1, false)").bind(tenant.to_owned());
        setting.execute(&mut connection).await.unwrap();
        let mut seen = Vec::new();
        for table in ["package_owners", "packages", "package_maintainers", "package_versions"] {
            let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
            seen.push(sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get::<i64, _>(0));
        }
        seen
    };
    assert_eq!(enter("").await, [0, 0, 0, 0]);
    assert_eq!(enter("*").await, [2, 4, 4, 4]);
    assert_eq!(enter(&theirs.to_string()).await, [1, 3, 3, 3]);
    assert_eq!(enter(&fixture.tenant.to_string()).await, [1, 2, 2, 2]);
    let changes = [
        "UPDATE packages SET description = ''",
        "UPDATE package_versions SET yanked_ms = 1",
        "DELETE FROM package_maintainers",
    ];
    for sql in changes {
        let changed = sqlx::query(sql).execute(&mut connection).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{sql}");
    }
    let renamed =
        "UPDATE packages SET visibility = 'public', tenant = (SELECT tenant FROM packages WHERE owner = 'theirs')";
    assert!(sqlx::query(renamed).execute(&mut connection).await.is_err(), "a package was given away");
}
