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

/// From now on the thread, one of this process, runs where nobody else wants the core; says whether that worked.
///
/// Beside such a thread a core counts as free when the kernel looks for one. A nice value does less: a thread that has
/// run before its share may have to wait behind it for a timer interrupt.
pub(super) fn run_when_idle(thread: libc::pid_t) -> bool {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: reads a structure of ours. A thread that is gone is an error, and nothing changes.
    unsafe { libc::sched_setscheduler(thread, libc::SCHED_IDLE, &parameter) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> i32 {
        // SAFETY: reads a number.
        unsafe { libc::sched_getscheduler(this_thread()) }
    }

    #[test]
    fn a_thread_with_a_lowered_priority_does_not_pass_it_on() {
        let (tell, told) = mpsc::channel();
        let starter = Starter::new().unwrap();
        let before = policy();
        thread::spawn(move || {
            assert!(run_when_idle(this_thread()));
            assert_eq!(policy(), libc::SCHED_IDLE);
            starter.start("a".into(), move || tell.send(policy()).unwrap()).unwrap();
        })
        .join()
        .unwrap();
        assert_eq!(told.recv().unwrap(), before);
    }
}
