//! Whether the Docker engine is there. While it is not, nothing is claimed: each claim would make a work folder and come
//! to nothing.

use super::Containers;
use crate::worker::Shared;
use mecapy_model::Room;
use mecapy_runtime::container::{ContainerEngine, EngineError};
use std::{error::Error as _, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// Between two looks at an engine that is there, beside those before each claim.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Before one that is away is asked again; twice as long with each time, up to a bound.
const ASK_AGAIN: Duration = Duration::from_millis(250);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(5);
/// An absence is shown to others from then on. They decide by it whether a task can be run anywhere, and an engine that is
/// restarted is back by then.
const SHOWN_AFTER: Duration = Duration::from_secs(30);

/// The way to an engine, which may go away and come back, and may be another version then.
pub(super) struct Link {
    url: String,
    runtime: Option<String>,
    latest: watch::Sender<Latest>,
}

struct Latest {
    /// As it was when it answered; `None` before it ever has.
    engine: Option<ContainerEngine>,
    /// `None` while it answers.
    away_since: Option<Instant>,
}

impl Latest {
    fn is_there(&self) -> bool {
        self.engine.is_some() && self.away_since.is_none()
    }
}

impl Link {
    /// Asks the engine at `url` once. Where it is away, that is waited for later; it must have `runtime`.
    ///
    /// # Errors
    /// What waiting would not cure.
    pub(super) async fn open(url: String, runtime: Option<String>) -> Result<Self, EngineError> {
        let latest = Latest { engine: None, away_since: Some(Instant::now()) };
        let link = Self { url, runtime, latest: watch::Sender::new(latest) };
        match link.reach().await {
            Ok(engine) => link.found(engine),
            Err(error) if error.may_be_away() => link.tell_away(&error),
            Err(error) => return Err(error),
        }
        Ok(link)
    }

    /// Where the engine is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn is_there(&self) -> bool {
        self.latest.borrow().is_there()
    }

    /// The engine, where it answered when it was asked last.
    pub(super) fn there(&self) -> Option<ContainerEngine> {
        let latest = self.latest.borrow();
        latest.engine.clone().filter(|_| latest.is_there())
    }

    /// The engine, whether or not it is there now.
    ///
    /// # Errors
    /// Where it has never answered.
    pub(super) fn engine(&self) -> Result<ContainerEngine, EngineError> {
        self.latest.borrow().engine.clone().ok_or_else(|| EngineError::NoEngine(self.url.clone()))
    }

    /// What the engine's machine has; `None` before it has answered.
    pub(super) fn room(&self) -> Option<Room> {
        self.latest.borrow().engine.as_ref().map(ContainerEngine::room)
    }

    /// Whether others are to be told that containers can be run here.
    pub(super) fn is_shown(&self) -> bool {
        let latest = self.latest.borrow();
        latest.engine.is_some() && latest.away_since.is_none_or(|since| since.elapsed() < SHOWN_AFTER)
    }

    /// Asks the engine whether it is there. One that was not is waited for by [`watch_engine`] alone.
    pub(super) async fn answers(&self) -> bool {
        let Some(engine) = self.there() else { return false };
        match engine.ping().await {
            Ok(()) => true,
            Err(error) => {
                self.lost(&error);
                false
            }
        }
    }

    /// Answers once the engine is there.
    pub(super) async fn until_there(&self) -> ContainerEngine {
        loop {
            // The sender is not dropped while it is borrowed.
            let _ = self.latest.subscribe().wait_for(Latest::is_there).await;
            if let Some(engine) = self.there() {
                return engine;
            }
        }
    }

    async fn until_away(&self) {
        let _ = self.latest.subscribe().wait_for(|latest| !latest.is_there()).await;
    }

    async fn reach(&self) -> Result<ContainerEngine, EngineError> {
        let engine = ContainerEngine::connect(&self.url).await?;
        if let Some(runtime) = &self.runtime {
            engine.facts().must_have_runtime(runtime)?;
        }
        Ok(engine)
    }

    /// Asks until there is an engine to work with.
    async fn until_reached(&self) -> ContainerEngine {
        let (mut wait, mut told) = (ASK_AGAIN, String::new());
        loop {
            sleep(wait).await;
            wait = (wait * 2).min(ASK_AGAIN_MAX);
            let error = match self.reach().await {
                Ok(engine) => return engine,
                // That was said when it went.
                Err(error) if error.may_be_away() => continue,
                Err(error) => error.to_string(),
            };
            if told != error {
                tracing::error!(engine.url = self.url, error, "worker.engine: it is back, and can't be used");
                told = error;
            }
        }
    }

    fn found(&self, engine: ContainerEngine) {
        let facts = engine.facts();
        tracing::info!(
            engine.url = self.url,
            engine.version = facts.version,
            engine.api = facts.api_version,
            engine.live_restore = facts.live_restore,
            "worker.engine: it is there"
        );
        self.latest.send_replace(Latest { engine: Some(engine), away_since: None });
    }

    fn lost(&self, error: &EngineError) {
        let is_news = self.latest.send_if_modified(|latest| {
            let was_there = latest.away_since.is_none();
            latest.away_since.get_or_insert_with(Instant::now);
            was_there
        });
        if is_news {
            self.tell_away(error);
        }
    }

    fn tell_away(&self, error: &EngineError) {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(engine.url = self.url, %error, cause, "worker.engine: it does not answer, nothing is claimed until it does");
    }
}

/// Notices when the engine goes away and when it is back. Before anything is claimed again, what no attempt owns is
/// removed: its room is given to others.
pub(in crate::worker) async fn watch_engine(_: Arc<Shared>, containers: Arc<Containers>) {
    let link = &containers.link;
    loop {
        if link.answers().await {
            tokio::select! {
                () = link.until_away() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        } else {
            let engine = link.until_reached().await;
            containers.sweep_on(&engine).await;
            link.found(engine);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_is_away_is_waited_for_and_one_that_can_not_be_used_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("unix://{}", folder.path().join("none.sock").display());
        let link = Link::open(url.clone(), None).await.unwrap();
        assert!(!link.is_there() && !link.is_shown() && !link.answers().await);
        assert_eq!((link.url(), link.room()), (url.as_str(), None));
        assert!(link.engine().unwrap_err().was_not_asked());
        assert!(tokio::time::timeout(Duration::from_secs(60), link.until_there()).await.is_err());
        let refused = Link::open("tcp://192.0.2.1:2375".to_owned(), None).await;
        assert!(matches!(refused, Err(EngineError::Address(_))));
    }
}
