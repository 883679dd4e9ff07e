//! The accept loop: connections with limits on their number, their silence, their headers and their readers.
//!
//! Knows nothing of routes: each request goes to one tower service.

mod accept;
mod body;
mod connection;
mod stream;
mod table;
mod watch;

pub use accept::{listen, serve};

use std::time::Duration;

/// What one listener allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConnectionLimits {
    /// Open connections in all.
    pub connections_max: usize,
    /// Open connections of one peer address.
    pub connections_per_ip_max: usize,
    /// From accepting a connection to its first byte.
    pub first_byte_timeout: Duration,
    /// From the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// How long a peer may leave what we wrote unread.
    pub write_timeout: Duration,
    /// From the signal to stop to closing what is still open.
    pub drain_timeout: Duration,
}

/// Headers of one request, bytes in all.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// Headers of one request, lines.
pub const HEADERS_MAX: usize = 128;
/// Requests under way on one HTTP/2 connection.
pub const HTTP2_STREAMS_MAX: u32 = 128;
/// Streams that an HTTP/2 peer may open and reset before we have seen them.
pub const HTTP2_PENDING_RESETS_MAX: usize = 20;

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_ip_max: 1024,
            first_byte_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
