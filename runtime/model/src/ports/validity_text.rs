//! Reads a condition from its text, and checks that numbers and truths stand where they belong.

use super::json::quoted;
use super::port::is_port_name;
use super::validity::{Function, Node, OnViolation, Place, Relation, Sign, Validity};
use std::str::FromStr;

/// The longest text of a condition, bytes.
pub const VALIDITY_BYTES_MAX: usize = 1_000;
/// Brackets, signs, powers and calls within one another.
const DEPTH_MAX: usize = 32;

/// Why a text is not a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValidity {
    #[error("a condition has {VALIDITY_BYTES_MAX} bytes at most")]
    TooLong,
    #[error("a condition is nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("{needed} is needed where {found:?} begins")]
    Expected { needed: &'static str, found: String },
    #[error("{needed} is needed where the condition ends")]
    EndsEarly { needed: &'static str },
    #[error("there is no function {0:?}: use abs, min, max or sqrt")]
    UnknownFunction(String),
    #[error("{function} takes {takes}")]
    Arguments { function: &'static str, takes: &'static str },
    #[error("the number {0:?} is too large")]
    Number(String),
    #[error("{0} is a number where a condition is needed: compare it with something")]
    NumberForCondition(String),
    #[error("{0} is a condition where a number is needed")]
    ConditionForNumber(String),
    #[error("{0:?} is no port that this condition can speak of: {1}")]
    Port(String, String),
}

/// What a part of a condition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Number,
    Truth,
}

const FUNCTIONS: [(&str, Function); 4] =
    [("abs", Function::Abs), ("min", Function::Min), ("max", Function::Max), ("sqrt", Function::Sqrt)];

/// Longer marks first, since `<` begins `<=`.
const RELATIONS: [(&str, Relation); 9] = [
    ("<=", Relation::LessOrEqual),
    (">=", Relation::GreaterOrEqual),
    ("==", Relation::Equal),
    ("!=", Relation::NotEqual),
    ("≤", Relation::LessOrEqual),
    ("≥", Relation::GreaterOrEqual),
    ("≠", Relation::NotEqual),
    ("<", Relation::Less),
    (">", Relation::Greater),
];

impl FromStr for Validity {
    type Err = InvalidValidity;

    /// Reads the text; whether its names are ports is for `Validity::check_names`.
    fn from_str(text: &str) -> Result<Self, InvalidValidity> {
        if text.len() > VALIDITY_BYTES_MAX {
            return Err(InvalidValidity::TooLong);
        }
        let text = text.trim();
        let mut reader = Reader { rest: text, names: Vec::new() };
        let node = reader.any(0)?;
        if !reader.rest.is_empty() {
            return Err(reader.expected("a comparison, an operator or the end"));
        }
        let names = reader.names;
        Ok(Validity { text: text.to_owned(), node, names, on_violation: OnViolation::default() })
    }
}

impl Validity {
    /// Checks that the whole is a condition and each name one of a number or truth; `sort_of` says what a name is,
    /// or why the condition can't speak of it.
    pub(super) fn check_names(&self, sort_of: &dyn Fn(&str) -> Result<Sort, String>) -> Result<(), InvalidValidity> {
        let sort = |name: &str| sort_of(name).map_err(|reason| InvalidValidity::Port(quoted(name), reason));
        self.node.need(Sort::Truth, &sort)
    }
}

