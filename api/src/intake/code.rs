//! The `code` object: which kinds exist, and which can be run today.

use super::solver::{self, SolverCode, Solving};
use crate::json::{Faults, Fields, Path, Value};
use crate::packages::FunctionReference;
use mecapy_model::Code;
use std::borrow::Cow;

/// Code as it was asked for. What has a fault is `None`.
#[derive(Debug)]
pub(super) enum AskedCode {
    Sandboxed(Option<Code>),
    Function(Option<FunctionReference>),
    Solver(Option<SolverCode>),
}

/// Reads `value`, the `code` of a request, which stands at `path`.
pub(super) fn read(value: Value<'_>, path: Path<'_>, solving: Solving<'_>, faults: &mut Faults) -> AskedCode {
    let Some(fields) = Fields::open(value, path, faults) else { return AskedCode::Sandboxed(None) };
    if fields.has("solver") {
        return AskedCode::Solver(solver::read(fields, solving, faults));
    }
    if fields.has("function") {
        return AskedCode::Function(function(fields, faults));
    }
    AskedCode::Sandboxed(sandboxed(fields, faults))
}

fn sandboxed(mut fields: Fields<'_, '_>, faults: &mut Faults) -> Option<Code> {
    let path = fields.path();
    let language = fields.require("language", faults)?;
    let Some(language) = language.string() else {
        faults.wrong_kind(path.key("language"), "a string", language);
        return None;
    };
    let code = match language.as_ref() {
        "python" => python(&mut fields, faults),
        "wasm" => wasm(&mut fields, faults),
        "c" => source(&mut fields, faults).map(|source| Code::C { source, module: None }),
        "rust" => source(&mut fields, faults).map(|source| Code::Rust { source, module: None }),
        _ => {
            let message = "use one of \"python\", \"wasm\", \"c\", \"rust\"";
            faults.at(path.key("language"), "unknown_value", message);
            return None;
        }
    };
    fields.finish(faults);
    code
}

fn function(mut fields: Fields<'_, '_>, faults: &mut Faults) -> Option<FunctionReference> {
    let path = fields.path();
    let text = fields.string("function", faults);
    fields.finish(faults);
    match text?.parse() {
        Ok(reference) => Some(reference),
        Err(invalid) => {
            let invalid: crate::packages::Invalid = invalid;
            faults.at(path.key("function"), "invalid", invalid.to_string());
            None
        }
    }
}

fn python(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<Code> {
    let source = source(fields, faults);
    let entry = fields.string("entry", faults);
    Some(Code::Python { source: source?, entry: entry.map(Into::into) })
}

fn source(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<String> {
    let source = fields.require("source", faults)?;
    let text = source.string();
    if text.is_none() {
        let path = fields.path();
        faults.wrong_kind(path.key("source"), "a string", source);
    }
    text.map(Cow::into_owned)
}

fn wasm(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<Code> {
    let module = fields.require("module", faults)?;
    let digest = module.string().and_then(|text| text.parse().ok());
    if digest.is_none() {
        let message = "the SHA-256 of an uploaded module is needed here: 64 lower-case hexadecimal digits";
        let path = fields.path();
        faults.at(path.key("module"), "invalid", message);
    }
    digest.map(|module| Code::Wasm { module })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_code(text: &str) -> Result<Code, Vec<(String, String)>> {
        let mut faults = Faults::default();
        let root = Path::Root;
        let asked = read(Value::of(text), root.key("code"), Solving::With(None), &mut faults);
        let AskedCode::Sandboxed(code) = asked else {
            return Err(faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.code)).collect());
        };
        let faults: Vec<_> = faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.code)).collect();
        if faults.is_empty() { Ok(code.unwrap()) } else { Err(faults) }
    }

    #[test]
    fn every_kind_of_code_in_a_language_is_read() {
        let rust = read_code(r#"{"language":"rust","source":"fn main() {}"}"#).unwrap();
        assert_eq!(rust, Code::Rust { source: "fn main() {}".to_owned(), module: None });
        let python = read_code(r#"{"language":"python","source":"a\u0000b","entry":"f"}"#).unwrap();
        assert_eq!(python, Code::Python { source: "a\0b".to_owned(), entry: Some("f".to_owned()) });
        let wasm = read_code(&format!(r#"{{"language":"wasm","module":"{}"}}"#, "0a".repeat(32))).unwrap();
        assert_eq!(wasm, Code::Wasm { module: mecapy_model::Digest([0x0a; 32]) });
    }

    #[test]
    fn every_fault_is_pointed_at() {
        let rows = [
            (r#""python""#, "/code", "wrong_type"),
            ("{}", "/code/language", "required"),
            (r#"{"language":7}"#, "/code/language", "wrong_type"),
            (r#"{"language":"fortran"}"#, "/code/language", "unknown_value"),
            (r#"{"language":"c"}"#, "/code/source", "required"),
            (r#"{"language":"rust","source":7}"#, "/code/source", "wrong_type"),
            (r#"{"language":"rust","source":"","entry":"main"}"#, "/code/entry", "unknown_field"),
            (r#"{"language":"compile","of":"c","source":""}"#, "/code/language", "unknown_value"),
            (r#"{"function":"a/b"}"#, "/code/function", "invalid"),
            (r#"{"function":1}"#, "/code/function", "wrong_type"),
            (r#"{"function":"a/b#c","entry":"d"}"#, "/code/entry", "unknown_field"),
            (r#"{"solver":"code_aster","files":{}}"#, "/code/solver", "not_available"),
            (r#"{"language":"python"}"#, "/code/source", "required"),
            (r#"{"language":"python","source":1}"#, "/code/source", "wrong_type"),
            (r#"{"language":"python","source":"","entry":1}"#, "/code/entry", "wrong_type"),
            (r#"{"language":"python","source":"","module":"x"}"#, "/code/module", "unknown_field"),
            (r#"{"language":"wasm"}"#, "/code/module", "required"),
            (r#"{"language":"wasm","module":"../../x"}"#, "/code/module", "invalid"),
        ];
        for (text, pointer, code) in rows {
            assert_eq!(read_code(text), Err(vec![(pointer.to_owned(), code.to_owned())]), "{text}");
        }
    }
}
