//! What a request refers to: modules and uploads that must be the tenant's, a source that must make sense.

use super::Rejected;
use crate::{analysis::Analysis, json::Faults, programs::Programs};
use mecapy_model::{ArtifactName, Code, Digest, Fault, TenantId, UploadId, Warning};
use mecapy_runtime::{FileContent, InputFile};
use mecapy_store::{Store, UploadState};
use std::{collections::BTreeMap, sync::Arc};
use time::OffsetDateTime;

/// Sources from this length on are analysed on a thread that may block, bytes.
const SOURCE_BYTES_INLINE_MAX: usize = 32 << 10;

/// Accepts or rejects the requests of one tenant.
#[derive(Clone, Copy)]
pub struct Intake<'a> {
    pub store: &'a Store,
    /// `None` while the interpreter is being built.
    pub programs: Option<&'a Arc<Programs>>,
    pub tenant: TenantId,
}

/// The fault of naming an upload that is not there, for input file `name`.
pub fn unknown_upload(name: &str) -> Fault {
    let root = crate::json::Path::Root;
    let files = root.key("files");
    Fault::new(files.key(name).to_string(), "unknown_upload", "there is no such upload, or it is not complete")
}

impl Intake<'_> {
    pub(super) fn now(&self) -> OffsetDateTime {
        self.store.clock().now()
    }

    /// A seed for a computation that named none.
    pub(super) fn new_seed(&self) -> u64 {
        let mut bytes = [0; 8];
        self.store.clock().fill_random(&mut bytes);
        u64::from_le_bytes(bytes) & super::SEED_MAX
    }

    /// Adds the faults of `code`; answers what is worth a warning.
    pub(super) async fn check_code(&self, code: &Code, faults: &mut Faults) -> Result<Vec<Warning>, Rejected> {
        match code {
            Code::Python { source, entry } => {
                let analysis = self.analyse(source, entry.as_deref()).await?;
                analysis.faults.iter().cloned().for_each(|fault| faults.add(fault));
                Ok(analysis.warnings.clone())
            }
            Code::Wasm { module } => {
                if !self.has_module(*module).await? {
                    let message = "there is no such module: upload it with POST /v1/modules first";
                    faults.add(Fault::new("/code/module", "unknown_module", message));
                }
                Ok(Vec::new())
            }
        }
    }

    async fn analyse(&self, source: &str, entry: Option<&str>) -> Result<Arc<Analysis>, Rejected> {
        let Some(programs) = self.programs else {
            return Err(Rejected::NotReady {
                detail: "the Python interpreter is being built: try again in a moment",
                retry_after: std::time::Duration::from_secs(10),
            });
        };
        if source.len() <= SOURCE_BYTES_INLINE_MAX {
            return Ok(programs.analyse(source, entry));
        }
        let (programs, source, entry) = (Arc::clone(programs), source.to_owned(), entry.map(str::to_owned));
        let analysed = tokio::task::spawn_blocking(move || programs.analyse(&source, entry.as_deref())).await;
        analysed.map_err(|error| {
            tracing::error!(error = %error, "intake.analyse: the analysis ended badly");
            Rejected::NotReady {
                detail: "the source could not be analysed just now",
                retry_after: std::time::Duration::from_secs(1),
            }
        })
    }

    async fn has_module(&self, module: Digest) -> Result<bool, Rejected> {
        Ok(self.store.module(self.tenant, module).await?.is_some())
    }

    /// Adds a fault for each upload that is not there.
    pub(super) async fn check_files(
        &self,
        files: &BTreeMap<String, UploadId>,
        faults: &mut Faults,
    ) -> Result<(), Rejected> {
        for (name, upload) in files {
            let found = self.store.upload(self.tenant, *upload).await?;
            if found.is_none_or(|upload| upload.state != UploadState::Complete) {
                faults.add(unknown_upload(name));
            }
        }
        Ok(())
    }

    /// Opens the uploads, with a fault for each that is not there.
    pub(super) async fn open_files(
        &self,
        files: BTreeMap<String, UploadId>,
        faults: &mut Faults,
    ) -> Result<Vec<InputFile>, Rejected> {
        let mut opened = Vec::with_capacity(files.len());
        for (name, upload) in files {
            let found = self.store.open_upload(self.tenant, upload).await?;
            match (ArtifactName::parse(&name), found) {
                (Ok(name), Some((file, bytes))) => {
                    opened.push(InputFile { name, content: FileContent::File { file: Arc::new(file), bytes } });
                }
                (_, None) => faults.add(unknown_upload(&name)),
                (Err(_), Some(_)) => (),
            }
        }
        Ok(opened)
    }
}
