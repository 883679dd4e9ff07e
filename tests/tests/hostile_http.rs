//! HTTP that attacks: bodies, headers and connections that mean harm. Each is refused or closed in time, memory
//! stays flat, and others are answered as ever.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{RawResponse, Server, python, raw_exchange, raw_exchange_lines, until};
use serde_json::json;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// Attackers come from another address than the probe: caps count by address.
const ATTACKER: &str = "127.0.0.2:0";
const ATTACKER_CONNECTIONS: usize = 2000;
const EVENT_STREAMS: usize = 500;
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);
/// What the server may hold more than before, once an attack is over.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

#[tokio::test]
async fn security_32_json_that_is_malformed_deep_or_doubled_is_400() -> Result<()> {
    let server = Server::start().await?;
    let code = r#""code": {"language": "python", "source": "result = 1"}"#;
    let deep = format!("{{{code}, \"inputs\": {{\"x\": {}1{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_objects = format!("{{{code}, \"inputs\": {}", "{\"a\":".repeat(100_000));
    let rows: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"{".to_vec(),
        b"}".to_vec(),
        b"{]".to_vec(),
        b"nonsense".to_vec(),
        b"{\"code\"}".to_vec(),
        format!("{{{code},}}").into(),
        format!("{{{code}}} {{}}").into(),
        format!("{{{code}, 'inputs': {{}}}}").into(),
        format!("{{{code}, \"inputs\": {{\"x\": NaN}}}}").into(),
        format!("{{{code}, \"inputs\": {{\"x\": 01}}}}").into(),
        format!("{{{code}, {code}}}").into(),
        format!("{{{code}, \"inputs\": {{\"x\": 1, \"x\": 2}}}}").into(),
        format!("{{{code}, \"inputs\": {{\"x\": 1, \"\\u0078\": 2}}}}").into(),
        format!("{{{code}, \"inputs\": {{\"x\": \"\\ud800\"}}}}").into(),
        format!("{{{code}, \"inputs\": {{\"\\udfff\": 1}}}}").into(),
        format!("{{{code}, \"inputs\": {{\"x\": \"\\ud800\\ud800\"}}}}").into(),
        [b"{\"code\": \"", &[0xff, 0xfe][..], b"\"}"].concat(),
        [b"\xef\xbb\xbf", format!("{{{code}}}").as_bytes()].concat(),
        format!("{{{code}, \"name\": \"a\nb\"}}").into(),
        format!("{{{code}}}\0").into(),
        deep.into(),
        deep_objects.into(),
    ];
    for body in rows {
        let shown = String::from_utf8_lossy(body.get(..body.len().min(120)).unwrap_or_default()).into_owned();
        for path in ["/v1/preview", "/v1/tasks"] {
            server
                .post_text(path, body.clone())
                .await?
                .expect_problem(400)
                .with_context(|| format!("{path} {shown}"))?;
        }
    }
    let huge = format!("{{{code}, \"inputs\": {{\"x\": \"{}\"}}}}", "x".repeat(80 << 20));
    server.post_text("/v1/preview", huge).await?.expect_problem(413)?;
    let numbers = format!("{{{code}, \"inputs\": {{\"x\": [{}1]}}}}", "1,".repeat(400_000));
    let answer = server.post_text("/v1/preview", numbers).await?;
    ensure!([200, 413].contains(&answer.status), "{}", answer.status);
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_33_bodies_without_end_are_refused_with_memory_flat() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    let rows = [
        ("/v1/preview", "application/json"),
        ("/v1/modules", "application/wasm"),
        ("/v1/tasks", "application/json"),
        // A form whose boundary never comes.
        ("/v1/uploads", "multipart/form-data; boundary=x"),
    ];
    for (path, kind) in rows {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n",
            server.key()
        );
        // 10 GiB in chunks of 1 MiB: the server has to end this long before.
        let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
        let chunks = std::iter::repeat_n(chunk, 10 << 10);
        let response = raw_exchange_lines(server.address(), head.as_bytes(), chunks, ANSWER_DEADLINE).await?;
        ensure!(response.status() == Some(413) || response.closed, "{path}: {:?}", response.status());
        let growth = server.process().private_bytes()?.saturating_sub(before);
        ensure!(growth < GROWTH_BYTES_MAX, "{path}: {} MiB more", growth >> 20);
    }
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_33_lengths_that_lie_are_refused() -> Result<()> {
    let server = Server::start().await?;
    let rows = [
        ("content-length: -1\r\n", "{}"),
        ("content-length: 5\r\ncontent-length: 6\r\n", "{}   "),
        ("content-length: 99999999999999999999\r\n", "{}"),
        ("content-length: 0x10\r\n", "{}"),
        ("content-length: 10737418240\r\n", "{}"),
        ("content-length: 2\r\ntransfer-encoding: chunked\r\n", "zz\r\n"),
        ("transfer-encoding: chunked\r\n", "ffffffffffffffffff\r\n"),
        ("transfer-encoding: chunked, identity\r\n", "2\r\n{}\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "-2\r\n{}\r\n0\r\n\r\n"),
    ];
    for (headers, body) in rows {
        let response = exchange(&server, "POST", "/v1/preview", headers, body).await?;
        let status = response.status();
        ensure!(
            status.is_none_or(|status| (400..500).contains(&status)) && (status.is_some() || response.closed),
            "{headers:?}: {status:?}"
        );
    }
    // Shorter than promised: the server waits no longer than for any slow body, and others don't notice.
    let mut socket = TcpStream::connect(server.address()).await?;
    socket.write_all(request(&server, "POST", "/v1/preview", "content-length: 100\r\n", "{").as_bytes()).await?;
    server.probe().await?;
    // Longer than promised: the rest is no second request that anyone answers with success.
    let response =
        exchange(&server, "POST", "/v1/preview", "content-length: 2\r\n", "{}GET /smuggled HTTP/1.1\r\n\r\n").await?;
    ensure!(
        !String::from_utf8_lossy(&response.bytes).contains("HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&response.bytes)
    );
    Ok(())
}

#[tokio::test]
async fn security_33_headers_by_the_thousand_are_refused() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    let many: String = (0..10_000).map(|index| format!("x-{index}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(8 << 20));
    for headers in [many, long, "no colon at all\r\n".into(), "x: \0\r\n".into(), " folded: x\r\n".into()] {
        let response = exchange(&server, "GET", "/health", &headers, "").await?;
        let status = response.status();
        ensure!(status.is_none_or(|status| [400, 431].contains(&status)), "{:.40}: {status:?}", headers);
        ensure!(status.is_some() || response.closed, "{headers:.40}: no answer and no close");
    }
    let path = format!("/v1/tasks?q={}", "a".repeat(1 << 20));
    let response = exchange(&server, "GET", &path, "", "").await?;
    ensure!(response.status().is_none_or(|status| [400, 414, 431].contains(&status)), "{:?}", response.status());
    let growth = server.process().private_bytes()?.saturating_sub(before);
    ensure!(growth < GROWTH_BYTES_MAX, "{} MiB more", growth >> 20);
    Ok(())
}

#[tokio::test]
async fn security_33_http2_streams_that_are_reset_at_once_end_the_connection() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    let mut socket = TcpStream::connect(server.address()).await?;
    let mut attack = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    attack.extend(frame(4, 0, 0, &[]));
    for stream in (1..200_000_u32).step_by(2) {
        // GET, http, "/", all from the static table, then RST_STREAM(CANCEL).
        attack.extend(frame(1, 5, stream, &[0x82, 0x86, 0x84, 0x01, 0x01, b'x']));
        attack.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    let refused = tokio::time::timeout(ANSWER_DEADLINE, async {
        let (mut reader, mut writer) = socket.split();
        let write = async { writer.write_all(&attack).await.is_err() };
        let read = async {
            let mut buffer = vec![0; 64 << 10];
            while reader.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        };
        tokio::join!(write, read).0
    })
    .await;
    ensure!(refused.is_ok(), "the connection was still open after {ANSWER_DEADLINE:?}");
    let growth = server.process().private_bytes()?.saturating_sub(before);
    ensure!(growth < GROWTH_BYTES_MAX, "{} MiB more", growth >> 20);
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_33_compressed_bombs_are_not_unpacked() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    for (path, kind) in
        [("/v1/preview", "application/json"), ("/v1/tasks", "application/json"), ("/v1/modules", "application/wasm")]
    {
        for encoding in ["gzip", "deflate", "br", "zstd"] {
            let request = server.request(reqwest::Method::POST, path).header("content-type", kind);
            let answer = server.send(request.header("content-encoding", encoding).body(gzip_bomb())).await?;
            ensure!([400, 413, 415].contains(&answer.status), "{path} {encoding}: {} {}", answer.status, answer.text());
        }
    }
    let growth = server.process().private_bytes()?.saturating_sub(before);
    ensure!(growth < GROWTH_BYTES_MAX, "{} MiB more", growth >> 20);
    Ok(())
}

#[tokio::test]
async fn security_34_silent_and_slow_connections_are_closed_in_time() -> Result<()> {
    raise_open_files_limit()?;
    let mut server = Server::start().await?;
    server.probe().await?;
    let files = server.process().open_files()?;
    let mut attackers = tokio::task::JoinSet::new();
    for index in 0..ATTACKER_CONNECTIONS {
        attackers.spawn(hold_open(server.address(), index % 2 == 0));
    }
    until("the attack is under way", ANSWER_DEADLINE, || {
        let open = server.process().open_files();
        async move { Ok((open? > files + 300).then_some(())) }
    })
    .await?;
    let worst = worst_probe(&server, 20).await?;
    ensure!(worst < Duration::from_millis(500), "a probe took {worst:?} beside the attack");
    let started = Instant::now();
    let closed =
        tokio::time::timeout(Duration::from_secs(45), async { while attackers.join_next().await.is_some() {} });
    ensure!(closed.await.is_ok(), "{} connections are still open after {:?}", attackers.len(), started.elapsed());
    until("descriptors are back", ANSWER_DEADLINE, || {
        let open = server.process().open_files();
        async move { Ok((open? <= files + 20).then_some(())) }
    })
    .await
}

#[tokio::test]
async fn security_35_event_streams_are_capped_and_readers_that_never_read_are_harmless() -> Result<()> {
    raise_open_files_limit()?;
    let mut server = Server::start().await?;
    server.probe().await?;
    let files = server.process().open_files()?;
    let id = server.submit(&python("import time\nwhile True:\n    print('x' * 10000)\n    time.sleep(0.001)")).await?;
    server.until_state(&id, "running").await?;
    let before = server.process().resting_bytes().await?;
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..EVENT_STREAMS {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let mut socket = socket.connect(server.address()).await?;
        socket.write_all(request(&server, "GET", &format!("/v1/tasks/{id}/events"), "", "").as_bytes()).await?;
        let mut head = [0; 12];
        let read = tokio::time::timeout(ANSWER_DEADLINE, socket.read_exact(&mut head)).await?;
        match (read.is_ok(), &head) {
            (true, b"HTTP/1.1 200") => open.push(socket),
            (true, b"HTTP/1.1 429") => refused += 1,
            _ => anyhow::bail!("a stream was answered {:?}", String::from_utf8_lossy(&head)),
        }
    }
    println!("{} streams are open, {refused} were refused", open.len());
    ensure!(!open.is_empty() && refused > 0, "{} open, {refused} refused: there is no cap", open.len());
    let worst = worst_probe(&server, 20).await?;
    ensure!(worst < Duration::from_millis(500), "a probe took {worst:?} beside the streams");
    server.post(&format!("/v1/tasks/{id}/cancel"), &json!({})).await?.expect(202)?;
    server.result(&id).await?.expect_error_kind("cancelled")?;
    let growth = server.process().private_bytes()?.saturating_sub(before);
    ensure!(growth < 2 * GROWTH_BYTES_MAX, "{} MiB more", growth >> 20);
    drop(open);
    until("the streams are gone", ANSWER_DEADLINE, || {
        let open = server.process().open_files();
        async move { Ok((open? <= files + 20).then_some(())) }
    })
    .await?;
    server.probe().await?;
    Ok(())
}

async fn exchange(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> Result<RawResponse> {
    raw_exchange(server.address(), request(server, method, path, headers, body).as_bytes(), ANSWER_DEADLINE).await
}

fn request(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> String {
    let key = server.key();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
    )
}

/// Holds a connection until the server closes it: silent, or with a header that never ends.
async fn hold_open(address: SocketAddr, silent: bool) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(ATTACKER.parse()?)?;
    let mut socket = socket.connect(address).await?;
    if !silent {
        socket.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n").await?;
    }
    let mut byte = [0; 256];
    loop {
        tokio::select! {
            read = socket.read(&mut byte) => {
                if read.map_or(true, |count| count == 0) {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(Duration::from_secs(1)), if !silent => {
                if socket.write_all(b"x-slow: y\r\n").await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

async fn worst_probe(server: &Server, count: usize) -> Result<Duration> {
    let mut worst = Duration::ZERO;
    for _ in 0..count {
        worst = worst.max(server.probe().await?);
    }
    Ok(worst)
}

/// One HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut bytes = length.into_iter().skip(1).collect::<Vec<u8>>();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// 1 MiB of gzip that unpacks to about 160 MiB of zeros: one fixed Huffman block of "repeat the last byte 258 times".
fn gzip_bomb() -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut held, mut count) = (0_u64, 0_u32);
    let mut put = |value: u64, bits: u32| {
        held |= value << count;
        count += bits;
        while count >= 8 {
            bytes.push((held & 0xff) as u8);
            held >>= 8;
            count -= 8;
        }
    };
    // Final block, fixed codes; then the literal 0 (code 00110000), bits of codes in reverse order.
    put(0b1, 1);
    put(0b01, 2);
    put(0b0000_1100, 8);
    for _ in 0..(1 << 20) * 8 / 13 {
        // Length 258 is symbol 285 (code 11000101), distance 1 is code 00000.
        put(0b1010_0011, 8);
        put(0, 5);
    }
    put(0, 7);
    put(0, 8);
    bytes
}

/// Lets this process (and the server that it starts) hold as many descriptors as it may.
fn raise_open_files_limit() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a valid `rlimit` that outlives them.
    let done = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0
        }
    };
    ensure!(done, "the limit of open files can't be raised: {}", std::io::Error::last_os_error());
    ensure!(limit.rlim_cur >= 4096, "only {} open files are allowed here", limit.rlim_cur);
    Ok(())
}
