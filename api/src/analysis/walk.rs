//! One walk over the syntax tree that writes down what the checks need: imports, calls, names, functions.

use super::conditions::{Caught, Condition, suppresses};
use super::position::Lines;
use super::scope::{Kind, Scopes};
use super::seen::{Guard, Import, Place, Seen};
use super::{Function, Parameter};
use ruff_python_ast::visitor::{
    Visitor, walk_body, walk_except_handler, walk_expr, walk_parameter, walk_pattern, walk_stmt,
};
use ruff_python_ast::{self as ast, Expr, ExprContext, ModModule, Pattern, Stmt};
use ruff_python_parser::semantic_errors::SemanticSyntaxChecker;
use ruff_text_size::Ranged;
use std::collections::HashSet;

/// Type parameters up to which the parser's own check for doubles, which compares each with each, is asked for.
const TYPE_PARAMETERS_CHECKED_MAX: usize = 64;

/// `for` clauses of one comprehension up to which that check is asked for.
const GENERATORS_CHECKED_MAX: usize = 64;

/// Walks the tree of `source`, which must be free of syntax errors. Recurses as deep as the tree.
pub(super) fn walk<'a>(source: &'a str, module: &'a ModModule) -> Seen<'a> {
    let seen = Seen {
        imports: Vec::new(),
        calls: Vec::new(),
        environment: Vec::new(),
        bound: HashSet::new(),
        defined: HashSet::new(),
        mentioned: HashSet::new(),
        owners: Vec::new(),
        dynamic: false,
        functions: Vec::new(),
        async_functions: HashSet::new(),
        semantic_errors: Vec::new(),
    };
    let mut walk = Walk {
        seen,
        checker: SemanticSyntaxChecker::new(),
        scopes: Scopes::new(source),
        lines: Lines::new(source),
        owner: None,
        depth: 0,
        excuses: Excuses::default(),
    };
    walk.visit_body(&module.body);
    Seen { semantic_errors: walk.scopes.into_errors(), ..walk.seen }
}

/// How many enclosing statements excuse what stands inside.
#[derive(Default)]
struct Excuses {
    imports: usize,
    calls: usize,
    main_block: usize,
}

struct Walk<'a> {
    seen: Seen<'a>,
    checker: SemanticSyntaxChecker,
    scopes: Scopes<'a>,
    lines: Lines<'a>,
    owner: Option<usize>,
    /// Enclosing functions, classes, lambdas and comprehensions.
    depth: usize,
    excuses: Excuses,
}

impl<'a> Walk<'a> {
    fn place(&self, excused: usize) -> Place {
        let guard = match (excused, self.excuses.main_block) {
            (0, 0) => Guard::Open,
            (0, _) => Guard::MainBlock,
            _ => Guard::Excused,
        };
        Place { owner: self.owner, guard }
    }

    fn bind(&mut self, name: &'a str) {
        self.seen.bound.insert(name);
        if self.depth == 0 {
            self.seen.defined.insert(name);
        }
    }

    fn inside(&mut self, kind: Kind<'a>, visit: impl FnOnce(&mut Self)) {
        self.scopes.enter(kind);
        self.depth += 1;
        visit(self);
        self.depth -= 1;
        self.scopes.leave();
    }

    /// Visits a top-level function or class as the owner of what it holds.
    fn owned(&mut self, name: &'a str, visit: impl FnOnce(&mut Self)) {
        let outer = self.owner;
        if self.depth == 0 {
            self.owner = Some(self.seen.owners.len());
            self.seen.owners.push(name);
        }
        visit(self);
        self.owner = outer;
    }

    fn function(&mut self, function: &'a ast::StmtFunctionDef) {
        let name = function.name.as_str();
        self.bind(name);
        function.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
        if !function.decorator_list.is_empty() {
            self.seen.mentioned.insert(name);
        }
        if self.depth == 0 {
            if function.is_async {
                self.seen.async_functions.insert(name);
            }
            let described = describe(function, &self.lines);
            self.seen.functions.push(described);
        }
        self.owned(name, |walk| {
            if let Some(type_params) = &function.type_params {
                walk.visit_type_params(type_params);
            }
            let kind = Kind::Function { parameters: &function.parameters, is_async: function.is_async };
            walk.visit_parameters(&function.parameters);
            if let Some(returns) = &function.returns {
                walk.visit_annotation(returns);
            }
            walk.inside(kind, |walk| walk.visit_body(&function.body));
        });
    }

    fn class(&mut self, class: &'a ast::StmtClassDef) {
        let name = class.name.as_str();
        self.bind(name);
        class.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
        self.owned(name, |walk| {
            if let Some(type_params) = &class.type_params {
                walk.visit_type_params(type_params);
            }
            if let Some(arguments) = &class.arguments {
                walk.visit_arguments(arguments);
            }
            walk.inside(Kind::Class, |walk| walk.visit_body(&class.body));
        });
    }

