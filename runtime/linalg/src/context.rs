//! What a kernel works under: the instruction set, the host that counts its work, and scratch memory that is charged.

/// The most work between two looks at the host, floating-point operations: about 2 ms of one core.
pub const WORK_FLOPS_MAX: u64 = 50_000_000;

/// Why a kernel did not do what it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Nothing was written: the guest's own code does it instead.
    #[error("left to the guest's own code")]
    Declined,
    /// The host ended the work: what was written so far is of no use.
    #[error("interrupted by the host")]
    Interrupted,
}

/// The embedder's side while a kernel works.
pub trait Host {
    /// Told before each piece of at most [`WORK_FLOPS_MAX`] operations, so many as the piece has. `Interrupted` ends the
    /// kernel there. A piece that moves data rather than computing counts each element that it moves as one operation.
    fn work(&mut self, flops: u64) -> Result<(), Stop>;
    /// Charges scratch memory; `Declined` where the guest may have no more.
    fn reserve(&mut self, bytes: u64) -> Result<(), Stop>;
    /// Takes back a charge.
    fn release(&mut self, bytes: u64);
    /// Further threads, where the host has any for this guest.
    fn crew(&mut self) -> Option<&mut dyn Crew> {
        None
    }
}

/// Several threads that work on one kernel.
pub trait Crew {
    /// How many may work at once, the caller included. What is computed may depend on this, so it is the same for equal
    /// requests; how many there are then may not.
    fn threads(&self) -> usize;
    /// Does `job` here and on at most [`Crew::threads`] − 1 other threads at once. Each is handed a host of its own that
    /// counts for this one and has no scratch memory. Comes back when all are through: `Interrupted` where one was.
    fn together(&mut self, job: &Job<'_>) -> Result<(), Stop>;
}

/// What each thread of a crew does.
pub type Job<'j> = dyn Fn(&mut dyn Host) -> Result<(), Stop> + Sync + 'j;

/// A host that neither counts nor limits: for tests and measurements.
#[derive(Debug, Default)]
pub struct Unlimited;

impl Host for Unlimited {
    fn work(&mut self, _flops: u64) -> Result<(), Stop> {
        Ok(())
    }

    fn reserve(&mut self, _bytes: u64) -> Result<(), Stop> {
        Ok(())
    }

    fn release(&mut self, _bytes: u64) {}
}

/// The instruction set of the kernels. Results of one set are equal bit for bit on every machine that has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Instructions {
    /// AVX2 and fused multiply-add: every x86-64 server since 2015.
    #[default]
    X86_64V3,
    /// What every x86-64 machine has. No fused multiply-add.
    X86_64,
}

impl Instructions {
    /// Whether this machine has them.
    pub fn are_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::X86_64V3 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::X86_64V3 => false,
            Self::X86_64 => cfg!(target_arch = "x86_64"),
        }
    }

    /// The name in settings and in a task's usage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64V3 => "x86-64-v3",
            Self::X86_64 => "x86-64",
        }
    }
}

/// What a kernel is handed beside its operands.
pub struct Context<'h> {
    host: &'h mut dyn Host,
    instructions: Instructions,
}

impl<'h> Context<'h> {
    /// `None` where this machine lacks the instructions.
    pub fn new(host: &'h mut dyn Host, instructions: Instructions) -> Option<Self> {
        instructions.are_available().then_some(Self { host, instructions })
    }

    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// To be called before each piece of work: see [`Host::work`].
    pub fn work(&mut self, flops: u64) -> Result<(), Stop> {
        self.host.work(flops)
    }

    /// Charges scratch memory that the caller allocates after this, and hands back with [`Context::release`].
    pub fn reserve(&mut self, bytes: u64) -> Result<(), Stop> {
        self.host.reserve(bytes)
    }

    pub fn release(&mut self, bytes: u64) {
        self.host.release(bytes);
    }

    pub fn crew(&mut self) -> Option<&mut dyn Crew> {
        self.host.crew()
    }
}
