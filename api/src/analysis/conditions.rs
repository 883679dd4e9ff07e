//! Statements that decide whether what stands inside them matters: `try`, `if`, `with`.

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{self as ast, Expr};

/// What a failing statement under `try` is caught as.
#[derive(Clone, Copy)]
pub(super) struct Caught {
    pub(super) imports: bool,
    pub(super) calls: bool,
}

impl Caught {
    pub(super) fn by(handlers: &[ast::ExceptHandler]) -> Self {
        let mut caught = Caught { imports: false, calls: false };
        for ast::ExceptHandler::ExceptHandler(handler) in handlers {
            match handler.type_.as_deref() {
                Some(Expr::Tuple(tuple)) => tuple.elts.iter().for_each(|class| caught.add(class)),
                Some(class) => caught.add(class),
                None => caught = Caught { imports: true, calls: true },
            }
        }
        caught
    }

    fn add(&mut self, class: &Expr) {
        let all = ["Exception", "BaseException", "ImportError", "ModuleNotFoundError"];
        let of_calls =
            ["OSError", "IOError", "EOFError", "AttributeError", "RuntimeError", "NotImplementedError", "NameError"];
        match last_name(class) {
            Some(name) if all.contains(&name) => (self.imports, self.calls) = (true, true),
            Some(name) if of_calls.contains(&name) => self.calls = true,
            Some(_) => {}
            // An expression that can't be read may hold anything.
            None => (self.imports, self.calls) = (true, true),
        }
    }
}

/// What an `if` asks about.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Condition {
    Plain,
    /// The platform, the version, a type checker: the branches are written for different machines.
    Platform,
    MainBlock,
}

impl Condition {
    pub(super) fn of(test: &Expr) -> Self {
        struct Names(Condition);
        impl<'a> Visitor<'a> for Names {
            fn visit_expr(&mut self, expr: &'a Expr) {
                match last_name(expr) {
                    Some("__name__") => self.0 = Condition::MainBlock,
                    Some(
                        "TYPE_CHECKING" | "platform" | "version_info" | "implementation" | "hasattr" | "find_spec"
                        | "environ" | "getenv" | "modules" | "__debug__",
                    ) => self.0 = Condition::Platform,
                    Some("name") if matches!(expr, Expr::Attribute(name) if last_name(&name.value) == Some("os")) => {
                        self.0 = Condition::Platform
                    }
                    _ => {}
                }
                walk_expr(self, expr);
            }
        }
        let never = matches!(test, Expr::BooleanLiteral(literal) if !literal.value)
            || matches!(test, Expr::NumberLiteral(number) if number.value == ast::Number::Int(ast::Int::ZERO));
        if never {
            return Condition::Platform;
        }
        let mut names = Names(Condition::Plain);
        names.visit_expr(test);
        names.0
    }
}

/// Whether a `with` item lets failures pass (`contextlib.suppress`).
pub(super) fn suppresses(context: &Expr) -> bool {
    matches!(context, Expr::Call(call) if last_name(&call.func) == Some("suppress"))
}

/// `name` of `name` and of `anything.name`.
fn last_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name) => Some(name.id.as_str()),
        Expr::Attribute(attribute) => Some(attribute.attr.as_str()),
        _ => None,
    }
}
