//! `mecapy migrate`: brings a PostgreSQL database to this program's schema, and makes the first admin key.

use super::{
    exit::Exit,
    process,
    terminal::{Format, Terminal},
};
use crate::config::{Layer, Settings};
use anyhow::{Context as _, Result};
use mecapy_store::{Database, SchemaState, Store, StoreOptions, SystemClock};
use serde::Serialize;
use std::{path::PathBuf, sync::Arc};

/// Prepare a PostgreSQL database, and make the first admin key
///
/// Creates what is missing in the database that --database-url (or better, MECAPY_DATABASE_URL) names, whose role must
/// be allowed to create tables there. Run it before a new version of `mecapy serve` and `mecapy worker` starts; running
/// it again changes nothing. Where no admin key lasts, one for the tenant `default` is made and written to admin.key in
/// the data folder. A `sqlite:` database needs none of this: `mecapy serve` does it by itself.
#[derive(Debug, clap::Args)]
pub(super) struct MigrateArguments {
    /// Let this role, which servers and workers log in as, read and write the tables; it should own nothing, and may
    /// neither be a superuser nor bypass row security
    #[arg(long, value_name = "ROLE")]
    grant_to: Option<String>,
    #[command(flatten)]
    settings: Layer,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Report {
    versions_applied: usize,
    granted_to: Option<String>,
    /// Where the first admin key was written; absent where there is one already.
    admin_key_file: Option<PathBuf>,
}

pub(super) async fn migrate(arguments: MigrateArguments, terminal: &Terminal) -> Result<Exit> {
    let MigrateArguments { grant_to, settings } = arguments;
    let settings = Settings::load(settings)?;
    let Database::Postgres(url) = &settings.backends.database else {
        terminal.note("sqlite: needs no migration: `mecapy serve` brings its file up to date when it starts.");
        if terminal.format == Format::Json {
            terminal.print_json(&Report::default());
        }
        return Ok(Exit::Completed);
    };
    let migrated = mecapy_store::migrate(url, grant_to.as_deref()).await.context("can't prepare the database")?;
    let versions_applied = match migrated.before {
        SchemaState::Behind { versions } => versions,
        SchemaState::Current | SchemaState::Ahead => 0,
    };
    // Files are not needed here, so neither is a bucket's key.
    let usual = StoreOptions::new(&settings.data_dir);
    let options = StoreOptions { objects: usual.objects, bus: None, ..process::store_options(&settings) };
    let store = Store::open(options, Arc::new(SystemClock::new()?)).await.context("can't use the database")?;
    let admin_key = store.ensure_admin().await.context("can't make the first admin key")?;
    store.close().await;
    let report = Report { versions_applied, granted_to: grant_to, admin_key_file: admin_key.map(|key| key.path) };
    match terminal.format {
        Format::Json => terminal.print_json(&report),
        Format::Human => show(&report, terminal),
    }
    Ok(Exit::Completed)
}

fn show(report: &Report, terminal: &Terminal) {
    terminal.print(&match report.versions_applied {
        0 => "schema: already current".to_owned(),
        1 => "schema: 1 version applied".to_owned(),
        versions => format!("schema: {versions} versions applied"),
    });
    if let Some(role) = &report.granted_to {
        terminal.print(&format!("rights: {role} may read and write the tables"));
    }
    terminal.print(&match &report.admin_key_file {
        Some(file) => format!("admin key: made, and written to {}", file.display()),
        None => "admin key: there is one already".to_owned(),
    });
}
