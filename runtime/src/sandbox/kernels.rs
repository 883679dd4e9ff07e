//! Native kernels for a guest: linear algebra of the host's on the guest's own memory, at the price of its work.
//!
//! A kernel runs on the guest's thread, under the guest's limits. Each piece of its work pays fuel by its arithmetic, looks
//! at the deadline and the cancel switch, and lets others go first as a tick would; its scratch memory counts as the
//! guest's. What a kernel declines, the guest's own code does: so there is nothing that a guest could be told but "done".
//! Whatever the addresses and sizes are that a guest hands in, `mecapy_linalg` holds them against the memory before it reads
//! or writes.

use super::{Limiter, Run, State};
use crate::{Attempt, Cancel, wasi::Interrupted};
use mecapy_linalg::{Context, Crew, Host, Instructions, Stop};
use mecapy_model::{InstructionSet, KernelUsage, Kernels as Asked};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{Caller, Extern, Memory, Trap};

/// Fuel for an arithmetic operation, in 1/[`PRICE_PARTS`]: a kernel uses up a task's fuel about as fast as compiled
/// WebAssembly does. `make bench` (group `kernels`) holds the two against each other.
const PRICE: u64 = 1;
const PRICE_PARTS: u64 = 4;
/// Names the two numbers above, and what kernels announce as operations, in a task's usage: to be raised with any change of
/// them.
const PRICE_VERSION: u32 = 2;
/// At least so much time is between two moments at which others may go first.
const COURTESY_EVERY: Duration = Duration::from_millis(1);
/// Operations, a fifth of a millisecond of them, after which the clock is looked at. A call of fewer does not look: the
/// guest's next tick will.
const LOOK_FLOPS: u64 = 4_000_000;

const UNFINISHED: &str = "the platform's memory is in use by other computations: a native kernel could not be finished";

/// What a guest has of native kernels, and what it has used.
#[derive(Default)]
pub(crate) struct Kernels {
    /// `None` where the host has none, or the attempt wants none.
    instructions: Option<Instructions>,
    /// That may work on one kernel.
    threads: usize,
    /// `None` while an image is made, which nothing interrupts.
    watch: Option<Watch>,
    /// The guest's memory, once it was looked for.
    memory: Option<Memory>,
    calls: u64,
    flops: u64,
    /// Processor time of threads other than the guest's.
    helped: Duration,
}

/// What may end a kernel, and who may go first.
pub(super) struct Watch {
    cancel: Cancel,
    deadline: Instant,
    checkpoint: Arc<dyn Fn() + Send + Sync>,
}

impl Kernels {
    /// Those of the host, unless the attempt wants none.
    pub(super) fn of(host: Option<Instructions>, attempt: &Attempt) -> Self {
        let instructions = host.filter(|_| attempt.kernels == Asked::Native);
        Self { instructions, threads: attempt.limits.cpus as usize, ..Self::default() }
    }

    pub(super) fn watch(&mut self, run: &Run<'_>) {
        let (cancel, checkpoint) = (run.cancel.clone(), Arc::clone(&run.checkpoint));
        self.watch = Some(Watch { cancel, deadline: run.deadline, checkpoint });
    }

    /// Processor time of threads other than the guest's, since this was asked last.
    pub(super) fn take_helped(&mut self) -> Duration {
        std::mem::take(&mut self.helped)
    }

    /// What was used since this was asked last; `None` where that is nothing.
    pub(super) fn take_use(&mut self) -> Option<KernelUsage> {
        let (calls, flops) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.flops));
        let instructions = self.instructions.filter(|_| calls > 0)?;
        let instructions = match instructions {
            Instructions::X86_64V3 => InstructionSet::X86_64V3,
            Instructions::X86_64 => InstructionSet::X86_64,
        };
        Some(KernelUsage { instructions, calls, flops, price_version: PRICE_VERSION })
    }
}

