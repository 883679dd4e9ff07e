//! A second tenant on a server, with an admin key of its own.

use crate::{Answer, Server};
use anyhow::Result;
use reqwest::{Method, multipart};
use serde_json::{Value, json};

/// A tenant that the server's operator has made.
pub struct Company {
    pub id: String,
    /// An admin key of the tenant.
    pub key: String,
}

impl Company {
    /// Makes a tenant and its first key, as the operator does.
    pub async fn on(server: &Server, name: &str) -> Result<Self> {
        let id = server.post("/v1/tenants", &json!({"name": name})).await?.expect(201)?.str_at("/id")?;
        let new = json!({"name": "first", "role": "admin"});
        let key = server.post(&format!("/v1/tenants/{id}/api-keys"), &new).await?.expect(201)?.str_at("/key")?;
        Ok(Self { id, key })
    }

    pub async fn get(&self, server: &Server, path: &str) -> Result<Answer> {
        self.send(server, Method::GET, path, None).await
    }

    pub async fn post(&self, server: &Server, path: &str, body: &Value) -> Result<Answer> {
        self.send(server, Method::POST, path, Some(body)).await
    }

    /// A request with the tenant's key.
    pub async fn send(&self, server: &Server, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let request = server.anonymous(method, path).bearer_auth(&self.key);
        match body {
            Some(body) => server.send(request.json(body)).await,
            None => server.send(request).await,
        }
    }

    /// Sends a file as the tenant.
    pub async fn upload(&self, server: &Server, bytes: Vec<u8>) -> Result<Answer> {
        let form = multipart::Form::new().part("file", multipart::Part::bytes(bytes).file_name("a.bin"));
        server.send(server.anonymous(Method::POST, "/v1/uploads").bearer_auth(&self.key).multipart(form)).await
    }

    /// Sends a module, written as WebAssembly text, as the tenant.
    pub async fn module(&self, server: &Server, text: &str) -> Result<Answer> {
        let request = server.anonymous(Method::POST, "/v1/modules").bearer_auth(&self.key);
        server.send(request.header("content-type", "application/wasm").body(wat::parse_str(text)?)).await
    }

    /// Submits a task as the tenant and answers its id.
    pub async fn submit(&self, server: &Server, body: &Value) -> Result<String> {
        self.post(server, "/v1/tasks", body).await?.expect(202)?.str_at("/id")
    }

    /// Waits for the end of a task of the tenant.
    pub async fn result(&self, server: &Server, id: &str) -> Result<Answer> {
        self.get(server, &format!("/v1/tasks/{id}/result?wait=30")).await?.expect(200)
    }

    /// Sets the tenant's quota, as the operator does.
    pub async fn set_quota(&self, server: &Server, quota: &Value) -> Result<Answer> {
        let request = server.request(Method::PUT, &format!("/v1/tenants/{}/quota", self.id));
        server.send(request.json(quota)).await?.expect(200)
    }
}
