//! The services that other tests rely on do what those tests believe: real servers, real sockets.

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use mecapy_tests::{
    services::{Bucket, Database, Postgres, Proxy, Redis, S3, Shutdown, psql, shared},
    until,
};
use reqwest::{Client, Method};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const DEADLINE: Duration = Duration::from_secs(10);
/// The least size of all parts but the last one, in bytes.
const PART_BYTES: usize = 5 << 20;

/// A table that shows a session the rows of its tenant alone.
const ROWS_OF_TENANTS: &str = "
    CREATE TABLE item (tenant text NOT NULL, name text NOT NULL);
    ALTER TABLE item ENABLE ROW LEVEL SECURITY;
    ALTER TABLE item FORCE ROW LEVEL SECURITY;
    CREATE POLICY own ON item USING (tenant = current_setting('app.tenant', true));
    GRANT SELECT, INSERT ON item TO APP;
    SET app.tenant = 'a';
    INSERT INTO item VALUES ('a', 'one');
    SET app.tenant = 'b';
    INSERT INTO item VALUES ('b', 'two');";

async fn database_with_tenants(postgres: &Postgres) -> Result<Database> {
    let database = postgres.databases().database().await?;
    psql(&database.owner_url, &ROWS_OF_TENANTS.replace("APP", &database.app_role)).await?;
    Ok(database)
}

#[tokio::test]
async fn neither_role_of_a_database_gets_around_row_security() -> Result<()> {
    let postgres = Postgres::start().await?;
    let database = database_with_tenants(&postgres).await?;
    let rights = "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user";
    for url in [&database.owner_url, &database.app_url] {
        assert_eq!(psql(url, rights).await?, "f|f|f");
        assert_eq!(psql(url, "SELECT name FROM item").await?, "", "no tenant sees nothing");
        assert_eq!(psql(url, "SET app.tenant = 'a'; SELECT name FROM item").await?, "one");
    }
    let app = &database.app_url;
    for refused in [
        "SET row_security = off; SELECT name FROM item",
        "ALTER TABLE item DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE other ()",
        "SET app.tenant = 'a'; INSERT INTO item VALUES ('b', 'three')",
        "DELETE FROM item",
    ] {
        ensure!(psql(app, refused).await.is_err(), "the application may: {refused}");
    }
    assert_eq!(psql(postgres.admin_url(), "SHOW fsync").await?, "on");
    Ok(())
}

#[tokio::test]
async fn databases_are_made_quickly_and_know_nothing_of_one_another() -> Result<()> {
    let databases = shared::postgres().await?;
    let started = Instant::now();
    let (one, other) = (databases.database().await?, databases.database().await?);
    ensure!(started.elapsed() < DEADLINE, "two databases took {:?}", started.elapsed());
    psql(&one.owner_url, "CREATE TABLE item ()").await?;
    assert_eq!(psql(&other.owner_url, "SELECT count(*) FROM pg_tables WHERE tablename = 'item'").await?, "0");
    let others = one.app_url.replace(&one.name, &other.name).replace(&other.app_role, &one.app_role);
    let refused = psql(&others, "SELECT 1").await.unwrap_err().to_string();
    ensure!(refused.contains("permission denied for database"), "{refused}");
    let name = one.name.clone();
    drop(one);
    until("a dropped database is gone", DEADLINE, || async {
        let left = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
        Ok((psql(databases.admin_url(), &left).await? == "0").then_some(()))
    })
    .await
}

