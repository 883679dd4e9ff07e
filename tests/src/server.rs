//! A live server for one test: its own data folder and port, typed calls, restarts.

use crate::{
    Answer, EventStream, Process,
    place::{MIGRATED, Place},
    until,
};
use anyhow::{Result, bail};
use reqwest::{Client, Method, RequestBuilder, multipart};
use serde_json::{Value, json};
use std::{net::SocketAddr, net::TcpListener, sync::Arc, time::Duration};

/// A start loads an interpreter image from disk; the first one of a cold machine reads 300 MB.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// Longer than any answer that a server may take its time for (`wait` has at most 60 s).
const REQUEST_DEADLINE: Duration = Duration::from_secs(90);
const RESULT_DEADLINE: Duration = Duration::from_secs(60);
/// Another program may take the free port between its choice and its use.
const START_TRIES_MAX: usize = 5;

/// How a server is started beside the defaults.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Environment variables.
    pub variables: Vec<(String, String)>,
    /// Arguments after `serve`.
    pub arguments: Vec<String>,
}

/// A running server and an authenticated client of it.
pub struct Server {
    // Before its folder and its backends go.
    process: Process,
    place: Arc<Place>,
    name: String,
    address: SocketAddr,
    key: String,
    client: Client,
    options: ServerOptions,
}

impl Server {
    /// A server with an empty data folder (and empty backends, where the environment asks for shared ones), ready to
    /// answer.
    pub async fn start() -> Result<Self> {
        Self::with(ServerOptions::default()).await
    }

    /// The same with options.
    pub async fn with(options: ServerOptions) -> Result<Self> {
        Self::at(Arc::new(Place::new().await?), MIGRATED, options).await
    }

    /// A server of this name on existing backends.
    pub(crate) async fn at(place: Arc<Place>, name: &str, options: ServerOptions) -> Result<Self> {
        for _ in 1..START_TRIES_MAX {
            if let Ok(server) = Self::start_at(free_address()?, place.clone(), name, options.clone()).await {
                return Ok(server);
            }
        }
        Self::start_at(free_address()?, place, name, options).await
    }

    async fn start_at(address: SocketAddr, place: Arc<Place>, name: &str, options: ServerOptions) -> Result<Self> {
        let mut process = spawn(address, &place, name, &options)?;
        let client = client()?;
        wait_until_ready(&mut process, &client, address).await?;
        let key = place.admin_key(name)?;
        Ok(Self { process, place, name: name.to_owned(), address, key, client, options })
    }

