//! The WASI preview1 conformance guests, one test each: `fixtures/conformance/NAME.c` or `.wat` is tested by `NAME` here.
//!
//! Most check themselves and only have to end well. The others are looked at from outside: what they printed, what they
//! left, how long they took, and why they were ended.

#[cfg(test)]
mod driver;

use driver::{Limits, OUTPUT_BYTES_MAX, Run, run, run_with};
use mecapy_model::ErrorKind;
use mecapy_runtime::{Cancel, tree::NotRegular};
use std::{
    thread,
    time::{Duration, Instant},
};

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// A guest's test is the function of its name: without it this doesn't compile.
macro_rules! has_a_test {
    ($name:ident) => {
        const _: fn() = $name;
    };
}
foreach_guest!(has_a_test);

/// Guests that check everything themselves.
macro_rules! passing {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name)).passes();
        })*
    };
}

passing! {
    args_get args_sizes_get environ_get environ_sizes_get
    clock_res_get clock_time_get
    fd_advise fd_allocate fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get
    fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_dir_name fd_prestat_get fd_pwrite fd_read fd_readdir
    fd_renumber fd_seek fd_sync fd_tell
    path_create_directory path_filestat_get path_filestat_set_times path_link path_open path_readlink
    path_remove_directory path_rename path_symlink path_unlink_file
    poll_oneoff proc_raise sched_yield
    sock_accept sock_recv sock_send sock_shutdown
    libc_files
    limit_descriptors limit_disk_full limit_no_memory limit_open_files limit_path_escape limit_path_links
    limit_path_read_only limit_path_text limit_pointers limit_random limit_renumber limit_sparse_file limit_stdin
    limit_subscriptions
}

#[test]
fn fd_write() {
    assert_eq!(run("fd_write").passes().stdout.text, "said\n");
}

#[test]
fn proc_exit() {
    assert_eq!(run("proc_exit").ended, Ok(42));
}

#[test]
fn random_get() {
    let drawn = |seed| run_with("random_get", Limits { seed, ..Limits::default() }).passes().stdout.text;
    let first = drawn(1);
    assert_eq!(first.len(), 124);
    assert_eq!(drawn(1), first);
    assert_ne!(drawn(2), first);
}

/// The guest ends for this reason, soon after its time is over.
#[track_caller]
fn ends_in_time(guest: &str, reason: ErrorKind) {
    let timeout = Duration::from_millis(200);
    let run = run_with(guest, Limits { timeout, ..Limits::default() });
    assert_eq!(run.ended, Err(reason), "the guest said:\n{}", run.stderr.text);
    // Two ticks, and what a busy machine adds.
    assert!(run.elapsed < timeout + Duration::from_millis(500), "it took {:?}", run.elapsed);
}

#[test]
fn limit_loop() {
    ends_in_time("limit_loop", ErrorKind::Timeout);
    let run = run_with("limit_loop", Limits { fuel: 1_000_000, ..Limits::default() });
    assert_eq!(run.ended, Err(ErrorKind::OutOfFuel));
}

#[test]
fn limit_start_loop() {
    ends_in_time("limit_start_loop", ErrorKind::Timeout);
    let run = run_with("limit_start_loop", Limits { fuel: 1_000_000, ..Limits::default() });
    assert_eq!(run.ended, Err(ErrorKind::OutOfFuel));
}

#[test]
fn limit_sleep() {
    ends_in_time("limit_sleep", ErrorKind::Timeout);
}

#[test]
fn limit_sleep_absolute() {
    ends_in_time("limit_sleep_absolute", ErrorKind::Timeout);
}

#[test]
fn limit_subscriptions_sleep() {
    ends_in_time("limit_subscriptions_sleep", ErrorKind::Timeout);
}

#[test]
fn a_sleeping_guest_is_cancelled_at_once() {
    let cancel = Cancel::new();
    let switch = cancel.clone();
    let waker = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        switch.cancel();
        Instant::now()
    });
    let run = run_with("limit_sleep", Limits { cancel, ..Limits::default() });
    assert_eq!(run.ended, Err(ErrorKind::Timeout));
    assert!(waker.join().unwrap().elapsed() < Duration::from_millis(500));
}

#[test]
fn limit_host_calls() {
    assert_eq!(run("limit_host_calls").ended, Err(ErrorKind::OutOfFuel));
}

#[test]
fn limit_recursion() {
    assert_eq!(run("limit_recursion").ended, Err(ErrorKind::StackOverflow));
}

#[test]
fn limit_memory() {
    assert_eq!(run("limit_memory").passes().stdout.text, "grew on");
}

/// Standard output is cut at the cap and says so; all of it was counted.
#[track_caller]
fn is_cut(run: &Run, bytes_written: u64) {
    assert_eq!(run.stdout.bytes_written, bytes_written);
    assert!(run.stdout.truncated);
    assert_eq!(run.stdout.text.len(), OUTPUT_BYTES_MAX);
}

#[test]
fn limit_stdout_large() {
    is_cut(&run("limit_stdout_large").passes(), 1 << 30);
}

#[test]
fn limit_stdout_bytes() {
    is_cut(&run("limit_stdout_bytes").passes(), 10_000_000);
}

#[test]
fn limit_stdout_empty() {
    let run = run("limit_stdout_empty").passes();
    assert_eq!((run.stdout.bytes_written, run.stdout.truncated), (0, false));
}

#[test]
fn limit_stdout_hostile() {
    let run = run("limit_stdout_hostile").passes();
    let shown = "␛[2J␛]52;c;Y2F0␇␛[31m␀␡␈\u{fffd}\u{fffd}\u{fffd}\u{fffd} end\n";
    assert_eq!((run.stdout.text.as_str(), run.stderr.text.as_str()), (shown, "␛[31m"));
}

#[test]
fn limit_iovecs() {
    is_cut(&run("limit_iovecs").passes(), 500 << 23);
}

/// The quota stopped the guest, and what it left goes away quickly.
#[track_caller]
fn is_dropped_in_time(run: Run) {
    assert!(run.tree.inodes_used() <= run.tree.limits().inodes_max);
    let started = Instant::now();
    drop(run.tree);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn limit_many_files() {
    is_dropped_in_time(run("limit_many_files").passes());
}

#[test]
fn limit_nested_folders() {
    is_dropped_in_time(run("limit_nested_folders").passes());
}

#[test]
fn output_files() {
    let run = run("output_files").passes();
    let files: Vec<_> = run.tree.files_under("/work/out").unwrap().collect();
    let expected = [Ok(("first.csv".to_owned(), &b"1,2\n"[..])), Ok(("sub/inner.txt".to_owned(), b"inner"))];
    assert_eq!(files, expected);
}

#[test]
fn output_links() {
    let run = run("output_links").passes();
    let irregular = |path: &str, what| Err(NotRegular { path: path.to_owned(), what });
    let files: Vec<_> = run.tree.files_under("/work/out").unwrap().collect();
    let expected = [
        irregular("hard", "a hard link"),
        irregular("passwd", "a symbolic link"),
        irregular("soft", "a symbolic link"),
    ];
    assert_eq!(files, expected);
}
