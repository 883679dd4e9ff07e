//! The store that the settings name.

use crate::{commands::terminal::Terminal, config::Settings};
use anyhow::{Context as _, Result};
use mecapy_store::{Clock, Store, StoreOptions};
use std::sync::Arc;

/// What the settings say of it.
pub(in crate::commands) fn options(settings: &Settings) -> StoreOptions {
    let backends = &settings.backends;
    let mut options = StoreOptions::new(&settings.data_dir);
    options.database = backends.database.clone();
    options.bus = backends.queue.clone();
    options.lease = settings.claims.lease;
    options.lost_attempts_max = settings.claims.lost_attempts_max;
    options.quota = settings.quota;
    options.read_connections = backends.database_connections.unwrap_or(options.read_connections);
    if let Some(address) = &backends.objects {
        options.objects.address = address.clone();
        options.objects.credentials = backends.s3_credentials.clone();
    }
    options
}

/// Opens it for work. An embedded one makes its first admin key itself.
pub(super) async fn open(settings: &Settings, clock: Arc<dyn Clock>, terminal: &Terminal) -> Result<Store> {
    let store = Store::open(options(settings), clock).await.with_context(|| match settings.backends.is_shared() {
        true => "can't use the database".to_owned(),
        false => format!("can't use the data folder {}", settings.data_dir.display()),
    })?;
    tracing::info!(
        store.shared = store.is_shared(),
        tasks.recovered = ?store.recovered(),
        "process.store: open"
    );
    if !store.is_shared() {
        if let Some(key) = store.ensure_admin().await? {
            terminal.note_raw(&format!("An admin key was made: {}\n", key.path.display()));
        }
        return Ok(store);
    }
    if !store.has_admin() {
        tracing::warn!("process.store: there is no admin key that lasts: `mecapy migrate` makes the first one");
    }
    if settings.backends.objects.is_none() {
        tracing::warn!(
            objects.folder = %settings.data_dir.display(),
            "process.store: files are in this process's data folder, where no other machine sees them: see objects-url"
        );
    }
    Ok(store)
}
