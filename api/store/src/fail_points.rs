//! Where a process can be told to fail, so that tests see what each step leaves behind.
//!
//! | point | the process has just |
//! |---|---|
//! | `store.after_insert` | written a submission, not committed |
//! | `store.after_commit` | committed it, not answered |
//! | `store.after_hint` | told the other processes |
//! | `worker.after_claim` | claimed tasks, started none |
//! | `worker.run:NAME` | begun to run a task with this name |
//! | `worker.after_container_start` | started a container, followed none of its output |
//! | `worker.after_objects` | stored an attempt's files, not its end |
//! | `store.after_finish` | committed an end, told nobody |
//! | `store.before_advance` | written a step of a run, not committed |
//! | `store.after_advance` | committed it, told nobody |
//! | `webhook.after_post` | posted an event, not written that down |

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether any point is armed. The points themselves are the crate's, one set for the process, and aren't asked before.
static ARMED: AtomicBool = AtomicBool::new(false);

/// Arms points: `name=actions`, with `;` between them and the actions as the crate `fail` reads them. `return` ends the
/// process on the spot, as a crash does: `store.after_commit=1*return`.
///
/// # Errors
/// Says what of the text can't be read.
pub fn arm_fail_points(points: &str) -> Result<(), String> {
    for point in points.split(';').map(str::trim).filter(|point| !point.is_empty()) {
        let (name, actions) =
            point.split_once('=').ok_or_else(|| format!("{point:?} names no actions, as in name=return"))?;
        fail::cfg(name, actions)?;
        ARMED.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Fails here where tests armed the point.
pub fn fail_point(name: &str) {
    if ARMED.load(Ordering::Relaxed) {
        fire(name);
    }
}

/// Fails here where tests armed the point for what has this name.
pub fn fail_point_of(name: &str, of: Option<&str>) {
    if let (true, Some(of)) = (ARMED.load(Ordering::Relaxed), of) {
        fire(&format!("{name}:{of}"));
    }
}

#[cold]
fn fire(name: &str) {
    let _: Option<()> = fail::eval(name, |_| std::process::abort());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_does_what_it_was_armed_with_and_others_nothing() {
        for wrong in ["nothing", "a=explode", "a=1*"] {
            assert!(arm_fail_points(wrong).is_err(), "{wrong}");
        }
        fail_point("test.point");
        arm_fail_points("test.point=1*panic; test.named:poison=1*panic;").unwrap();
        fail_point("test.other");
        fail_point_of("test.named", Some("bread"));
        fail_point_of("test.named", None);
        for armed in [|| fail_point("test.point"), || fail_point_of("test.named", Some("poison"))] {
            assert!(std::panic::catch_unwind(armed).is_err());
            armed();
        }
    }
}
