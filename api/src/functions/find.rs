//! Looks published functions up, and remembers for a moment what it found: a call of a function costs no database.

use super::{
    call::Call,
    published::{Published, function_of, newest, pinned},
};
use crate::packages::{FunctionReference, PackageReference};
use mecapy_store::{PackagePin, PackageSummary, PackageVersion, Store, StoreError, Viewer};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long an answer is believed that another process may have changed: a yank or a version published through another
/// server is seen after so long at the latest.
const BELIEVED_FOR: Duration = Duration::from_secs(2);
/// Answers that are remembered; then the memory begins anew.
const ANSWERS_MAX: usize = 4_096;
/// What the manifests of remembered versions have together as JSON, bytes; then the memory begins anew.
const MANIFEST_BYTES_MAX: usize = 64 << 20;
/// So many names are listed in an error.
const LISTED_MAX: usize = 20;

/// Why there is no such function, for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("there is no package {package}, or you may not see it: look for it with GET /v1/packages")]
    Package { package: String },
    #[error("{package} has no version {version}: it has {has}")]
    Version { package: String, version: String, has: String },
    #[error("every version of {package} is yanked: name one to call it all the same ({has})")]
    Yanked { package: String, has: String },
    #[error("{package} has no function {function}{meant}: it has {has}")]
    Function { package: String, function: String, meant: String, has: String },
}

/// Finds published functions.
#[derive(Debug)]
pub struct Functions {
    store: Store,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// What each viewer found under a reference, and when.
    answers: HashMap<(Viewer, PackageReference), (Arc<Published>, Instant)>,
    /// Versions by owner, package and version: these never change, but for a yank and who may see them.
    versions: HashMap<PackageReference, Arc<Published>>,
    manifest_bytes: usize,
    /// Rises when everything is forgotten: what was read before says nothing afterwards.
    generation: u64,
}

impl Functions {
    pub fn new(store: Store) -> Self {
        Self { store, seen: Mutex::default() }
    }

    /// The function that `reference` names, for this viewer; the newest version where it names none.
    pub async fn find(
        &self,
        viewer: Viewer,
        reference: &FunctionReference,
    ) -> Result<Result<Call, Missing>, StoreError> {
        let published = match self.package(viewer, &reference.package).await? {
            Ok(published) => published,
            Err(missing) => return Ok(Err(missing)),
        };
        Ok(Call::of(Arc::clone(&published), reference.function.as_str())
            .ok_or_else(|| no_function(&published, reference)))
    }

    /// The version of a package that a reference names, for this viewer.
    pub async fn package(
        &self,
        viewer: Viewer,
        reference: &PackageReference,
    ) -> Result<Result<Arc<Published>, Missing>, StoreError> {
        if let Some(known) = self.answered(viewer, reference) {
            return Ok(Ok(known));
        }
        let generation = self.lock().generation;
        let (owner, name) = (reference.owner.as_str(), reference.package.as_str());
        let version = match &reference.version {
            Some(version) => version.to_string(),
            None => match self.newest(viewer, owner, name).await? {
                Ok(version) => version,
                Err(missing) => return Ok(Err(missing)),
            },
        };
        let pin = PackagePin { owner, name, version: &version };
        let Some(row) = self.store.package_version(viewer, pin).await? else {
            return self.no_version(viewer, pin).await.map(Err);
        };
        let published = self.read(row, generation)?;
        self.remember(viewer, reference, &published, generation);
        Ok(Ok(published))
    }

    async fn newest(&self, viewer: Viewer, owner: &str, name: &str) -> Result<Result<String, Missing>, StoreError> {
        let package_name = || format!("{owner}/{name}");
        let Some(package) = self.store.package(viewer, owner, name).await? else {
            return Ok(Err(Missing::Package { package: package_name() }));
        };
        Ok(match newest(&package) {
            Some(row) => Ok(row.version.clone()),
            None => Err(Missing::Yanked { package: package_name(), has: versions_of(&package) }),
        })
    }

    /// Why a version is not there.
    async fn no_version(&self, viewer: Viewer, pin: PackagePin<'_>) -> Result<Missing, StoreError> {
        let package = format!("{}/{}", pin.owner, pin.name);
        Ok(match self.store.package(viewer, pin.owner, pin.name).await? {
            Some(found) => Missing::Version { package, version: pin.version.to_owned(), has: versions_of(&found) },
            None => Missing::Package { package },
        })
    }

