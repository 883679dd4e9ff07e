//! A TCP proxy on loopback that breaks connections on demand, to see what the two sides make of it.
//!
//! It runs on a thread of its own, so it goes on while a test's runtime is busy or blocked.

use super::{START_TRIES_MAX, free_port};
use anyhow::{Context, Result};
use reqwest::Url;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc as std_mpsc,
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// What is read and forwarded at once, in bytes.
const CHUNK_BYTES_MAX: usize = 64 << 10;
/// How long the server may go on answering a client that was cut off.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// A proxy in front of one address; dropped, it closes everything.
pub struct Proxy {
    address: SocketAddr,
    controls: Arc<Controls>,
    orders: mpsc::UnboundedSender<Order>,
}

/// What the connections look at while they forward.
struct Controls {
    target: SocketAddr,
    /// Every change resets the connections that are open.
    cuts: watch::Sender<u64>,
    held: watch::Sender<bool>,
    delay_micros: AtomicU64,
    pattern: Mutex<Option<Vec<u8>>>,
    /// How many connections were reset because of a pattern.
    matches: AtomicU64,
}

enum Order {
    Cut(oneshot::Sender<()>),
    Refuse(bool, oneshot::Sender<io::Result<()>>),
}

/// Why a connection is over.
enum End {
    /// One side broke it: so do we to the other.
    Broken,
    /// The pattern went to the server.
    Matched,
}

impl Proxy {
    /// A proxy in front of a port of 127.0.0.1.
    pub fn before_port(port: u16) -> Result<Self> {
        Self::before((Ipv4Addr::LOCALHOST, port).into())
    }

    /// A proxy in front of `target`.
    pub fn before(target: SocketAddr) -> Result<Self> {
        let mut tries = 1;
        loop {
            match Self::listening_on((Ipv4Addr::LOCALHOST, free_port()?).into(), target) {
                Err(_) if tries < START_TRIES_MAX => tries += 1,
                proxy => return proxy,
            }
        }
    }

