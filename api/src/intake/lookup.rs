//! What a request refers to: modules and uploads that must be the tenant's, a source that must make sense.

use super::{
    Rejected,
    solver::{known_solver, known_version},
    task::UNKNOWN_STUDY,
};
use crate::{
    analysis::Analysis,
    compiling::Compiling,
    functions::Functions,
    json::{Faults, Path},
    packages::Invalid,
    programs::{Place, Programs, Room},
    webhooks::{Guard, LOOKUPS_BUSY, LOOKUPS_RETRY_AFTER, Refused, URL_REFUSED},
};
use mecapy_model::{ArtifactName, Code, Fault, StudyId, TenantId, UploadId};
use mecapy_runtime::{
    FileContent, InputFile, KernelInstructions,
    solver::{Solvers, Study},
};
use mecapy_store::{NewTask, SpoolRoom, Store, StoreError, UploadState, Viewer};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;
use tokio::time::timeout;

/// What a caller is told whose source could not be analysed.
const RETRY_AFTER_ANALYSIS: Duration = Duration::from_secs(1);
/// What a caller is told when too many input files are open: a preview that holds some is over by then.
const RETRY_AFTER_FILES: Duration = Duration::from_secs(5);
/// How long a preview waits for its input files, which may have to come from an object store.
const FILES_TIMEOUT: Duration = Duration::from_secs(20);

/// Accepts or rejects the requests of one tenant.
#[derive(Clone, Copy)]
pub struct Intake<'a> {
    pub store: &'a Store,
    /// `None` while the interpreter is being built.
    pub programs: Option<&'a Arc<Programs>>,
    /// `None` where no catalogue is configured.
    pub solvers: Option<&'a Arc<Solvers>>,
    /// With which instructions native kernels work here; `None`: there are none.
    pub kernels: Option<KernelInstructions>,
    pub tenant: TenantId,
    /// Who asks, of that tenant.
    pub viewer: Viewer,
    pub sight: Sight,
    /// Published functions.
    pub functions: &'a Functions,
    /// What sources were compiled to.
    pub compiling: &'a Compiling,
    /// One place for each input file that previews hold open.
    pub file_places: &'a Room,
    /// Which URLs may be called when a task has ended.
    pub guard: &'a Guard,
}

/// Which functions there are for who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Those that the viewer may see.
    OfViewer,
    /// Versions that are named too: whoever asked first was shown them, and what was begun goes on.
    Pinned,
}

/// Input files, open, with their places among all that may be.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    pub(super) files: Vec<InputFile>,
    pub(super) places: Option<FilePlaces>,
}

/// What the input files of a preview take of what there is for all. To be held for as long as they are.
#[derive(Debug)]
pub struct FilePlaces {
    _places: Place,
    _room: SpoolRoom,
}