    fn repeat(&mut self, body: &'a [Stmt], orelse: &'a [Stmt]) {
        self.scopes.enter_loop();
        self.visit_body(body);
        self.scopes.leave_loop();
        self.visit_body(orelse);
    }

    fn conditional(&mut self, statement: &'a ast::StmtIf) {
        self.visit_expr(&statement.test);
        let mut condition = Condition::of(&statement.test);
        self.under(condition, &statement.body);
        for clause in &statement.elif_else_clauses {
            if let Some(test) = &clause.test {
                self.visit_expr(test);
            }
            // What is not for this platform, or not for the main program, says nothing about the other branches.
            condition = match (condition, clause.test.as_ref().map(Condition::of)) {
                (Condition::Platform, _) => Condition::Platform,
                (_, of_clause) => of_clause.unwrap_or(Condition::Plain),
            };
            self.under(condition, &clause.body);
        }
    }

    fn under(&mut self, condition: Condition, body: &'a [Stmt]) {
        let (excused, main) = match condition {
            Condition::Plain => (0, 0),
            Condition::Platform => (1, 0),
            Condition::MainBlock => (0, 1),
        };
        self.excuses.imports += excused;
        self.excuses.calls += excused;
        self.excuses.main_block += main;
        self.visit_body(body);
        self.excuses.imports -= excused;
        self.excuses.calls -= excused;
        self.excuses.main_block -= main;
    }

    fn attempt(&mut self, statement: &'a ast::StmtTry) {
        let caught = Caught::by(&statement.handlers);
        self.scopes.enter_try();
        self.excusing(caught, |walk| walk.visit_body(&statement.body));
        // The handler of a failed import runs only where that import fails.
        let fallback = Caught { imports: caught.imports, calls: caught.imports };
        self.excusing(fallback, |walk| {
            statement.handlers.iter().for_each(|handler| walk.visit_except_handler(handler))
        });
        self.visit_body(&statement.orelse);
        self.visit_body(&statement.finalbody);
        self.scopes.leave_try();
    }

    fn excusing(&mut self, caught: Caught, visit: impl FnOnce(&mut Self)) {
        self.excuses.imports += usize::from(caught.imports);
        self.excuses.calls += usize::from(caught.calls);
        visit(self);
        self.excuses.imports -= usize::from(caught.imports);
        self.excuses.calls -= usize::from(caught.calls);
    }

    fn import(&mut self, statement: &'a ast::StmtImport) {
        let place = self.place(self.excuses.imports);
        for alias in &statement.names {
            let module = alias.name.as_str();
            let first = module.split('.').next().unwrap_or(module);
            let binds = alias.asname.as_ref().map_or(first, |name| name.as_str());
            let import = Import {
                module,
                name: None,
                binds: Some(binds),
                relative: false,
                renamed: alias.asname.is_some(),
                at: alias.start(),
                place,
            };
            self.seen.imports.push(import);
        }
    }

    fn import_from(&mut self, statement: &'a ast::StmtImportFrom) {
        let place = self.place(self.excuses.imports);
        let module = statement.module.as_ref().map_or("", |module| module.as_str());
        let module_at = statement.module.as_ref().map_or(statement.start(), Ranged::start);
        for alias in &statement.names {
            let name = alias.name.as_str();
            let binds = alias.asname.as_ref().map_or(name, |name| name.as_str());
            let import = Import {
                module,
                name: Some(name),
                binds: (name != "*").then_some(binds),
                relative: statement.level > 0,
                renamed: false,
                at: module_at,
                place,
            };
            self.seen.imports.push(import);
        }
    }