#[tokio::test]
async fn postgresql_comes_back_from_a_crash_with_what_was_committed() -> Result<()> {
    let mut postgres = Postgres::start().await?;
    let database = database_with_tenants(&postgres).await?;
    for shutdown in [Shutdown::Immediate, Shutdown::Fast] {
        postgres.restart(shutdown).await?;
        assert_eq!(psql(&database.owner_url, "SET app.tenant = 'b'; SELECT name FROM item").await?, "two");
    }
    postgres.stop(Shutdown::Fast).await?;
    ensure!(psql(&database.owner_url, "SELECT 1").await.is_err(), "a stopped server answers");
    postgres.start_again().await?;
    assert_eq!(psql(&database.owner_url, "SELECT 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_cut_at_commit_has_committed() -> Result<()> {
    let postgres = Postgres::start().await?;
    let database = database_with_tenants(&postgres).await?;
    let proxy = Proxy::before_port(postgres.port())?;
    proxy.cut_after_bytes_matching(b"COMMIT");
    let script = "SET app.tenant = 'a';\nBEGIN;\nINSERT INTO item VALUES ('a', 'late');\nCOMMIT;\nSELECT 1;";
    let failed = psql(&proxy.url(&database.owner_url)?, script).await;
    ensure!(failed.is_err(), "the client was answered: {failed:?}");
    assert_eq!(proxy.matches(), 1);
    until("the row is there", DEADLINE, || async {
        let names = psql(&database.owner_url, "SET app.tenant = 'a'; SELECT name FROM item ORDER BY 1").await?;
        Ok((names == "late\none").then_some(()))
    })
    .await
}

#[tokio::test]
async fn redis_forgets_when_it_is_wiped_stopped_or_killed() -> Result<()> {
    let mut redis = Redis::start().await?;
    let address = redis.address().clone();
    assert_eq!(address.command(&["SET", "key", "value"]).await?, "OK");
    assert_eq!(address.command(&["GET", "key"]).await?, "value");
    address.wipe().await?;
    assert_eq!(address.command(&["DBSIZE"]).await?, "0");
    address.command(&["SET", "key", "value"]).await?;
    redis.stop().await?;
    ensure!(address.command(&["PING"]).await.is_err(), "a stopped server answers");
    redis.start_again().await?;
    assert_eq!(address.command(&["GET", "key"]).await?, "");
    redis.kill().await?;
    redis.start_again().await?;
    assert_eq!(address.command(&["PING"]).await?, "PONG");
    ensure!(address.prefixed_url()? != address.prefixed_url()?, "two tests have one prefix");
    Ok(())
}

/// An answer's status, and S3's word for what went wrong.
async fn refusal(answer: reqwest::Response) -> Result<(u16, String)> {
    let (status, text) = (answer.status().as_u16(), answer.text().await?);
    let code = text.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next());
    Ok((status, code.unwrap_or_default().to_owned()))
}

fn client() -> Result<Client> {
    Ok(Client::builder().no_proxy().build()?)
}

#[tokio::test]
async fn s3_serves_who_signs_rightly_and_nobody_else() -> Result<()> {
    let bucket = shared::s3().await?.bucket().await?;
    bucket.put("a/b%20c", b"bytes".to_vec()).await?;
    assert_eq!(bucket.get("a/b%20c").await?.as_deref(), Some(b"bytes".as_slice()));
    let thief = bucket.with_secret("wrong");
    let refused = refusal(thief.send(Method::GET, "a/b%20c", &[], Vec::new()).await?).await?;
    assert_eq!(refused, (403, "SignatureDoesNotMatch".to_owned()));
    let unsigned = bucket.presigned(Method::GET, "a/b%20c", DEADLINE)?;
    let unsigned = unsigned.split('?').next().context("no path")?.to_owned();
    assert_eq!(client()?.get(unsigned).send().await?.status().as_u16(), 403);
    Ok(())
}

#[tokio::test]
async fn s3_presigned_urls_work_for_what_they_name_until_they_expire() -> Result<()> {
    let (bucket, client) = (shared::s3().await?.bucket().await?, client()?);
    let put = bucket.presigned(Method::PUT, "key", DEADLINE)?;
    assert_eq!(client.put(&put).body("bytes").send().await?.status().as_u16(), 200);
    let get = bucket.presigned(Method::GET, "key", DEADLINE)?;
    assert_eq!(client.get(&get).send().await?.text().await?, "bytes");
    let part = client.get(&get).header("range", "bytes=1-2").send().await?;
    assert_eq!((part.status().as_u16(), part.text().await?), (206, "yt".to_owned()));
    assert_eq!(client.get(get.replace("/key?", "/other?")).send().await?.status().as_u16(), 403);
    assert_eq!(client.put(&get).body("other").send().await?.status().as_u16(), 403);
    let brief = bucket.presigned(Method::GET, "key", Duration::from_secs(1))?;
    until("the URL has expired", DEADLINE, || async {
        Ok((client.get(&brief).send().await?.status().as_u16() == 403).then_some(()))
    })
    .await
}

fn sha256(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(bytes))
}

#[tokio::test]
async fn s3_refuses_wrong_checksums_and_keeps_what_was_there() -> Result<()> {
    let bucket = shared::s3().await?.bucket().await?;
    bucket.put("key", b"first".to_vec()).await?;
    let put = |claimed: &[u8]| {
        let request = bucket.request(Method::PUT, "key", &[], b"second".to_vec())?;
        anyhow::Ok(request.header("x-amz-checksum-sha256", sha256(claimed)))
    };
    let refused = refusal(put(b"other")?.send().await?).await?;
    assert_eq!(refused, (400, "BadDigest".to_owned()));
    assert_eq!(bucket.get("key").await?.as_deref(), Some(b"first".as_slice()));
    assert_eq!(put(b"second")?.send().await?.status().as_u16(), 200);
    assert_eq!(bucket.get("key").await?.as_deref(), Some(b"second".as_slice()));
    let head = bucket.request(Method::HEAD, "key", &[], Vec::new())?.header("x-amz-checksum-mode", "ENABLED");
    let head = head.send().await?;
    let kept = head.headers().get("x-amz-checksum-sha256").context("no checksum")?;
    assert_eq!(kept.to_str()?, sha256(b"second"));
    Ok(())
}

