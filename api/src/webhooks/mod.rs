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
#[cfg(test)]
mod tests;

pub use address::{AllowList, AllowListError};
pub use dispatch::Dispatcher;
pub use guard::{Checked, Guard, Refused, URL_BYTES_MAX};
pub use outbox::{Due, Effect, Health, Next, Outbox, Report, Room, WhyDisabled};
pub use schedule::{ATTEMPTS_MAX, FAILING_MAX};
pub use send::{Outcome, SNIPPET_BYTES_MAX, Sender, Verdict};
pub use signature::{Secret, SecretError, sign};