/// Lets `work` at the guest's memory. The inner answer is the kernel's; `Err` outside ends the guest, or says that we failed.
pub(super) fn with_kernels<R>(
    caller: &mut Caller<'_, State>,
    work: impl FnOnce(&mut Context<'_>, &mut [u8]) -> Result<R, Stop>,
) -> wasmtime::Result<Result<R, Stop>> {
    let Some(instructions) = caller.data().kernels.instructions else {
        return Ok(Err(Stop::Declined));
    };
    let Some(memory) = memory(caller) else {
        return Ok(Err(Stop::Declined));
    };
    let fuel = caller.get_fuel()?;
    let (bytes, state) = memory.data_and_store_mut(&mut *caller);
    let State { limiter, kernels, .. } = state;
    let mut meter = Meter::new(limiter, kernels, fuel);
    let done = match Context::new(&mut meter, instructions) {
        Some(mut context) => work(&mut context, bytes),
        None => Err(Stop::Declined),
    };
    // What is less than one unit of fuel is paid as one: small calls are not free.
    let fuel = meter.fuel.saturating_sub(u64::from(meter.parts > 0));
    let (flops, helped, end) = (meter.flops, meter.helped, meter.end);
    drop(meter);
    kernels.calls += u64::from(done.is_ok());
    kernels.flops = kernels.flops.saturating_add(flops);
    kernels.helped += helped;
    caller.set_fuel(fuel)?;
    match end {
        Some(End::Interrupted) => Err(Interrupted.into()),
        Some(End::OutOfFuel) => Err(Trap::OutOfFuel.into()),
        // It had begun to write: the guest's own code must not go on from there.
        None if matches!(done, Err(Stop::Interrupted)) => Err(wasmtime::format_err!("{UNFINISHED}")),
        None => Ok(done),
    }
}

/// The guest's memory: a store has one guest, whose exports stay what they are.
fn memory(caller: &mut Caller<'_, State>) -> Option<Memory> {
    if caller.data().kernels.memory.is_none() {
        let found = caller.get_export("memory").and_then(Extern::into_memory);
        caller.data_mut().kernels.memory = found;
    }
    caller.data().kernels.memory
}

/// Why a kernel ended before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Interrupted,
    OutOfFuel,
}

/// Counts one kernel's work.
pub(super) struct Meter<'s> {
    limiter: &'s mut Limiter,
    watch: Option<&'s Watch>,
    fuel: u64,
    /// What is owed beside, in 1/[`PRICE_PARTS`] of a unit of fuel.
    parts: u64,
    flops: u64,
    /// Those since the clock was looked at.
    unseen_flops: u64,
    courtesy_at: Option<Instant>,
    scratch_bytes: u64,
    /// That may work at once, the guest's own included.
    pub(super) threads: usize,
    /// Processor time of the others.
    pub(super) helped: Duration,
    end: Option<End>,
}

impl<'s> Meter<'s> {
    fn new(limiter: &'s mut Limiter, kernels: &'s Kernels, fuel: u64) -> Self {
        Self {
            limiter,
            watch: kernels.watch.as_ref(),
            fuel,
            parts: 0,
            flops: 0,
            unseen_flops: 0,
            courtesy_at: None,
            scratch_bytes: 0,
            threads: kernels.threads,
            helped: Duration::ZERO,
            end: None,
        }
    }

    /// Looks at the cancel switch and the deadline, and lets others go first.
    fn look(&mut self) -> Result<(), Stop> {
        let Some(watch) = self.watch else { return Ok(()) };
        let now = Instant::now();
        if watch.cancel.is_cancelled() || now >= watch.deadline {
            return self.ends(End::Interrupted);
        }
        match self.courtesy_at {
            Some(at) if now < at => {}
            // The guest has just had a tick of its own when it called.
            None => self.courtesy_at = Some(now + COURTESY_EVERY),
            Some(_) => {
                (watch.checkpoint)();
                self.courtesy_at = Some(Instant::now() + COURTESY_EVERY);
            }
        }
        Ok(())
    }

    fn ends(&mut self, how: End) -> Result<(), Stop> {
        self.end = Some(how);
        Err(Stop::Interrupted)
    }
}

impl Host for Meter<'_> {
    fn work(&mut self, flops: u64) -> Result<(), Stop> {
        let owed = flops.saturating_mul(PRICE).saturating_add(self.parts);
        self.parts = owed % PRICE_PARTS;
        let Some(fuel) = self.fuel.checked_sub(owed / PRICE_PARTS) else {
            self.fuel = 0;
            return self.ends(End::OutOfFuel);
        };
        self.fuel = fuel;
        self.flops = self.flops.saturating_add(flops);
        self.unseen_flops = self.unseen_flops.saturating_add(flops);
        if self.unseen_flops < LOOK_FLOPS {
            return Ok(());
        }
        self.unseen_flops = 0;
        self.look()
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), Stop> {
        if !self.limiter.reserve(bytes) {
            return Err(Stop::Declined);
        }
        self.scratch_bytes += bytes;
        Ok(())
    }

    fn release(&mut self, bytes: u64) {
        let bytes = bytes.min(self.scratch_bytes);
        self.scratch_bytes -= bytes;
        self.limiter.release(bytes);
    }

    fn crew(&mut self) -> Option<&mut dyn Crew> {
        if self.threads > 1 { Some(self) } else { None }
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.limiter.release(self.scratch_bytes);
    }
}
