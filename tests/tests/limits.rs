//! Limits in requests: what is over a cap, impossible or not the caller's to say is refused by pointer.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, merge, python};
use serde_json::json;

#[tokio::test]
async fn security_28_fields_that_are_not_the_callers_are_refused() -> Result<()> {
    let server = Server::start().await?;
    for field in
        ["tenant_id", "tenant", "state", "fence", "attempt", "id", "created_at", "error", "usage", "lease_until"]
    {
        let mut body = python("result = 1");
        merge(&mut body, json!({field: "x"}));
        for path in ["/v1/preview", "/v1/tasks"] {
            server.post(path, &body).await?.expect_fault(&format!("/{field}")).with_context(|| field.to_owned())?;
        }
    }
    let over = [
        ("default", "timeout_ms", json!(300_001)),
        ("high_priority", "timeout_ms", json!(5_001)),
        ("long_running", "timeout_ms", json!(86_400_001_u64)),
        ("default", "memory_bytes", json!(5_u64 << 30)),
        ("default", "fuel", json!(u64::MAX)),
        ("default", "cpus", json!(1000)),
    ];
    for (lane, field, value) in over {
        let mut body = python("result = 1");
        merge(&mut body, json!({"lane": lane, "limits": {field: value}}));
        server
            .post("/v1/tasks", &body)
            .await?
            .expect_fault(&format!("/limits/{field}"))
            .with_context(|| format!("{lane} {field}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn security_38_impossible_numbers_pages_and_cursors_are_refused() -> Result<()> {
    let server = Server::start().await?;
    for field in ["timeout_ms", "memory_bytes", "fuel", "cpus"] {
        for value in [
            "-1",
            "0",
            "1.5",
            "1e3",
            "1e999",
            "99999999999999999999999",
            "18446744073709551616",
            "\"5\"",
            "true",
            "[]",
            "{}",
        ] {
            let body = format!(
                r#"{{"code": {{"language": "python", "source": "result = 1"}}, "limits": {{"{field}": {value}}}}}"#
            );
            for path in ["/v1/preview", "/v1/tasks"] {
                let answer = server.post_text(path, body.clone()).await?;
                answer.expect_fault(&format!("/limits/{field}")).with_context(|| format!("{field}: {value}"))?;
            }
        }
        for value in ["NaN", "Infinity", "-Infinity", "+1", "0x10", "01"] {
            let body = format!(
                r#"{{"code": {{"language": "python", "source": "result = 1"}}, "limits": {{"{field}": {value}}}}}"#
            );
            server.post_text("/v1/preview", body).await?.expect_problem(400).with_context(|| value.to_owned())?;
        }
    }
    for query in
        ["limit=1000000000", "limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=99999999999999999999", "limit="]
    {
        let answer = server.get(&format!("/v1/tasks?{query}")).await?;
        ensure!([400, 422].contains(&answer.status), "{query}: {}", answer.status);
        let status = answer.status;
        answer.expect_problem(status)?;
    }
    for index in 0..3 {
        server.submit(&python(&format!("result = {index}"))).await?;
    }
    let cursor = server.get("/v1/tasks?limit=1").await?.expect(200)?.str_at("/next_cursor")?;
    let flipped: String = cursor
        .chars()
        .enumerate()
        .map(|(at, c)| if at == cursor.len() / 2 { if c == 'A' { 'B' } else { 'A' } } else { c })
        .collect();
    let truncated: String = cursor.chars().take(cursor.chars().count() / 2).collect();
    for bad in [
        flipped,
        truncated,
        format!("{cursor}AAAA"),
        "AAAA".into(),
        "%00".into(),
        "'%20OR%201=1".into(),
        "a".repeat(5000),
    ] {
        let answer = server.get(&format!("/v1/tasks?cursor={bad}")).await?;
        ensure!([400, 414, 422, 431].contains(&answer.status), "cursor {bad:.60}: {} {}", answer.status, answer.text());
    }
    for query in ["state=nonsense", "lane=express", "colour=red"] {
        let answer = server.get(&format!("/v1/tasks?{query}")).await?;
        ensure!([400, 422].contains(&answer.status), "{query}: {}", answer.status);
    }
    Ok(())
}

#[tokio::test]
async fn the_lane_follows_from_the_timeout_where_it_is_not_said() -> Result<()> {
    let server = Server::start().await?;
    for (limits, lane) in [
        (json!({}), "default"),
        (json!({"timeout_ms": 300_000}), "default"),
        (json!({"timeout_ms": 300_001}), "long_running"),
    ] {
        let mut body = python("result = 1");
        merge(&mut body, json!({"limits": limits}));
        let accepted = server.post("/v1/tasks", &body).await?.expect(202)?;
        ensure!(accepted.str_at("/lane")? == lane, "{limits}: {}", accepted.text());
    }
    Ok(())
}

#[tokio::test]
async fn small_limits_stop_what_is_too_large_for_them() -> Result<()> {
    let server = Server::start().await?;
    let spin = "while True:\n    pass";
    for (source, limits, kind) in [
        (spin, json!({"timeout_ms": 200}), "timeout"),
        (spin, json!({"fuel": 200_000_000}), "out_of_fuel"),
        ("import time\ntime.sleep(3600)", json!({"timeout_ms": 200}), "timeout"),
        ("b = bytearray(400 << 20)\nresult = len(b)", json!({"memory_bytes": 268_435_456}), "out_of_memory"),
    ] {
        let mut body = python(source);
        merge(&mut body, json!({"limits": limits}));
        server.preview(&body).await?.expect_error_kind(kind).with_context(|| source.to_owned())?;
        let id = server.submit(&body).await?;
        server.result(&id).await?.expect_error_kind(kind).with_context(|| format!("as a task: {source}"))?;
    }
    Ok(())
}
