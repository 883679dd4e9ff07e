//! Every text field keeps what it is sent, or refuses it.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Server, python};
use serde_json::{Value, json};

#[tokio::test]
async fn security_40_names_labels_and_inputs_keep_naughty_strings_or_refuse_them() -> Result<()> {
    let server = Server::start().await?;
    let strings = naughty_strings();
    ensure!(strings.len() >= 150, "only {} strings", strings.len());
    for text in &strings {
        let body = json!({
            "code": {"language": "python", "source": "result = inputs"}, "name": text,
            "labels": {"label": text}, "inputs": {"value": text},
        });
        let answer = server.post("/v1/tasks", &body).await?;
        if answer.status == 422 {
            let faults = answer.expect_problem(422)?.at("/errors")?;
            let pointers: Vec<_> =
                faults.as_array().into_iter().flatten().filter_map(|f| f.get("pointer")?.as_str()).collect();
            ensure!(pointers.iter().all(|pointer| ["/name", "/labels/label"].contains(pointer)), "{text:?}: {faults}");
            continue;
        }
        let id = answer.expect(202).with_context(|| format!("{text:?}"))?.str_at("/id")?;
        let task = server.task(&id).await?;
        ensure!(
            task.at("/name")? == json!(text) && task.at("/labels/label")? == json!(text),
            "{text:?} became {}",
            task.text()
        );
        let result = server.result(&id).await?.at("/result")?;
        ensure!(result == json!({"value": text}), "{text:?} became {result}");
    }
    Ok(())
}

#[tokio::test]
async fn security_40_inputs_keep_naughty_strings_as_keys_and_values() -> Result<()> {
    let server = Server::start().await?;
    let strings = naughty_strings();
    let keys: serde_json::Map<String, Value> = strings.iter().map(|text| (text.clone(), json!(text))).collect();
    let body = json!({"code": {"language": "python", "source": "result = inputs"}, "inputs": {"keys": keys, "values": strings}});
    server.preview(&body).await?.expect_result(&json!({"keys": keys, "values": strings}))?;
    Ok(())
}

#[tokio::test]
async fn security_40_naughty_strings_in_code_files_and_queries_never_break_the_server() -> Result<()> {
    let mut server = Server::start().await?;
    for text in naughty_strings() {
        let answer = server.python(&text).await?;
        ensure!([200, 422].contains(&answer.status), "as source {text:?}: {}", answer.status);
        let body = json!({"code": {"language": "python", "source": "result = 1", "entry": text}});
        let answer = server.preview(&body).await?;
        ensure!([200, 422].contains(&answer.status), "as entry {text:?}: {}", answer.status);
        let mut body = python("result = 1");
        mecapy_tests::merge(&mut body, json!({"files": {text.clone(): "018bcfe5-6800-7707-8707-070707070707"}}));
        server.preview(&body).await?.expect_problem(422).with_context(|| format!("as file {text:?}"))?;
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = server.get(&format!("/v1/tasks?q={encoded}")).await?;
        ensure!([200, 400, 414, 422].contains(&answer.status), "as q {text:?}: {}", answer.status);
    }
    ensure!(!server.process().log()?.contains("panicked"));
    Ok(())
}

/// Texts that have broken programs: our own collection.
fn naughty_strings() -> Vec<String> {
    let written: Vec<String> = serde_json::from_str(include_str!("../data/naughty_strings.json")).unwrap_or_default();
    let mut strings = written;
    strings.extend([1, 63, 64, 255, 256, 1023, 4096].map(|length| "x".repeat(length)));
    strings.extend([
        "é".repeat(200),
        "😀".repeat(100),
        "\u{301}".repeat(200),
        "(".repeat(500),
        "\"".repeat(300),
        "\\".repeat(301),
    ]);
    strings.sort();
    strings.dedup();
    strings
}
