//! The words and signs of an expression.

use super::parse::BadExpr;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// As it was written.
    Number(&'a str),
    Text(String),
    Name(&'a str),
    /// One of [`SIGNS`].
    Sign(&'static str),
    End,
}

/// Longer ones first, so that `<=` is not read as `<`.
const SIGNS: [&str; 19] =
    ["<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "^", "(", ")", "[", "]", ",", ".", "?", "="];

impl Token<'_> {
    pub(super) fn described(&self) -> String {
        match self {
            Token::Number(text) | Token::Name(text) => format!("{text:?}"),
            Token::Text(_) => "a text".to_owned(),
            Token::Sign(sign) => format!("{sign:?}"),
            Token::End => "the end".to_owned(),
        }
    }
}

/// Each token with its place in bytes; the last is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token<'_>)>, BadExpr> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = match first {
            '0'..='9' => number(rest).map(|(text, length)| (Token::Number(text), length)),
            '\'' | '"' => string(rest, first).map(|(text, length)| (Token::Text(text), length)),
            _ if first.is_ascii_alphabetic() || first == '_' => {
                let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                Ok((Token::Name(rest.get(..length).unwrap_or_default()), length))
            }
            _ => sign(rest).map(|sign| (Token::Sign(sign), sign.len())),
        }
        .map_err(|message| BadExpr::new(text, at, message))?;
        tokens.push((at, token));
        at += length;
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

/// A number as JSON writes it, its sign apart.
fn number(rest: &str) -> Result<(&str, usize), String> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        if digits(length + 1 + sign) > 0 {
            length += 1 + sign + digits(length + 1 + sign);
        }
    }
    let text = rest.get(..length).unwrap_or_default();
    if serde_json::from_str::<serde_json::value::Number>(text).is_err() {
        return Err(format!("{text:?} is no number as JSON writes it: such as 12, 0.5 or 1e-3, not beyond 1e308"));
    }
    let next = rest.get(length..).and_then(|rest| rest.chars().next());
    match next.filter(|next| next.is_alphanumeric() || *next == '_') {
        Some(_) => Err(format!("a sign is missing after {text}: write 2 * x for twice x")),
        None => Ok((text, length)),
    }
}

/// What stands between two quotes; there is no escape, but the other kind of quotes.
fn string(rest: &str, quote: char) -> Result<(String, usize), String> {
    let inner = rest.get(1..).unwrap_or_default();
    match inner.find(quote) {
        Some(length) => Ok((inner.get(..length).unwrap_or_default().to_owned(), length + 2)),
        None => Err(format!("the text that begins here does not end: {quote} is missing")),
    }
}

fn sign(rest: &str) -> Result<&'static str, String> {
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(&"=") => Err("two values are compared with ==".to_owned()),
        Some(sign) => Ok(sign),
        None => {
            let advice = match rest.chars().next() {
                Some('&') => ": write and",
                Some('|') => ": write or",
                Some('!') => ": write not",
                _ => "",
            };
            let found = rest.chars().next().unwrap_or_default();
            Err(format!("{found:?} has no meaning here{advice}"))
        }
    }
}
