//! What one source holds, as far as the checks look at it.

use super::Function;
use ruff_python_ast as ast;
use ruff_python_parser::semantic_errors::SemanticSyntaxError;
use ruff_text_size::TextSize;
use std::collections::{BTreeSet, HashSet};

/// Whether what stands at a place will run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// As far as can be told, yes.
    Open,
    /// Under `if __name__ == "__main__"`, which is meant for the author's own machine.
    MainBlock,
    /// Its failure is caught, or it stands under a condition on the platform.
    Excused,
}

/// Where something stands, as far as it decides whether it runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Index into [`Seen::owners`]: the function or class at the top level around it.
    pub(super) owner: Option<usize>,
    pub(super) guard: Guard,
}

/// One name of an import statement.
pub(super) struct Import<'a> {
    /// Dotted; empty for `from . import x`.
    pub(super) module: &'a str,
    /// For `from module import name`; `*` is a name.
    pub(super) name: Option<&'a str>,
    /// The name that the statement binds, unless it is a star.
    pub(super) binds: Option<&'a str>,
    pub(super) relative: bool,
    /// `import a.b` binds `a`, `import a.b as c` binds all of `a.b`.
    pub(super) renamed: bool,
    pub(super) at: TextSize,
    pub(super) place: Place,
}

/// Everything that the checks look at.
pub(super) struct Seen<'a> {
    pub(super) imports: Vec<Import<'a>>,
    pub(super) calls: Vec<(&'a ast::ExprCall, Place)>,
    /// `….environ[…]` where it is read.
    pub(super) environment: Vec<(&'a ast::ExprSubscript, Place)>,
    /// Names bound anywhere by anything but an import.
    pub(super) bound: HashSet<&'a str>,
    /// Names bound at the top level, imports apart.
    pub(super) defined: HashSet<&'a str>,
    /// Names read outside the function or class of that name.
    pub(super) mentioned: HashSet<&'a str>,
    /// Functions and classes at the top level, as [`Place::owner`] counts them.
    pub(super) owners: Vec<&'a str>,
    /// Whether names may come to be in ways that can't be followed (`exec`, `globals()`).
    pub(super) dynamic: bool,
    pub(super) functions: Vec<Function>,
    pub(super) async_functions: HashSet<&'a str>,
    pub(super) semantic_errors: Vec<SemanticSyntaxError>,
}

impl Seen<'_> {
    /// Top-level names of all modules that are imported by absolute name.
    pub(super) fn imported_modules(&self) -> BTreeSet<String> {
        let absolute = self.imports.iter().filter(|import| !import.relative);
        absolute.map(|import| import.top_level().to_owned()).collect()
    }

    /// Whether the function or class around `place`, if any, is used by anything, `entry` being called.
    pub(super) fn is_reachable(&self, place: Place, entry: &str) -> bool {
        let owner = place.owner.and_then(|owner| self.owners.get(owner));
        owner.is_none_or(|&owner| self.dynamic || owner == entry || self.mentioned.contains(owner))
    }
}

impl<'a> Import<'a> {
    pub(super) fn top_level(&self) -> &'a str {
        self.module.split('.').next().unwrap_or(self.module)
    }
}
