//! How deep a source can nest, from its tokens alone, before a parser that recurses sees it.
//!
//! The figure never falls short of the depth of the syntax tree: each operator, keyword and bracket counts as a
//! level until a comma or the end of the statement shows that what follows stands beside it, not below. Only a sum
//! is looked at more closely, because computer algebra writes sums of thousands of products: the products of its
//! terms stand beside each other.

use super::{BRACKETS_MAX, NESTING_MAX};
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, ParseErrorType, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged, TextSize};

/// What the tokens of a source tell.
pub(super) struct Shape {
    /// No part of the syntax tree is deeper.
    pub(super) depth: usize,
    /// The first bracket or statement whose depth passes [`NESTING_MAX`], or whose brackets pass [`BRACKETS_MAX`].
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
    /// Operators since the last comma, those that bind tighter than a sum apart.
    loose: usize,
    /// Operators of the present term of a sum, and of the deepest term since the last comma.
    tight: usize,
    tight_max: usize,
    /// The deepest bracket that was closed since the last comma.
    inside: usize,
    /// Lambdas: what follows a comma may still be one of their parameters.
    lambdas: usize,
    /// The deepest part between commas.
    deepest: usize,
}

struct Measure {
    levels: Vec<Level>,
    statement: Level,
    indents: usize,
    depth: usize,
    too_deep: Option<TextSize>,
    /// Whether the last token can end an operand, so that a sign after it adds or subtracts.
    after_operand: bool,
    /// Whether the statement's first token is still to come.
    before_statement: bool,
}

/// Two tokens of one byte each.
const FIRST_LINE: &str = "0\n";

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
        let bad = measure.token(token.kind(), in_source(token.start()));
        bad_bracket = bad_bracket.or(bad);
        if measure.too_deep.is_some() {
            break;
        }
    }
    let bad_bracket = bad_bracket.or_else(|| measure.unclosed());
    measure.finish();
    let bad_token = parsed.errors().iter().find(|error| matches!(error.error, ParseErrorType::Lexical(_)));
    let bad_token = bad_token.map(|error| Broken {
        at: in_source(error.location.start()),
        message: error.error.to_string(),
        bracket: false,
    });
    // An open bracket at the end is both; its own place says more.
    let broken = [bad_bracket, bad_token].into_iter().flatten().min_by_key(|broken| broken.at);
    Shape { depth: measure.depth, too_deep: measure.too_deep, broken }
}

impl Level {
    fn new(open: TokenKind, at: TextSize) -> Self {
        Self { open, at, loose: 0, tight: 0, tight_max: 0, inside: 0, lambdas: 0, deepest: 0 }
    }

    fn tighter(&mut self) {
        self.tight += 1;
        self.tight_max = self.tight_max.max(self.tight);
    }

    /// What follows stands beside what came before.
    fn next_part(&mut self) {
        self.deepest = self.deepest.max(self.loose + self.tight_max + self.inside);
        (self.loose, self.tight, self.tight_max, self.inside) = (0, 0, 0, 0);
    }

    fn depth(mut self) -> usize {
        self.next_part();
        1 + self.deepest + self.lambdas
    }
}

impl Measure {
    fn new() -> Self {
        let statement = Level::new(TokenKind::Newline, TextSize::new(0));
        Self {
            levels: Vec::new(),
            statement,
            indents: 0,
            depth: 0,
            too_deep: None,
            after_operand: false,
            before_statement: true,
        }
    }

    /// Counts one token; says where a bracket does not match.
    fn token(&mut self, kind: TokenKind, at: TextSize) -> Option<Broken> {
        use TokenKind::{
            Comma, Comment, Dedent, FStringEnd, FStringStart, Indent, Lambda, Lbrace, Lpar, Lsqb, Minus, Newline,
            NonLogicalNewline, Plus, Rbrace, Rpar, Rsqb, Semi, TStringEnd, TStringStart,
        };
        if self.before_statement && !matches!(kind, Comment | Dedent | Indent | Newline | NonLogicalNewline | Semi) {
            self.before_statement = false;
            self.statement.at = at;
        }
        let after_operand = std::mem::replace(&mut self.after_operand, ends_operand(kind));
        let in_statement = self.levels.is_empty();
        let level = self.levels.last_mut().unwrap_or(&mut self.statement);
        match kind {
            Lpar | Lsqb | Lbrace | FStringStart | TStringStart => {
                level.tighter();
                self.levels.push(Level::new(kind, at));
                if self.levels.len() > BRACKETS_MAX {
                    self.too_deep = Some(at);
                }
            }
            Rpar | Rsqb | Rbrace | FStringEnd | TStringEnd => return self.close(kind, at),
            Comma => level.next_part(),
            // Within brackets, where only a broken source has them, they part nothing for certain.
            Newline | Semi if in_statement => self.end_statement(),
            Indent => self.indents += 1,
            Dedent => self.indents = self.indents.saturating_sub(1),
            Lambda => level.lambdas += 1,
            Plus | Minus if after_operand => {
                level.loose += 1;
                level.tight = 0;
            }
            _ if is_flat(kind) => {}
            _ if is_tight(kind) => level.tighter(),
            _ => level.loose += 1,
        }
        None
    }

    fn close(&mut self, kind: TokenKind, at: TextSize) -> Option<Broken> {
        let Some(level) = self.levels.pop() else {
            return sign(kind).map(|sign| {
                bracket_fault(at, format!("This '{sign}' closes nothing: an opening bracket is missing before it."))
            });
        };
        let (open, opened_at) = (level.open, level.at);
        self.contain(level.depth(), opened_at);
        match (sign(open), sign(kind)) {
            (Some(open_sign), Some(close_sign)) if closing(open) != Some(kind) => {
                Some(bracket_fault(at, format!("This '{close_sign}' can't close the '{open_sign}' that is open here.")))
            }
            _ => None,
        }
    }