impl Node {
    fn need(
        &self,
        needed: Sort,
        sort_of: &dyn Fn(&str) -> Result<Sort, InvalidValidity>,
    ) -> Result<(), InvalidValidity> {
        let each = |parts: &mut dyn Iterator<Item = &Node>, sort| -> Result<(), InvalidValidity> {
            for part in parts {
                part.need(sort, sort_of)?;
            }
            Ok(())
        };
        let sort = match self {
            Node::Number(_) => Sort::Number,
            Node::Port(name) => sort_of(name)?,
            Node::All(parts) | Node::Any(parts) => {
                each(&mut parts.iter(), Sort::Truth)?;
                Sort::Truth
            }
            Node::Not(part) => {
                part.need(Sort::Truth, sort_of)?;
                Sort::Truth
            }
            Node::Chain(first, rest) => {
                first.need(Sort::Number, sort_of)?;
                each(&mut rest.iter().map(|(_, part)| part), Sort::Number)?;
                Sort::Truth
            }
            Node::Sum(terms) => {
                each(&mut terms.iter().map(|(_, term)| term), Sort::Number)?;
                Sort::Number
            }
            Node::Product(factors) => {
                each(&mut factors.iter().map(|(_, factor)| factor), Sort::Number)?;
                Sort::Number
            }
            Node::Power(base, power) => {
                base.need(Sort::Number, sort_of)?;
                power.need(Sort::Number, sort_of)?;
                Sort::Number
            }
            Node::Call(_, arguments) => {
                each(&mut arguments.iter(), Sort::Number)?;
                Sort::Number
            }
        };
        match (sort, needed) {
            (Sort::Number, Sort::Truth) => Err(InvalidValidity::NumberForCondition(self.described())),
            (Sort::Truth, Sort::Number) => Err(InvalidValidity::ConditionForNumber(self.described())),
            _ => Ok(()),
        }
    }

