//! What stands between a process and PostgreSQL: a network that loses the other end, a pooler that drops what a
//! connection asks for.

use crate::database::TestDatabase;
use mecapy_store::{Database, Store, StoreError, StoreOptions, SystemClock, migrate};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// What becomes of the options in a connection's first message.
#[derive(Clone, Copy, PartialEq)]
enum Options {
    Passed,
    Dropped,
}

/// Forwards to PostgreSQL.
struct Between {
    place: String,
    vanished: watch::Sender<()>,
}

impl Between {
    async fn start(url: &str, options: Options) -> Self {
        let server = place_of(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let vanished = watch::Sender::new(());
        let vanishing = vanished.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(forward(client, server, options, vanishing.subscribe()));
            }
        });
        Self { place, vanished }
    }

    /// The same database by this way.
    fn url(&self, url: &str) -> String {
        format!("{}?sslmode=disable", url.replace(place_of(url), &self.place))
    }

    /// Loses the other end of all connections: nothing arrives any more, and nobody says so. New ones work.
    fn vanish(&self) {
        self.vanished.send_replace(());
    }
}

/// Host and port.
fn place_of(url: &str) -> &str {
    url.rsplit_once('@').unwrap().1.split('/').next().unwrap()
}

async fn forward(mut client: TcpStream, mut server: TcpStream, options: Options, mut vanished: watch::Receiver<()>) {
    let Ok(length) = client.read_u32().await else { return };
    let mut first = vec![0; length as usize - 4];
    client.read_exact(&mut first).await.unwrap();
    let first = if options == Options::Dropped { without_options(&first) } else { first };
    server.write_u32(u32::try_from(first.len()).unwrap() + 4).await.unwrap();
    server.write_all(&first).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        // Both sockets stay open.
        Ok(()) = vanished.changed() => std::future::pending::<()>().await,
    }
}

/// A version, and names and values that end in a zero each.
fn without_options(first: &[u8]) -> Vec<u8> {
    let (version, rest) = first.split_at(4);
    let words: Vec<&[u8]> = rest.split(|byte| *byte == 0).collect();
    let mut kept = version.to_vec();
    for pair in words.chunks_exact(2).filter(|pair| !pair[0].is_empty() && pair[0] != b"options") {
        kept.extend_from_slice(&[pair[0], &[0], pair[1], &[0]].concat());
    }
    kept.push(0);
    kept
}

async fn open(database: &TestDatabase, between: &Between) -> Result<Store, StoreError> {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        database: Database::Postgres(between.url(database.app_url())),
        read_connections: 2,
        ..database.options(folder.path())
    };
    Store::open(options, Arc::new(SystemClock::new().unwrap())).await
}

#[tokio::test]
async fn connections_whose_other_end_has_vanished_are_replaced() {
    let database = TestDatabase::shared().await;
    let between = Between::start(database.app_url(), Options::Passed).await;
    let store = open(&database, &between).await.unwrap();
    let tenant = store.create_tenant("ours").await.unwrap();
    assert_eq!(store.api_keys(tenant).await.unwrap(), []);
    between.vanish();
    // Whoever asks goes away before there is an answer; the pool has one connection.
    assert!(timeout(Duration::from_millis(300), store.api_keys(tenant)).await.is_err());
    let asked = Instant::now();
    while let Err(error) = store.api_keys(tenant).await {
        assert!(asked.elapsed() < Duration::from_secs(30), "{error:?}");
    }
}

#[tokio::test]
async fn security_27_a_pooler_that_drops_what_a_connection_asks_for_is_refused() {
    let database = TestDatabase::shared().await;
    let pooler = Between::start(database.app_url(), Options::Dropped).await;
    let error = open(&database, &pooler).await.unwrap_err();
    assert!(matches!(error, StoreError::Session { setting: "statement_timeout" }), "{error:?}");
    assert!(error.to_string().contains("session mode") && !error.is_retryable(), "{error}");
    let error = migrate(&pooler.url(database.owner_url().unwrap()), None).await.unwrap_err();
    assert!(matches!(error, StoreError::Session { setting: "lock_timeout" }), "{error:?}");
    let direct = Between::start(database.app_url(), Options::Passed).await;
    open(&database, &direct).await.unwrap().close().await;
}
