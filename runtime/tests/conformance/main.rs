//! The WASI preview1 conformance guests, one test each: `fixtures/conformance/NAME.c` or `.wat` is tested by `NAME` here.
//!
//! Most check themselves and only have to end well. The others are looked at from outside: what they printed, what they
//! left, how long they took, and why they were ended. All run in the sandbox, as a task does; the few that leave something
//! that no outcome shows run once more on the WASI host alone.

#[cfg(test)]
mod components;
#[cfg(test)]
mod driver;

use driver::{Limits, OUTPUT_BYTES_MAX, functions_of_the_host, left_by, run, run_with, source_of};
use mecapy_model::{ErrorKind, Outcome};
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
    limit_subscriptions limit_tables
}

/// The other way round: what the host offers is tested by a guest of its name.
#[test]
fn every_function_of_the_host_has_a_guest() {
    let functions = functions_of_the_host();
    // Preview 1 has 46.
    assert_eq!(functions.len(), 46);
    let untested: Vec<_> = functions.iter().filter(|function| source_of(function).is_none()).collect();
    assert!(untested.is_empty(), "no guest tests {untested:?}");
}

#[test]
fn fd_write() {
    assert_eq!(run("fd_write").passes().stdout, "said\n");
}

#[test]
fn proc_exit() {
    assert_eq!(run("proc_exit").fails(ErrorKind::ExitCode), "the module ended with exit code 42");
}

#[test]
fn random_get() {
    let drawn = |seed| run_with("random_get", Limits { seed, ..Limits::default() }).passes().stdout;
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
    // Two ticks, and what a busy machine adds.
    assert!(run.elapsed < timeout + Duration::from_millis(500), "it took {:?}", run.elapsed);
    run.fails(reason);
}

#[test]
fn limit_loop() {
    ends_in_time("limit_loop", ErrorKind::Timeout);
    run_with("limit_loop", Limits { fuel: 1_000_000, ..Limits::default() }).fails(ErrorKind::OutOfFuel);
}

#[test]
fn limit_start_loop() {
    ends_in_time("limit_start_loop", ErrorKind::Timeout);
    run_with("limit_start_loop", Limits { fuel: 1_000_000, ..Limits::default() }).fails(ErrorKind::OutOfFuel);
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
    run.fails(ErrorKind::Cancelled);
    assert!(waker.join().unwrap().elapsed() < Duration::from_millis(500));
}

#[test]
fn limit_host_calls() {
    run("limit_host_calls").fails(ErrorKind::OutOfFuel);
}

#[test]
fn limit_door() {
    let message = run("limit_door").fails(ErrorKind::OutOfFuel);
    assert!(message.contains("system calls"), "{message}");
}

#[test]
fn limit_recursion() {
    run("limit_recursion").fails(ErrorKind::StackOverflow);
}

#[test]
fn limit_memory() {
    let outcome = run("limit_memory").passes();
    assert_eq!(outcome.stdout, "grew on");
    assert!(outcome.usage.memory_peak_bytes <= Limits::default().memory_bytes);
}

/// Standard output is cut at the cap and says so.
#[track_caller]
fn is_cut(outcome: &Outcome) {
    assert!(outcome.stdout_truncated);
    assert_eq!(outcome.stdout.len(), OUTPUT_BYTES_MAX);
}

/// The same, and what is beyond the cap of a result is named by the size that it had.
#[track_caller]
fn is_too_large(outcome: &Outcome, size: &str) {
    is_cut(outcome);
    let told = outcome.result.as_ref().is_err_and(|error| error.message.contains(size));
    assert!(told, "not {size}: {:?}", outcome.result);
}

#[test]
fn limit_stdout_large() {
    is_too_large(&run("limit_stdout_large").passes(), "1024 MiB");
    assert_eq!(left_by("limit_stdout_large").stdout_bytes, 1 << 30);
}

#[test]
fn limit_stdout_huge() {
    let run = run_with("limit_stdout_huge", Limits { memory_bytes: 512 << 20, ..Limits::default() });
    assert!(run.elapsed < Duration::from_secs(3), "it took {:?}", run.elapsed);
    let outcome = run.passes();
    is_too_large(&outcome, "300 MiB");
    assert_eq!((outcome.stderr.len(), outcome.stderr_truncated), (OUTPUT_BYTES_MAX, true));
}

#[test]
fn limit_stdout_bytes() {
    is_cut(&run("limit_stdout_bytes").passes());
    assert_eq!(left_by("limit_stdout_bytes").stdout_bytes, 10_000_000);
}

#[test]
fn limit_stdout_empty() {
    let outcome = run("limit_stdout_empty").passes();
    assert_eq!((outcome.stdout.as_str(), outcome.stdout_truncated), ("", false));
    assert!(outcome.result.unwrap_err().message.contains("wrote nothing"));
}

#[test]
fn limit_stdout_hostile() {
    let outcome = run("limit_stdout_hostile").passes();
    let shown = "␛[2J␛]52;c;Y2F0␇␛[31m␀␡␈\u{fffd}\u{fffd}\u{fffd}\u{fffd} end\n";
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), (shown, "␛[31m"));
}

#[test]
fn limit_iovecs() {
    is_too_large(&run("limit_iovecs").passes(), "4000 MiB");
    assert_eq!(left_by("limit_iovecs").stdout_bytes, 500 << 23);
}

/// The quota stops the guest, and what it leaves goes away quickly.
#[track_caller]
fn is_dropped_in_time(guest: &str) {
    run(guest).passes();
    let tree = left_by(guest).tree;
    assert!(tree.inodes_used() <= tree.limits().inodes_max);
    let started = Instant::now();
    drop(tree);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn limit_many_files() {
    is_dropped_in_time("limit_many_files");
}

#[test]
fn limit_nested_folders() {
    is_dropped_in_time("limit_nested_folders");
}

#[test]
fn output_files() {
    let outcome = run("output_files").passes();
    let files: Vec<_> =
        outcome.artifacts.iter().map(|artifact| (artifact.name.as_str(), artifact.bytes.as_slice())).collect();
    assert_eq!(files, [("first.csv", &b"1,2\n"[..]), ("sub/inner.txt", &b"inner"[..])]);
}

#[test]
fn output_links() {
    let message = run("output_links").fails(ErrorKind::InvalidArtifact);
    assert!(message.contains("\"hard\" is a hard link"), "{message}");
    let irregular = |path: &str, what| Err(NotRegular { path: path.to_owned(), what });
    let tree = left_by("output_links").tree;
    let files: Vec<_> = tree.files_under("/work/out").unwrap().collect();
    let expected = [
        irregular("hard", "a hard link"),
        irregular("passwd", "a symbolic link"),
        irregular("soft", "a symbolic link"),
    ];
    assert_eq!(files, expected);
}

#[test]
fn output_exact() {
    let inputs =
        "{\"text\": \"\u{7f}\u{85}\u{9b}\u{feff}∑é🦀\\u001b\", \"numbers\": [1e400, 0.10, -0, 123456789012345678901]}";
    let outcome = run_with("output_exact", Limits { inputs, ..Limits::default() }).passes();
    assert_eq!(outcome.result.unwrap().get(), inputs);
    assert_eq!((outcome.stdout.as_str(), outcome.stdout_truncated), ("", false));
}

#[test]
fn output_not_utf8() {
    let run = run("output_not_utf8");
    assert_eq!(run.outcome.stdout, "{\"x\": \"\u{fffd}\"}");
    let message = run.fails(ErrorKind::InvalidOutput);
    assert!(message.contains("not UTF-8"), "{message}");
}
