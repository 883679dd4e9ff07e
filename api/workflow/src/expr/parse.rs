//! Reads an expression, within bounds of length and depth.

use super::lex::{Token, tokens};
use super::value::Value;
use super::{EXPR_BYTES_MAX, EXPR_DEPTH_MAX, Expr, Function, Node, Path, Relation, Root, Step, StepKind};
use crate::Json;

/// Why a text is no expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (character {character} of {shown:?})")]
pub(crate) struct BadExpr {
    message: String,
    /// From 1.
    character: usize,
    shown: String,
    /// Whether it names what there isn't.
    pub(crate) is_unknown_name: bool,
}

/// The names that a reference may begin with.
pub(crate) struct Names<'a> {
    pub(crate) find: &'a dyn Fn(&str) -> Option<Root>,
    /// What there is, for messages.
    pub(crate) known: &'a str,
}

impl BadExpr {
    pub(super) fn new(text: &str, at: usize, message: impl Into<String>) -> Self {
        const SHOWN_CHARS_MAX: usize = 80;
        let character = text.get(..at).unwrap_or(text).chars().count() + 1;
        let shown = text.chars().take(SHOWN_CHARS_MAX).collect();
        Self { message: message.into(), character, shown, is_unknown_name: false }
    }
}

/// Reads an expression.
pub(crate) fn parse(text: &str, names: &Names<'_>) -> Result<Expr, BadExpr> {
    if text.len() > EXPR_BYTES_MAX {
        let message = format!("an expression has {EXPR_BYTES_MAX} bytes at most: compute in a task what takes more");
        return Err(BadExpr::new(text, EXPR_BYTES_MAX, message));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0, names };
    let node = parser.any()?;
    match parser.peek() {
        Token::End => Ok(Expr { text: text.to_owned(), node }),
        other => Err(parser.bad(format!("{} is not expected here", other.described()))),
    }
}

