//! How many files and sockets this process may hold open.

/// What is assumed where the limit can't be read.
const DESCRIPTORS_ASSUMED: u64 = 1024;
/// More than this are of no use here.
const DESCRIPTORS_WANTED: u64 = 65_536;

/// Raises the soft limit as far as the hard one allows; answers what is in force.
pub(super) fn raise() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call is given a valid `rlimit` that outlives it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return DESCRIPTORS_ASSUMED;
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max.min(DESCRIPTORS_WANTED).max(before);
    // SAFETY: the call is given a valid `rlimit` that outlives it, and only reads it.
    if limit.rlim_cur == before || unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } == 0 {
        limit.rlim_cur
    } else {
        before
    }
}
