//! Which imported thing a name stands for, however it was renamed.

use super::seen::Seen;
use ruff_python_ast::Expr;
use std::collections::{HashMap, HashSet};

/// Attributes that are followed from a name; a longer chain leads to nothing that is known.
const CHAIN_MAX: usize = 8;

/// What each name that an import binds stands for.
///
/// Neither scopes nor the order of statements are followed: a name that anything else binds anywhere, or that two
/// imports bind differently, is taken to be unknown.
pub(super) struct Bindings<'a> {
    paths: HashMap<&'a str, Option<String>>,
    bound: &'a HashSet<&'a str>,
    stars: Vec<&'a str>,
}

impl<'a> Bindings<'a> {
    pub(super) fn new(seen: &'a Seen<'a>) -> Self {
        let mut paths: HashMap<&str, Option<String>> = HashMap::new();
        let mut stars = Vec::new();
        for import in seen.imports.iter().filter(|import| !import.relative) {
            let Some(binds) = import.binds else {
                stars.push(import.module);
                continue;
            };
            let path = match import.name {
                Some(name) => format!("{}.{name}", import.module),
                None if import.renamed => import.module.to_owned(),
                None => import.top_level().to_owned(),
            };
            let known = paths.entry(binds).or_insert_with(|| Some(path.clone()));
            if known.as_ref().is_some_and(|known| *known != path) {
                *known = None;
            }
        }
        Self { paths, bound: &seen.bound, stars }
    }

    /// The dotted paths that an expression may mean: `np.linalg.solve` is `numpy.linalg.solve`, `input` is
    /// `builtins.input`. Empty where that can't be told.
    pub(super) fn paths_of(&self, expr: &Expr) -> Vec<String> {
        let mut attributes: Vec<&str> = Vec::new();
        let mut inner = expr;
        while let Expr::Attribute(attribute) = inner {
            attributes.push(attribute.attr.as_str());
            inner = &attribute.value;
            if attributes.len() > CHAIN_MAX {
                return Vec::new();
            }
        }
        let Expr::Name(name) = inner else {
            return Vec::new();
        };
        let id = name.id.as_str();
        if self.bound.contains(id) {
            return Vec::new();
        }
        let roots = match self.paths.get(id) {
            Some(Some(path)) => vec![path.clone()],
            Some(None) => Vec::new(),
            None => std::iter::once("builtins")
                .chain(self.stars.iter().copied())
                .map(|module| format!("{module}.{id}"))
                .collect(),
        };
        let attributes = attributes.iter().rev();
        let whole = |root: String| attributes.clone().fold(root, |path, attribute| format!("{path}.{attribute}"));
        roots.into_iter().map(whole).collect()
    }

    /// The modules of `from module import *`.
    pub(super) fn stars(&self) -> &[&'a str] {
        &self.stars
    }
}