    /// Puts a closed bracket of some depth below what is open now.
    fn contain(&mut self, depth: usize, at: TextSize) {
        let outer = self.levels.last_mut().unwrap_or(&mut self.statement);
        outer.inside = outer.inside.max(depth);
        self.reach(depth, at);
    }

    fn end_statement(&mut self) {
        self.before_statement = true;
        let statement = std::mem::replace(&mut self.statement, Level::new(TokenKind::Newline, TextSize::new(0)));
        let at = statement.at;
        self.reach(statement.depth() + self.indents, at);
    }

    fn reach(&mut self, depth: usize, at: TextSize) {
        self.depth = self.depth.max(depth);
        if depth > NESTING_MAX {
            self.too_deep = self.too_deep.or(Some(at));
        }
    }

    fn unclosed(&self) -> Option<Broken> {
        let open = self.levels.iter().find(|level| sign(level.open).is_some())?;
        Some(bracket_fault(open.at, format!("This '{}' is never closed.", sign(open.open)?)))
    }

    /// Closes what is open at the end.
    fn finish(&mut self) {
        while let Some(level) = self.levels.pop() {
            let at = level.at;
            self.contain(level.depth(), at);
        }
        self.end_statement();
    }
}

/// Tokens that can't put what follows them below what stands before.
fn is_flat(kind: TokenKind) -> bool {
    use TokenKind::{
        Colon, Comment, Ellipsis, FStringMiddle, Newline, NonLogicalNewline, Semi, TStringMiddle, Unknown,
    };
    ends_operand(kind)
        || matches!(
            kind,
            Colon | Comment | Ellipsis | FStringMiddle | Newline | NonLogicalNewline | Semi | TStringMiddle | Unknown
        )
}

/// Tokens after which a sign is an operator between two operands.
fn ends_operand(kind: TokenKind) -> bool {
    use TokenKind::{Complex, FStringEnd, False, Float, Int, Name, None, Rbrace, Rpar, Rsqb, String, TStringEnd, True};
    matches!(
        kind,
        Complex | FStringEnd | False | Float | Int | Name | None | Rbrace | Rpar | Rsqb | String | TStringEnd | True
    )
}

/// Operators that bind tighter than a sum, signs before an operand among them.
fn is_tight(kind: TokenKind) -> bool {
    use TokenKind::{At, Await, Dot, DoubleSlash, DoubleStar, Minus, Percent, Plus, Slash, Star, Tilde};
    matches!(kind, At | Await | Dot | DoubleSlash | DoubleStar | Minus | Percent | Plus | Slash | Star | Tilde)
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
            (&format!("p = a{}\n", " + 3*x**2*y*z".repeat(100)), 110),
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
            format!("a{}", "**-a".repeat(100)),
            format!("{}a{}", "(".repeat(100), ")+a".repeat(100)),
            format!("{}a{}", "(".repeat(10), ")+a+a+a+a+a+a+a+a+a+a".repeat(20)),
            format!("a*(-({}))+{}a", "-".repeat(100), "a+".repeat(100)),
            format!("{}a{}", "f(a, ".repeat(40), ").b.c.d".repeat(40)),
        ] {
            assert!(measure(&source).depth >= 200, "{:.40}", source);
        }
    }

    #[test]
    fn the_statement_that_is_too_deep_is_named() {
        let source = format!("a = 1\n\nx = {}1\ny = 2\n", "1+".repeat(NESTING_MAX + 1));
        assert_eq!(measure(&source).too_deep, Some(TextSize::new(7)));
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

    /// Expressions within expressions, counted on the tree itself.
    fn depth_of_tree(source: &str) -> Option<usize> {
        use ruff_python_ast::{Expr, visitor::*};
        #[derive(Default)]
        struct Depth {
            now: usize,
            most: usize,
        }
        impl<'a> Visitor<'a> for Depth {
            fn visit_expr(&mut self, expr: &'a Expr) {
                self.now += 1;
                self.most = self.most.max(self.now);
                walk_expr(self, expr);
                self.now -= 1;
            }
        }
        let parsed = ruff_python_parser::parse_module(source).ok()?;
        let mut depth = Depth::default();
        depth.visit_body(parsed.suite());
        Some(depth.most)
    }

    /// Random strings of tokens: where they happen to be Python, the tree is never deeper than twice the figure (a
    /// slice within a tuple within a subscript has three levels and two brackets).
    #[test]
    fn the_tree_is_never_deeper_than_the_figure_allows() {
        let tokens = [
            "a",
            "a",
            "a",
            "1",
            "(",
            ")",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "+",
            "-",
            "-",
            "*",
            "**",
            ".b",
            ",",
            ":",
            "lambda:",
            "not ",
            " if a else ",
            " and ",
            "f'{a}'",
            "()",
            "[a]",
            "[:a,b]",
            "~",
            "await ",
            "=",
            "==",
            " for a in ",
            "(-a)",
            "+a",
            "*a",
            "\n",
        ];
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let (mut parsed, mut deepest) = (0, 0);
        for _ in 0..200_000 {
            let source: String = (0..3 + random(12)).map(|_| tokens[random(tokens.len())]).collect();
            if let Some(depth) = depth_of_tree(&source) {
                (parsed, deepest) = (parsed + 1, deepest.max(depth));
                let figure = measure(&source).depth;
                assert!(depth <= 2 * figure + 1, "{depth} against {figure}: {source:?}");
            }
        }
        assert!(parsed > 1_000 && deepest > 6, "{parsed} sources, {deepest} deep");
    }
}
