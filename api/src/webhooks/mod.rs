//! Webhooks: which URLs may be called, signatures, one delivery, its retries, and the loop that carries them out.
//!
//! Knows no table and no route: what is due comes from an `Outbox`, and how it ended goes back there. Every
//! delivery is judged again before its connection is made, however it was judged when its URL was registered.

mod address;
mod dispatch;
mod guard;
mod lookup;
mod outbox;
mod schedule;
mod send;
mod signature;
mod stored;
#[cfg(test)]
mod tests;

pub use address::AllowList;
pub use dispatch::Dispatcher;
pub use guard::{Guard, Refused};
pub use send::Sender;
pub use stored::StoredOutbox;

use std::time::Duration;

/// The code of the fault in a request that names a URL which may not be called.
pub const URL_REFUSED: &str = "url_refused";
/// What a caller is told whose URL's host could not be looked up yet, and when it should come back.
pub const LOOKUPS_BUSY: &str =
    "too many host names are being looked up, of your webhooks or in all: try again in a moment";
pub const LOOKUPS_RETRY_AFTER: Duration = Duration::from_secs(5);
