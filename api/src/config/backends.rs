//! Which backends a URL may name today. Others are refused at start-up, never ignored.

use super::{ConfigError, Layer};

/// A setting that names a backend, what works today, and what is to come.
struct Backend {
    setting: &'static str,
    works: &'static str,
    later: &'static str,
}

const DATABASE: Backend = Backend { setting: "database-url", works: "sqlite:", later: "postgres://" };
const QUEUE: Backend = Backend { setting: "queue-url", works: "memory:", later: "redis://" };
const OBJECTS: Backend = Backend { setting: "objects-url", works: "file:", later: "s3://" };

/// Refuses what this version can't do, saying what it can.
pub(super) fn check(layer: &Layer) -> Result<(), ConfigError> {
    let urls = [(DATABASE, &layer.database_url), (QUEUE, &layer.queue_url), (OBJECTS, &layer.objects_url)];
    for (backend, url) in urls {
        if let Some(url) = url.as_deref().filter(|url| *url != backend.works) {
            return Err(ConfigError::Backend {
                setting: backend.setting,
                url: without_secrets(url),
                works: backend.works,
                later: backend.later,
            });
        }
    }
    Ok(())
}

/// The URL up to where a user name or a password could stand.
fn without_secrets(url: &str) -> String {
    let scheme: String = url.split_inclusive(':').next().unwrap_or_default().chars().take(32).collect();
    format!("{scheme}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_works_today_is_accepted_and_no_secret_is_repeated() {
        let layer = |database: &str| Layer { database_url: Some(database.to_owned()), ..Layer::default() };
        assert!(check(&layer("sqlite:")).is_ok());
        let refused = check(&layer("postgres://user:hunter2@db/mecapy")).unwrap_err().to_string();
        assert!(refused.contains("sqlite:") && !refused.contains("hunter2"), "{refused}");
    }
}