    /// The call that a task was accepted for. Whoever submitted it could see the function then; nobody is asked again.
    pub async fn pinned(&self, reference: &str) -> Result<Option<Call>, StoreError> {
        let Some(reference) = function_of(reference) else { return Ok(None) };
        let function = reference.function.as_str();
        let known = self.lock().versions.get(&reference.package).cloned();
        if let Some(published) = known {
            return Ok(Call::of(published, function));
        }
        let PackageReference { owner, package, version } = &reference.package;
        let version = version.as_ref().map(ToString::to_string).unwrap_or_default();
        let pin = PackagePin { owner: owner.as_str(), name: package.as_str(), version: &version };
        let found = self.store.package_version_by_pin(pin).await?;
        let Some(row) = found else { return Ok(None) };
        let generation = self.lock().generation;
        Ok(Call::of(self.read(row, generation)?, function))
    }

    /// What was remembered may be wrong from now on: a version was published, yanked or shown to others.
    pub fn forget(&self) {
        let mut seen = self.lock();
        *seen = Seen { generation: seen.generation + 1, ..Seen::default() };
    }

    fn answered(&self, viewer: Viewer, reference: &PackageReference) -> Option<Arc<Published>> {
        let seen = self.lock();
        let (published, at) = seen.answers.get(&(viewer, reference.clone()))?;
        (at.elapsed() < BELIEVED_FOR).then(|| Arc::clone(published))
    }

    fn remember(&self, viewer: Viewer, reference: &PackageReference, published: &Arc<Published>, generation: u64) {
        let mut seen = self.lock();
        if seen.generation != generation {
            return;
        }
        if seen.answers.len() >= ANSWERS_MAX {
            seen.answers.clear();
        }
        seen.answers.insert((viewer, reference.clone()), (Arc::clone(published), Instant::now()));
    }

    /// What a row says; the one that is remembered, where that says the same.
    fn read(&self, row: PackageVersion, generation: u64) -> Result<Arc<Published>, StoreError> {
        let (owner, name) = (row.owner.parse().ok(), row.name.parse().ok());
        let key = owner.zip(name).and_then(|(owner, name)| pinned(&owner, &name, &row.version));
        let known = key.as_ref().and_then(|key| self.lock().versions.get(key).cloned());
        if let Some(known) = known.filter(|known| known.is_of(&row)) {
            return Ok(known);
        }
        let manifest_bytes = row.manifest.len();
        let published = Arc::new(Published::read(row)?);
        let Some(key) = key else { return Ok(published) };
        let mut seen = self.lock();
        if seen.generation == generation {
            if seen.manifest_bytes + manifest_bytes > MANIFEST_BYTES_MAX {
                seen.versions.clear();
                seen.answers.clear();
                seen.manifest_bytes = 0;
            }
            seen.manifest_bytes += manifest_bytes;
            seen.versions.insert(key, Arc::clone(&published));
        }
        drop(seen);
        Ok(published)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn versions_of(package: &PackageSummary) -> String {
    listed(package.versions.iter().map(|version| version.version.as_str()))
}

fn no_function(published: &Published, asked: &FunctionReference) -> Missing {
    let names = || published.manifest.functions.iter().map(|function| function.name.as_str());
    let function = asked.function.as_str();
    let meant =
        crate::analysis::nearest(function, names()).map_or(String::new(), |near| format!(" (did you mean {near}?)"));
    let package = format!("{}/{}@{}", published.row.owner, published.row.name, published.row.version);
    Missing::Function { package, function: function.to_owned(), meant, has: listed(names()) }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let all: Vec<&str> = names.collect();
    let shown = all.iter().take(LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
    if all.len() > LISTED_MAX { format!("{shown}, … ({} in all)", all.len()) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::published, *};

    #[test]
    fn a_function_that_is_not_there_is_told_with_what_is() {
        for (asked, words) in [
            ("acme/beams#stresses", "acme/beams@1.2.0 has no function stresses (did you mean stress?)"),
            ("acme/beams@1.2.0#zz", "acme/beams@1.2.0 has no function zz: it has stress, mesh, free"),
        ] {
            let told = no_function(&published(), &asked.parse().unwrap()).to_string();
            assert!(told.starts_with(words), "{told}");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let names: Vec<String> = (0..LISTED_MAX + 5).map(|number| format!("f{number}")).collect();
        let shown = listed(names.iter().map(String::as_str));
        assert!(shown.ends_with("f19, … (25 in all)"), "{shown}");
        assert_eq!(listed(["a", "b"].into_iter()), "a, b");
    }
}