    fn comprehension(&mut self, kind: Kind<'a>, generators: &'a [ast::Comprehension], elements: [Option<&'a Expr>; 2]) {
        if let Some(first) = generators.first() {
            self.visit_expr(&first.iter);
        }
        self.inside(kind, |walk| {
            for (index, generator) in generators.iter().enumerate() {
                if index > 0 {
                    walk.visit_expr(&generator.iter);
                }
                walk.visit_expr(&generator.target);
                generator.ifs.iter().for_each(|condition| walk.visit_expr(condition));
            }
            elements.into_iter().flatten().for_each(|element| walk.visit_expr(element));
        });
    }

    fn name(&mut self, name: &'a ast::ExprName) {
        let id = name.id.as_str();
        if !matches!(name.ctx, ExprContext::Load) {
            self.bind(id);
            return;
        }
        let owner = self.owner.and_then(|owner| self.seen.owners.get(owner).copied());
        if owner != Some(id) {
            self.seen.mentioned.insert(id);
        }
        self.seen.dynamic |= matches!(id, "exec" | "eval" | "globals" | "locals" | "vars" | "__import__");
    }
}

impl<'a> Visitor<'a> for Walk<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if type_parameters(stmt) <= TYPE_PARAMETERS_CHECKED_MAX {
            self.checker.visit_stmt(stmt, &self.scopes);
        }
        match stmt {
            Stmt::FunctionDef(function) => self.function(function),
            Stmt::ClassDef(class) => self.class(class),
            Stmt::For(statement) => {
                self.visit_expr(&statement.iter);
                self.visit_expr(&statement.target);
                self.repeat(&statement.body, &statement.orelse);
            }
            Stmt::While(statement) => {
                self.visit_expr(&statement.test);
                self.repeat(&statement.body, &statement.orelse);
            }
            Stmt::If(statement) => self.conditional(statement),
            Stmt::Try(statement) => self.attempt(statement),
            Stmt::With(statement) => {
                let suppressed = statement.items.iter().any(|item| suppresses(&item.context_expr));
                statement.items.iter().for_each(|item| self.visit_with_item(item));
                let caught = Caught { imports: suppressed, calls: suppressed };
                self.excusing(caught, |walk| walk_body(walk, &statement.body));
            }
            Stmt::Import(statement) => self.import(statement),
            Stmt::ImportFrom(statement) => self.import_from(statement),
            Stmt::Global(statement) => {
                for name in &statement.names {
                    self.seen.defined.insert(name.as_str());
                }
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if generators(expr) <= GENERATORS_CHECKED_MAX {
            self.checker.visit_expr(expr, &self.scopes);
        }
        match expr {
            Expr::Name(name) => self.name(name),
            Expr::Call(call) => {
                self.seen.calls.push((call, self.place(self.excuses.calls)));
                walk_expr(self, expr);
            }
            Expr::Subscript(subscript) => {
                let is_environ =
                    matches!(&*subscript.value, Expr::Attribute(attribute) if attribute.attr.as_str() == "environ");
                if is_environ && matches!(subscript.ctx, ExprContext::Load) {
                    self.seen.environment.push((subscript, self.place(self.excuses.calls)));
                }
                walk_expr(self, expr);
            }
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.visit_parameters(parameters);
                }
                self.inside(Kind::Lambda, |walk| walk.visit_expr(&lambda.body));
            }
            Expr::ListComp(list) => self.comprehension(Kind::Comprehension, &list.generators, [Some(&list.elt), None]),
            Expr::SetComp(set) => self.comprehension(Kind::Comprehension, &set.generators, [Some(&set.elt), None]),
            Expr::DictComp(dict) => {
                self.comprehension(Kind::Comprehension, &dict.generators, [dict.key.as_deref(), Some(&dict.value)])
            }
            Expr::Generator(generator) => {
                self.comprehension(Kind::Generator, &generator.generators, [Some(&generator.elt), None])
            }
            _ => walk_expr(self, expr),
        }
    }

    fn visit_parameter(&mut self, parameter: &'a ast::Parameter) {
        self.seen.bound.insert(parameter.name.as_str());
        walk_parameter(self, parameter);
    }

    fn visit_except_handler(&mut self, handler: &'a ast::ExceptHandler) {
        let ast::ExceptHandler::ExceptHandler(inner) = handler;
        if let Some(name) = &inner.name {
            self.bind(name.as_str());
        }
        walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchAs(pattern) => pattern.name.as_ref(),
            Pattern::MatchStar(pattern) => pattern.name.as_ref(),
            Pattern::MatchMapping(pattern) => pattern.rest.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            self.bind(name.as_str());
        }
        walk_pattern(self, pattern);
    }
}

fn generators(expr: &Expr) -> usize {
    match expr {
        Expr::ListComp(list) => list.generators.len(),
        Expr::SetComp(set) => set.generators.len(),
        Expr::DictComp(dict) => dict.generators.len(),
        Expr::Generator(generator) => generator.generators.len(),
        _ => 0,
    }
}

fn type_parameters(stmt: &Stmt) -> usize {
    let parameters = match stmt {
        Stmt::FunctionDef(function) => function.type_params.as_ref(),
        Stmt::ClassDef(class) => class.type_params.as_ref(),
        Stmt::TypeAlias(alias) => alias.type_params.as_ref(),
        _ => None,
    };
    parameters.map_or(0, |parameters| parameters.len())
}

fn describe(function: &ast::StmtFunctionDef, lines: &Lines) -> Function {
    let parameters = &function.parameters;
    let by_name = parameters.args.iter().chain(&parameters.kwonlyargs);
    let by_name = by_name.map(|parameter| Parameter {
        name: parameter.parameter.name.to_string(),
        required: parameter.default.is_none(),
    });
    Function {
        name: function.name.to_string(),
        line: lines.line(function.name.start()),
        parameters: by_name.collect(),
        accepts_any: parameters.kwarg.is_some(),
        is_decorated: !function.decorator_list.is_empty(),
    }
}
