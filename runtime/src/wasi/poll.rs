//! Waiting: `poll_oneoff`, the one call that blocks.

use super::{
    Errno, Get, Interrupted, Stop, WasiCtx,
    abi::{Guest, Record},
    clocks::ClockId,
    functions,
    table::{Body, rights},
};
use std::time::Instant;
use wasmtime::Linker;

/// Subscriptions in one call.
pub const SUBSCRIPTIONS_MAX: u32 = 16_384;

const SUBSCRIPTION_BYTES: u64 = 48;
const EVENT_BYTES: u32 = 32;
/// What a descriptor that can always be written says it would take, in bytes.
const WRITABLE_BYTES: u64 = 65_536;

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { linker, get,
        poll_oneoff(subscriptions: u32, events: u32, count: u32, out: u32) => |ctx, guest| {
            if count == 0 || count > SUBSCRIPTIONS_MAX {
                return Err(Errno::Inval.into());
            }
            guest.check(events, u64::from(count) * u64::from(EVENT_BYTES))?;
            guest.check(out, 4)?;
            let happened = ctx.poll(guest, subscriptions, count)?;
            let mut at = events;
            for event in &happened {
                guest.put(at, event.record().bytes())?;
                at = at.saturating_add(EVENT_BYTES);
            }
            Ok(guest.put_u32(out, u32::try_from(happened.len()).map_err(|_| Errno::Overflow)?)?)
        };
    }
    Ok(())
}

/// What a subscription waits for, and the token that comes back with it.
#[derive(Clone, Copy)]
struct Subscription {
    token: u64,
    kind: u8,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// Happens at this monotonic time, in nanoseconds.
    At(u64),
    Ready {
        bytes: u64,
        hangup: u16,
    },
    Failed(Errno),
}

mod kind {
    pub(super) const CLOCK: u8 = 0;
    pub(super) const READ: u8 = 1;
    pub(super) const WRITE: u8 = 2;
}

impl Subscription {
    fn record(&self) -> Record<32> {
        let (errno, bytes, flags) = match self.state {
            State::At(_) => (Errno::Success, 0, 0),
            State::Ready { bytes, hangup } => (Errno::Success, bytes, hangup),
            State::Failed(errno) => (errno, 0, 0),
        };
        Record::new()
            .set(0, &self.token.to_le_bytes())
            .set(8, &(errno as u16).to_le_bytes())
            .set(10, &[self.kind])
            .set(16, &bytes.to_le_bytes())
            .set(24, &flags.to_le_bytes())
    }
}

impl WasiCtx {
    /// Waits until at least one subscription has happened; answers those that have.
    fn poll(&self, guest: &Guest<'_>, at: u32, count: u32) -> Result<Vec<Subscription>, Stop> {
        let now = self.clocks.monotonic_nanos();
        let mut all = Vec::with_capacity(count as usize);
        for index in 0..count {
            all.push(self.subscription(guest, u64::from(at) + u64::from(index) * SUBSCRIPTION_BYTES, now)?);
        }
        let wake = |subscription: &Subscription| match subscription.state {
            State::At(nanos) => nanos,
            State::Ready { .. } | State::Failed(_) => 0,
        };
        let earliest = all.iter().map(wake).min().unwrap_or(0);
        if earliest > now {
            self.wait(earliest)?;
        }
        let now = self.clocks.monotonic_nanos();
        all.retain(|subscription| wake(subscription) <= now);
        Ok(all)
    }

    /// Sleeps until a monotonic time. A guest that would sleep past its deadline ends there.
    pub(super) fn wait(&self, wake_nanos: u64) -> Result<(), Stop> {
        let wake = self.clocks.instant(wake_nanos);
        let until = wake.map_or(self.deadline, |wake| wake.min(self.deadline));
        if self.cancel.sleep_until(until) {
            return Err(Stop::end(Interrupted));
        }
        match wake {
            Some(wake) if wake <= Instant::now() => Ok(()),
            _ => Err(Stop::end(Interrupted)),
        }
    }

    fn subscription(&self, guest: &Guest<'_>, at: u64, now: u64) -> Result<Subscription, Errno> {
        let token = u64::from_le_bytes(guest.array(at)?);
        let [kind] = guest.array(at + 8)?;
        let argument = u32::from_le_bytes(guest.array(at + 16)?);
        let state = match kind {
            kind::CLOCK => {
                let timeout = u64::from_le_bytes(guest.array(at + 24)?);
                let flags = u16::from_le_bytes(guest.array(at + 40)?);
                match (ClockId::parse(argument), flags) {
                    (Ok(_), 0) => State::At(now.saturating_add(timeout)),
                    (Ok(id), 1) => State::At(self.clocks.when(id, timeout)),
                    _ => State::Failed(Errno::Inval),
                }
            }
            kind::READ | kind::WRITE => self.readiness(argument, kind),
            _ => return Err(Errno::Inval),
        };
        Ok(Subscription { token, kind, state })
    }

    /// Files and streams are always ready; standard input at its end says so.
    fn readiness(&self, fd: u32, kind: u8) -> State {
        let descriptor = match self.table.get(fd) {
            Ok(descriptor) => descriptor,
            Err(errno) => return State::Failed(errno),
        };
        let right = if kind == kind::READ { rights::FD_READ } else { rights::FD_WRITE };
        if descriptor.rights & right == 0 {
            return State::Failed(Errno::Badf);
        }
        match descriptor.body {
            _ if kind == kind::WRITE => State::Ready { bytes: WRITABLE_BYTES, hangup: 0 },
            Body::Stdin => {
                let left = self.stdin.bytes.len().saturating_sub(self.stdin.position) as u64;
                State::Ready { bytes: left, hangup: u16::from(left == 0) }
            }
            Body::File(file) => match self.tree.stat(file.node) {
                Ok(stat) => State::Ready { bytes: stat.bytes.saturating_sub(file.offset), hangup: 0 },
                Err(error) => State::Failed(error.into()),
            },
            Body::Stdout | Body::Stderr | Body::Directory(_) => State::Failed(Errno::Badf),
        }
    }
}
