//! The recipe: which wheel, pinned by its hash, and which images to make of it.

use mecapy_runtime::{PYTHON_ARGUMENTS, PYTHON_ENVIRONMENT, PYTHON_PREOPENS, PYTHON_TURN};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

const BUNDLED: &str = include_str!("../recipe.toml");

#[derive(Debug, thiserror::Error)]
#[error("the interpreter recipe can't be read")]
pub struct RecipeError(#[from] toml::de::Error);

/// What `recipe.toml` says; that file explains each field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub(crate) wheel: Wheel,
    /// Applied to the module, in order, before anything else is done with it.
    #[serde(rename = "patch", default)]
    pub(crate) patches: Vec<Patch>,
    #[serde(rename = "mount")]
    pub(crate) mounts: Vec<Mount>,
    pub(crate) environment: Environment,
    pub(crate) turn: TurnSource,
    /// Smallest first.
    #[serde(rename = "image")]
    pub(crate) images: Vec<ImageRecipe>,
    pub(crate) modules: Modules,
    pub(crate) unavailable: BTreeMap<String, Unavailable>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wheel {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) file: String,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
    pub(crate) python: String,
    pub(crate) members: Members,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Members {
    pub(crate) module: Member,
    pub(crate) library: Member,
    /// The licences of everything in the interpreter, kept beside it.
    pub(crate) licenses: Folder,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    pub(crate) path: String,
    pub(crate) sha256: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Folder {
    pub(crate) path: String,
}

/// Bytes of the interpreter's module that are replaced by as many others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    pub(crate) offset: usize,
    /// Hexadecimal.
    pub(crate) expect: String,
    /// Hexadecimal.
    pub(crate) replace: String,
    pub(crate) why: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mount {
    pub(crate) from: Source,
    /// An archive inside the library.
    pub(crate) member: Option<String>,
    #[serde(default)]
    pub(crate) unpack: bool,
    pub(crate) at: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Library,
    Guest,
}

/// What the runtime grants every interpreter; a test holds the two against each other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Environment {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) preopens: Vec<String>,
    pub(crate) folders: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TurnSource {
    pub(crate) task: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageRecipe {
    pub(crate) name: String,
    pub(crate) about: String,
    /// Warm-up files, in the order in which they run.
    pub(crate) warmup: Vec<String>,
    /// Top-level modules that are already imported.
    pub(crate) serves: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Modules {
    pub(crate) builtin: Vec<String>,
    pub(crate) hidden: BTreeSet<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unavailable {
    /// The import itself succeeds; only its use fails.
    #[serde(default)]
    pub(crate) exists: bool,
    pub(crate) advice: String,
}

/// The warm-up files by name.
const WARM_UPS: [(&str, &str); 5] = [
    ("warmup/core.py", include_str!("../warmup/core.py")),
    ("warmup/sci.py", include_str!("../warmup/sci.py")),
    ("warmup/full.py", include_str!("../warmup/full.py")),
    ("warmup/finish.py", include_str!("../warmup/finish.py")),
    ("warmup/settle.py", include_str!("../warmup/settle.py")),
];

impl Recipe {
    /// The recipe that this program was built with.
    pub fn bundled() -> Result<Self, RecipeError> {
        Ok(toml::from_str(BUNDLED)?)
    }

    /// Modules that can't work in a sandbox, each with what to do instead.
    pub fn unavailable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unavailable.iter().map(|(name, module)| (name.as_str(), module.advice.as_str()))
    }

    /// Whether the recipe names the surroundings that the runtime grants, and the turn that it runs.
    pub(crate) fn fits_the_runtime(&self) -> bool {
        let environment = &self.environment;
        let granted =
            PYTHON_ENVIRONMENT.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        environment.argv == PYTHON_ARGUMENTS
            && environment.env == granted
            && environment.preopens == PYTHON_PREOPENS
            && environment.folders == ["/tmp", "/work/in", "/work/out"]
            && self.turn.task == PYTHON_TURN
    }

    /// The first image that serves each of the imports that any image serves.
    pub(crate) fn image_for(&self, imports: &BTreeSet<String>) -> Option<&ImageRecipe> {
        let listed = |name: &&String| self.images.iter().any(|image| image.serves.contains(name));
        let wanted: Vec<&String> = imports.iter().filter(listed).collect();
        let covers = |image: &&ImageRecipe| wanted.iter().all(|name| image.serves.contains(name));
        self.images.iter().find(covers).or(self.images.last())
    }
}

impl ImageRecipe {
    /// The sources of the warm-up, in order.
    pub(crate) fn turns(&self) -> impl Iterator<Item = &'static str> + use<'_> {
        self.warmup
            .iter()
            .filter_map(|name| WARM_UPS.iter().find(|(known, _)| known == name))
            .map(|(_, source)| *source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_recipe_is_whole() {
        let recipe = Recipe::bundled().unwrap();
        assert_eq!(recipe.wheel.sha256.len(), 64);
        for image in &recipe.images {
            assert_eq!(image.turns().count(), image.warmup.len(), "image {} names an unknown warm-up", image.name);
        }
    }

    #[test]
    fn the_smallest_image_that_covers_the_imports_is_chosen() {
        let recipe = Recipe::bundled().unwrap();
        let rows = [
            ("", "core"),
            ("math json", "core"),
            ("numpy", "sci"),
            ("numpy scipy", "sci"),
            ("numpy pandas", "full"),
            ("matplotlib", "full"),
            ("sympy", "full"),
            ("no_such_module", "core"),
        ];
        for (imports, expected) in rows {
            let imports = imports.split_whitespace().map(str::to_owned).collect();
            assert_eq!(recipe.image_for(&imports).unwrap().name, expected, "{imports:?}");
        }
    }
}
