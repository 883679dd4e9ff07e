//! What relinking has to know of a module before it writes one.

use super::RelinkError;
use mecapy_linalg::blas::Entry;
use std::collections::HashMap;
use wasmparser::{FuncType, KnownCustom, Name, Parser, Payload, TypeRef, ValType};

const CALL_MODULE: &str = "host";
const CALL_NAME: &str = "call";
const CALL_SIGNATURE: &str = "iiii -> i";

/// Of one module.
pub(super) struct Survey<'a> {
    /// Signatures by type index, as [`signature`] writes them.
    types: Vec<String>,
    pub(super) functions_imported: u32,
    /// Type indices of the functions that have bodies here.
    pub(super) function_types: Vec<u32>,
    /// Function index of `host.call`.
    pub(super) call: Option<u32>,
    /// Index of the only mutable global.
    pub(super) stack_pointer: u32,
    /// Functions by those names that the table has.
    named: HashMap<&'a str, Vec<u32>>,
}

/// Globals as they are counted.
#[derive(Default)]
struct Globals {
    count: u32,
    /// Index and type of each that is mutable.
    mutable: Vec<(u32, ValType)>,
}

impl Globals {
    fn add(&mut self, global: wasmparser::GlobalType) {
        if global.mutable {
            self.mutable.push((self.count, global.content_type));
        }
        self.count += 1;
    }

    fn stack_pointer(&self) -> Result<u32, RelinkError> {
        match self.mutable.as_slice() {
            [(index, ValType::I32)] => Ok(*index),
            [] => Err(RelinkError::Unsupported("no mutable global that could be the stack pointer")),
            [_] => Err(RelinkError::Unsupported("a mutable global that is no i32, and none for the stack pointer")),
            _ => Err(RelinkError::Unsupported("several mutable globals, so that the stack pointer isn't known")),
        }
    }
}

/// Reads the module once, but for its code and data.
pub(super) fn survey<'a>(wasm: &'a [u8], table: &[Entry]) -> Result<Survey<'a>, RelinkError> {
    let mut globals = Globals::default();
    let mut found = Survey {
        types: Vec::new(),
        functions_imported: 0,
        function_types: Vec::new(),
        call: None,
        stack_pointer: 0,
        named: HashMap::new(),
    };
    let mut has_names = false;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(types) => {
                for function in types.into_iter_err_on_gc_types() {
                    found.types.push(signature(&function?));
                }
            }
            Payload::ImportSection(imports) => found.add_imports(imports, &mut globals)?,
            Payload::FunctionSection(functions) => {
                found.function_types = functions.into_iter().collect::<Result<_, _>>()?;
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    globals.add(global?.ty);
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    has_names = true;
                    found.add_names(names, table)?;
                }
            }
            _ => {}
        }
    }
    if !has_names {
        return Err(RelinkError::Unsupported("no names"));
    }
    found.stack_pointer = globals.stack_pointer()?;
    Ok(found)
}

impl<'a> Survey<'a> {
    fn add_imports(
        &mut self,
        imports: wasmparser::ImportSectionReader<'_>,
        globals: &mut Globals,
    ) -> Result<(), RelinkError> {
        for import in imports.into_imports() {
            let import = import?;
            match import.ty {
                TypeRef::Func(kind) | TypeRef::FuncExact(kind) => {
                    let is_call = (import.module, import.name) == (CALL_MODULE, CALL_NAME);
                    if is_call && self.signature_of(kind) == CALL_SIGNATURE {
                        self.call.get_or_insert(self.functions_imported);
                    }
                    self.functions_imported += 1;
                }
                TypeRef::Global(global) => globals.add(global),
                _ => {}
            }
        }
        Ok(())
    }

    fn add_names(&mut self, names: wasmparser::NameSectionReader<'a>, table: &[Entry]) -> Result<(), RelinkError> {
        let symbols: std::collections::HashSet<&str> = table.iter().map(|entry| entry.symbol).collect();
        for name in names {
            if let Name::Function(functions) = name? {
                for naming in functions {
                    let naming = naming?;
                    if symbols.contains(naming.name) {
                        self.named.entry(naming.name).or_default().push(naming.index);
                    }
                }
            }
        }
        Ok(())
    }

    /// The function of an entry, where there is exactly one, it has a body, and its signature is the entry's.
    pub(super) fn function(&self, entry: &Entry) -> Result<u32, RelinkError> {
        let symbol = entry.symbol.to_owned();
        let function = match self.named.get(entry.symbol).map_or(&[][..], Vec::as_slice) {
            [] => return Err(RelinkError::Missing { symbol }),
            [function] => *function,
            several => return Err(RelinkError::Repeated { symbol, found: several.len() }),
        };
        let Some(defined) = function.checked_sub(self.functions_imported) else {
            return Err(RelinkError::Imported { symbol });
        };
        let Some(kind) = self.function_types.get(defined as usize) else {
            return Err(RelinkError::Missing { symbol });
        };
        let found = self.signature_of(*kind);
        let expected = entry.signature();
        if found != expected {
            return Err(RelinkError::Signature { symbol, expected, found: found.into() });
        }
        Ok(function)
    }

    fn signature_of(&self, kind: u32) -> &str {
        self.types.get(kind as usize).map_or("", String::as_str)
    }
}

/// A letter for each parameter and, after an arrow, for each result: `iid -> i`, and `iid` where there is no result.
fn signature(function: &FuncType) -> String {
    let letters = |types: &[ValType]| types.iter().map(letter).collect::<String>();
    let parameters = letters(function.params());
    match function.results() {
        [] => parameters,
        results => format!("{parameters} -> {}", letters(results)),
    }
}

fn letter(kind: &ValType) -> char {
    match kind {
        ValType::I32 => 'i',
        ValType::I64 => 'l',
        ValType::F32 => 'f',
        ValType::F64 => 'd',
        ValType::V128 => 'v',
        ValType::Ref(_) => 'r',
    }
}
