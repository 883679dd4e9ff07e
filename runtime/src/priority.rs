//! What a thread asks of the kernel's scheduler: a priority, and the length of its turns.
//!
//! Where turns can be asked for (Linux 6.12 and later), a thread that wakes up and wants a shorter turn than the one that
//! has the core needn't wait for the end of it. Shares of the processor don't depend on them.

/// The calling thread, as the kernel names it.
pub(crate) fn this_thread() -> libc::pid_t {
    // SAFETY: a system call without arguments that can't fail.
    unsafe { libc::gettid() }
}

/// The longest turn that can be asked of the scheduler, and the shortest.
const LONG_TURN_NS: u64 = 100_000_000;
const SHORT_TURN_NS: u64 = 100_000;
/// The lowest priority that there is.
const NICE_MAX: i32 = 19;

/// `struct sched_attr` of `linux/sched/types.h`, its first version.
#[repr(C)]
#[derive(Debug, Default)]
struct SchedulingAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// Raises the nice value of a thread of this process by `nice`, and has it ask for long turns: every thread that asks for
/// nothing goes before it. Says whether that worked.
pub(crate) fn lower_priority(thread: libc::pid_t, nice: i32) -> bool {
    ask(thread, nice, LONG_TURN_NS)
}

/// Has the calling thread ask for short turns, at its own priority; it must need little of the processor.
pub(crate) fn hurry() -> bool {
    ask(this_thread(), 0, SHORT_TURN_NS)
}

fn ask(thread: libc::pid_t, nice: i32, turn_ns: u64) -> bool {
    let size = size_of::<SchedulingAttributes>() as u32;
    let mut attributes = SchedulingAttributes::default();
    // SAFETY: fills a structure of ours of the size that is told. A thread that is gone is an error.
    if unsafe { libc::syscall(libc::SYS_sched_getattr, thread, &mut attributes, size, 0) } != 0 {
        return false;
    }
    let wanted = SchedulingAttributes {
        size,
        flags: 0,
        nice: (attributes.nice + nice).min(NICE_MAX),
        runtime_ns: turn_ns,
        ..attributes
    };
    // SAFETY: reads a structure of ours of the size that it tells; an error changes nothing.
    unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &wanted, 0) == 0 }
}