    fn listening_on(address: SocketAddr, target: SocketAddr) -> Result<Self> {
        let controls = Arc::new(Controls {
            target,
            cuts: watch::Sender::new(0),
            held: watch::Sender::new(false),
            delay_micros: AtomicU64::new(0),
            pattern: Mutex::new(None),
            matches: AtomicU64::new(0),
        });
        let (orders, received) = mpsc::unbounded_channel();
        let (started, has_started) = std_mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = controls.clone();
        std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                let bound = TcpListener::bind(address).await;
                let (outcome, listener) = match bound {
                    Ok(listener) => (Ok(()), Some(listener)),
                    Err(error) => (Err(error), None),
                };
                let wanted = started.send(outcome).is_ok();
                if let Some(listener) = listener.filter(|_| wanted) {
                    serve(listener, address, received, shared).await;
                }
            });
        })?;
        has_started.recv()??;
        Ok(Self { address, controls, orders })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url` with its host and port replaced by the proxy's.
    pub fn url(&self, url: &str) -> Result<String> {
        let mut url = Url::parse(url)?;
        url.set_host(Some(&self.address.ip().to_string()))?;
        url.set_port(Some(self.address.port())).ok().context("the URL has no host")?;
        Ok(url.into())
    }

    /// Resets (RST) all connections to both sides; answers when it is done. New ones may come.
    pub async fn cut(&self) -> Result<()> {
        let (done, is_done) = oneshot::channel();
        self.order(Order::Cut(done))?;
        Ok(is_done.await?)
    }

    /// Whether new connections are refused, as by a port where nothing listens. Open ones go on.
    pub async fn refuse(&self, refused: bool) -> Result<()> {
        let (done, is_done) = oneshot::channel();
        self.order(Order::Refuse(refused, done))?;
        Ok(is_done.await??)
    }

    /// Waits so long before each piece that is forwarded, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.controls.delay_micros.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Forwards nothing any more, while connections stay open and new ones are accepted.
    pub fn hold(&self) {
        self.controls.held.send_replace(true);
    }

    /// Forwards again, first of all what came in the meantime.
    pub fn release(&self) {
        self.controls.held.send_replace(false);
    }

    /// Once: when a client has sent these bytes, they and what came with them are forwarded, then the client is reset.
    /// The server sees an end of its input instead, so that it does what it was told; its answer is thrown away.
    pub fn cut_after_bytes_matching(&self, pattern: &[u8]) {
        *lock(&self.controls.pattern) = Some(pattern.to_vec());
    }

    /// How many connections were reset because of a pattern.
    pub fn matches(&self) -> u64 {
        self.controls.matches.load(Ordering::Relaxed)
    }

    fn order(&self, order: Order) -> Result<()> {
        self.orders.send(order).ok().context("the proxy has ended")
    }
}

impl Controls {
    /// Whether `bytes` complete the pattern, where `tail` holds the end of what went before.
    fn completes_pattern(&self, tail: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let mut pattern = lock(&self.pattern);
        let Some(wanted) = pattern.as_deref() else {
            tail.clear();
            return false;
        };
        tail.extend_from_slice(bytes);
        let found = tail.windows(wanted.len().max(1)).any(|window| window == wanted);
        if found {
            *pattern = None;
            self.matches.fetch_add(1, Ordering::Relaxed);
        } else {
            tail.drain(..tail.len().saturating_sub(wanted.len() - 1));
        }
        found
    }
}

async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    mut orders: mpsc::UnboundedReceiver<Order>,
    controls: Arc<Controls>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => return,
                Some(Order::Cut(done)) => {
                    controls.cuts.send_modify(|count| *count += 1);
                    while connections.join_next().await.is_some() {}
                    // Nobody may be waiting any more.
                    let _ = done.send(());
                }
                Some(Order::Refuse(refused, done)) => {
                    let outcome = match (refused, &listener) {
                        (true, _) => { listener = None; Ok(()) }
                        (false, Some(_)) => Ok(()),
                        (false, None) => TcpListener::bind(address).await.map(|bound| listener = Some(bound)),
                    };
                    let _ = done.send(outcome);
                }
            },
            Some(client) = accept(listener.as_ref()) => {
                // From here on, so that a cut reaches a connection that is still on its way to the server.
                let cuts = controls.cuts.subscribe();
                connections.spawn(connection(client, controls.clone(), cuts));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The next client; never, while none are accepted.
async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(client, _)| client),
        None => std::future::pending().await,
    }
}

async fn connection(mut client: TcpStream, controls: Arc<Controls>, mut cuts: watch::Receiver<u64>) {
    let connected = tokio::select! {
        connected = TcpStream::connect(controls.target) => connected.ok(),
        _ = cuts.changed() => None,
    };
    let Some(mut server) = connected else {
        return reset(client);
    };
    // Only a matter of speed.
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let end = tokio::select! {
        end = relay(&mut client, &mut server, &controls) => end,
        _ = cuts.changed() => Err(End::Broken),
    };
    match end {
        Ok(()) => {}
        Err(End::Broken) => {
            reset(client);
            reset(server);
        }
        Err(End::Matched) => {
            reset(client);
            tokio::select! {
                _ = timeout(DRAIN_DEADLINE, drain(&mut server)) => {}
                _ = cuts.changed() => reset(server),
            }
        }
    }
}

/// Forwards in both directions until both have ended, or either breaks.
async fn relay(client: &mut TcpStream, server: &mut TcpStream, controls: &Controls) -> Result<(), End> {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(pump(from_client, to_server, controls, true), pump(from_server, to_client, controls, false))?;
    Ok(())
}

async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, controls: &Controls, watched: bool) -> Result<(), End> {
    let mut held = controls.held.subscribe();
    let mut chunk = vec![0; CHUNK_BYTES_MAX];
    let mut tail = Vec::new();
    loop {
        let read = from.read(&mut chunk).await.map_err(|_| End::Broken)?;
        let bytes = chunk.get(..read).unwrap_or_default();
        let delay = Duration::from_micros(controls.delay_micros.load(Ordering::Relaxed));
        if !delay.is_zero() {
            sleep(delay).await;
        }
        held.wait_for(|held| !held).await.map_err(|_| End::Broken)?;
        if bytes.is_empty() {
            return to.shutdown().await.map_err(|_| End::Broken);
        }
        to.write_all(bytes).await.map_err(|_| End::Broken)?;
        if watched && controls.completes_pattern(&mut tail, bytes) {
            return Err(End::Matched);
        }
    }
}

/// Ends the server's input and reads its output away: a reset could overtake what was forwarded.
async fn drain(server: &mut TcpStream) -> io::Result<()> {
    server.shutdown().await?;
    tokio::io::copy(server, &mut tokio::io::sink()).await?;
    Ok(())
}

fn reset(stream: TcpStream) {
    // Without it the connection is closed all the same, if more politely.
    let _ = stream.set_zero_linger();
    drop(stream);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
