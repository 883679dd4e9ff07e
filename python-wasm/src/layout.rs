//! Which file is where in the cache. Names carry the digest of everything that decides a file's contents, so a
//! changed recipe, runner or engine makes new files beside the old ones.

use crate::{
    ImageInfo,
    cache::{Cache, CacheError, digest_of, io_error, seal_of, seal_of_file},
    conformance,
    recipe::{ImageRecipe, Recipe, Source},
    runner,
};
use mecapy_linalg::{ARITHMETIC_VERSION, blas::table_text};
use mecapy_runtime::{Engine, FileContent, ImageError, MemoryImage, Turn, tree::Tree};
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
    /// BLAKE3 of the memory file.
    pub memory_blake3: String,
    /// How long the warm-up took, milliseconds.
    pub warm_up_ms: u64,
    /// Conformance rows that passed on this image.
    pub conformance_passed: usize,
    /// SHA-256 of all conformance rows when they did.
    pub conformance_sha256: String,
}

/// The cache's folders for one recipe on one engine.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    wheel: PathBuf,
    folder: PathBuf,
    compatibility: String,
    /// Digest of what an image sees around itself: mounts, module lists, environment and turn.
    surroundings: String,
}

impl Layout {
    pub(crate) fn of(cache: &Cache, engine: &Engine, recipe: &Recipe) -> Result<Self, CacheError> {
        Self::with_kernels(cache, engine, recipe, &format!("arithmetic {ARITHMETIC_VERSION}\n{}", table_text()))
    }

