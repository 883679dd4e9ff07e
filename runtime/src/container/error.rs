//! What can go wrong between us and a Docker engine, and what to do about it.

use super::ImageDigest;
use bollard::errors::Error as ClientError;
use std::{error::Error, io, time::Duration};
use tokio::time::{Instant, sleep};

/// The oldest engine API that has all that a run needs (Docker 20.10).
pub(super) const API_VERSION_MIN: (usize, usize) = (1, 41);
/// How long a run waits for an engine that went away, before it counts as lost. A restart takes seconds.
pub const ENGINE_AWAY_MAX: Duration = Duration::from_secs(300);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Failures that are further apart are two absences: longer than an engine may take to begin an answer.
const ABSENCE_GAP_MAX: Duration = Duration::from_secs(90);

/// The platform could not run a container, or could not see it to its end. Nothing in here is the solver's fault.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(
        "{0:?} is no address of a Docker engine: use unix:///path/of/docker.sock (an engine's port gives its whole \
         machine away, so tcp:// is for 127.0.0.1 and [::1] alone)"
    )]
    Address(String),
    #[error(
        "no Docker engine listens at {0}: start it (systemctl start docker), or name the socket of the one that runs"
    )]
    NoEngine(String),
    #[error("the Docker engine's socket {0} may not be opened: run as root, or as a member of the socket's group")]
    NoPermission(String),
    #[error("the Docker engine speaks API {found}: version {}.{} (Docker 20.10) or newer is needed", API_VERSION_MIN.0, API_VERSION_MIN.1)]
    TooOld { found: String },
    #[error("the Docker engine can't keep a container within bounds: it lacks {0}")]
    Unsafe(String),
    #[error("the image {image} is not on the engine's machine: {}", image.to_fetch())]
    ImageMissing { image: ImageDigest },
    #[error("the Docker engine has no runtime {runtime:?}, only {}: install it there, or change the catalogue", known.join(", "))]
    RuntimeMissing { runtime: String, known: Vec<String> },
    /// What was to be launched can't be: a fault of the catalogue or of our own code.
    #[error("the container can't be made: {0}")]
    Refused(String),
    #[error("a container named {0} is in the way, and it is not of an older claim of this attempt")]
    Conflict(String),
    #[error("the container {0} is gone: somebody else removed it")]
    Vanished(String),
    #[error("the container {0} was stopped together with its Docker engine: turn live-restore on there")]
    Lost(String),
    #[error("the Docker engine does not answer")]
    Unreachable(#[source] Box<ClientError>),
    /// The engine's own answer, which says what it could not do.
    #[error("the Docker engine failed")]
    Failed(#[source] Box<ClientError>),
}

impl EngineError {
    /// Whether another try, later or elsewhere, may go better with nothing changed by an operator.
    pub fn retry_helps(&self) -> bool {
        matches!(
            self,
            Self::NoEngine(_)
                | Self::Conflict(_)
                | Self::Vanished(_)
                | Self::Lost(_)
                | Self::Unreachable(_)
                | Self::Failed(_)
        )
    }

    /// What an engine's refusal to answer at its address means.
    pub(super) fn connecting(url: &str, error: ClientError) -> Self {
        if matches!(error, ClientError::SocketNotFoundError(_)) {
            return Self::NoEngine(url.to_owned());
        }
        match io_kind(&error) {
            Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Self::NoEngine(url.to_owned()),
            Some(io::ErrorKind::PermissionDenied) => Self::NoPermission(url.to_owned()),
            _ => error.into(),
        }
    }

    /// The same, of a request about the container `id`: where it does not exist, it has vanished.
    pub(super) fn about(id: &str, error: ClientError) -> Self {
        match status(&error) {
            Some(404) => Self::Vanished(id.to_owned()),
            _ => error.into(),
        }
    }

    /// Whether the engine may be away or busy with its own restart, rather than unable to do what it was asked for.
    pub fn may_be_away(&self) -> bool {
        matches!(self, Self::NoEngine(_) | Self::Unreachable(_) | Self::Failed(_))
    }

    /// Whether the request can't have reached the engine, so that nothing came of it.
    pub fn was_not_asked(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        match self {
            Self::NoEngine(_) => true,
            // Of a connection's making alone: one that was made breaks in other ways.
            Self::Unreachable(error) => {
                matches!(io_kind(&**error), Some(ConnectionRefused | NotFound | PermissionDenied))
            }
            _ => false,
        }
    }
}

impl From<ClientError> for EngineError {
    fn from(error: ClientError) -> Self {
        match status(&error) {
            Some(400..500) => Self::Refused(error.to_string()),
            Some(_) => Self::Failed(Box::new(error)),
            None => Self::Unreachable(Box::new(error)),
        }
    }
}

/// The engine's HTTP status, where it answered.
pub(super) fn status(error: &ClientError) -> Option<u16> {
    match error {
        ClientError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}

/// Waits for an engine that is away, and knows when to give up.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// The first and the latest failure of an absence.
    away: Option<(Instant, Instant)>,
}

impl Patience {
    /// Whether the engine ever was away.
    pub(super) fn was_tried(&self) -> bool {
        self.away.is_some()
    }

    /// Pauses before the next try.
    ///
    /// # Errors
    /// `error` itself, where it is not the engine's absence or the engine has been away for too long.
    pub(super) async fn pause(&mut self, error: EngineError) -> Result<(), EngineError> {
        if !error.may_be_away() {
            return Err(error);
        }
        let now = Instant::now();
        let first = match self.away {
            Some((first, latest)) if now - latest < ABSENCE_GAP_MAX => first,
            _ => {
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(error = %error, cause, "container.engine_away");
                now
            }
        };
        self.away = Some((first, now));
        if now - first > ENGINE_AWAY_MAX {
            return Err(error);
        }
        sleep(RECONNECT_PAUSE).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_ends_with_one_long_absence_and_not_with_many_short_ones() {
        let away = || EngineError::NoEngine("there".to_owned());
        let mut patience = Patience::default();
        for _ in 0..10 {
            patience.pause(away()).await.unwrap();
            tokio::time::advance(ENGINE_AWAY_MAX).await;
        }
        let started = Instant::now();
        while patience.pause(away()).await.is_ok() {}
        assert!((300..302).contains(&started.elapsed().as_secs()));
        assert!(patience.pause(EngineError::Vanished("id".to_owned())).await.is_err());
    }
}
