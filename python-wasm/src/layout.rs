//! Which file is where in the cache. Names carry the digest of everything that decides a file's contents, so a
//! changed recipe, runner or engine makes new files beside the old ones.

use crate::{
    ImageInfo,
    cache::{Cache, CacheError, digest_of, io_error},
    recipe::{ImageRecipe, Recipe, Source},
    runner,
};
use mecapy_runtime::{Engine, FileContent, Turn, tree::Tree};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Raised when the way images are made changes.
const FORMAT: &str = "mecapy-image-1";

/// What the build wrote beside an image's memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageManifest {
    /// Length of the memory file, bytes.
    pub memory_bytes: u64,
    pub turn: Turn,
    /// SHA-256 of the memory file.
    pub memory_sha256: String,
    /// How long the warm-up took, milliseconds.
    pub warm_up_ms: u64,
    /// Conformance rows that passed on this image.
    pub conformance_passed: usize,
}

/// The cache's folders for one recipe on one engine.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    wheel: PathBuf,
    folder: PathBuf,
    compatibility: String,
}

impl Layout {
    pub(crate) fn of(cache: &Cache, engine: &Engine, recipe: &Recipe) -> Result<Self, CacheError> {
        let patches: Vec<String> = recipe
            .patches
            .iter()
            .map(|patch| format!("{:x} {} {}", patch.offset, patch.expect, patch.replace))
            .collect();
        let mut parts = vec![FORMAT.as_bytes(), recipe.wheel.sha256.as_bytes()];
        parts.extend(patches.iter().map(String::as_bytes));
        let key: String = digest_of(&parts).chars().take(16).collect();
        let wheel = cache.subfolder("wheels")?.join(&recipe.wheel.file);
        let folder = cache.subfolder(&format!("python/{}-{key}", recipe.wheel.version))?;
        Ok(Self { wheel, folder, compatibility: engine.compatibility() })
    }

    /// The fetched wheel.
    pub(crate) fn wheel(&self) -> PathBuf {
        self.wheel.clone()
    }

    /// The module without its data, as WebAssembly.
    pub(crate) fn stripped(&self) -> PathBuf {
        self.folder.join("interpreter.wasm")
    }

    /// The module's initial memory.
    pub(crate) fn initial_memory(&self) -> PathBuf {
        self.folder.join("initial.memory")
    }

    /// The compiled module, for this engine on this processor.
    pub(crate) fn module(&self) -> PathBuf {
        self.folder.join(format!("interpreter-{}.cwasm", self.compatibility))
    }

    /// The names of the importable modules, a line each.
    pub(crate) fn module_names(&self) -> PathBuf {
        self.folder.join("modules.txt")
    }

    /// A file that the recipe unpacks from the wheel, by its path in the guest.
    pub(crate) fn unpacked(&self, guest_path: &str) -> PathBuf {
        self.folder.join("files").join(guest_path.trim_start_matches('/'))
    }

    /// The licences of what is in the interpreter.
    pub(crate) fn licenses(&self) -> PathBuf {
        self.folder.join("licenses")
    }

    pub(crate) fn digest(&self, image: &ImageRecipe) -> String {
        let mut parts = vec![FORMAT.as_bytes(), image.name.as_bytes()];
        image.turns().for_each(|source| parts.push(source.as_bytes()));
        parts.extend(runner::FILES.iter().flat_map(|(name, source)| [name.as_bytes(), source.as_bytes()]));
        digest_of(&parts).chars().take(24).collect()
    }

    pub(crate) fn memory(&self, image: &ImageRecipe) -> PathBuf {
        self.folder.join(format!("{}-{}.memory", image.name, self.digest(image)))
    }

    pub(crate) fn manifest_path(&self, image: &ImageRecipe) -> PathBuf {
        self.memory(image).with_extension("json")
    }

    /// The manifest of a built image.
    pub(crate) fn manifest(&self, image: &ImageRecipe) -> Option<ImageManifest> {
        let manifest: ImageManifest = serde_json::from_slice(&fs::read(self.manifest_path(image)).ok()?).ok()?;
        (fs::metadata(self.memory(image)).ok()?.len() == manifest.memory_bytes).then_some(manifest)
    }

    pub(crate) fn images(&self, recipe: &Recipe) -> Vec<ImageInfo> {
        let info = |image: &ImageRecipe| {
            let built = self.manifest(image);
            ImageInfo {
                name: image.name.clone(),
                about: image.about.clone(),
                serves: image.serves.clone(),
                digest: self.digest(image),
                memory_bytes: built.as_ref().map_or(0, |built| built.memory_bytes),
                built,
            }
        };
        recipe.images.iter().map(info).collect()
    }

    pub(crate) fn modules(&self) -> Result<BTreeSet<String>, CacheError> {
        let path = self.module_names();
        let text = fs::read_to_string(&path).map_err(|source| io_error(&path, source))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What every sandbox's file tree starts with: the library, our runner, and the work folders.
    pub(crate) fn files(&self, recipe: &Recipe) -> Result<Tree, CacheError> {
        let mut files = Vec::new();
        for mount in recipe.mounts.iter().filter(|mount| mount.from == Source::Library) {
            add_files(&self.unpacked(&mount.at), &mount.at, &mut files)?;
        }
        runner::tree(files).map_err(|error| io_error(&self.folder, io::Error::other(error)))
    }
}

/// Adds a file, or every file under a folder, as read-only nodes that read from the file when asked.
fn add_files(path: &Path, guest_path: &str, files: &mut Vec<(String, FileContent)>) -> Result<(), CacheError> {
    let fail = |source| io_error(path, source);
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            add_files(&entry.path(), &format!("{guest_path}/{}", name.to_string_lossy()), files)?;
        }
        return Ok(());
    }
    let file = File::open(path).map_err(fail)?;
    let bytes = file.metadata().map_err(fail)?.len();
    files.push((guest_path.to_owned(), FileContent::File { file: Arc::new(file), bytes }));
    Ok(())
}
