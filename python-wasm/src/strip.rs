//! Moves an interpreter's initial memory out of its module, so that one compiled module serves every image.
//!
//! The active data segments become a memory file, custom sections go, and each mutable global is exported under a
//! name of ours so that a warm-up can be checked to leave it as it was. Code, tables and types stay byte for byte.

use mecapy_runtime::GLOBAL_EXPORT_PREFIX;
use wasm_encoder::{DataCountSection, DataSection, ExportKind, ExportSection, Module, RawSection};
use wasmparser::{DataKind, ExternalKind, Operator, Parser, Payload};

const WASM_PAGE_BYTES: usize = 65_536;

#[derive(Debug, thiserror::Error)]
pub enum StripError {
    #[error("the interpreter is not a valid WebAssembly module")]
    Parse(#[from] wasmparser::BinaryReaderError),
    #[error("the interpreter has {0}, which this build can't move")]
    Unsupported(&'static str),
}

/// A module without data, and the memory that it starts with.
pub(crate) struct Stripped {
    pub(crate) wasm: Vec<u8>,
    /// A whole number of 64 KiB pages.
    pub(crate) memory: Vec<u8>,
}

/// Splits `wasm` into code and memory.
pub(crate) fn strip(wasm: &[u8]) -> Result<Stripped, StripError> {
    let mut module = Module::new();
    let mut memory = Vec::new();
    let mut mutable_globals = Vec::new();
    let mut globals_imported = 0;
    let data_segments = keep_data(wasm, &mut memory)?;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    if matches!(import?.ty, wasmparser::TypeRef::Global(_)) {
                        globals_imported += 1;
                    }
                }
            }
            Payload::GlobalSection(globals) => {
                for (index, global) in globals.clone().into_iter().enumerate() {
                    if global?.ty.mutable {
                        mutable_globals.push(globals_imported + index as u32);
                    }
                }
            }
            Payload::ExportSection(exports) => {
                module.section(&with_globals(exports.clone(), &mutable_globals)?);
                continue;
            }
            Payload::DataCountSection { .. } => {
                module.section(&DataCountSection { count: data_segments.len() });
                continue;
            }
            Payload::DataSection(_) => {
                module.section(&data_segments);
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section().filter(|(id, _)| *id != 0) {
            let data = wasm.get(range).ok_or(StripError::Unsupported("a section outside the file"))?;
            module.section(&RawSection { id, data });
        }
    }
    Ok(Stripped { wasm: module.finish(), memory })
}

/// Copies the active segments into `memory`; what is left are the passive ones, and empty ones in between so that
/// every index still means the same segment.
fn keep_data(wasm: &[u8], memory: &mut Vec<u8>) -> Result<DataSection, StripError> {
    let mut segments = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::MemorySection(memories) => {
                let mut memories = memories.into_iter();
                let first = memories.next().ok_or(StripError::Unsupported("no memory"))??;
                if memories.next().is_some() || first.memory64 || first.page_size_log2.is_some() {
                    return Err(StripError::Unsupported("more than one plain memory"));
                }
                memory.resize(first.initial as usize * WASM_PAGE_BYTES, 0);
            }
            Payload::DataSection(data) => {
                for segment in data {
                    let segment = segment?;
                    match segment.kind {
                        DataKind::Passive => segments.push(segment.data),
                        DataKind::Active { memory_index: 0, offset_expr } => {
                            place(memory, &offset_expr, segment.data)?;
                            segments.push(&[]);
                        }
                        DataKind::Active { .. } => return Err(StripError::Unsupported("data for another memory")),
                    }
                }
            }
            _ => {}
        }
    }
    let used = segments.iter().rposition(|segment| !segment.is_empty()).map_or(0, |last| last + 1);
    let mut section = DataSection::new();
    segments.iter().take(used).for_each(|segment| {
        section.passive(segment.iter().copied());
    });
    Ok(section)
}

fn place(memory: &mut [u8], offset: &wasmparser::ConstExpr<'_>, data: &[u8]) -> Result<(), StripError> {
    let Operator::I32Const { value } = offset.get_operators_reader().read()? else {
        return Err(StripError::Unsupported("a data segment at a computed address"));
    };
    let start = value as u32 as usize;
    let target = start.checked_add(data.len()).and_then(|end| memory.get_mut(start..end));
    target.ok_or(StripError::Unsupported("data outside its memory"))?.copy_from_slice(data);
    Ok(())
}

fn with_globals(
    exports: wasmparser::ExportSectionReader<'_>,
    mutable_globals: &[u32],
) -> Result<ExportSection, StripError> {
    let mut section = ExportSection::new();
    for export in exports {
        let export = export?;
        let kind = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
            ExternalKind::Table => ExportKind::Table,
            ExternalKind::Memory => ExportKind::Memory,
            ExternalKind::Global => ExportKind::Global,
            ExternalKind::Tag => ExportKind::Tag,
        };
        section.export(export.name, kind, export.index);
    }
    for index in mutable_globals {
        section.export(&format!("{GLOBAL_EXPORT_PREFIX}{index}"), ExportKind::Global, *index);
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_moves_into_the_memory_and_mutable_globals_are_exported() {
        let wasm = wat::parse_str(
            r#"(module
                (memory (export "memory") 1)
                (global $sp (mut i32) (i32.const 7))
                (global i32 (i32.const 8))
                (data (i32.const 16) "hello")
                (data $kept "passive")
                (func (export "copy") (memory.init $kept (i32.const 0) (i32.const 0) (i32.const 7)))
            )"#,
        )
        .unwrap();
        let stripped = strip(&wasm).unwrap();
        assert_eq!(&stripped.memory[16..21], b"hello");
        assert_eq!(stripped.memory.len(), WASM_PAGE_BYTES);
        wasmparser::validate(&stripped.wasm).unwrap();
        let text = String::from_utf8_lossy(&stripped.wasm);
        assert!(text.contains("mecapy.global.0") && !text.contains("mecapy.global.1"));
        assert!(text.contains("passive") && !text.contains("hello"));
    }

    #[test]
    fn what_is_not_a_module_is_refused() {
        assert!(matches!(strip(b"\x7fELF"), Err(StripError::Parse(_))));
    }
}