#[tokio::test]
async fn s3_lists_deletes_and_says_what_is_missing() -> Result<()> {
    let bucket = shared::s3().await?.bucket().await?;
    for key in ["a/1", "a/2", "b/1"] {
        bucket.put(key, b"x".to_vec()).await?;
    }
    assert_eq!(bucket.keys("a/").await?, ["a/1", "a/2"]);
    let page = [("list-type", "2"), ("max-keys", "2"), ("delimiter", "/")];
    let folders = bucket.send(Method::GET, "", &page, Vec::new()).await?.text().await?;
    ensure!(folders.contains("<Prefix>a/</Prefix>") && !folders.contains("<Key>"), "{folders}");
    for _ in 0..2 {
        assert_eq!(bucket.send(Method::DELETE, "a/1", &[], Vec::new()).await?.status().as_u16(), 204);
    }
    assert_eq!(bucket.keys("").await?, ["a/2", "b/1"]);
    assert_eq!(bucket.get("a/1").await?, None);
    assert_eq!(bucket.get("a").await?, None, "a folder is no object");
    let mut missing = bucket.clone();
    missing.name = "mecapy-nowhere".to_owned();
    for (method, key, query) in [
        (Method::PUT, "key", [].as_slice()),
        (Method::GET, "key", &[]),
        (Method::DELETE, "key", &[]),
        (Method::POST, "key", &[("uploads", "")]),
        (Method::GET, "", &[("list-type", "2")]),
    ] {
        let refused = refusal(missing.send(method.clone(), key, query, Vec::new()).await?).await?;
        assert_eq!(refused, (404, "NoSuchBucket".to_owned()), "{method} {key}");
    }
    Ok(())
}

/// Sends a part and answers its tag.
async fn send_part(bucket: &Bucket, upload: &str, number: &str, bytes: &[u8], claimed: &[u8]) -> Result<String> {
    let query = [("partNumber", number), ("uploadId", upload)];
    let request = bucket.request(Method::PUT, "big", &query, bytes.to_vec())?;
    let answer = request.header("x-amz-checksum-sha256", sha256(claimed)).send().await?;
    ensure!(answer.status().is_success(), "{:?}", refusal(answer).await?);
    let tag = answer.headers().get("etag").context("the part has no tag")?.to_str()?;
    Ok(tag.trim_matches('"').to_owned())
}

async fn complete(bucket: &Bucket, upload: &str, tags: [&str; 2]) -> Result<(u16, String)> {
    let part = |(at, tag)| format!("<Part><PartNumber>{}</PartNumber><ETag>\"{tag}\"</ETag></Part>", at + 1);
    let parts: String = tags.into_iter().enumerate().map(part).collect();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into_bytes();
    refusal(bucket.send(Method::POST, "big", &[("uploadId", upload)], body).await?).await
}

#[tokio::test]
async fn s3_assembles_what_was_sent_in_parts() -> Result<()> {
    let bucket = shared::s3().await?.bucket().await?;
    let begun = bucket.send(Method::POST, "big", &[("uploads", "")], Vec::new()).await?.text().await?;
    let upload = begun.split("<UploadId>").nth(1).and_then(|rest| rest.split("</UploadId>").next());
    let upload = upload.context("no upload id")?;
    let (first, second) = (vec![1; PART_BYTES], vec![2; 10]);
    let wrong = send_part(&bucket, upload, "1", &first, &second).await.unwrap_err().to_string();
    ensure!(wrong.contains("BadDigest"), "{wrong}");
    let one = send_part(&bucket, upload, "1", &first, &first).await?;
    let two = send_part(&bucket, upload, "2", &second, &second).await?;
    let listed = bucket.send(Method::GET, "", &[("uploads", ""), ("prefix", "b")], Vec::new()).await?.text().await?;
    ensure!(listed.contains(upload) && listed.contains("<Key>big</Key>"), "{listed}");
    assert_eq!(complete(&bucket, upload, [&one, &one]).await?, (400, "InvalidPart".to_owned()));
    assert_eq!(bucket.get("big").await?, None, "nothing is seen before its end");
    assert_eq!(complete(&bucket, upload, [&one, &two]).await?, (200, String::new()));
    assert_eq!(bucket.get("big").await?.map(|bytes| sha256(&bytes)), Some(sha256(&[first, second].concat())));
    assert_eq!(complete(&bucket, upload, [&one, &two]).await?, (404, "NoSuchUpload".to_owned()));
    Ok(())
}

