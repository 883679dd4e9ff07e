//! As much of Rust and Python as counting functions needs: where comments, strings and blocks begin and end.

/// A function and how many lines it takes, signature to closing brace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// From 1.
    pub line: usize,
    pub lines: usize,
}

/// Rust source with comments, strings and character literals blanked; lines and columns stay.
pub fn code_only(source: &str) -> String {
    let mut scanner = Scanner { rest: source, code: String::with_capacity(source.len()) };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.code
}

/// The identifiers and keywords of blanked code, in order, with the byte offset of each.
pub fn identifiers(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        let inside = c.is_alphanumeric() || c == '_';
        match (start, inside) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                found.extend(code.get(from..at).map(|word| (from, word)));
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// The functions of a Rust source, nested ones and trait methods with a body included.
pub fn rust_functions(source: &str) -> Vec<Function> {
    let code = code_only(source);
    let words = identifiers(&code);
    let after_fn = words.iter().zip(words.iter().skip(1)).filter(|((_, word), _)| *word == "fn");
    after_fn
        .filter_map(|((at, _), (name_at, name))| {
            // `fn(u8) -> u8` is a type: its next word does not follow at once.
            let between = code.get(at + 2..*name_at)?;
            let end = body_end(code.get(*name_at..)?)? + name_at;
            between.trim().is_empty().then(|| {
                let line = line_of(&code, *at);
                Function { name: (*name).to_owned(), line, lines: line_of(&code, end) - line + 1 }
            })
        })
        .collect()
}

/// The functions of a Python source, by indentation. A docstring counts no lines, as a Rust doc comment counts none.
pub fn python_functions(source: &str) -> Vec<Function> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        let Some(signature) = text.strip_prefix("async ").unwrap_or(text).strip_prefix("def ") else { continue };
        let indent = line.len() - text.len();
        let deeper = |next: &&str| next.len() - next.trim_start().len() > indent || next.trim_start().starts_with(')');
        let body = lines.iter().skip(index + 1).take_while(|next| next.trim().is_empty() || deeper(next));
        let body: Vec<&str> = body.copied().collect();
        let blank_tail = body.iter().rev().take_while(|next| next.trim().is_empty()).count();
        let name = signature.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let count = 1 + body.len() - blank_tail - docstring_lines(&body);
        found.push(Function { name: name.to_owned(), line: index + 1, lines: count });
    }
    found
}

/// The lines of a docstring that stands first in a body (after what is left of the signature).
fn docstring_lines(body: &[&str]) -> usize {
    let quotes = "\"\"\"";
    let Some(start) = body.iter().position(|line| line.trim_start().starts_with(quotes)) else { return 0 };
    let signature = body.iter().take(start).next_back().is_none_or(|line| line.trim_end().ends_with(':'));
    let one_line = |line: &&&str| line.trim().len() > quotes.len() && line.trim_end().ends_with(quotes);
    match (signature, body.get(start).filter(one_line)) {
        (false, _) => 0,
        (true, Some(_)) => 1,
        (true, None) => 1 + body.iter().skip(start + 1).position(|line| line.contains(quotes)).map_or(0, |at| at + 1),
    }
}

struct Scanner<'a> {
    rest: &'a str,
    code: String,
}

impl Scanner<'_> {
    fn step(&mut self) {
        let raw = raw_string_hashes(self.rest).filter(|_| !self.code.ends_with(is_word));
        if self.rest.starts_with("//") {
            self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment_end(self.rest));
        } else if let Some((open, hashes)) = raw {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = self.rest.get(open..).unwrap_or_default();
            self.blank(body.find(&close).map_or(self.rest.len(), |at| open + at + close.len()));
        } else if self.rest.starts_with('"') {
            self.blank(quoted_end(self.rest, '"'));
        } else if self.rest.starts_with('\'') && is_character_literal(self.rest) {
            self.blank(quoted_end(self.rest, '\''));
        } else {
            self.keep();
        }
    }

    fn keep(&mut self) {
        let mut characters = self.rest.chars();
        self.code.extend(characters.next());
        self.rest = characters.as_str();
    }

    fn blank(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.code.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// For `r"`, `r#"`, `br"` and so on: where the text begins and how many `#` close it.
fn raw_string_hashes(rest: &str) -> Option<(usize, usize)> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or_else(|| rest.strip_prefix('r'))?;
    let text = after.trim_start_matches('#');
    let hashes = after.len() - text.len();
    text.starts_with('"').then(|| (rest.len() - text.len() + 1, hashes))
}

fn block_comment_end(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut previous = ' ';
    for (at, c) in rest.char_indices() {
        match (previous, c) {
            ('/', '*') => depth += 1,
            ('*', '/') if depth == 1 => return at + 1,
            ('*', '/') => depth = depth.saturating_sub(1),
            _ => {
                previous = c;
                continue;
            }
        }
        previous = ' ';
    }
    rest.len()
}

fn quoted_end(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// `'a'` and `'\n'`, but not the lifetime `'a`.
fn is_character_literal(rest: &str) -> bool {
    let mut after = rest.chars().skip(1);
    match after.next() {
        Some('\\') => true,
        Some(_) => after.next() == Some('\''),
        None => false,
    }
}

/// The offset of the brace that closes a function's body; `None` for a declaration without one.
fn body_end(code: &str) -> Option<usize> {
    let (mut nested, mut braces) = (0_i32, 0_i32);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => nested += 1,
            ')' | ']' => nested -= 1,
            ';' if nested == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && nested == 0 {
                    return Some(at);
                }
                if braces < 0 {
                    return None;
                }
            }
            _ => {}
        }
    }
    None
}

fn line_of(code: &str, at: usize) -> usize {
    1 + code.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lifetimes_stay() {
        let source = "a // fn b() {\n\"{\\\"\" /* { /* } */ */ c 'x' '\\'' <'l> r#\"}\"# d";
        let code = code_only(source);
        let words: Vec<&str> = identifiers(&code).into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["a", "c", "l", "d"]);
        assert_eq!(code.lines().count(), source.lines().count());
        assert!(!code.contains(['{', '}']));
    }

    #[test]
    fn rust_functions_are_measured_from_signature_to_brace() {
        let source = "trait T {\n    fn declared(&self, f: fn(u8) -> u8);\n}\nfn one() {}\n\
            async fn three(\n    a: [u8; 4],\n) -> Result<(), ()> {\n    if a { b }\n}\n";
        let found: Vec<_> = rust_functions(source).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("one".to_owned(), 4, 1), ("three".to_owned(), 5, 5)]);
    }

    #[test]
    fn python_functions_end_where_the_indentation_does() {
        let source = "def one(\n    a,\n):\n    return a\n\n\nclass C:\n    async def two(self):\n        def three():\n            pass\n        return 1\n\nx = 1\n";
        let found: Vec<_> = python_functions(source).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("one".to_owned(), 1, 4), ("two".to_owned(), 8, 4), ("three".to_owned(), 9, 2)]);
    }

    #[test]
    fn docstrings_count_no_lines() {
        let source = "def one(\n    a,\n) -> int:\n    \"\"\"Says.\n\n    More.\n    \"\"\"\n    return a\n\ndef two():\n    \"\"\"Says.\"\"\"\n    return 1\n";
        let found: Vec<_> = python_functions(source).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(found, [("one".to_owned(), 4), ("two".to_owned(), 2)]);
    }
}
