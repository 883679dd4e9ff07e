//! Threads that run guests: how they start, and how their priority is lowered.
//!
//! A thread's priority can be lowered without privilege but not raised again, and a new thread has its starter's: so
//! threads are started by one that always keeps the process's own.

use std::{
    io,
    sync::mpsc::{self, SyncSender},
    thread,
};

/// Native stack of a thread that runs guests: the guest's 8 MiB and the host's own.
const THREAD_STACK_BYTES: usize = crate::engine::GUEST_STACK_BYTES_MAX + (4 << 20);

/// Starts threads at the priority that it was made with. Its own thread ends with the last handle.
#[derive(Clone)]
pub(super) struct Starter(SyncSender<Request>);

struct Request {
    name: String,
    work: Box<dyn FnOnce() + Send>,
    answer: SyncSender<io::Result<()>>,
}

impl Starter {
    pub(super) fn new() -> io::Result<Self> {
        let (send, requests) = mpsc::sync_channel::<Request>(0);
        thread::Builder::new().name("mecapy-starter".into()).spawn(move || {
            for Request { name, work, answer } in requests {
                let started = thread::Builder::new().name(name).stack_size(THREAD_STACK_BYTES).spawn(work);
                // Who asked waits for it.
                drop(answer.send(started.map(drop)));
            }
        })?;
        Ok(Self(send))
    }

    /// Starts a thread, and waits until it is started.
    pub(super) fn start(&self, name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let gone = || io::Error::other("the thread that starts others has ended");
        let (answer, answered) = mpsc::sync_channel(1);
        self.0.send(Request { name, work: Box::new(work), answer }).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

/// The calling thread, as the kernel names it.
pub(super) fn this_thread() -> libc::pid_t {
    // SAFETY: a system call without arguments that can't fail.
    unsafe { libc::gettid() }
}

/// The turn that a thread of low priority asks of the scheduler, the longest there is. Where turns can be asked for
/// (Linux 6.12 and later), a thread that wakes up and wants a shorter one, as every thread does that asks for nothing,
/// needn't wait for the end of this one. Its share of the processor doesn't depend on it.
const TURN_NS: u64 = 100_000_000;
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

/// Raises the nice value of a thread of this process by `nice`, and has it asked for long turns; says whether that
/// worked.
pub(super) fn lower_priority(thread: libc::pid_t, nice: i32) -> bool {
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
        runtime_ns: TURN_NS,
        ..attributes
    };
    // SAFETY: reads a structure of ours of the size that it tells; an error changes nothing.
    unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &wanted, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nice() -> i32 {
        // SAFETY: reads a number.
        unsafe { libc::getpriority(libc::PRIO_PROCESS, this_thread() as libc::id_t) }
    }

    #[test]
    fn a_thread_with_a_lowered_priority_does_not_pass_it_on() {
        let (tell, told) = mpsc::channel();
        let starter = Starter::new().unwrap();
        let before = nice();
        thread::spawn(move || {
            assert!(lower_priority(this_thread(), 5));
            assert_eq!(nice(), (before + 5).min(NICE_MAX));
            starter.start("a".into(), move || tell.send(nice()).unwrap()).unwrap();
        })
        .join()
        .unwrap();
        assert_eq!(told.recv().unwrap(), before);
    }
}