#[tokio::test]
async fn s3_keeps_its_objects_over_a_stop() -> Result<()> {
    let mut s3 = S3::start().await?;
    let bucket = s3.buckets().bucket().await?;
    bucket.put("key", b"bytes".to_vec()).await?;
    s3.stop().await?;
    ensure!(bucket.get("key").await.is_err(), "a stopped server answers");
    s3.start_again().await?;
    assert_eq!(bucket.get("key").await?.as_deref(), Some(b"bytes".as_slice()));
    let expected = format!("s3://{}?endpoint=http://127.0.0.1:{}&region=eu-west-1", bucket.name, s3.port());
    assert_eq!(bucket.url(), expected);
    Ok(())
}

/// A server that sends back what it gets, and tells what that was when its input ends.
async fn echo() -> Result<(Proxy, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::before(listener.local_addr()?)?;
    let (heard, hears) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                let (mut all, mut chunk) = (Vec::new(), [0; 1024]);
                while let Ok(read @ 1..) = stream.read(&mut chunk).await {
                    let bytes = chunk.get(..read).unwrap_or_default();
                    all.extend_from_slice(bytes);
                    // The client may be gone already; what it sent counts.
                    let _ = stream.write_all(bytes).await;
                }
                let _ = heard.send(all);
            });
        }
    });
    Ok((proxy, hears))
}

async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// How a connection ended: a reset is an error, a proper end is not.
async fn is_reset(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(DEADLINE, stream.read(&mut [0; 16])).await;
    matches!(read, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn a_proxy_cuts_what_is_open_and_serves_what_comes() -> Result<()> {
    let (proxy, _hears) = echo().await?;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = TcpStream::connect(proxy.address()).await?;
        assert_eq!(exchange(&mut client, b"hello").await?, b"hello");
        clients.push(client);
    }
    proxy.cut().await?;
    for client in &mut clients {
        ensure!(is_reset(client).await, "a connection was not reset");
    }
    let mut next = TcpStream::connect(proxy.address()).await?;
    assert_eq!(exchange(&mut next, b"again").await?, b"again");
    next.shutdown().await?;
    assert_eq!(next.read(&mut [0; 1]).await?, 0, "an end is passed on as one");
    Ok(())
}

#[tokio::test]
async fn a_proxy_refuses_new_connections_while_open_ones_go_on() -> Result<()> {
    let (proxy, _hears) = echo().await?;
    let mut open = TcpStream::connect(proxy.address()).await?;
    assert_eq!(exchange(&mut open, b"one").await?, b"one");
    for _ in 0..2 {
        proxy.refuse(true).await?;
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(exchange(&mut open, b"two").await?, b"two");
        proxy.refuse(false).await?;
        let mut new = TcpStream::connect(proxy.address()).await?;
        assert_eq!(exchange(&mut new, b"three").await?, b"three");
    }
    Ok(())
}

#[tokio::test]
async fn a_proxy_delays_and_holds_and_loses_nothing() -> Result<()> {
    let (proxy, _hears) = echo().await?;
    let mut client = TcpStream::connect(proxy.address()).await?;
    let (delay, started) = (Duration::from_millis(50), Instant::now());
    proxy.delay(delay);
    assert_eq!(exchange(&mut client, b"slow").await?, b"slow");
    ensure!(started.elapsed() >= 2 * delay, "there and back took {:?}", started.elapsed());
    proxy.delay(Duration::ZERO);
    proxy.hold();
    let mut late = TcpStream::connect(proxy.address()).await?;
    for held in [&mut client, &mut late] {
        let answered = tokio::time::timeout(4 * delay, exchange(held, b"held")).await;
        ensure!(answered.is_err(), "a held connection was answered");
    }
    proxy.release();
    for held in [&mut client, &mut late] {
        let mut answer = [0; 4];
        tokio::time::timeout(DEADLINE, held.read_exact(&mut answer)).await??;
        assert_eq!(&answer, b"held");
    }
    Ok(())
}

#[tokio::test]
async fn a_proxy_cuts_once_after_a_pattern_that_the_server_still_gets() -> Result<()> {
    let (proxy, mut hears) = echo().await?;
    proxy.cut_after_bytes_matching(b"COMMIT");
    let mut client = TcpStream::connect(proxy.address()).await?;
    // In two pieces, with an answer between them.
    assert_eq!(exchange(&mut client, b"insert; COM").await?, b"insert; COM");
    client.write_all(b"MIT;").await?;
    ensure!(is_reset(&mut client).await, "the client was not reset");
    assert_eq!(hears.recv().await.context("the server is gone")?, b"insert; COMMIT;");
    assert_eq!(proxy.matches(), 1);
    let mut next = TcpStream::connect(proxy.address()).await?;
    assert_eq!(exchange(&mut next, b"COMMIT;").await?, b"COMMIT;");
    Ok(())
}
