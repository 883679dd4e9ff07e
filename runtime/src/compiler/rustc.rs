//! What rustc says with `--error-format=json`: one JSON object a line.
//! <https://doc.rust-lang.org/rustc/json.html>

use super::diagnostics::{Diagnostic, Diagnostics};
use serde::Deserialize;
use serde_json::value::RawValue;

/// How every line of it begins.
const BEGINS: &str = "{\"";
/// The longest message that is put together from pieces, in bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Macros within macros that a place is looked for through.
const EXPANSIONS_MAX: usize = 256;

/// Follows one run.
#[derive(Debug, Default)]
pub(super) struct Rustc {
    /// A message so far: a long line comes in pieces.
    begun: String,
}

#[derive(Deserialize)]
struct Message {
    message: String,
    code: Option<Code>,
    level: String,
    spans: Vec<Span>,
    children: Vec<Child>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: u32,
    column_start: u32,
    is_primary: bool,
    label: Option<String>,
    /// Unread: macros may be used within macros, deeper than a parser goes.
    expansion: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Expansion {
    span: Span,
}

#[derive(Deserialize)]
struct Child {
    message: String,
}

impl Rustc {
    /// Takes a line, or a piece of one. `file` is the source's name.
    pub(super) fn line(&mut self, line: &str, file: &str, said: &mut Diagnostics) {
        if line.starts_with(BEGINS) || self.begun.is_empty() {
            self.begun.clear();
        }
        self.begun += line;
        if !self.begun.starts_with(BEGINS) {
            // A compiler that broke down says so in plain text.
            said.say(line);
            said.say("\n");
            self.begun.clear();
            return;
        }
        match serde_json::from_str::<Message>(&self.begun) {
            Ok(message) => message.tell(file, said),
            Err(error) if error.is_eof() && self.begun.len() < MESSAGE_BYTES_MAX => return,
            Err(_) => {}
        }
        self.begun.clear();
    }
}

impl Message {
    fn tell(&self, file: &str, said: &mut Diagnostics) {
        // What sums the others up has no place and no code: "aborting due to 2 previous errors", "2 warnings emitted".
        let sums_up = self.spans.is_empty() && self.code.is_none() && self.children.is_empty();
        let is_sum = sums_up && (self.message.starts_with("aborting due to") || self.message.ends_with(" emitted"));
        if is_sum || !matches!(self.level.as_str(), "error" | "error: internal compiler error" | "warning") {
            return;
        }
        if let Some(rendered) = self.rendered.as_deref().filter(|_| !self.is_of_linker()) {
            said.say(rendered);
        }
        let diagnostic = self.diagnostic(file);
        if self.level == "warning" { said.warning(diagnostic) } else { said.error(diagnostic) }
    }

    fn diagnostic(&self, file: &str) -> Diagnostic {
        if self.is_of_linker() {
            return Diagnostic::of_all(self.linkers_words());
        }
        let primary = self.spans.iter().find(|span| span.is_primary);
        let mut message = self.message.clone();
        if let Some(label) = primary.and_then(|span| span.label.as_deref()).filter(|label| *label != self.message) {
            message = format!("{message}: {label}");
        }
        if let Some(code) = &self.code {
            message = format!("{message} [{}]", code.code);
        }
        let found = primary.and_then(|span| span.within(file));
        Diagnostic { message, line: found.map(|(line, _)| line), column: found.map(|(_, column)| column) }
    }

    fn is_of_linker(&self) -> bool {
        self.spans.is_empty() && self.message.starts_with("linking with ")
    }

