//! The expression language: total, small, and without effects.
//!
//! ```text
//! or → and → not → comparison → sum → product → sign → power → value
//! values: 12.5, 'text', true, false, null, references, (…), and calls of
//!         abs min max sqrt len sum mean round if is_null
//! references: inputs.F   solve   solve.stress   solve[3].x   solve[index + 1].x   item   index   check?.value
//! ```
//!
//! - Comparisons chain: `0 < x <= 5`. `2 ^ 3 ^ 2` is `2 ^ 9`, and `-2 ^ 2` is −4.
//! - `.name` of a list is the list of that field of each element.
//! - `?` after a part of a reference says that it may be absent: a node that was skipped, a field that is not there, or
//!   null. The whole reference is null then. Without it each of these is an error.
//! - Whole numbers stay exact (128 bits), everything else is a double; a number that nothing computes with keeps its
//!   digits. `/` and `mean` always give doubles.
//! - `and`, `or` and `if` look only at what they need. There is no loop and no definition, so each expression ends.
//! - What has no value is an error that names what was found: a division by zero, an overflow, a field that is missing,
//!   null where a number is needed.

mod eval;
mod lex;
mod number;
mod parse;
mod paths;
#[cfg(test)]
mod tests;
mod types;
mod value;

pub(crate) use eval::{Found, Undefined, evaluate};
pub(crate) use parse::{BadExpr, Names, is_reserved, parse};
pub(crate) use types::{Measure, Type, check, field_of};
pub(crate) use value::Value;

/// The longest expression, bytes.
pub const EXPR_BYTES_MAX: usize = 2_000;
/// How deep parentheses, calls, signs and powers may nest in an expression.
pub const EXPR_DEPTH_MAX: usize = 24;

/// An expression, read and found well formed.
#[derive(Debug, Clone)]
pub struct Expr {
    pub(crate) text: String,
    pub(crate) node: Node,
}

impl Expr {
    /// As its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The reference that it is, where it is nothing but one.
    pub(crate) fn reference(&self) -> Option<&Path> {
        match &self.node {
            Node::Path(path) => Some(path),
            _ => None,
        }
    }
}

/// A part of an expression. Chains of one kind are flat, so that a long one is not a deep one.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Literal(Value),
    Path(Path),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    /// Each neighbouring pair is compared.
    Chain(Box<Node>, Vec<(Relation, Node)>),
    /// Terms, each with whether it is taken away.
    Sum(Vec<(bool, Node)>),
    /// Factors, each with whether it divides.
    Product(Vec<(bool, Node)>),
    Negative(Box<Node>),
    Power(Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

/// A reference.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) root: Root,
    /// The root's name, for messages.
    pub(crate) name: String,
    /// Whether the root may be absent.
    pub(crate) soft: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) kind: StepKind,
    /// Whether what it leads to may be absent.
    pub(crate) soft: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum StepKind {
    Field(String),
    Item(Box<Node>),
}

/// What a reference begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Root {
    /// The run's inputs.
    Inputs,
    /// The output of a node, by its position.
    Node(usize),
    /// The element of a mapped node.
    Item,
    /// The element's index, from 0.
    Index,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Abs,
    Min,
    Max,
    Sqrt,
    Len,
    Sum,
    Mean,
    Round,
    If,
    IsNull,
}

impl Function {
    pub(crate) const ALL: [Function; 10] = [
        Function::Abs,
        Function::Min,
        Function::Max,
        Function::Sqrt,
        Function::Len,
        Function::Sum,
        Function::Mean,
        Function::Round,
        Function::If,
        Function::IsNull,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Function::Abs => "abs",
            Function::Min => "min",
            Function::Max => "max",
            Function::Sqrt => "sqrt",
            Function::Len => "len",
            Function::Sum => "sum",
            Function::Mean => "mean",
            Function::Round => "round",
            Function::If => "if",
            Function::IsNull => "is_null",
        }
    }

    /// How many arguments it takes, at least and at most.
    pub(crate) const fn arguments(self) -> (usize, usize) {
        match self {
            Function::Min | Function::Max => (1, 64),
            Function::Round => (1, 2),
            Function::If => (3, 3),
            _ => (1, 1),
        }
    }
}

impl Relation {
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Relation::Less => "<",
            Relation::LessOrEqual => "<=",
            Relation::Greater => ">",
            Relation::GreaterOrEqual => ">=",
            Relation::Equal => "==",
            Relation::NotEqual => "!=",
        }
    }
}

impl Node {
    /// Visits every reference, those in indexes too.
    pub(crate) fn each_path<'n>(&'n self, visit: &mut impl FnMut(&'n Path)) {
        match self {
            Node::Literal(_) => {}
            Node::Path(path) => {
                visit(path);
                for step in &path.steps {
                    if let StepKind::Item(index) = &step.kind {
                        index.each_path(visit);
                    }
                }
            }
            Node::All(parts) | Node::Any(parts) | Node::Call(_, parts) => {
                parts.iter().for_each(|part| part.each_path(visit));
            }
            Node::Not(part) | Node::Negative(part) => part.each_path(visit),
            Node::Chain(first, rest) => {
                first.each_path(visit);
                rest.iter().for_each(|(_, part)| part.each_path(visit));
            }
            Node::Sum(parts) | Node::Product(parts) => parts.iter().for_each(|(_, part)| part.each_path(visit)),
            Node::Power(base, exponent) => {
                base.each_path(visit);
                exponent.each_path(visit);
            }
        }
    }
}
