//! The built interpreter: its compiled module and the images that sandboxes start from, loaded when first needed.

use crate::{
    cache::{Cache, CacheError, check_private},
    layout::{ImageManifest, Layout},
    recipe::{ImageRecipe, Recipe},
};
use mecapy_runtime::{Engine, ImageError, PythonError, PythonImage, PythonModule, Sources, tree::Tree};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the Python interpreter is not built yet: run `mecapy python build`")]
    NotBuilt,
    #[error("the compiled Python interpreter in the cache is damaged: run `mecapy python build`")]
    Damaged,
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("the Python interpreter in the cache can't be used: run `mecapy python build --force`")]
    Python(#[from] PythonError),
    #[error("the image {name} in the cache can't be used: run `mecapy python build`")]
    Image { name: String, source: ImageError },
}

/// What is known of one image without loading it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ImageInfo {
    pub name: String,
    pub about: String,
    /// Top-level modules that are already imported in it.
    pub serves: Vec<String>,
    pub digest: String,
    /// Linear memory of a fresh sandbox, bytes; 0 where it isn't built.
    pub memory_bytes: u64,
    pub built: Option<ImageManifest>,
}

/// A built interpreter, ready to serve images.
pub struct Interpreter {
    recipe: Recipe,
    layout: Layout,
    module: Arc<PythonModule>,
    files: Tree,
    modules: BTreeSet<String>,
    advice: BTreeMap<String, String>,
    loaded: RwLock<BTreeMap<String, Arc<PythonImage>>>,
    /// Held while an image is read, so that nobody reads it twice.
    loading: Mutex<()>,
}

impl Interpreter {
    /// Loads the compiled module; images load when first asked for.
    pub fn open(engine: &Engine, cache_folder: &Path, recipe: &Recipe) -> Result<Self, OpenError> {
        let cache = Cache::open(cache_folder)?;
        let layout = Layout::of(&cache, engine, recipe)?;
        if !layout.module().exists() || !recipe.images.iter().all(|image| layout.manifest(image).is_some()) {
            return Err(OpenError::NotBuilt);
        }
        check_private(&layout.module())?;
        // SAFETY: only this user can write the file and the folders that it is in: it is what the build wrote.
        let module = unsafe { PythonModule::load(engine, &layout.module()) }?;
        let files = layout.files(recipe)?;
        let mut modules = layout.modules()?;
        modules.retain(|name| recipe.unavailable.get(name).is_none_or(|module| module.exists));
        let advice = recipe.unavailable.iter().map(|(name, module)| (name.clone(), module.advice.clone())).collect();
        Ok(Self {
            recipe: recipe.clone(),
            layout,
            module: Arc::new(module),
            files,
            modules,
            advice,
            loaded: RwLock::default(),
            loading: Mutex::default(),
        })
    }

    /// The smallest image that has what the source imports already imported. Every image can import everything the
    /// interpreter has: the choice is one of speed. Reads up to 200 MB the first time, so it may block.
    pub fn image_for(&self, imports: &BTreeSet<String>) -> Result<Arc<PythonImage>, OpenError> {
        self.image(&self.choose(imports)?.name)
    }

    /// The same where the image is in memory already; never blocks for long.
    pub fn loaded_image_for(&self, imports: &BTreeSet<String>) -> Option<Arc<PythonImage>> {
        self.loaded(&self.choose(imports).ok()?.name)
    }

    /// What decides everything that an image holds, the interpreter's build and the engine among it: with a package's
    /// digest it names a warm image over it. The same for one that isn't in memory yet.
    pub fn digest_of(&self, image: &str) -> Option<String> {
        let recipe = self.recipe.images.iter().find(|recipe| recipe.name == image)?;
        Some(self.layout.image_digest(recipe))
    }

    /// What decides everything that any of its images holds: a computation gives the same under the same digest.
    pub fn digest(&self) -> String {
        let images: Vec<String> = self.recipe.images.iter().map(|image| self.layout.image_digest(image)).collect();
        images.join(" ")
    }

    /// Reads every image, so that no task has to wait for it.
    pub fn load_all(&self) -> Result<(), OpenError> {
        self.recipe.images.iter().try_for_each(|image| self.image(&image.name).map(drop))
    }

    /// Reads the compiled module and every image and compares them with the digests that the build wrote; the unpacked
    /// library and the lists of modules carry none. Takes about half a second, which a start doesn't have: it checks images alone, as they are loaded.
    pub fn verify(&self) -> Result<(), OpenError> {
        if !self.layout.module_is_whole() {
            return Err(OpenError::Damaged);
        }
        self.recipe.images.iter().try_for_each(|image| self.load(&image.name).map(drop))
    }

    /// One image by its name.
    pub fn image(&self, name: &str) -> Result<Arc<PythonImage>, OpenError> {
        if let Some(image) = self.loaded(name) {
            return Ok(image);
        }
        let _loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = self.loaded(name) {
            return Ok(image);
        }
        let image = Arc::new(self.load(name)?);
        self.loaded.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::clone(&image));
        Ok(image)
    }

    pub fn images(&self) -> Vec<ImageInfo> {
        self.layout.images(&self.recipe)
    }

    /// The names of the top-level modules that a source can import.
    pub fn modules(&self) -> &BTreeSet<String> {
        &self.modules
    }

    /// Python's version, `3.15.0`.
    pub fn python_version(&self) -> &str {
        &self.recipe.wheel.python
    }

    /// The names of the files in Python's library, by which its distributions are known. Reads its table of contents:
    /// some milliseconds.
    pub fn library_names(&self) -> Result<Vec<String>, OpenError> {
        Ok(self.layout.library_names(&self.recipe)?)
    }

    /// Modules that can't work in a sandbox, each with what to do instead.
    pub fn unavailable(&self) -> &BTreeMap<String, String> {
        &self.advice
    }

    fn choose(&self, imports: &BTreeSet<String>) -> Result<&ImageRecipe, OpenError> {
        self.recipe.image_for(imports).ok_or(OpenError::NotBuilt)
    }

    fn loaded(&self, name: &str) -> Option<Arc<PythonImage>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn load(&self, name: &str) -> Result<PythonImage, OpenError> {
        let recipe = self.recipe.images.iter().find(|image| image.name == name).ok_or(OpenError::NotBuilt)?;
        let manifest = self.layout.manifest(recipe).ok_or(OpenError::NotBuilt)?;
        check_private(&self.layout.memory(recipe))?;
        let memory = self.layout.read_memory(recipe, &manifest);
        let memory = memory.map_err(|source| OpenError::Image { name: name.to_owned(), source })?;
        let (module, files) = (Arc::clone(&self.module), self.files.clone());
        Ok(PythonImage {
            name: name.to_owned(),
            module,
            memory,
            turn: manifest.turn,
            files,
            sources: Sources::Users,
            prepare: None,
            frozen: None,
        })
    }
}