/// The fault of naming an upload that is not there, for input file `name`; `files_of_code` stand in `code`.
pub fn unknown_upload(name: &str, files_of_code: &BTreeSet<String>) -> Fault {
    let root = Path::Root;
    let code = root.key("code");
    let files = if files_of_code.contains(name) { code.key("files") } else { root.key("files") };
    let message = "there is no such upload, or it is not complete: send the file with POST /v1/uploads first";
    Fault::new(files.key(name).to_string(), "unknown_upload", message)
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

    /// The URL as it is called; a fault where it may not be. Where its host leads is looked up only while the request is
    /// one that may be accepted.
    ///
    /// # Errors
    /// There is no room for one more look-up.
    pub(super) async fn check_webhook(
        &self,
        url: &str,
        look_up: bool,
        faults: &mut Faults,
    ) -> Result<Option<String>, Rejected> {
        let judged = if look_up { self.guard.admit(self.tenant, url).await } else { self.guard.check_url(url) };
        match judged {
            Ok(checked) => Ok(Some(checked.as_str().to_owned())),
            Err(Refused::Busy) => Err(Rejected::Busy { detail: LOOKUPS_BUSY, retry_after: LOOKUPS_RETRY_AFTER }),
            Err(refused) => {
                let root = Path::Root;
                faults.at(root.key("webhook").key("url"), URL_REFUSED, refused.to_string());
                Ok(None)
            }
        }
    }

    /// Adds the faults of `code`; answers what the analysis found, where there was one. A module is looked up only while
    /// the request has no fault.
    pub(super) async fn check_code(&self, code: &Code, faults: &mut Faults) -> Result<Option<Arc<Analysis>>, Rejected> {
        match code {
            Code::Python { source, entry } => {
                let analysis = self.analyse(source, entry.as_deref()).await?;
                analysis.faults.iter().cloned().for_each(|fault| faults.add(fault));
                Ok(Some(analysis))
            }
            Code::Wasm { module } => {
                if faults.is_empty() && !self.store.has_module(self.tenant, *module).await? {
                    let message = "there is no such module: upload it with POST /v1/modules first";
                    faults.add(Fault::new("/code/module", "unknown_module", message));
                }
                Ok(None)
            }
            Code::Function { function, .. } => {
                // It was found when it was asked for, and may be gone, or not to be seen, when it is asked for again.
                let gone = match function.parse() {
                    Ok(reference) => {
                        self.functions.find(self.viewer, &reference).await?.err().map(|why| why.to_string())
                    }
                    Err(invalid) => Some(Invalid::to_string(&invalid)),
                };
                if let Some(message) = gone {
                    faults.add(Fault::new("/code/function", "unknown_function", message));
                }
                Ok(None)
            }
            Code::C { .. } | Code::Rust { .. } | Code::Compile { .. } => {
                if let Some(source) = code.source() {
                    self.check_source(source, faults);
                }
                Ok(None)
            }
            Code::Items { .. } => Ok(None),
            Code::Solver { solver, version } => {
                // The catalogue may be another one than when the task was first asked for.
                let code = Path::Root;
                let code = code.key("code");
                if let Some(solvers) = self.solvers
                    && let Some(known) = known_solver(solvers, solver, code.key("solver"), faults)
                {
                    known_version(known, version, code.key("version"), faults);
                }
                Ok(None)
            }
        }
    }

    /// Adds a fault where the tenant has no such study.
    pub(super) async fn check_study_exists(&self, study: StudyId, faults: &mut Faults) -> Result<(), Rejected> {
        if self.store.study(self.tenant, study).await?.is_none() {
            let message = "there is no such study: make one with POST /v1/studies, or leave the field out";
            faults.add(Fault::new("/study", UNKNOWN_STUDY, message));
        }
        Ok(())
    }

    /// Adds what the solver's adapter has to say against a study, where the task is one and an adapter is there.
    pub(super) async fn check_study(&self, task: &NewTask, faults: &mut Faults) -> Result<(), Rejected> {
        let Code::Solver { solver, version } = &task.code else { return Ok(()) };
        let Some(solvers) = self.solvers else { return Ok(()) };
        let found = solvers.adapter(solver).zip(solvers.catalogue().version(solver, version));
        let Some((adapter, version)) = found else { return Ok(()) };
        let mut files = Vec::with_capacity(task.files.len());
        for (name, upload) in &task.files {
            let Ok(name) = ArtifactName::parse(name) else { continue };
            // One that is not there is left to whoever looks for all of them.
            let upload = self.store.upload(self.tenant, *upload).await?;
            files.push((name, upload.map(|upload| upload.size_bytes)));
        }
        let study = Study { inputs: &task.inputs, files: &files, limits: &task.limits, command: &version.command };
        adapter.check(&study).into_iter().for_each(|fault| faults.add(fault));
        Ok(())
    }

    async fn analyse(&self, source: &str, entry: Option<&str>) -> Result<Arc<Analysis>, Rejected> {
        let Some(programs) = self.programs else {
            return Err(Rejected::not_built());
        };
        programs.analyse(source, entry).await.map_err(|error| {
            tracing::error!(error = %error, "intake.analyse: the analysis ended badly");
            Rejected::NotReady {
                detail: "the source could not be analysed just now",
                retry_after: RETRY_AFTER_ANALYSIS,
            }
        })
    }

    /// Adds a fault for each upload that is not there.
    pub(super) async fn check_files(
        &self,
        files: &BTreeMap<String, UploadId>,
        files_of_code: &BTreeSet<String>,
        faults: &mut Faults,
    ) -> Result<(), Rejected> {
        let mut known: HashMap<UploadId, bool> = HashMap::new();
        for (name, upload) in files {
            let complete = match known.get(upload) {
                Some(complete) => *complete,
                None => {
                    let found = self.store.upload(self.tenant, *upload).await?;
                    let complete = found.is_some_and(|upload| upload.state == UploadState::Complete);
                    known.insert(*upload, complete);
                    complete
                }
            };
            if !complete {
                faults.add(unknown_upload(name, files_of_code));
            }
        }
        Ok(())
    }

    /// All faults of `files`, where the store found that not all of them are there.
    ///
    /// # Errors
    /// Those faults.
    pub async fn must_have(
        &self,
        files: &BTreeMap<String, UploadId>,
        files_of_code: &BTreeSet<String>,
    ) -> Result<(), Rejected> {
        let mut faults = Faults::default();
        self.check_files(files, files_of_code, &mut faults).await?;
        if faults.is_empty() { Ok(()) } else { Err(Rejected::Invalid(faults.into_vec())) }
    }

    /// Opens the uploads, each once, with a fault for each that is not there.
    pub(super) async fn open_files(
        &self,
        files: BTreeMap<String, UploadId>,
        faults: &mut Faults,
    ) -> Result<OpenFiles, Rejected> {
        let distinct: HashSet<UploadId> = files.values().copied().collect();
        if distinct.is_empty() {
            return Ok(OpenFiles::default());
        }
        let places = u32::try_from(distinct.len()).unwrap_or(u32::MAX);
        let places = self.file_places.try_enter(self.tenant, places).ok_or(Rejected::Busy {
            detail: "as many input files are open as may be: try again in a moment",
            retry_after: RETRY_AFTER_FILES,
        })?;
        let open = match timeout(FILES_TIMEOUT, self.store.open_uploads(self.tenant, distinct)).await {
            Ok(Err(StoreError::TooLarge { bytes_max, .. })) => {
                let message = format!("{bytes_max} bytes are allowed here, together");
                return Err(Rejected::Invalid(vec![Fault::new("/files", "too_large", message)]));
            }
            Ok(open) => open?,
            Err(_) => {
                let detail = "the input files wait for those of others: try again in a moment";
                return Err(Rejected::Busy { detail, retry_after: RETRY_AFTER_FILES });
            }
        };
        let mut all = Vec::with_capacity(files.len());
        for (name, upload) in files {
            match (ArtifactName::parse(&name), open.files.get(&upload)) {
                (Ok(name), Some((file, bytes))) => {
                    all.push(InputFile { name, content: FileContent::File { file: Arc::clone(file), bytes: *bytes } });
                }
                (_, None) => faults.add(unknown_upload(&name, &BTreeSet::new())),
                (Err(_), Some(_)) => (),
            }
        }
        Ok(OpenFiles { files: all, places: Some(FilePlaces { _places: places, _room: open.room }) })
    }
}
