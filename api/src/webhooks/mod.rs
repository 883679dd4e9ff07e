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

pub use address::{AllowList, AllowListError};
pub use dispatch::Dispatcher;
pub use guard::{Checked, Guard, Refused, URL_BYTES_MAX};
pub use outbox::{Due, Effect, Health, Next, Outbox, Report, Room, WhyDisabled};
pub use schedule::{ATTEMPTS_MAX, FAILING_MAX};
pub use send::{Outcome, SNIPPET_BYTES_MAX, Sender, Verdict};
pub use signature::{Secret, SecretError, sign};
pub use stored::StoredOutbox;

/// The code of the fault in a request that names a URL which may not be called.
pub const URL_REFUSED: &str = "url_refused";
