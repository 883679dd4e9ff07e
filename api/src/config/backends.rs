//! Where rows, hints and objects are: three URLs, checked together. Neither an error nor a `Debug` text repeats what may
//! be a password.

use super::{ConfigError, Layer, client::variable};
use mecapy_store::{BusAddress, Database, ObjectsAddress, S3Credentials};
use reqwest::Url;

/// The backends of a process.
#[derive(Debug, Clone)]
pub struct Backends {
    pub database: Database,
    /// Connections that read; `None`: the store's own default.
    pub database_connections: Option<u32>,
    /// `None`: hints stay in the process, and processes that share a database look at it each second.
    pub queue: Option<BusAddress>,
    /// `None`: in the data folder.
    pub objects: Option<ObjectsAddress>,
    /// For a bucket.
    pub s3_credentials: Option<S3Credentials>,
}

/// With PostgreSQL: as many as serve a busy node, few enough for a dozen processes and a server's usual 100.
const POSTGRES_CONNECTIONS: u32 = 8;
const POSTGRES_FORM: &str = "postgres://user:password@host:port/database is needed (special characters in a password \
                             are written as %XX)";

impl Backends {
    pub(super) fn of(layer: &Layer) -> Result<Self, ConfigError> {
        Self::with(layer, s3_credentials()?)
    }

    fn with(layer: &Layer, s3_credentials: Option<S3Credentials>) -> Result<Self, ConfigError> {
        let text = |url: &Option<super::SecretText>| url.as_ref().map(|url| url.expose().to_owned());
        let database = text(&layer.database_url).map_or(Ok(Database::Embedded), |url| database(&url))?;
        let queue = text(&layer.queue_url).map_or(Ok(None), |url| queue(&url))?;
        let shared = database != Database::Embedded;
        if queue.is_some() && !shared {
            return Err(bad(
                "queue-url",
                "redis:// connects processes that share a database: set database-url to a postgres:// URL too, or leave \
                 queue-url out",
            ));
        }
        let objects = text(&layer.objects_url).map_or(Ok(None), |url| objects(&url))?;
        if matches!(objects, Some(ObjectsAddress::S3(_))) && s3_credentials.is_none() {
            return Err(bad(
                "objects-url",
                "a bucket needs credentials: set MECAPY_S3_ACCESS_KEY_ID and MECAPY_S3_SECRET_ACCESS_KEY",
            ));
        }
        let database_connections = match layer.database_connections {
            Some(0) => return Err(bad("database-connections", "at least 1 is needed")),
            None if shared => Some(POSTGRES_CONNECTIONS),
            chosen => chosen,
        };
        Ok(Self { database, database_connections, queue, objects, s3_credentials })
    }

    /// Whether other processes may use the same database.
    pub fn is_shared(&self) -> bool {
        self.database != Database::Embedded
    }
}

fn bad(setting: &'static str, needed: impl Into<String>) -> ConfigError {
    ConfigError::Backend { setting, needed: needed.into() }
}

fn database(url: &str) -> Result<Database, ConfigError> {
    let refused = |needed| Err(bad("database-url", needed));
    match url.split_once(':') {
        Some(("sqlite", "")) => Ok(Database::Embedded),
        Some(("sqlite", _)) => refused("sqlite: takes no path, the file is in the data folder: see data-dir"),
        Some(("postgres" | "postgresql", _)) => match Url::parse(url) {
            // A socket's folder may be named by a parameter instead of a host.
            Ok(parsed) if parsed.has_host() || parsed.query_pairs().any(|(name, _)| name == "host") => {
                Ok(Database::Postgres(url.to_owned()))
            }
            _ => refused(POSTGRES_FORM),
        },
        _ => refused("sqlite: (a file in the data folder) and postgres://… can be used"),
    }
}

fn queue(url: &str) -> Result<Option<BusAddress>, ConfigError> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(None),
        Some(("redis" | "rediss", _)) => {
            BusAddress::parse(url).map(Some).map_err(|error| bad("queue-url", error.to_string()))
        }
        _ => Err(bad("queue-url", "memory: (inside this process) and redis://… can be used")),
    }
}

fn objects(url: &str) -> Result<Option<ObjectsAddress>, ConfigError> {
    if url == "file:" {
        return Ok(None);
    }
    match url.parse() {
        Ok(ObjectsAddress::Folder(path)) if !path.is_absolute() => {
            Err(bad("objects-url", "a folder is written whole, as in file:/srv/mecapy/objects"))
        }
        Ok(address) => Ok(Some(address)),
        Err(error) => Err(bad("objects-url", error.to_string())),
    }
}

