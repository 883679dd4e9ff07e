//! What clang and its linker say: `FILE:LINE:COLUMN: error: MESSAGE [-Wflag]`, then the source's line and a caret.

use super::diagnostics::{Diagnostic, Diagnostics};

/// What begins a complaint, behind its place.
const LEVELS: [(&str, Level); 3] =
    [("fatal error: ", Level::Error), ("error: ", Level::Error), ("warning: ", Level::Warning)];
/// The compiler's last words where the linker has said all there is to say.
const LINKER_ENDED: &str = "linker command failed";
/// The driver's words where the kernel ended the process that it had started, which it does for memory alone.
const KILLED: &str = "unable to execute command: Killed";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
}

/// Takes a line. `file` is the source's name.
pub(super) fn line(line: &str, file: &str, said: &mut Diagnostics) {
    let Some((place, level, message)) = complaint(line) else {
        return said.say_line(line);
    };
    if message.starts_with(LINKER_ENDED) {
        return;
    }
    said.say_line(line);
    if message.starts_with(KILLED) {
        return said.killed();
    }
    let diagnostic = match place_of(place) {
        Some((named, line, column)) if named == file => {
            Diagnostic { message: message.to_owned(), line: Some(line), column: Some(column) }
        }
        // Of a header, or of a file that a #line made up.
        Some((named, line, _)) => Diagnostic::of_all(format!("{named}, line {line}: {message}")),
        None => Diagnostic::of_all(of_program(message)),
    };
    match level {
        Level::Error => said.error(diagnostic),
        Level::Warning => said.warning(diagnostic),
    }
}

/// Place, level and message, where a line begins a complaint. A line of the source that a compiler quotes begins with its
/// number and a bar.
fn complaint(line: &str) -> Option<(&str, Level, &str)> {
    let found = LEVELS.iter().filter_map(|(word, level)| Some((line.find(&format!(": {word}"))?, *level, *word)));
    let (at, level, word) = found.min_by_key(|(at, ..)| *at)?;
    let (place, rest) = line.split_at_checked(at)?;
    let message = rest.get(2 + word.len()..)?;
    let is_quoted = place.trim_start().starts_with(|first: char| first.is_ascii_digit() || first == '|');
    (!is_quoted && !message.is_empty()).then_some((place, level, message))
}

impl Diagnostics {
    fn say_line(&mut self, line: &str) {
        self.say(line);
        self.say("\n");
    }
}

/// File, line and column.
fn place_of(place: &str) -> Option<(&str, u32, u32)> {
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file, line.parse().ok()?, column.parse().ok()?))
}

/// A linker's message without the object file's name, which nobody chose.
fn of_program(message: &str) -> &str {
    match message.split_once(": ") {
        Some((object, rest)) if object.ends_with(".o") && !object.contains(' ') => rest,
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As clang 19 and lld 19 wrote it.
    const SAID: &str = r#"main.c:4:12: error: initializing 'double' with an expression of incompatible type 'char[2]'
    4 |     double a = "x: error: y"
      |            ^   ~~~
main.c:4:19: error: expected ';' at end of declaration
    4 |     double a = "x"
      |                   ^
      |                   ;
main.c:6:5: error: call to undeclared function 'foo_1'; ISO C99 and later do not support implicit function declarations [-Wimplicit-function-declaration]
    6 |     BAD(1);
      |     ^
main.c:2:16: note: expanded from macro 'BAD'
    2 | #define BAD(x) foo_##x(y)
      |                ^
<scratch space>:22:1: note: expanded from here
   22 | foo_1
      | ^
main.c:3:22: warning: unused variable 'x' [-Wunused-variable]
In file included from main.c:1:
/opt/mecapy/c/mecapy.h:70:3: error: no
other.c:900:24: error: use of undeclared identifier 'undeclared'
main.c:1:10: fatal error: '/etc/passwd' file not found
1 warning and 5 errors generated.
"#;

    fn read(text: &str) -> Diagnostics {
        let mut said = Diagnostics::default();
        text.lines().for_each(|text| line(text, "main.c", &mut said));
        said
    }

    #[test]
    fn each_complaint_has_its_place_and_quoted_lines_are_none() {
        let said = read(SAID);
        let warnings: Vec<_> = said.warnings().into_iter().map(|warning| (warning.message, warning.line)).collect();
        assert_eq!(warnings, [("unused variable 'x' [-Wunused-variable]".to_owned(), Some(3))]);
        let error = said.to_error(|| unreachable!());
        let expected = [
            "line 4, column 12: initializing 'double' with an expression of incompatible type 'char[2]'",
            "line 4, column 19: expected ';' at end of declaration",
            "line 6, column 5: call to undeclared function 'foo_1'; ISO C99 and later do not support implicit function \
             declarations [-Wimplicit-function-declaration]",
            "/opt/mecapy/c/mecapy.h, line 70: no",
            "other.c, line 900: use of undeclared identifier 'undeclared'",
            "line 1, column 10: '/etc/passwd' file not found",
        ];
        assert_eq!((error.message.as_str(), error.line), (expected.join("\n").as_str(), Some(4)));
        assert!(error.traceback.unwrap().contains("#define BAD(x) foo_##x(y)"));
    }

    #[test]
    fn the_linkers_complaints_name_no_file_that_nobody_wrote() {
        let said = read(
            "wasm-ld-19: error: /tmp/main-c5483d.o: undefined symbol: system\n\
             wasm-ld-19: error: unable to find library -lx\n\
             clang: error: linker command failed with exit code 1 (use -v to see invocation)\n",
        );
        let error = said.to_error(|| unreachable!());
        assert_eq!(
            (error.message.as_str(), error.line),
            ("undefined symbol: system\nunable to find library -lx", None)
        );
    }

    #[test]
    fn a_compiler_that_the_kernel_ended_is_known_by_its_drivers_words() {
        assert!(!read(SAID).was_killed());
        let said = read(
            "clang: error: unable to execute command: Killed\n\
             clang: error: clang frontend command failed due to signal (use -v to see invocation)\n",
        );
        assert!(said.was_killed());
    }

    #[test]
    fn a_compiler_that_breaks_down_is_quoted() {
        let said = read("LLVM ERROR: out of memory\nStack dump:\n");
        let error = said.to_error(|| "it broke down".to_owned());
        assert_eq!((error.message.as_str(), error.traceback.unwrap().lines().count()), ("it broke down", 2));
    }
}
