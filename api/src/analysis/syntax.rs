//! Syntax errors in words that help: the parser's own, those that only show in context, and the usual slips.

use super::findings::{Findings, quoted};
use super::nesting::Broken;
use ruff_python_ast::{ModModule, PythonVersion};
use ruff_python_parser::semantic_errors::{SemanticSyntaxError, SemanticSyntaxErrorKind};
use ruff_python_parser::{LexicalErrorType, Mode, ParseErrorType, ParseOptions, Parsed, parse_unchecked};
use ruff_text_size::{Ranged, TextSize};

/// The version that is parsed for: the newest the parser knows, so that nothing the interpreter accepts is refused.
pub(super) const PYTHON: PythonVersion = PythonVersion::PY315;

/// The most syntax errors shown: what follows the first is often only its echo.
const SHOWN_MAX: usize = 5;

/// The tree of a source, whole or as far as the parser could make sense of it.
pub(super) fn parse(source: &str) -> Option<Parsed<ModModule>> {
    let options = ParseOptions::from(Mode::Module).with_target_version(PYTHON);
    parse_unchecked(source, options).try_into_module()
}

/// Reports what the parser found, one error a line. An unbalanced bracket stands for everything after it.
pub(super) fn report(parsed: &Parsed<ModModule>, broken: Option<&Broken>, findings: &mut Findings) {
    let bracket = broken.filter(|broken| broken.bracket);
    if let Some(bracket) = bracket {
        findings.fault("syntax", sentence(&bracket.message), bracket.at);
    }
    let errors = parsed.errors().iter().map(|error| (error.location.start(), Some(&error.error), None));
    let unsupported =
        parsed.unsupported_syntax_errors().iter().map(|error| (error.range().start(), None, Some(error.to_string())));
    let mut lines_shown: Vec<u32> = Vec::new();
    for (at, error, text) in errors.chain(unsupported) {
        if lines_shown.len() >= SHOWN_MAX {
            break;
        }
        if bracket.is_some_and(|bracket| at >= bracket.at) {
            continue;
        }
        let line = findings.lines.line(at);
        if lines_shown.contains(&line) {
            continue;
        }
        lines_shown.push(line);
        let line_text = findings.lines.line_text(at);
        let plain = text.unwrap_or_else(|| error.map(ToString::to_string).unwrap_or_default());
        let message = error.and_then(|error| slip(line_text, error)).unwrap_or_else(|| sentence(&plain));
        findings.fault("syntax", message, at);
    }
}

/// Reports the errors that a syntax tree shows only in context (`return` outside a function, …).
pub(super) fn report_semantic(errors: &[SemanticSyntaxError], findings: &mut Findings) {
    let mut last: Option<TextSize> = None;
    for error in errors.iter().take(SHOWN_MAX) {
        // `await` at the top level is found twice, once for each thing that is missing around it.
        if last.replace(error.range.start()) == Some(error.range.start()) {
            continue;
        }
        let message = match &error.kind {
            SemanticSyntaxErrorKind::ReturnOutsideFunction => {
                "`return` only works inside a function. In a script, bind the outcome to the name `result`: result = …"
                    .to_owned()
            }
            _ => sentence(&quoted_message(&error.to_string())),
        };
        findings.fault("syntax", message, error.range.start());
    }
}

/// `text` with a capital and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let text = quoted_message(text);
    let mut characters = text.chars();
    let first: String = characters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

/// The longest message of the parser that is passed on, characters.
const MESSAGE_CHARACTERS_MAX: usize = 300;

fn quoted_message(text: &str) -> String {
    text.chars().take(MESSAGE_CHARACTERS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A slip that is common enough to be named: the line it is on, and what the parser said of it.
fn slip(line: &str, error: &ParseErrorType) -> Option<String> {
    let text = line.trim_start();
    let first_word = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
    if text.starts_with(['%', '!']) {
        return Some(format!("`{}` is a notebook command, not Python: remove this line.", quoted(text)));
    }
    if let ParseErrorType::Lexical(LexicalErrorType::UnrecognizedToken { tok }) = error {
        return Some(stray_character(*tok));
    }
    match first_word {
        "print" if text.get(5..6) == Some(" ") => {
            Some("`print` is a function: write print(…) with parentheses.".to_owned())
        }
        "import" | "from" if text.contains('-') => {
            let hyphenated = text.split_whitespace().nth(1).unwrap_or("");
            Some(format!(
                "A module name can't hold a hyphen ({}): packages are often imported under another name.",
                quoted(hyphenated)
            ))
        }
        "pip" | "conda" => Some("Packages can't be installed from a task: remove this line.".to_owned()),
        "else" if text.starts_with("else if") => Some("Python writes `elif` for `else if`.".to_owned()),
        "if" | "elif" | "while" if is_single_equal(error) => Some("`=` assigns; `==` compares.".to_owned()),
        "if" | "elif" | "else" | "for" | "while" | "def" | "class" | "try" | "with" if expects_colon(error) => {
            Some(format!("The `{first_word}` line must end in a colon."))
        }
        _ => None,
    }
}

fn stray_character(character: char) -> String {
    match character {
        '“' | '”' | '„' | '‘' | '’' | '«' | '»' => {
            format!("'{character}' is a typographic quote, as word processors write it: use \" or ' instead.")
        }
        '–' | '—' | '−' => format!("'{character}' is not the minus sign of a keyboard: use - instead."),
        '×' | '·' | '⋅' => format!("'{character}' is not an operator: multiply with *."),
        '÷' => "'÷' is not an operator: divide with /.".to_owned(),
        '²' | '³' => format!("'{character}' is not an operator: write ** for a power."),
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{200b}' => {
            "This is an invisible character that is not a space, as web pages have it: retype the space.".to_owned()
        }
        '\0' => "Source code can't contain null characters.".to_owned(),
        other => format!("The character '{}' can't stand here.", other.escape_debug()),
    }
}

fn expects_colon(error: &ParseErrorType) -> bool {
    matches!(error, ParseErrorType::ExpectedToken { expected, .. } if *expected == ruff_python_ast::token::TokenKind::Colon)
}

fn is_single_equal(error: &ParseErrorType) -> bool {
    matches!(error, ParseErrorType::ExpectedToken { found, .. } if *found == ruff_python_ast::token::TokenKind::Equal)
}