    /// `kernels` is the text of the table that the module is relinked by, and what names the kernels' arithmetic: results
    /// that are used again are known by the image's digest.
    fn with_kernels(cache: &Cache, engine: &Engine, recipe: &Recipe, kernels: &str) -> Result<Self, CacheError> {
        let patches: Vec<String> = recipe
            .patches
            .iter()
            .map(|patch| format!("{:x} {} {}", patch.offset, patch.expect, patch.replace))
            .collect();
        let members = &recipe.wheel.members;
        let mut parts = vec![FORMAT.as_bytes(), recipe.wheel.sha256.as_bytes(), members.module.sha256.as_bytes()];
        parts.extend(patches.iter().map(String::as_bytes));
        // What the module hands to the host, under which numbers, and what comes of it.
        parts.push(kernels.as_bytes());
        let key: String = digest_of(&parts).chars().take(16).collect();
        // The debug text has every field, one that is added later too.
        let seen = format!("{:?}", (members, &recipe.mounts, &recipe.modules, &recipe.environment, &recipe.turn));
        let surroundings = digest_of(&[seen.as_bytes()]).chars().take(16).collect();
        let wheel = cache.subfolder("wheels")?.join(&recipe.wheel.file);
        let folder = cache.subfolder(&format!("python/{}-{key}", recipe.wheel.version))?;
        Ok(Self { wheel, folder, compatibility: engine.compatibility(), surroundings })
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

    /// The seal of the compiled module.
    pub(crate) fn module_seal(&self) -> PathBuf {
        self.module().with_extension("blake3")
    }

    /// Whether the compiled module is the one that the build sealed. Reads all of it: a fifth of a second.
    pub(crate) fn module_is_whole(&self) -> bool {
        let sealed = fs::read_to_string(self.module_seal());
        sealed.is_ok_and(|sealed| seal_of_file(&self.module()).is_ok_and(|found| found == sealed))
    }

    /// The names of the importable modules, a line each.
    pub(crate) fn module_names(&self) -> PathBuf {
        self.folder.join(format!("modules-{}.txt", self.surroundings))
    }

    /// A file that the recipe unpacks from the wheel, by its path in the guest.
    pub(crate) fn unpacked(&self, guest_path: &str) -> PathBuf {
        self.folder.join(format!("files-{}", self.surroundings)).join(guest_path.trim_start_matches('/'))
    }

    /// The licences of what is in the interpreter.
    pub(crate) fn licenses(&self) -> PathBuf {
        self.folder.join("licenses")
    }

    pub(crate) fn digest(&self, image: &ImageRecipe) -> String {
        let mut parts = vec![FORMAT.as_bytes(), self.surroundings.as_bytes(), image.name.as_bytes()];
        image.turns().for_each(|source| parts.push(source.as_bytes()));
        parts.extend(runner::FILES.iter().flat_map(|(name, source)| [name.as_bytes(), source.as_bytes()]));
        digest_of(&parts).chars().take(24).collect()
    }

    /// The image's digest together with those of the interpreter and of the engine that it runs on.
    pub(crate) fn image_digest(&self, image: &ImageRecipe) -> String {
        let interpreter = self.folder.file_name().unwrap_or_default();
        digest_of(&[interpreter.as_encoded_bytes(), self.compatibility.as_bytes(), self.digest(image).as_bytes()])
    }

    pub(crate) fn memory(&self, image: &ImageRecipe) -> PathBuf {
        self.folder.join(format!("{}-{}.memory", image.name, self.digest(image)))
    }

    pub(crate) fn manifest_path(&self, image: &ImageRecipe) -> PathBuf {
        self.memory(image).with_extension("json")
    }

    /// The manifest of a built image: one that passed the conformance rows of this program.
    pub(crate) fn manifest(&self, image: &ImageRecipe) -> Option<ImageManifest> {
        self.kept(image).filter(|manifest| manifest.conformance_sha256 == conformance::digest())
    }

    /// The manifest of an image, whichever rows it has passed.
    pub(crate) fn kept(&self, image: &ImageRecipe) -> Option<ImageManifest> {
        let manifest: ImageManifest = serde_json::from_slice(&fs::read(self.manifest_path(image)).ok()?).ok()?;
        (fs::metadata(self.memory(image)).ok()?.len() == manifest.memory_bytes).then_some(manifest)
    }

    /// Reads an image's memory, and holds what was read against the manifest: tens of milliseconds for 100 MB.
    pub(crate) fn read_memory(
        &self,
        image: &ImageRecipe,
        manifest: &ImageManifest,
    ) -> Result<Arc<MemoryImage>, ImageError> {
        let file = File::open(self.memory(image)).map_err(ImageError::Read)?;
        let memory = MemoryImage::read_from(file, manifest.memory_bytes)?;
        if seal_of(memory.contents()) != manifest.memory_blake3 {
            let damaged = io::Error::new(io::ErrorKind::InvalidData, "it is not as the build left it");
            return Err(ImageError::Read(damaged));
        }
        Ok(memory)
    }

    pub(crate) fn images(&self, recipe: &Recipe) -> Vec<ImageInfo> {
        let info = |image: &ImageRecipe| {
            // An image without a compiled interpreter to run it is of no use yet.
            let built = self.manifest(image).filter(|_| self.module().exists());
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

    /// The names of the files in the archives that the recipe mounts as they are.
    pub(crate) fn library_names(&self, recipe: &Recipe) -> Result<Vec<String>, CacheError> {
        let mut names = Vec::new();
        for mount in recipe.mounts.iter().filter(|mount| mount.from == Source::Library && mount.at.ends_with(".zip")) {
            let path = self.unpacked(&mount.at);
            let file = File::open(&path).map_err(|source| io_error(&path, source))?;
            let archive = zip::ZipArchive::new(io::BufReader::new(file));
            let archive = archive.map_err(|error| io_error(&path, io::Error::other(error)))?;
            names.extend(archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())));
        }
        Ok(names)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::write_whole;
    use mecapy_runtime::NanPayloads;

    const MEMORY_BYTES: usize = 65_536;

    fn layout_of(cache: &Cache, recipe: &Recipe) -> Layout {
        Layout::of(cache, &Engine::new(NanPayloads::Native).unwrap(), recipe).unwrap()
    }

    /// Keeps an image of zeros.
    fn keep(layout: &Layout, image: &ImageRecipe, conformance_sha256: String) {
        let memory = vec![0; MEMORY_BYTES];
        let manifest = ImageManifest {
            memory_bytes: memory.len() as u64,
            turn: Turn { address: 0, bytes: 0 },
            memory_blake3: seal_of(&memory),
            warm_up_ms: 0,
            conformance_passed: 1,
            conformance_sha256,
        };
        write_whole(&layout.memory(image), &memory).unwrap();
        write_whole(&layout.manifest_path(image), &serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    #[test]
    fn an_image_that_passed_other_rows_is_kept_but_not_built() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe::bundled().unwrap();
        let layout = layout_of(&Cache::open(folder.path()).unwrap(), &recipe);
        let image = recipe.images.first().unwrap();
        keep(&layout, image, "of other rows".into());
        assert!(layout.manifest(image).is_none() && layout.kept(image).is_some());
        assert!(layout.images(&recipe).iter().all(|image| image.built.is_none()));
        keep(&layout, image, conformance::digest());
        assert!(layout.manifest(image).is_some());
    }

    #[test]
    fn a_memory_with_one_changed_byte_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe::bundled().unwrap();
        let layout = layout_of(&Cache::open(folder.path()).unwrap(), &recipe);
        let image = recipe.images.first().unwrap();
        keep(&layout, image, conformance::digest());
        let manifest = layout.manifest(image).unwrap();
        assert_eq!(layout.read_memory(image, &manifest).unwrap().bytes(), MEMORY_BYTES);
        let mut damaged = vec![0; MEMORY_BYTES];
        damaged[MEMORY_BYTES / 2] = 1;
        write_whole(&layout.memory(image), &damaged).unwrap();
        assert!(layout.read_memory(image, &manifest).is_err());
    }

    #[test]
    fn a_compiled_module_is_whole_only_with_the_seal_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let layout = layout_of(&Cache::open(folder.path()).unwrap(), &Recipe::bundled().unwrap());
        write_whole(&layout.module(), b"code").unwrap();
        assert!(!layout.module_is_whole(), "without a seal");
        write_whole(&layout.module_seal(), seal_of(b"code").as_bytes()).unwrap();
        assert!(layout.module_is_whole());
        write_whole(&layout.module(), b"cod").unwrap();
        assert!(!layout.module_is_whole(), "cut");
    }

    #[test]
    fn what_an_image_depends_on_is_in_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let recipe = Recipe::bundled().unwrap();
        let before = layout_of(&cache, &recipe);
        let changes: [fn(&mut Recipe); 6] = [
            |recipe| recipe.wheel.members.module.sha256 = "0".into(),
            |recipe| recipe.wheel.members.library.path = "other.zip".into(),
            |recipe| recipe.mounts[0].at = "/elsewhere".into(),
            |recipe| recipe.modules.builtin.push("extra".into()),
            |recipe| recipe.modules.hidden.clear(),
            |recipe| recipe.environment.preopens.reverse(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = recipe.clone();
            change(&mut changed);
            let after = layout_of(&cache, &changed);
            let image = recipe.images.last().unwrap();
            assert_ne!(before.memory(image), after.memory(image), "change {number}");
        }
        let engine = Engine::new(NanPayloads::Native).unwrap();
        let after = Layout::with_kernels(&cache, &engine, &recipe, "dgemm_ other").unwrap();
        assert_ne!(before.module(), after.module());
        assert_ne!(before.memory(&recipe.images[0]), after.memory(&recipe.images[0]));
        let mut warmed = recipe.images[0].clone();
        warmed.warmup.pop();
        assert_ne!(before.memory(&recipe.images[0]), before.memory(&warmed));
    }
}
