//! How deep a source can nest, from its tokens alone, before a parser that recurses sees it.
//!
//! The figure never falls short of the depth of the syntax tree: each operator, keyword and bracket counts as a
//! level until a comma or the end of the statement shows that what follows stands beside it, not below.

use super::{BRACKETS_MAX, NESTING_MAX};
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, ParseErrorType, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged, TextSize};

/// What the tokens of a source tell.
pub(super) struct Shape {
    /// No part of the syntax tree is deeper.
    pub(super) depth: usize,
    /// Where the depth passes [`NESTING_MAX`], or the brackets pass [`BRACKETS_MAX`].
    pub(super) too_deep: Option<TextSize>,
    /// The first string or bracket that can't be right: the parser's own recovery may then nest deeper than `depth`.
    pub(super) broken: Option<Broken>,
}

pub(super) struct Broken {
    pub(super) at: TextSize,
    pub(super) message: String,
    /// Whether a bracket is at fault, so that what the parser says of later places only follows from it.
    pub(super) bracket: bool,
}

/// An open bracket or interpolated string, or the statement itself (`open` is then a newline).
struct Level {
    open: TokenKind,
    at: TextSize,
    /// Operators since the last comma.
    operators: usize,
    /// Lambdas: what follows a comma may still be one of their parameters.
    lambdas: usize,
}

struct Measure {
    levels: Vec<Level>,
    statement: Level,
    indents: usize,
    depth: usize,
    depth_max: usize,
}

/// Reads every token once, without building a tree.
pub(super) fn measure(source: &str) -> Shape {
    let body = source.strip_prefix('\u{feff}').unwrap_or(source);
    // The lexer alone shows no positions. Asked for one expression, the parser takes the zero on the first line for
    // it and then only collects the tokens that follow.
    let text = [FIRST_LINE, body].concat();
    let parsed = parse_unchecked(&text, ParseOptions::from(Mode::Expression));
    let shift = source.len() - body.len();
    let in_source = |at: TextSize| {
        let offset = (at.to_usize() + shift).saturating_sub(FIRST_LINE.len());
        TextSize::new(u32::try_from(offset).unwrap_or(u32::MAX))
    };
    let mut measure = Measure::new();
    let mut bad_bracket = None;
    for token in parsed.tokens().iter().skip(FIRST_LINE.len()) {
        let at = in_source(token.start());
        let bad = measure.token(token.kind(), at);
        bad_bracket = bad_bracket.or(bad);
        if measure.depth > NESTING_MAX || measure.levels.len() > BRACKETS_MAX {
            return Shape { depth: measure.depth, too_deep: Some(at), broken: bad_bracket };
        }
    }
    let unclosed = measure.levels.iter().find(|level| sign(level.open).is_some());
    let bad_bracket = bad_bracket.or_else(|| unclosed.map(|level| never_closed(level.open, level.at)));
    let bad_token = parsed.errors().iter().find(|error| matches!(error.error, ParseErrorType::Lexical(_)));
    let bad_token = bad_token.map(|error| Broken {
        at: in_source(error.location.start()),
        message: error.error.to_string(),
        bracket: false,
    });
    // An open bracket at the end is both; its own place says more.
    let broken = [bad_bracket, bad_token].into_iter().flatten().min_by_key(|broken| broken.at);
    Shape { depth: measure.depth_max, too_deep: None, broken }
}

/// Two tokens of one byte each.
const FIRST_LINE: &str = "0\n";

impl Level {
    fn new(open: TokenKind, at: TextSize) -> Self {
        Self { open, at, operators: 0, lambdas: 0 }
    }
}

impl Measure {
    fn new() -> Self {
        let statement = Level::new(TokenKind::Newline, TextSize::new(0));
        Self { levels: Vec::new(), statement, indents: 0, depth: 0, depth_max: 0 }
    }

