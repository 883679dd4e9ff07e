//! Which scopes surround a node: what decides whether `return`, `await`, `break` and the like may stand there.

use super::syntax::PYTHON;
use ruff_python_ast::{Parameters, PythonVersion};
use ruff_python_parser::semantic_errors::{LazyImportContext, SemanticSyntaxContext, SemanticSyntaxError};
use ruff_text_size::TextRange;
use std::cell::RefCell;

/// Parameters of one function that are compared with each name it declares `global`.
const PARAMETERS_COMPARED_MAX: usize = 64;
/// Errors that are kept; more would not be shown.
const ERRORS_MAX: usize = 64;

#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    Module,
    Function { parameters: &'a Parameters, is_async: bool },
    Class,
    Lambda,
    Comprehension,
    Generator,
}

struct Scope<'a> {
    kind: Kind<'a>,
    loops: usize,
}

/// The scopes around the node that is being visited, the innermost last.
pub(super) struct Scopes<'a> {
    source: &'a str,
    scopes: Vec<Scope<'a>>,
    tries: usize,
    errors: RefCell<Vec<SemanticSyntaxError>>,
}

impl<'a> Scopes<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        let module = Scope { kind: Kind::Module, loops: 0 };
        Self { source, scopes: vec![module], tries: 0, errors: RefCell::default() }
    }

    pub(super) fn enter(&mut self, kind: Kind<'a>) {
        self.scopes.push(Scope { kind, loops: 0 });
    }

    pub(super) fn leave(&mut self) {
        self.scopes.pop();
    }

    pub(super) fn enter_loop(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.loops += 1;
        }
    }

    pub(super) fn leave_loop(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.loops -= 1;
        }
    }

    pub(super) fn enter_try(&mut self) {
        self.tries += 1;
    }

    pub(super) fn leave_try(&mut self) {
        self.tries -= 1;
    }

    pub(super) fn into_errors(self) -> Vec<SemanticSyntaxError> {
        self.errors.into_inner()
    }

    fn innermost(&self) -> Kind<'a> {
        self.scopes.last().map_or(Kind::Module, |scope| scope.kind)
    }

    /// The scopes from the innermost out, comprehensions and generators left out.
    fn without_comprehensions(&self) -> impl Iterator<Item = Kind<'a>> {
        let kinds = self.scopes.iter().rev().map(|scope| scope.kind);
        kinds.filter(|kind| !matches!(kind, Kind::Comprehension | Kind::Generator))
    }
}

impl SemanticSyntaxContext for Scopes<'_> {
    fn future_annotations_or_stub(&self) -> bool {
        false
    }

    fn lazy_import_context(&self) -> Option<LazyImportContext> {
        match self.innermost() {
            Kind::Function { .. } | Kind::Lambda => Some(LazyImportContext::Function),
            Kind::Class => Some(LazyImportContext::Class),
            _ => (self.tries > 0).then_some(LazyImportContext::TryExceptBlocks),
        }
    }

    fn python_version(&self) -> PythonVersion {
        PYTHON
    }

    fn source(&self) -> &str {
        self.source
    }

    /// Not followed: a use before its `global` is left to Python itself.
    fn global(&self, _name: &str) -> Option<TextRange> {
        None
    }

    /// Not followed either: taken to exist.
    fn has_nonlocal_binding(&self, _name: &str) -> bool {
        true
    }

    fn in_async_context(&self) -> bool {
        matches!(self.without_comprehensions().next(), Some(Kind::Function { is_async: true, .. }))
    }

    fn in_await_allowed_context(&self) -> bool {
        matches!(self.without_comprehensions().next(), Some(Kind::Function { .. } | Kind::Lambda))
    }

    fn in_yield_allowed_context(&self) -> bool {
        matches!(self.innermost(), Kind::Function { .. } | Kind::Lambda)
    }

    fn in_sync_comprehension(&self) -> bool {
        false
    }

    fn in_class_body_comprehension(&self) -> bool {
        let inside = matches!(self.innermost(), Kind::Comprehension | Kind::Generator);
        inside && matches!(self.without_comprehensions().next(), Some(Kind::Class))
    }

    fn in_module_scope(&self) -> bool {
        matches!(self.innermost(), Kind::Module)
    }

    fn in_function_scope(&self) -> bool {
        matches!(self.innermost(), Kind::Function { .. })
    }

    fn in_generator_context(&self) -> bool {
        self.scopes.iter().any(|scope| matches!(scope.kind, Kind::Generator))
    }

    fn in_notebook(&self) -> bool {
        false
    }

    fn report_semantic_error(&self, error: SemanticSyntaxError) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() < ERRORS_MAX {
            errors.push(error);
        }
    }

    fn in_loop_context(&self) -> bool {
        self.scopes.last().is_some_and(|scope| scope.loops > 0)
    }

    fn is_bound_parameter(&self, name: &str) -> bool {
        match self.innermost() {
            Kind::Function { parameters, .. } if parameters.len() <= PARAMETERS_COMPARED_MAX => {
                parameters.includes(name)
            }
            _ => false,
        }
    }
}