    /// SIGKILL now, then a new process on the same data folder and port, ready to answer. On shared backends the tasks
    /// that ran go on when their lease has ended.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.start_again().await
    }

    /// A clean stop (SIGTERM), then a new process on the same data folder and port.
    pub async fn stop_and_restart(&mut self) -> Result<()> {
        let status = self.process.terminate()?;
        anyhow::ensure!(status.success(), "the server stopped with {status}");
        self.start_again().await
    }

    async fn start_again(&mut self) -> Result<()> {
        self.process = spawn(self.address, &self.place, &self.name, &self.options)?;
        // Connections of the old process are dead, and a pool would offer them once more.
        self.client = client()?;
        wait_until_ready(&mut self.process, &self.client, self.address).await
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first admin key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The data folder (`MECAPY_DATA_DIR`).
    pub fn data_directory(&self) -> std::path::PathBuf {
        self.place.data_directory(&self.name)
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// A request with credentials.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.key)
    }

    /// A request without credentials, to a path or a whole URL.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        // A signed URL may lead to the object store itself.
        let url = if path.starts_with("http://") { path.to_owned() } else { format!("{}{path}", self.base_url()) };
        self.client.request(method, url)
    }

    /// Sends and reads the whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer> {
        Answer::of(request.send().await?).await
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// POST of exactly this text as JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Result<Answer> {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.send(request.body(body)).await
    }

    pub async fn preview(&self, body: &Value) -> Result<Answer> {
        self.post("/v1/preview", body).await
    }

    /// A preview of inline Python without inputs.
    pub async fn python(&self, source: &str) -> Result<Answer> {
        self.preview(&python(source)).await
    }

    /// A preview of inline Python with inputs.
    pub async fn python_with(&self, source: &str, inputs: Value) -> Result<Answer> {
        let mut body = python(source);
        merge(&mut body, json!({"inputs": inputs}));
        self.preview(&body).await
    }

    /// Submits a task and answers its id.
    pub async fn submit(&self, body: &Value) -> Result<String> {
        self.post("/v1/tasks", body).await?.expect(202)?.str_at("/id")
    }

    pub async fn task(&self, id: &str) -> Result<Answer> {
        self.get(&format!("/v1/tasks/{id}")).await?.expect(200)
    }

    /// The task's state now.
    pub async fn state(&self, id: &str) -> Result<String> {
        self.task(id).await?.str_at("/state")
    }

    /// The result of a task, waited for by the server.
    pub async fn result(&self, id: &str) -> Result<Answer> {
        until("the task is terminal", RESULT_DEADLINE, || async move {
            let answer = self.get(&format!("/v1/tasks/{id}/result?wait=30")).await?;
            Ok((answer.status != 409).then_some(answer))
        })
        .await?
        .expect(200)
    }

    /// Waits until the task is in `state`, which must not be passed over.
    pub async fn until_state(&self, id: &str, state: &str) -> Result<()> {
        until(&format!("task {id} is {state}"), RESULT_DEADLINE, || async move {
            Ok((self.state(id).await? == state).then_some(()))
        })
        .await
    }

    /// Sends a file and answers its upload id.
    pub async fn upload(&self, name: &str, bytes: Vec<u8>) -> Result<String> {
        let part = multipart::Part::bytes(bytes).file_name(name.to_owned());
        let form = multipart::Form::new().part("file", part);
        let answer = self.send(self.request(Method::POST, "/v1/uploads").multipart(form)).await?;
        if !(200..300).contains(&answer.status) {
            bail!("the upload was refused: {} {}", answer.status, answer.text());
        }
        answer.str_at("/upload_id")
    }

    /// Sends a module as it is.
    pub async fn post_module(&self, wasm: Vec<u8>) -> Result<Answer> {
        let request = self.request(Method::POST, "/v1/modules").header("content-type", "application/wasm");
        self.send(request.body(wasm)).await
    }

    /// Uploads a module written as WebAssembly text and answers its digest.
    pub async fn module(&self, text: &str) -> Result<String> {
        let answer = self.post_module(wat::parse_str(text)?).await?;
        if !(200..300).contains(&answer.status) {
            bail!("the module was refused: {} {}", answer.status, answer.text());
        }
        answer.str_at("/module")
    }

    /// The events of a task, from the start or after `last_event_id`.
    pub async fn events(&self, id: &str, last_event_id: Option<&str>) -> Result<EventStream> {
        let mut request = self.request(Method::GET, &format!("/v1/tasks/{id}/events"));
        if let Some(last) = last_event_id {
            request = request.header("last-event-id", last);
        }
        EventStream::of(request.send().await?)
    }

    /// A preview that must work, quickly: the server is alive, and others' work did not hurt it.
    pub async fn probe(&self) -> Result<Duration> {
        let started = std::time::Instant::now();
        self.python("result = 6 * 7").await?.expect_result(&json!({"result": 42}))?;
        Ok(started.elapsed())
    }
}

/// The body of a preview or task that runs inline Python.
pub fn python(source: &str) -> Value {
    json!({"code": {"language": "python", "source": source}})
}

/// The body of a preview or task that runs an uploaded module.
pub fn wasm(module: &str) -> Value {
    json!({"code": {"language": "wasm", "module": module}})
}

/// Lays the fields of `more` over `body`.
pub fn merge(body: &mut Value, more: Value) {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
}

fn spawn(address: SocketAddr, place: &Place, name: &str, options: &ServerOptions) -> Result<Process> {
    let mut arguments = vec!["serve".to_owned()];
    arguments.extend(options.arguments.iter().cloned());
    let mut variables = options.variables.clone();
    variables.push(("MECAPY_LISTEN".to_owned(), address.to_string()));
    place.start(name, &arguments, &variables)
}

/// Waits until the process answers that it can work.
pub(crate) async fn wait_until_ready(process: &mut Process, client: &Client, address: SocketAddr) -> Result<()> {
    let url = format!("http://{address}/ready");
    let started = std::time::Instant::now();
    loop {
        if let Some(status) = process.exited()? {
            bail!("it ended at its start with {status}:\n{}", process.log_tail());
        }
        if client.get(&url).send().await.is_ok_and(|response| response.status().is_success()) {
            return Ok(());
        }
        if started.elapsed() > READY_DEADLINE {
            bail!("it was not ready within {READY_DEADLINE:?}:\n{}", process.log_tail());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn client() -> Result<Client> {
    Ok(Client::builder().no_proxy().timeout(REQUEST_DEADLINE).build()?)
}

pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
