//! A Redis server of its own, which keeps nothing on disk; wiped, stopped, killed and started again.

use super::{daemon::Daemon, on_free_port, random_hex};
use anyhow::{Context, Result, bail, ensure};
use reqwest::Url;
use std::{fs, process::Command, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

const REPLY_DEADLINE: Duration = Duration::from_secs(10);
/// What the server logs when it can be used.
const READY: &str = "Ready to accept connections";
/// The longest reply that is read, in bytes.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// A running Redis server; dropped, it is killed.
pub struct Redis {
    daemon: Option<Daemon>,
    address: RedisAddress,
    password: String,
    port: u16,
    home: TempDir,
}

/// Where a Redis server is, and its password.
#[derive(Debug, Clone)]
pub struct RedisAddress {
    url: Url,
}

impl Redis {
    /// An empty server, ready to answer.
    pub async fn start() -> Result<Self> {
        let home = tempfile::Builder::new().prefix("mecapy-redis-").tempdir()?;
        let password = random_hex(16)?;
        let (port, daemon) = on_free_port(async |port| serve(&home, port, &password).await).await?;
        let address = RedisAddress::parse(&format!("redis://:{password}@127.0.0.1:{port}/0"))?;
        Ok(Self { daemon: Some(daemon), address, password, port, home })
    }

    pub fn address(&self) -> &RedisAddress {
        &self.address
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A clean stop (SIGTERM); everything that it knew is gone.
    pub async fn stop(&mut self) -> Result<()> {
        self.end(libc::SIGTERM).await
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<()> {
        self.end(libc::SIGKILL).await
    }

    async fn end(&mut self, signal: libc::c_int) -> Result<()> {
        let daemon = self.daemon.take().context("the server is not running")?;
        daemon.end(signal).await?;
        Ok(())
    }

    /// Starts it on the same port, empty.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.daemon.is_none(), "the server is running");
        self.daemon = Some(serve(&self.home, self.port, &self.password).await?);
        Ok(())
    }
}

impl RedisAddress {
    /// A URL with its password, if there is one.
    pub(super) fn parse(url: &str) -> Result<Self> {
        Ok(Self { url: Url::parse(url)? })
    }

    /// Of the whole server.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// With a random `prefix` for keys and channels: who shares the server hears nothing of others. (A database number
    /// would not do: channels know none.)
    pub fn prefixed_url(&self) -> Result<String> {
        Ok(format!("{}?prefix={}", self.url, random_hex(8)?))
    }

    /// FLUSHALL: forgets all keys of everybody.
    pub async fn wipe(&self) -> Result<()> {
        let reply = self.command(&["FLUSHALL"]).await?;
        ensure!(reply == "OK", "FLUSHALL answered {reply}");
        Ok(())
    }

    /// Sends one command on a connection of its own and answers a status, number or text (empty if there is none).
    pub async fn command(&self, words: &[&str]) -> Result<String> {
        timeout(REPLY_DEADLINE, self.exchange(words)).await.context("Redis does not answer")?
    }

    async fn exchange(&self, words: &[&str]) -> Result<String> {
        let host = self.url.host_str().context("the URL has no host")?;
        let stream = TcpStream::connect((host, self.url.port().unwrap_or(6379))).await?;
        let mut stream = BufReader::new(stream);
        if let Some(password) = self.url.password() {
            send(&mut stream, &["AUTH", password]).await?;
            receive(&mut stream).await?;
        }
        send(&mut stream, words).await?;
        receive(&mut stream).await
    }
}

async fn send(stream: &mut BufReader<TcpStream>, words: &[&str]) -> Result<()> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).await?;
    Ok(())
}

async fn receive(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", value)) => Ok(value.to_owned()),
        Some(("$", "-1")) => Ok(String::new()),
        Some(("$", length)) => {
            let length: usize = length.parse()?;
            ensure!(length <= REPLY_BYTES_MAX, "the reply has {length} bytes");
            let mut text = vec![0; length];
            stream.read_exact(&mut text).await?;
            Ok(String::from_utf8(text)?)
        }
        _ => bail!("Redis answered {line:?}"),
    }
}

async fn serve(home: &TempDir, port: u16, password: &str) -> Result<Daemon> {
    // Read from its input: arguments, with the password among them, are seen by everybody on the machine.
    let settings = format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {}\nsave \"\"\nappendonly no\ndaemonize no\n",
        home.path().display()
    );
    let mut command = Command::new("redis-server");
    command.arg("-");
    let log = home.path().join("redis.log");
    // What an earlier process said must not pass for this one's; there may be none.
    let _ = fs::remove_file(&log);
    let mut daemon = Daemon::start(command, settings.as_bytes(), &log, libc::SIGKILL)?;
    daemon.until_ready(|daemon| daemon.log().contains(READY).then_some(())).await?;
    Ok(daemon)
}