    /// Counts one token; says where a bracket does not match.
    fn token(&mut self, kind: TokenKind, at: TextSize) -> Option<Broken> {
        use TokenKind::{
            Comma, Dedent, FStringEnd, FStringStart, Indent, Lambda, Lbrace, Lpar, Lsqb, Newline, Rbrace, Rpar, Rsqb,
            Semi, TStringEnd, TStringStart,
        };
        let level = self.levels.last_mut().unwrap_or(&mut self.statement);
        match kind {
            Lpar | Lsqb | Lbrace | FStringStart | TStringStart => {
                level.operators += 1;
                self.levels.push(Level::new(kind, at));
                self.deeper(2);
            }
            Rpar | Rsqb | Rbrace | FStringEnd | TStringEnd => return self.close(kind, at),
            Comma => {
                self.depth -= std::mem::take(&mut level.operators);
            }
            Newline | Semi => {
                self.depth -= std::mem::take(&mut level.operators) + std::mem::take(&mut level.lambdas);
            }
            Indent => {
                self.indents += 1;
                self.deeper(1);
            }
            Dedent if self.indents > 0 => {
                self.indents -= 1;
                self.depth -= 1;
            }
            Lambda => {
                level.lambdas += 1;
                self.deeper(1);
            }
            _ if is_flat(kind) => {}
            _ => {
                level.operators += 1;
                self.deeper(1);
            }
        }
        None
    }

    fn close(&mut self, kind: TokenKind, at: TextSize) -> Option<Broken> {
        let Some(level) = self.levels.pop() else {
            return sign(kind).map(|sign| {
                bracket_fault(at, format!("This '{sign}' closes nothing: an opening bracket is missing before it."))
            });
        };
        self.depth -= 1 + level.operators + level.lambdas;
        match (sign(level.open), sign(kind)) {
            (Some(open), Some(close)) if closing(level.open) != Some(kind) => {
                Some(bracket_fault(at, format!("This '{close}' can't close the '{open}' that is open here.")))
            }
            _ => None,
        }
    }

    fn deeper(&mut self, levels: usize) {
        self.depth += levels;
        self.depth_max = self.depth_max.max(self.depth);
    }
}

/// Tokens that can't put what follows them below what stands before.
fn is_flat(kind: TokenKind) -> bool {
    use TokenKind::{
        Colon, Comment, Complex, Dedent, Ellipsis, FStringMiddle, False, Float, Int, Name, NonLogicalNewline, None,
        String, TStringMiddle, True, Unknown,
    };
    matches!(
        kind,
        Colon
            | Comment
            | Complex
            | Dedent
            | Ellipsis
            | FStringMiddle
            | False
            | Float
            | Int
            | Name
            | NonLogicalNewline
            | None
            | String
            | TStringMiddle
            | True
            | Unknown
    )
}

fn sign(kind: TokenKind) -> Option<char> {
    match kind {
        TokenKind::Lpar => Some('('),
        TokenKind::Lsqb => Some('['),
        TokenKind::Lbrace => Some('{'),
        TokenKind::Rpar => Some(')'),
        TokenKind::Rsqb => Some(']'),
        TokenKind::Rbrace => Some('}'),
        _ => None,
    }
}

fn closing(open: TokenKind) -> Option<TokenKind> {
    match open {
        TokenKind::Lpar => Some(TokenKind::Rpar),
        TokenKind::Lsqb => Some(TokenKind::Rsqb),
        TokenKind::Lbrace => Some(TokenKind::Rbrace),
        _ => None,
    }
}

fn never_closed(open: TokenKind, at: TextSize) -> Broken {
    bracket_fault(at, format!("This '{}' is never closed.", sign(open).unwrap_or('(')))
}

fn bracket_fault(at: TextSize, message: String) -> Broken {
    Broken { at, message, bracket: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_flat_and_chains_are_deep() {
        let table = format!("data = [{}]\n", "[1.0, -2.5, f(3)],".repeat(5_000));
        let rows = [
            (table.as_str(), 20),
            ("a = 1\nb = a + 2\n", 3),
            (&"x = 1\n".repeat(5_000), 3),
            ("if a:\n  if b:\n    c\n", 8),
        ];
        for (source, depth_max) in rows {
            let depth = measure(source).depth;
            assert!(depth <= depth_max, "{depth} > {depth_max}: {:.40}", source);
        }
        for source in [
            "-".repeat(200),
            "a.".repeat(200),
            "(".repeat(200),
            "lambda a,b:".repeat(200),
            "f'{".repeat(200),
            "1if 1 else ".repeat(100),
        ] {
            assert!(measure(&source).depth >= 200, "{:.40}", source);
        }
    }

    #[test]
    fn brackets_that_do_not_match_are_named() {
        for (source, at, sign) in [("a = (1\nb = 2\n", 4, "'('"), ("a = [1)\n", 6, "')'"), ("a = 1]\n", 5, "']'")] {
            let broken = measure(source).broken.unwrap();
            assert_eq!(broken.at, TextSize::new(at), "{source}");
            assert!(broken.message.contains(sign), "{}", broken.message);
        }
        assert!(measure("f'{a[1]:>{w}}' + \"{\"\n").broken.is_none());
    }
}