struct Parser<'a, 'n> {
    text: &'a str,
    tokens: Vec<(usize, Token<'a>)>,
    next: usize,
    depth: usize,
    names: &'n Names<'n>,
}

/// Names that are words of the language.
const WORDS: [&str; 6] = ["and", "or", "not", "true", "false", "null"];

/// Whether a node or element may not be called this.
pub(crate) fn is_reserved(name: &str) -> bool {
    WORDS.contains(&name) || name == "inputs" || name == "index"
}

impl<'a> Parser<'a, '_> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.next).map_or(Token::End, |(_, token)| token.clone())
    }

    fn bad(&self, message: impl Into<String>) -> BadExpr {
        self.bad_at(self.next, message)
    }

    fn bad_at(&self, token: usize, message: impl Into<String>) -> BadExpr {
        let at = self.tokens.get(token).map_or(self.text.len(), |(at, _)| *at);
        BadExpr::new(self.text, at, message)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if found == sign);
        self.next += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(found) if found == word);
        self.next += usize::from(found);
        found
    }

    fn need_sign(&mut self, sign: &str) -> Result<(), BadExpr> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(self.bad(format!("{sign:?} is needed here, not {}", self.peek().described())))
    }

    /// Reads what nests, one level deeper.
    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<Node, BadExpr>) -> Result<Node, BadExpr> {
        if self.depth >= EXPR_DEPTH_MAX {
            return Err(self.bad(format!("an expression nests {EXPR_DEPTH_MAX} levels deep at most")));
        }
        self.depth += 1;
        let node = read(self);
        self.depth -= 1;
        node
    }

    fn any(&mut self) -> Result<Node, BadExpr> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Node::Any))
    }

    fn all(&mut self) -> Result<Node, BadExpr> {
        let first = self.not()?;
        let mut parts = vec![first];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Node::All))
    }

    fn not(&mut self) -> Result<Node, BadExpr> {
        if self.take_word("not") {
            return self.deeper(|parser| Ok(Node::Not(Box::new(parser.not()?))));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Node, BadExpr> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(relation) = self.take_relation() {
            rest.push((relation, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { Node::Chain(Box::new(first), rest) })
    }

    fn take_relation(&mut self) -> Option<Relation> {
        use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let all = [Less, LessOrEqual, Greater, GreaterOrEqual, Equal, NotEqual];
        all.into_iter().find(|relation| self.take_sign(relation.symbol()))
    }

    fn sum(&mut self) -> Result<Node, BadExpr> {
        let mut parts = vec![(false, self.product()?)];
        loop {
            let minus = self.take_sign("-");
            if !minus && !self.take_sign("+") {
                break;
            }
            parts.push((minus, self.product()?));
        }
        Ok(one_or_signed(parts, Node::Sum))
    }

    fn product(&mut self) -> Result<Node, BadExpr> {
        let mut parts = vec![(false, self.signed()?)];
        loop {
            let divides = self.take_sign("/");
            if !divides && !self.take_sign("*") {
                break;
            }
            parts.push((divides, self.signed()?));
        }
        Ok(one_or_signed(parts, Node::Product))
    }

    fn signed(&mut self) -> Result<Node, BadExpr> {
        if self.take_sign("-") {
            return self.deeper(|parser| Ok(Node::Negative(Box::new(parser.signed()?))));
        }
        self.power()
    }

    fn power(&mut self) -> Result<Node, BadExpr> {
        let base = self.value()?;
        if !self.take_sign("^") {
            return Ok(base);
        }
        self.deeper(|parser| Ok(Node::Power(Box::new(base), Box::new(parser.signed()?))))
    }

    fn value(&mut self) -> Result<Node, BadExpr> {
        let token = self.peek();
        let at = self.next;
        self.next += 1;
        match token {
            Token::Number(text) => Ok(Node::Literal(Value::Raw(Json::written(text.to_owned())))),
            Token::Text(text) => Ok(Node::Literal(Value::Text(text))),
            Token::Name("true") => Ok(Node::Literal(Value::Bool(true))),
            Token::Name("false") => Ok(Node::Literal(Value::Bool(false))),
            Token::Name("null") => Ok(Node::Literal(Value::Null)),
            Token::Name(name) if matches!(self.peek(), Token::Sign("(")) => self.call(name, at),
            Token::Name(name) => self.path(name, at).map(Node::Path),
            Token::Sign("(") => {
                let node = self.deeper(Parser::any)?;
                self.need_sign(")")?;
                Ok(node)
            }
            other => Err(self.bad_at(at, format!("a value is needed here, not {}", other.described()))),
        }
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Node, BadExpr> {
        let Some(function) = Function::ALL.into_iter().find(|function| function.name() == name) else {
            let known: Vec<_> = Function::ALL.iter().map(|function| function.name()).collect();
            return Err(self.bad_at(at, format!("there is no function {name:?}: there are {}", known.join(", "))));
        };
        self.need_sign("(")?;
        let mut arguments = Vec::new();
        if !self.take_sign(")") {
            loop {
                arguments.push(self.deeper(Parser::any)?);
                if self.take_sign(")") {
                    break;
                }
                self.need_sign(",")?;
            }
        }
        let (least, most) = function.arguments();
        if arguments.len() < least || arguments.len() > most {
            let needed = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(self.bad_at(at, format!("{name} takes {needed} arguments, not {}", arguments.len())));
        }
        Ok(Node::Call(function, arguments))
    }

    fn path(&mut self, name: &str, at: usize) -> Result<Path, BadExpr> {
        let Some(root) = (self.names.find)(name) else {
            let bad = self.bad_at(at, format!("there is no {name:?}: there are {}", self.names.known));
            return Err(BadExpr { is_unknown_name: true, ..bad });
        };
        let soft = self.take_sign("?");
        let mut steps = Vec::new();
        loop {
            let kind = if self.take_sign(".") {
                match self.peek() {
                    Token::Name(field) => {
                        self.next += 1;
                        StepKind::Field(field.to_owned())
                    }
                    other => return Err(self.bad(format!("a field is needed here, not {}", other.described()))),
                }
            } else if self.take_sign("[") {
                // A field whose name is no identifier is given as a text.
                let kind = match self.peek() {
                    Token::Text(field) => {
                        self.next += 1;
                        StepKind::Field(field)
                    }
                    _ => StepKind::Item(Box::new(self.deeper(Parser::any)?)),
                };
                self.need_sign("]")?;
                kind
            } else {
                break;
            };
            steps.push(Step { kind, soft: self.take_sign("?") });
        }
        Ok(Path { root, name: name.to_owned(), soft, steps })
    }
}

fn one_or(mut parts: Vec<Node>, all: impl FnOnce(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            all(parts)
        }
    }
}

fn one_or_signed(mut parts: Vec<(bool, Node)>, all: impl FnOnce(Vec<(bool, Node)>) -> Node) -> Node {
    match parts.pop() {
        Some((_, only)) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            all(parts)
        }
    }
}