    /// The linker's own errors, without the compiler's account of how it was called.
    fn linkers_words(&self) -> String {
        let told = self.children.iter().filter(|child| child.message.contains(": error: "));
        let lines: Vec<&str> = told.flat_map(|child| child.message.lines()).map(str::trim).collect();
        if lines.is_empty() { self.message.clone() } else { lines.join(" ") }
    }
}

impl Span {
    /// Line and column in the user's source: of what a macro made, where the macro was used.
    fn within(&self, file: &str) -> Option<(u32, u32)> {
        let here = |span: &Span| (span.file_name == file).then_some((span.line_start, span.column_start));
        let mut found = here(self);
        let mut expansion = self.expansion.as_deref().map(RawValue::to_owned);
        for _ in 0..EXPANSIONS_MAX {
            let Some(outer) = expansion.filter(|_| found.is_none()) else { break };
            let Expansion { span } = serde_json::from_str(outer.get()).ok()?;
            found = here(&span);
            expansion = span.expansion;
        }
        found.filter(|(line, _)| *line > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as rustc 1.85 wrote them, but for the explanations of codes, which are long.
    const MISMATCH: &str = r#"{"$message_type":"diagnostic","message":"mismatched types","code":{"code":"E0308","explanation":"Expected.\n"},"level":"error","spans":[{"file_name":"main.rs","byte_start":42,"byte_end":45,"line_start":3,"line_end":3,"column_start":18,"column_end":21,"is_primary":true,"text":[{"text":"    let a: f64 = \"x\";","highlight_start":18,"highlight_end":21}],"label":"expected `f64`, found `&str`","suggested_replacement":null,"suggestion_applicability":null,"expansion":null},{"file_name":"main.rs","byte_start":36,"byte_end":39,"line_start":3,"line_end":3,"column_start":12,"column_end":15,"is_primary":false,"text":[],"label":"expected due to this","suggested_replacement":null,"suggestion_applicability":null,"expansion":null}],"children":[],"rendered":"error[E0308]: mismatched types\n --> main.rs:3:18\n"}"#;
    const UNUSED: &str = r#"{"$message_type":"diagnostic","message":"unused variable: `x`","code":{"code":"unused_variables","explanation":null},"level":"warning","spans":[{"file_name":"main.rs","byte_start":31,"byte_end":32,"line_start":2,"line_end":2,"column_start":17,"column_end":18,"is_primary":true,"text":[],"label":null,"suggested_replacement":null,"suggestion_applicability":null,"expansion":null}],"children":[{"message":"`#[warn(unused_variables)]` on by default","code":null,"level":"note","spans":[],"children":[],"rendered":null}],"rendered":"warning: unused variable: `x`\n"}"#;
    const IN_MACRO: &str = r#"{"$message_type":"diagnostic","message":"couldn't read `/etc/passwd`: No such file or directory (os error 2)","code":null,"level":"error","spans":[{"file_name":"/usr/src/core/macros.rs","byte_start":1,"byte_end":2,"line_start":900,"line_end":900,"column_start":9,"column_end":10,"is_primary":true,"text":[],"label":null,"suggested_replacement":null,"suggestion_applicability":null,"expansion":{"span":{"file_name":"main.rs","byte_start":27,"byte_end":53,"line_start":7,"line_end":7,"column_start":28,"column_end":54,"is_primary":false,"text":[],"label":null,"suggested_replacement":null,"suggestion_applicability":null,"expansion":null},"macro_decl_name":"include_str!","def_site_span":null}}],"children":[],"rendered":"error: couldn't read\n"}"#;
    const LINKER: &str = r#"{"$message_type":"diagnostic","message":"linking with `wasm-ld` failed: exit status: 1","code":null,"level":"error","spans":[],"children":[{"message":"LC_ALL=\"C\" PATH=\"/usr/bin\" \"wasm-ld\" \"-o\" \"module.wasm\"","code":null,"level":"note","spans":[],"children":[],"rendered":null},{"message":"some arguments are omitted. use `--verbose` to show all linker arguments","code":null,"level":"note","spans":[],"children":[],"rendered":null},{"message":"wasm-ld: error: duplicate symbol: _start\n>>> defined in crt1-command.o\n","code":null,"level":"note","spans":[],"children":[],"rendered":null}],"rendered":"error: linking with `wasm-ld` failed: exit status: 1\n"}"#;
    const NO_MAIN: &str = r#"{"$message_type":"diagnostic","message":"`main` function not found in crate `main`","code":{"code":"E0601","explanation":"No.\n"},"level":"error","spans":[{"file_name":"main.rs","byte_start":0,"byte_end":0,"line_start":0,"line_end":0,"column_start":1,"column_end":1,"is_primary":true,"text":[],"label":"consider adding a `main` function to `main.rs`","suggested_replacement":null,"suggestion_applicability":null,"expansion":null}],"children":[],"rendered":"error[E0601]\n"}"#;
    const SUMS: [&str; 4] = [
        r#"{"$message_type":"diagnostic","message":"aborting due to 1 previous error; 1 warning emitted","code":null,"level":"error","spans":[],"children":[],"rendered":"error: aborting\n"}"#,
        r#"{"$message_type":"diagnostic","message":"2 warnings emitted","code":null,"level":"warning","spans":[],"children":[],"rendered":"warning: 2 warnings emitted\n\n"}"#,
        r#"{"$message_type":"diagnostic","message":"For more information about this error, try `rustc --explain E0308`.","code":null,"level":"failure-note","spans":[],"children":[],"rendered":"For more\n"}"#,
        r#"{"$message_type":"artifact","artifact":"module.wasm","emit":"link"}"#,
    ];

    fn read(lines: &[&str]) -> Diagnostics {
        let (mut rustc, mut said) = (Rustc::default(), Diagnostics::default());
        lines.iter().for_each(|line| rustc.line(line, "main.rs", &mut said));
        said
    }

    #[test]
    fn each_error_has_the_users_line_and_what_is_wrong_there() {
        let said = read(&[&[UNUSED, MISMATCH, IN_MACRO, LINKER, NO_MAIN][..], &SUMS].concat());
        let warnings: Vec<_> = said.warnings().into_iter().map(|warning| (warning.message, warning.line)).collect();
        assert_eq!(warnings, [("unused variable: `x` [unused_variables]".to_owned(), Some(2))]);
        let error = said.to_error(|| unreachable!());
        let expected = [
            "line 3, column 18: mismatched types: expected `f64`, found `&str` [E0308]",
            "line 7, column 28: couldn't read `/etc/passwd`: No such file or directory (os error 2)",
            "wasm-ld: error: duplicate symbol: _start >>> defined in crt1-command.o",
            "`main` function not found in crate `main`: consider adding a `main` function to `main.rs` [E0601]",
        ];
        assert_eq!((error.message.as_str(), error.line), (expected.join("\n").as_str(), Some(3)));
        let text = error.traceback.unwrap();
        assert!(text.contains("error[E0308]: mismatched types\n --> main.rs:3:18"), "{text}");
        assert!(!text.contains("aborting") && !text.contains("wasm-ld"), "{text}");
    }

    #[test]
    fn a_message_in_pieces_is_put_together_and_a_broken_one_harms_no_other() {
        let (first, rest) = MISMATCH.split_at(100);
        let (second, third) = rest.split_at(200);
        let error = read(&[first, second, third]).to_error(|| unreachable!());
        assert_eq!(error.line, Some(3));
        for before in ["{\"message\": 7}", &MISMATCH[..100], "{\"$mess"] {
            let error = read(&[before, IN_MACRO]).to_error(|| unreachable!());
            assert_eq!(error.line, Some(7), "{before}");
        }
        let told = read(&["thread 'rustc' panicked at compiler/x.rs", "note: we would appreciate a bug report"]);
        let error = told.to_error(|| "it broke down".to_owned());
        assert_eq!(error.message, "it broke down");
        assert!(error.traceback.unwrap().starts_with("thread 'rustc' panicked"));
    }

    #[test]
    fn macros_within_macros_are_followed_as_deep_as_a_compiler_goes() {
        let span = |file: &str, line: u32, expansion: &str| {
            format!(
                r#"{{"file_name":"{file}","line_start":{line},"column_start":1,"is_primary":true,"label":null,"expansion":{expansion}}}"#
            )
        };
        let mut nested = span("main.rs", 12, "null");
        for _ in 0..EXPANSIONS_MAX {
            nested = span("/std/macros.rs", 1, &format!(r#"{{"span":{nested},"macro_decl_name":"m!"}}"#));
        }
        let message = format!(
            r#"{{"message":"recursion limit reached","code":null,"level":"error","spans":[{nested}],"children":[],"rendered":null}}"#
        );
        assert_eq!(read(&[&message]).to_error(|| unreachable!()).line, Some(12));
    }

    #[test]
    fn an_endless_message_is_given_up() {
        let piece = "x".repeat(60 << 10);
        let (mut rustc, mut said) = (Rustc::default(), Diagnostics::default());
        rustc.line("{\"message\":\"", "main.rs", &mut said);
        for _ in 0..100 {
            rustc.line(&piece, "main.rs", &mut said);
            assert!(rustc.begun.len() < 2 * MESSAGE_BYTES_MAX);
        }
        rustc.line(MISMATCH, "main.rs", &mut said);
        assert_eq!(said.to_error(|| unreachable!()).line, Some(3));
    }
}
