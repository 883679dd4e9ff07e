//! The ledger of usage, compared with the tasks that it is of.

use super::check::{Check, reasons};
use crate::{commands::process::store_options, config::Settings};
use mecapy_store::{Reconciliation, reconcile_usage};

const NAME: &str = "usage";

/// `None` where there is no database yet.
pub(super) async fn check(settings: &Settings) -> Option<Check> {
    match reconcile_usage(&store_options(settings)).await {
        Ok(found) => found.map(|found| judge(&found)),
        Err(error) => {
            let advice = match settings.backends.is_shared() {
                true => "see what is said of the database and its schema, and look again",
                false => "start the server once, which brings the database up to date, and look again",
            };
            Some(Check::warn(NAME, format!("the database can't be read: {}", reasons(&error)), advice))
        }
    }
}

fn judge(found: &Reconciliation) -> Check {
    let Reconciliation { ended, rows, of_deleted, missing, early, foreign } = *found;
    if found.holds() {
        let text =
            format!("each of {ended} tasks that have ended has its usage; so have {of_deleted} that were deleted");
        return Check::ok(NAME, text);
    }
    let text = format!(
        "{rows} rows for {ended} tasks that have ended and {of_deleted} that were deleted: {missing} are missing, {early} \
         are of tasks that have not ended, {foreign} name another tenant or lane than their task"
    );
    Check::fail(NAME, text, "keep the database as it is and write to the maintainers")
}

#[cfg(test)]
mod tests {
    use super::{super::check::Status, *};

    #[test]
    fn a_ledger_that_lacks_a_row_or_has_one_too_many_is_told() {
        let sound = Reconciliation { ended: 5, rows: 7, of_deleted: 2, missing: 0, early: 0, foreign: 0 };
        assert_eq!(judge(&sound).status, Status::Ok);
        for broken in [
            Reconciliation { missing: 1, rows: 6, ..sound },
            Reconciliation { early: 1, rows: 8, ..sound },
            Reconciliation { foreign: 1, ..sound },
        ] {
            assert_eq!(judge(&broken).status, Status::Fail);
        }
    }
}
