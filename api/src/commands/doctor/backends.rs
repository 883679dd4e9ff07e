//! The backends of a service: PostgreSQL, Redis, and where files are.

use super::check::{Check, reasons};
use crate::{commands::process::store_options, commands::terminal::duration, config::Settings};
use mecapy_store::{
    Clock, Database, DatabaseFindings, Objects, ObjectsAddress, SchemaState, SystemClock, probe_bus, probe_database,
};
use std::{sync::Arc, time::Duration};

const DATABASE: &str = "database";
const SCHEMA: &str = "schema";
const ROLE: &str = "database role";
const QUEUE: &str = "queue";
const OBJECTS: &str = "objects";
/// Every accepted task waits for a commit.
const COMMIT_COMFORTABLE: Duration = Duration::from_millis(20);
const REDIS_COMFORTABLE: Duration = Duration::from_millis(20);
/// Writing, reading and deleting a small object.
const OBJECT_COMFORTABLE: Duration = Duration::from_secs(1);

/// Nothing for what is inside the process.
pub(super) async fn checks(settings: &Settings) -> Vec<Check> {
    let (database, queue, objects) = tokio::join!(database(settings), queue(settings), objects(settings));
    database.into_iter().chain(queue).chain(objects).collect()
}

async fn database(settings: &Settings) -> Vec<Check> {
    let Database::Postgres(url) = &settings.backends.database else { return Vec::new() };
    match probe_database(url).await {
        Ok(findings) => judge(&findings),
        Err(error) => {
            let advice = "start PostgreSQL, or mend database-url: special characters in a password are written as %XX";
            vec![Check::fail(DATABASE, reasons(&error), advice)]
        }
    }
}

fn judge(findings: &DatabaseFindings) -> Vec<Check> {
    let version = format!("PostgreSQL {}", findings.version);
    let database = match findings.commit {
        None => Check::ok(DATABASE, version),
        Some(commit) if commit > COMMIT_COMFORTABLE => Check::warn(
            DATABASE,
            format!("{version}; a commit takes {}", shown(commit)),
            "every accepted task waits for one: a nearer server or a quicker disk helps",
        ),
        Some(commit) => Check::ok(DATABASE, format!("{version}; a commit takes {}", shown(commit))),
    };
    let schema = match findings.schema {
        SchemaState::Current => Check::ok(SCHEMA, "current"),
        SchemaState::Behind { versions } => {
            Check::fail(SCHEMA, format!("{versions} versions behind this program"), "run `mecapy migrate`")
        }
        SchemaState::Ahead => Check::fail(SCHEMA, "newer than this program", "use a newer MecaPy"),
    };
    let role = &findings.role;
    let role = if findings.escapes_row_security {
        Check::fail(
            ROLE,
            format!("{role} is not bound by row security, the second line between tenants"),
            "log in as a role that was made with NOSUPERUSER NOBYPASSRLS: see `mecapy migrate --grant-to`",
        )
    } else if findings.owns_tables {
        Check::warn(
            ROLE,
            format!("{role} owns the tables, so it could switch row security off"),
            "keep it for `mecapy migrate`, and let servers and workers log in as a role that it grants to",
        )
    } else {
        Check::ok(ROLE, format!("{role} is bound by row security and owns nothing"))
    };
    vec![database, schema, role]
}

async fn queue(settings: &Settings) -> Option<Check> {
    if !settings.backends.is_shared() {
        return None;
    }
    let Some(address) = &settings.backends.queue else {
        return Some(Check::info(QUEUE, "memory: processes look at the database each second; redis:// is quicker"));
    };
    Some(match probe_bus(address).await {
        Ok(took) if took > REDIS_COMFORTABLE => Check::warn(
            QUEUE,
            format!("{address} answers in {}", shown(took)),
            "a nearer Redis makes waiting workers and live streams quicker",
        ),
        Ok(took) => Check::ok(QUEUE, format!("{address} answers in {}", shown(took))),
        Err(error) => Check::fail(QUEUE, reasons(&error), "start Redis, or mend queue-url"),
    })
}

async fn objects(settings: &Settings) -> Option<Check> {
    let Some(address) = &settings.backends.objects else {
        return settings.backends.is_shared().then(|| {
            let found = format!("in {}, which no other machine sees", settings.data_dir.display());
            Check::warn(OBJECTS, found, "name a bucket or a folder that all processes share with objects-url")
        });
    };
    let place = match address {
        ObjectsAddress::Folder(path) if !path.exists() => {
            return Some(Check::info(OBJECTS, format!("{} will be made at the first start", path.display())));
        }
        ObjectsAddress::Folder(path) => path.display().to_string(),
        ObjectsAddress::S3(address) => address.place(),
    };
    let clock: Arc<dyn Clock> = match SystemClock::new() {
        Ok(clock) => Arc::new(clock),
        Err(error) => return Some(Check::fail(OBJECTS, reasons(&error), "look at the system's random numbers")),
    };
    Some(match Objects::probe(store_options(settings).objects, clock).await {
        Ok(took) if took > OBJECT_COMFORTABLE => Check::warn(
            OBJECTS,
            format!("{place}: an object comes and goes in {}", shown(took)),
            "results and files wait for it: a nearer store helps",
        ),
        Ok(took) => Check::ok(OBJECTS, format!("{place}: an object comes and goes in {}", shown(took))),
        Err(error) => Check::fail(OBJECTS, reasons(&error), "mend objects-url, its credentials, or the store"),
    })
}

fn shown(took: Duration) -> String {
    duration(took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::{super::check::Status, *};

    fn findings() -> DatabaseFindings {
        DatabaseFindings {
            version: "17.2".to_owned(),
            schema: SchemaState::Current,
            role: "mecapy".to_owned(),
            escapes_row_security: false,
            owns_tables: false,
            commit: Some(Duration::from_millis(1)),
        }
    }

    #[test]
    fn what_weakens_a_service_is_found() {
        let statuses = |findings: &DatabaseFindings| -> Vec<Status> {
            judge(findings).into_iter().map(|check| check.status).collect()
        };
        assert_eq!(statuses(&findings()), [Status::Ok, Status::Ok, Status::Ok]);
        let slow = DatabaseFindings { commit: Some(Duration::from_millis(50)), ..findings() };
        assert_eq!(statuses(&slow), [Status::Warn, Status::Ok, Status::Ok]);
        let behind = SchemaState::Behind { versions: 2 };
        let behind = DatabaseFindings { commit: None, schema: behind, ..findings() };
        assert_eq!(statuses(&behind), [Status::Ok, Status::Fail, Status::Ok]);
        let owner = DatabaseFindings { owns_tables: true, ..findings() };
        assert_eq!(statuses(&owner), [Status::Ok, Status::Ok, Status::Warn]);
        let superuser = DatabaseFindings { escapes_row_security: true, owns_tables: true, ..findings() };
        assert_eq!(statuses(&superuser), [Status::Ok, Status::Ok, Status::Fail]);
    }
}
