//! Looking at where objects are without working on them: for a diagnosis.

use super::key::Nonce;
use super::{Backend, ObjectKey, Objects, ObjectsOptions, Spool};
use crate::signer::Signer;
use crate::{Clock, StoreError};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONTENT: &[u8] = b"mecapy doctor";

impl Objects {
    /// Writes, reads and deletes an object that nobody else sees; answers how long that took. A folder must exist.
    pub async fn probe(options: ObjectsOptions, clock: Arc<dyn Clock>) -> Result<Duration, StoreError> {
        let key = ObjectKey::probe(Nonce::new(&*clock));
        let backend = Backend::open(options.address, options.credentials.as_ref(), &clock)?;
        let spool = Spool::new(options.spool_folder, options.spool_bytes_max);
        // It signs nothing.
        let objects = Self::over(backend, spool, Signer::new(&[0; 32]), clock);
        let started = Instant::now();
        objects.put(&key, CONTENT.to_vec()).await?;
        let read = objects.read(&key).await;
        objects.delete(&key).await?;
        match read?.as_deref() {
            Some(CONTENT) => Ok(started.elapsed()),
            _ => Err(StoreError::corrupt(format!("the object {key} is not what was written"))),
        }
    }
}
