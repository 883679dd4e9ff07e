//! What the process's exit code says, in one place: commands answer an [`Exit`], never a number.

use super::refusal::{Misuse, Refusal};
use crate::{client::ClientError, config::ConfigError, worker::ContainersError};
use mecapy_model::{ErrorKind, TaskState};
use mecapy_python::OpenError;
use mecapy_runtime::solver::CatalogueError;
use mecapy_store::StoreError;
use std::{error::Error, process::ExitCode};

/// Shown at the end of `--help`.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
   0  completed
   1  the computation failed (a batch that was to stop at its first error, items
      of one with --strict, a workflow's run), or `doctor` found something that
      must be mended
   2  wrong use: an option, a setting, an input or a file that can't be used;
      an address or a data folder that is taken; no interpreter built yet;
      a database that `mecapy migrate` must prepare first
   3  refused: the code, the inputs or the limits are not acceptable
   4  the server can't be reached, or does not accept the credentials
   5  a limit was met: time, fuel or memory of the computation; the time to
      wait; a quota; a full lane
   6  cancelled
  70  the platform failed
 130  Ctrl-C while waiting for a task, a batch or a run, which goes on";

/// Why the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Completed = 0,
    Failed = 1,
    Misuse = 2,
    Refused = 3,
    Unreachable = 4,
    Limit = 5,
    Cancelled = 6,
    Internal = 70,
    /// As a shell says that SIGINT ended something.
    Interrupted = 130,
}

impl Exit {
    /// The exit for a computation that ended.
    pub(crate) fn of_computation(state: TaskState, error: Option<ErrorKind>) -> Self {
        match (state, error) {
            (TaskState::Completed, _) => Exit::Completed,
            (TaskState::Cancelled, _) | (_, Some(ErrorKind::Cancelled)) => Exit::Cancelled,
            (_, Some(kind)) if kind.is_platform_fault() => Exit::Internal,
            (_, Some(ErrorKind::Timeout | ErrorKind::OutOfFuel | ErrorKind::OutOfMemory | ErrorKind::Quota)) => {
                Exit::Limit
            }
            _ => Exit::Failed,
        }
    }

    /// The exit for a command that could not do its work.
    pub(crate) fn of_error(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if is_misuse(cause) {
                return Exit::Misuse;
            }
            if cause.is::<Refusal>() {
                return Exit::Refused;
            }
            if let Some(client) = cause.downcast_ref::<ClientError>() {
                return Exit::of_client(client);
            }
        }
        Exit::Internal
    }

    fn of_client(error: &ClientError) -> Self {
        match error {
            ClientError::Address { .. } | ClientError::Token | ClientError::File { .. } | ClientError::Write { .. } => {
                Exit::Misuse
            }
            ClientError::Unreachable { .. } | ClientError::Certificates(_) => Exit::Unreachable,
            ClientError::TimedOut { .. } => Exit::Limit,
            ClientError::NotUnderstood { .. } | ClientError::TooLarge { .. } | ClientError::Damaged { .. } => {
                Exit::Internal
            }
            ClientError::Refused(problem) => match problem.status {
                401 | 403 | 503 => Exit::Unreachable,
                429 => Exit::Limit,
                400..500 => Exit::Refused,
                _ => Exit::Internal,
            },
        }
    }
}

/// What the user can put right without us: the command line, the settings, what else runs on the machine.
fn is_misuse(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<Misuse>()
        || cause.is::<ConfigError>()
        || cause.is::<CatalogueError>()
        || matches!(
            cause.downcast_ref(),
            Some(StoreError::Locked { .. } | StoreError::Schema { .. } | StoreError::Session { .. })
        )
        || matches!(cause.downcast_ref(), Some(OpenError::NotBuilt))
        || cause.downcast_ref::<ContainersError>().is_some_and(|error| !matches!(error, ContainersError::Store(_)))
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Problem;

    #[test]
    fn computations_end_with_the_documented_codes() {
        let rows = [
            (TaskState::Completed, None, 0),
            (TaskState::Failed, Some(ErrorKind::Exception), 1),
            (TaskState::Failed, Some(ErrorKind::InvalidOutput), 1),
            (TaskState::Failed, Some(ErrorKind::Timeout), 5),
            (TaskState::Failed, Some(ErrorKind::OutOfMemory), 5),
            (TaskState::Cancelled, Some(ErrorKind::Cancelled), 6),
            (TaskState::Failed, Some(ErrorKind::WorkerLost), 70),
        ];
        for (state, kind, code) in rows {
            assert_eq!(Exit::of_computation(state, kind) as u8, code, "{state} {kind:?}");
        }
    }

    #[test]
    fn errors_end_with_the_documented_codes_even_inside_a_context() {
        let of_status = |status| ClientError::Refused(Box::new(Problem::from_answer(status, None, b"{}")));
        let rows = [(422, 3), (404, 3), (401, 4), (403, 4), (503, 4), (429, 5), (500, 70)];
        for (status, code) in rows {
            let error = anyhow::Error::from(of_status(status)).context("sending the task");
            assert_eq!(Exit::of_error(&error) as u8, code, "HTTP {status}");
        }
        assert_eq!(Exit::of_error(&Misuse::new("no such option").into()) as u8, 2);
        assert_eq!(Exit::of_error(&anyhow::anyhow!("a surprise")) as u8, 70);
        let locked = StoreError::Locked { folder: "data".into(), pid: Some(7) };
        assert_eq!(Exit::of_error(&anyhow::Error::from(locked).context("can't use the data folder")) as u8, 2);
        assert_eq!(Exit::of_error(&StoreError::Closed.into()) as u8, 70);
        assert_eq!(Exit::of_error(&StoreError::Schema { advice: "migrate" }.into()) as u8, 2);
        assert_eq!(Exit::of_error(&ConfigError::NoCacheDir.into()) as u8, 2);
        assert_eq!(Exit::of_error(&OpenError::NotBuilt.into()) as u8, 2);
    }

    #[test]
    fn the_help_names_every_code() {
        for exit in [
            Exit::Completed,
            Exit::Failed,
            Exit::Misuse,
            Exit::Refused,
            Exit::Unreachable,
            Exit::Limit,
            Exit::Cancelled,
            Exit::Internal,
            Exit::Interrupted,
        ] {
            let line = format!("\n{:>4}  ", exit as u8);
            assert!(EXIT_CODES_HELP.contains(&line), "{exit:?}");
        }
    }
}