/// What the environment alone says: flags are seen by every user of the machine.
fn s3_credentials() -> Result<Option<S3Credentials>, ConfigError> {
    let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
    let session_token = text("MECAPY_S3_SESSION_TOKEN");
    match (text("MECAPY_S3_ACCESS_KEY_ID"), text("MECAPY_S3_SECRET_ACCESS_KEY")) {
        (Some(access_key_id), Some(secret_access_key)) => {
            Ok(Some(S3Credentials { access_key_id, secret_access_key, session_token }))
        }
        (None, None) => Ok(None),
        _ => Err(bad("MECAPY_S3_ACCESS_KEY_ID", "it is needed together with MECAPY_S3_SECRET_ACCESS_KEY")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTGRES: &str = "postgres://user:hunter2@db/mecapy";

    fn backends(database: &str, queue: &str, objects: &str) -> Result<Backends, ConfigError> {
        let secret = |url: &str| (!url.is_empty()).then(|| url.to_owned().into());
        let layer = Layer {
            database_url: secret(database),
            queue_url: secret(queue),
            objects_url: secret(objects),
            ..Layer::default()
        };
        let credentials = S3Credentials {
            access_key_id: "hunter2".to_owned(),
            secret_access_key: "hunter2".to_owned(),
            session_token: None,
        };
        Backends::with(&layer, Some(credentials))
    }

    #[test]
    fn embedded_is_the_default_and_can_be_said() {
        for urls in [["", "", ""], ["sqlite:", "memory:", "file:"]] {
            let backends = backends(urls[0], urls[1], urls[2]).unwrap();
            assert_eq!((backends.database.clone(), backends.objects.clone()), (Database::Embedded, None));
            assert!(backends.queue.is_none() && backends.database_connections.is_none() && !backends.is_shared());
        }
    }

    #[test]
    fn a_service_names_postgresql_redis_and_a_bucket_and_shows_no_password() {
        let backends = backends(POSTGRES, "rediss://:hunter2@cache?prefix=a:", "s3://b?region=eu-west-3").unwrap();
        assert_eq!(backends.database, Database::Postgres(POSTGRES.to_owned()));
        assert!(matches!(backends.objects, Some(ObjectsAddress::S3(_))) && backends.is_shared());
        assert_eq!(backends.database_connections, Some(POSTGRES_CONNECTIONS));
        assert!(!format!("{backends:?}").contains("hunter2"), "{backends:?}");
        assert!(super::tests::backends("postgresql:///mecapy?host=/run/postgresql", "", "file:/srv/objects").is_ok());
    }

    #[test]
    fn what_can_not_be_used_says_what_can_and_repeats_no_password() {
        let rows = [
            ("sqlite:/tmp/x.db", "", "", "data-dir"),
            ("mysql://u:hunter2@h/d", "", "", "postgres://"),
            ("hunter2", "", "", "sqlite:"),
            ("postgres:hunter2", "", "", "postgres://user"),
            ("postgres://u:hunter2#x@h/d", "", "", "%XX"),
            ("", "redis://:hunter2@h", "", "database-url"),
            (POSTGRES, "amqp://u:hunter2@h", "", "redis://"),
            (POSTGRES, "redis://:hunter2@h?password=hunter2", "", "prefix"),
            ("", "", "hunter2", "file:"),
            ("", "", "file:objects", "file:/"),
            ("", "", "s3://hunter2:hunter2@b?region=x", "credentials"),
            ("", "", "s3://b", "region"),
        ];
        for (database, queue, objects, advice) in rows {
            let error = backends(database, queue, objects).unwrap_err().to_string();
            assert!(error.contains(advice) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_bucket_needs_credentials() {
        let layer = Layer { objects_url: Some("s3://b?region=x".to_owned().into()), ..Layer::default() };
        let error = Backends::with(&layer, None).unwrap_err().to_string();
        assert!(error.starts_with("objects-url") && error.contains("MECAPY_S3_ACCESS_KEY_ID"), "{error}");
        let layer = Layer { database_connections: Some(0), ..Layer::default() };
        assert!(Backends::with(&layer, None).unwrap_err().to_string().starts_with("database-connections"));
    }
}
