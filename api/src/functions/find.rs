//! Looks published functions up, and remembers for a moment what it found: a call of a function costs no database.

use super::{
    call::Call,
    published::{Published, function_of, newest, pinned},
};
use crate::packages::{FunctionReference, PackageReference};
use mecapy_store::{PackagePin, PackageSummary, Store, StoreError, Viewer};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long an answer is believed that another process may have changed: a yank or a version published through another
/// server is seen after so long at the latest.
const BELIEVED_FOR: Duration = Duration::from_secs(2);
/// Answers and versions that are remembered; then the memory begins anew.
const REMEMBERED_MAX: usize = 4_096;
/// So many names are listed in an error.
const LISTED_MAX: usize = 20;

/// Why there is no such function, for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("there is no package {package}, or you may not see it: {advice}")]
    Package { package: String, advice: &'static str },
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
    /// Versions by owner, package and version: these never change, but for what a yank says of them.
    versions: HashMap<PackageReference, Arc<Published>>,
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
        let (owner, name) = (reference.owner.as_str(), reference.package.as_str());
        let Some(package) = self.store.package(viewer, owner, name).await? else {
            let advice = "look for it with GET /v1/packages";
            return Ok(Err(Missing::Package { package: format!("{owner}/{name}"), advice }));
        };
        let version = match &reference.version {
            Some(version) => version.to_string(),
            None => match newest(&package) {
                Some(row) => row.version.clone(),
                None => {
                    let package_name = format!("{owner}/{name}");
                    return Ok(Err(Missing::Yanked { package: package_name, has: versions_of(&package) }));
                }
            },
        };
        let pin = PackagePin { owner, name, version: &version };
        let Some(row) = self.store.package_version(viewer, pin).await? else {
            let has = versions_of(&package);
            return Ok(Err(Missing::Version { package: format!("{owner}/{name}"), version, has }));
        };
        let published = Arc::new(Published::read(row)?);
        self.remember(viewer, reference, &published);
        Ok(Ok(published))
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
        let published = Arc::new(Published::read(row)?);
        self.keep_version(&published);
        Ok(Call::of(published, function))
    }

    /// What was remembered may be wrong from now on: a version was published, yanked or shown to others.
    pub fn forget(&self) {
        *self.lock() = Seen::default();
    }

    fn answered(&self, viewer: Viewer, reference: &PackageReference) -> Option<Arc<Published>> {
        let seen = self.lock();
        let (published, at) = seen.answers.get(&(viewer, reference.clone()))?;
        (at.elapsed() < BELIEVED_FOR).then(|| Arc::clone(published))
    }

    fn remember(&self, viewer: Viewer, reference: &PackageReference, published: &Arc<Published>) {
        self.keep_version(published);
        let mut seen = self.lock();
        if seen.answers.len() >= REMEMBERED_MAX {
            seen.answers.clear();
        }
        seen.answers.insert((viewer, reference.clone()), (Arc::clone(published), Instant::now()));
    }

    fn keep_version(&self, published: &Arc<Published>) {
        let (owner, name) = (published.row.owner.parse(), published.row.name.parse());
        let (Ok(owner), Ok(name)) = (owner, name) else { return };
        let Some(key) = pinned(&owner, &name, &published.row.version) else { return };
        let mut seen = self.lock();
        if seen.versions.len() >= REMEMBERED_MAX {
            seen.versions.clear();
        }
        seen.versions.insert(key, Arc::clone(published));
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