    fn described(&self) -> String {
        match self {
            Node::Number(number) => number.to_string(),
            Node::Port(name) => name.clone(),
            Node::All(_) => "what \"and\" joins".to_owned(),
            Node::Any(_) => "what \"or\" joins".to_owned(),
            Node::Not(_) => "what follows \"not\"".to_owned(),
            Node::Chain(..) => "a comparison".to_owned(),
            Node::Sum(_) => "a sum".to_owned(),
            Node::Product(_) => "a product".to_owned(),
            Node::Power(..) => "a power".to_owned(),
            Node::Call(function, _) => name_of(*function).to_owned(),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    names: Vec<String>,
}

impl<'a> Reader<'a> {
    fn any(&mut self, depth: usize) -> Result<Node, InvalidValidity> {
        self.joined("or", Node::Any, |reader| reader.joined("and", Node::All, |reader| reader.condition(depth)))
    }

    /// Parts with `word` between them; one alone is itself.
    fn joined(
        &mut self,
        word: &str,
        join: fn(Vec<Node>) -> Node,
        mut part: impl FnMut(&mut Self) -> Result<Node, InvalidValidity>,
    ) -> Result<Node, InvalidValidity> {
        let first = part(self)?;
        if !self.take_word(word) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.take_word(word) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn condition(&mut self, depth: usize) -> Result<Node, InvalidValidity> {
        if self.take_word("not") {
            return Ok(Node::Not(Box::new(self.condition(deeper(depth)?)?)));
        }
        let first = self.sum(depth)?;
        let mut rest = Vec::new();
        while let Some(relation) = self.relation() {
            rest.push((relation, self.sum(depth)?));
        }
        if self.rest.starts_with('=') {
            return Err(self.expected("== for a comparison, which"));
        }
        Ok(if rest.is_empty() { first } else { Node::Chain(Box::new(first), rest) })
    }

    fn relation(&mut self) -> Option<Relation> {
        let (mark, relation) = RELATIONS.into_iter().find(|(mark, _)| self.rest.starts_with(mark))?;
        self.take(mark);
        Some(relation)
    }

    fn sum(&mut self, depth: usize) -> Result<Node, InvalidValidity> {
        let first = self.product(depth)?;
        let mut terms = Vec::new();
        loop {
            let sign = match () {
                () if self.take("+") => Sign::Plus,
                () if self.take("-") => Sign::Minus,
                () => break,
            };
            terms.push((sign, self.product(depth)?));
        }
        if terms.is_empty() {
            return Ok(first);
        }
        terms.insert(0, (Sign::Plus, first));
        Ok(Node::Sum(terms))
    }

    fn product(&mut self, depth: usize) -> Result<Node, InvalidValidity> {
        let first = self.signed(depth)?;
        let mut factors = Vec::new();
        loop {
            let place = match () {
                () if self.take("*") => Place::Above,
                () if self.take("/") => Place::Below,
                () => break,
            };
            factors.push((place, self.signed(depth)?));
        }
        if factors.is_empty() {
            return Ok(first);
        }
        factors.insert(0, (Place::Above, first));
        Ok(Node::Product(factors))
    }

    fn signed(&mut self, depth: usize) -> Result<Node, InvalidValidity> {
        if self.take("-") {
            return Ok(Node::Sum(vec![(Sign::Minus, self.signed(deeper(depth)?)?)]));
        }
        let base = self.atom(depth)?;
        if self.take("^") || self.take("**") {
            return Ok(Node::Power(Box::new(base), Box::new(self.signed(deeper(depth)?)?)));
        }
        Ok(base)
    }

    fn atom(&mut self, depth: usize) -> Result<Node, InvalidValidity> {
        if self.take("(") {
            let inner = self.any(deeper(depth)?)?;
            self.need(")")?;
            return Ok(inner);
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        let word = self.word();
        if !is_port_name(word) || matches!(word, "and" | "or" | "not") {
            return Err(self.expected("a number, the name of a port or a bracket"));
        }
        self.advance(word.len());
        if self.take("(") { self.call(word, depth) } else { Ok(self.port(word)) }
    }

    fn port(&mut self, name: &str) -> Node {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        Node::Port(name.to_owned())
    }

    fn call(&mut self, name: &str, depth: usize) -> Result<Node, InvalidValidity> {
        let found = FUNCTIONS.into_iter().find(|(known, _)| *known == name);
        let (function, _) = found
            .map(|(name, function)| (function, name))
            .ok_or_else(|| InvalidValidity::UnknownFunction(quoted(name)))?;
        let depth = deeper(depth)?;
        let mut arguments = vec![self.sum(depth)?];
        while self.take(",") {
            arguments.push(self.sum(depth)?);
        }
        self.need(")")?;
        match (function, arguments.len()) {
            (Function::Abs | Function::Sqrt, 1) | (Function::Min | Function::Max, 2..) => {
                Ok(Node::Call(function, arguments))
            }
            (Function::Abs | Function::Sqrt, _) => {
                Err(InvalidValidity::Arguments { function: name_of(function), takes: "one number" })
            }
            _ => Err(InvalidValidity::Arguments { function: name_of(function), takes: "two numbers or more" }),
        }
    }

    fn number(&mut self) -> Result<Node, InvalidValidity> {
        let bytes = self.rest.as_bytes();
        let digits =
            |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let mut length = digits(0);
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            length += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
        let text = self.rest.get(..length).unwrap_or_default();
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                self.advance(length);
                Ok(Node::Number(number))
            }
            Ok(_) => Err(InvalidValidity::Number(quoted(text))),
            Err(_) => Err(self.expected("a number")),
        }
    }

    /// The word that is next, not stepped over.
    fn word(&self) -> &'a str {
        let length = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        self.rest.get(..length).unwrap_or_default()
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        if found {
            self.advance(word.len());
        }
        found
    }

    fn take(&mut self, mark: &str) -> bool {
        let found = self.rest.starts_with(mark);
        if found {
            self.advance(mark.len());
        }
        found
    }

    fn need(&mut self, mark: &'static str) -> Result<(), InvalidValidity> {
        if self.take(mark) { Ok(()) } else { Err(self.expected(mark)) }
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default().trim_start();
    }

    fn expected(&self, needed: &'static str) -> InvalidValidity {
        match self.rest {
            "" => InvalidValidity::EndsEarly { needed },
            rest => InvalidValidity::Expected { needed, found: quoted(rest) },
        }
    }
}

fn deeper(depth: usize) -> Result<usize, InvalidValidity> {
    if depth >= DEPTH_MAX { Err(InvalidValidity::TooDeep) } else { Ok(depth + 1) }
}

fn name_of(function: Function) -> &'static str {
    FUNCTIONS.into_iter().find(|(_, known)| *known == function).map_or("", |(name, _)| name)
}
