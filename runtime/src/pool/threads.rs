//! Threads that run guests, and how they start.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::priority::{lower_priority, this_thread};

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
            assert_eq!(nice(), (before + 5).min(19));
            starter.start("a".into(), move || tell.send(nice()).unwrap()).unwrap();
        })
        .join()
        .unwrap();
        assert_eq!(told.recv().unwrap(), before);
    }
}
