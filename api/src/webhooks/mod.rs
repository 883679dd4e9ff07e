//! Webhooks: which URLs may be called, signatures, one delivery, its retries, and the loop that carries them out.
//!
//! Knows no table and no route: what is due comes from an [`Outbox`], and how it ended goes back there. Every
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
pub use guard::Guard;
pub use send::Sender;
pub use stored::StoredOutbox;

/// The code of the fault in a request that names a URL which may not be called.
pub const URL_REFUSED: &str = "url_refused";
