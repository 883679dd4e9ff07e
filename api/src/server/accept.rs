//! Accepts connections until told to stop, then drains.

use super::{
    ConnectionLimits,
    connection::{self, Shared, Stage},
    table::Table,
};
use axum::Router;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};
use tokio_util::task::TaskTracker;

/// After an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// From telling connections to close to not waiting for them any more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that the kernel keeps for us until we accept them; its own `somaxconn` may be less. Where a burst passes
/// it, the peers believe that they are connected and wait for a minute.
const BACKLOG: u32 = 4096;

/// A listener whose queue outlasts a burst of connections.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` on `listener` until `stop` ends; then lets what is under way finish, for so long as the limits say.
pub async fn serve(listener: TcpListener, router: Router, limits: ConnectionLimits, stop: impl Future<Output = ()>) {
    let (stage, stage_seen) = watch::channel(Stage::Serving);
    let shared = Shared { protocol: Arc::new(connection::protocol()), router, limits, stage: stage_seen };
    let connections = TaskTracker::new();
    tokio::select! {
        () = accept_all(&listener, &shared, &connections) => (),
        () = stop => (),
    }
    drop(listener);
    drop(shared);
    connections.close();
    stage.send_replace(Stage::Draining);
    if tokio::time::timeout(limits.drain_timeout, connections.wait()).await.is_err() {
        tracing::warn!(connections.open = connections.len(), "connections are closed before they ended");
        stage.send_replace(Stage::Closing);
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, connections.wait()).await;
        if closed.is_err() {
            tracing::warn!(connections.open = connections.len(), "connections did not close");
        }
    }
}

async fn accept_all(listener: &TcpListener, shared: &Shared, connections: &TaskTracker) {
    let table = Table::new(&shared.limits);
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                if let Some(admitted) = table.admit(peer.ip()) {
                    no_delay(&socket);
                    connections.spawn(connection::serve(shared.clone(), socket, admitted));
                } else {
                    tracing::warn!(peer.address = %peer.ip(), "connection refused: as many are at work as may be open");
                }
            }
            Err(error) if is_the_peers(&error) => tracing::debug!(error = %error, "accept failed"),
            Err(error) => {
                tracing::warn!(error = %error, "accept failed: a connection is closed to make room");
                table.make_room();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Small answers leave at once.
fn no_delay(socket: &TcpStream) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(error = %error, "TCP_NODELAY not set");
    }
}

/// Whether the connection was gone before it was accepted.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
