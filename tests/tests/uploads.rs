//! Uploads: multipart and presigned, and what each refuses.

use anyhow::{Result, ensure};
use mecapy_tests::{Server, merge, python};
use reqwest::{Method, multipart};
use serde_json::json;

#[tokio::test]
async fn a_multipart_upload_is_read_by_a_task() -> Result<()> {
    let server = Server::start().await?;
    let bytes: Vec<u8> = (0..300_000_u32).map(|index| (index * 31 % 251) as u8).collect();
    let part = multipart::Part::bytes(bytes.clone()).file_name("mesh.bin");
    let form = multipart::Form::new().part("file", part);
    let answer = server.send(server.request(Method::POST, "/v1/uploads").multipart(form)).await?;
    ensure!([200, 201].contains(&answer.status), "{}: {}", answer.status, answer.text());
    ensure!(answer.at("/size_bytes")? == json!(bytes.len()) && answer.str_at("/sha256")? == sha256(&bytes));
    let mut body =
        python("import hashlib\nresult = hashlib.sha256(open('/work/in/mesh.bin', 'rb').read()).hexdigest()");
    merge(&mut body, json!({"files": {"mesh.bin": answer.at("/upload_id")?}}));
    server.preview(&body).await?.expect_result(&json!({"result": sha256(&bytes)}))?;
    let id = server.submit(&body).await?;
    server.result(&id).await?.expect_result(&json!({"result": sha256(&bytes)}))?;
    Ok(())
}

#[tokio::test]
async fn a_presigned_upload_is_put_and_completed() -> Result<()> {
    let server = Server::start().await?;
    let asked = server.post("/v1/uploads", &json!({"name": "loads.csv"})).await?;
    ensure!([200, 201, 202].contains(&asked.status), "{}: {}", asked.status, asked.text());
    let (id, url) = (asked.str_at("/upload_id")?, asked.str_at("/url")?);
    server.post(&format!("/v1/uploads/{id}/complete"), &json!({})).await?.expect_problem(409)?;
    let mut early = python("result = 1");
    merge(&mut early, json!({"files": {"loads.csv": id}}));
    server.preview(&early).await?.expect_fault("/files/loads.csv")?;

    let path = url.strip_prefix(&server.base_url()).unwrap_or(&url).to_owned();
    let forged = format!("{path}0");
    let refused = server.send(server.anonymous(Method::PUT, &forged).body("x")).await?;
    ensure!([400, 401, 403, 404].contains(&refused.status), "{}", refused.status);
    let put = server.send(server.anonymous(Method::PUT, &path).body("node,force\n1,2\n")).await?;
    ensure!((200..300).contains(&put.status), "{}: {}", put.status, put.text());
    let done = server.post(&format!("/v1/uploads/{id}/complete"), &json!({})).await?.expect(200)?;
    ensure!(done.at("/size_bytes")? == json!(15) && done.str_at("/sha256")? == sha256(b"node,force\n1,2\n"));
    let again = server.send(server.anonymous(Method::PUT, &path).body("other")).await?;
    ensure!(again.status >= 400, "a completed upload was overwritten");
    Ok(())
}

#[tokio::test]
async fn uploads_that_are_no_uploads_are_refused() -> Result<()> {
    let server = Server::start().await?;
    let empty = multipart::Form::new();
    let answer = server.send(server.request(Method::POST, "/v1/uploads").multipart(empty)).await?;
    ensure!([400, 422].contains(&answer.status), "{}", answer.status);
    let request = server.request(Method::POST, "/v1/uploads").header("content-type", "multipart/form-data; boundary=x");
    let answer = server.send(request.body("--y\r\nnonsense")).await?;
    ensure!([400, 422].contains(&answer.status), "{}", answer.status);
    // A name that can't be kept as it is sent: in a form and in JSON the same.
    for name in ["x".repeat(256), "a\0b".to_owned(), "a\u{9b}b".to_owned()] {
        let form =
            format!("--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n1\r\n--x--\r\n");
        let request =
            server.request(Method::POST, "/v1/uploads").header("content-type", "multipart/form-data; boundary=x");
        let answer = server.send(request.body(form)).await?;
        ensure!([400, 422].contains(&answer.status), "{name:?}: {} {}", answer.status, answer.text());
        server.post("/v1/uploads", &json!({ "name": name })).await?.expect_fault("/name")?;
    }
    let list = server.get("/v1/uploads").await?.expect(200)?;
    ensure!(list.at("/uploads")? == json!([]), "{}", list.text());
    let request = server.request(Method::POST, "/v1/uploads").header("content-type", "text/plain").body("x");
    server.send(request).await?.expect_problem(415)?;
    server.post("/v1/uploads/018bcfe5-6800-7707-8707-070707070707/complete", &json!({})).await?.expect_problem(404)?;
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
