//! What one core module holds, counted section by section before anything is kept of it.

use super::body::{Bodies, Signatures};
use super::counters::{Counter, at_most};
use super::inspect::{Export, ExportKind, Import, ModuleInfo};
use super::{Refused, imports, limits};
use mecapy_model::{Digest, Warning};
use sha2::{Digest as _, Sha256};
use wasmparser::{
    CompositeInnerType, ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, FuncType, Payload, TableInit,
    TypeRef, ValidPayload, Validator,
};

/// What all core modules of one upload hold together.
pub(super) struct Totals {
    bodies: Bodies,
    table_elements: Counter,
    element_items: Counter,
    debug_bytes: usize,
    other_custom_bytes: usize,
}

/// One core module, as far as it has been read.
pub(super) struct CoreModule {
    /// A command of its own, which only WASI can be imported into; not a part of a component.
    stands_alone: bool,
    types: Vec<Option<FuncType>>,
    functions: Vec<u32>,
    functions_defined: u32,
    imports: Vec<Import>,
    exports: Vec<Export>,
    /// Function index of `_start`.
    start: Option<u32>,
    exports_memory: bool,
    memory: Option<(u64, Option<u64>)>,
}

impl Totals {
    pub(super) fn new() -> Self {
        Self {
            bodies: Bodies::new(),
            table_elements: Counter::new("table elements", limits::TABLE_ELEMENTS_MAX),
            element_items: Counter::new("items of element segments", limits::ELEMENT_ITEMS_MAX),
            debug_bytes: 0,
            other_custom_bytes: 0,
        }
    }

    pub(super) fn custom(&mut self, section: &wasmparser::CustomSectionReader<'_>) {
        let bytes =
            if section.name().starts_with(".debug_") { &mut self.debug_bytes } else { &mut self.other_custom_bytes };
        *bytes = bytes.saturating_add(section.data().len());
    }

    /// What is carried along for nothing.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |code: &str, message: String| {
            warnings.push(Warning { code: code.to_owned(), message, line: None, pointer: None })
        };
        if self.debug_bytes > 0 {
            warn(
                "debug_information",
                format!(
                    "{} KiB of debug information are ignored: strip the module to upload less.",
                    self.debug_bytes.div_ceil(1024)
                ),
            );
        }
        if self.other_custom_bytes > limits::CUSTOM_BYTES_QUIET_MAX {
            warn(
                "custom_sections",
                format!(
                    "{} KiB of custom sections are ignored: strip the module to upload less.",
                    self.other_custom_bytes.div_ceil(1024)
                ),
            );
        }
        warnings
    }
}

impl CoreModule {
    pub(super) fn new(stands_alone: bool) -> Self {
        Self {
            stands_alone,
            types: Vec::new(),
            functions: Vec::new(),
            functions_defined: 0,
            imports: Vec::new(),
            exports: Vec::new(),
            start: None,
            exports_memory: false,
            memory: None,
        }
    }

    /// Pages of its memory at the start, if it has one.
    pub(super) fn memory_min_pages(&self) -> u64 {
        self.memory.map_or(0, |(pages, _)| pages)
    }

    /// Functions that it defines.
    pub(super) fn functions(&self) -> u32 {
        self.functions_defined
    }

    /// Counts a section before the validator keeps any of it.
    pub(super) fn payload(
        &mut self,
        payload: &Payload<'_>,
        totals: &mut Totals,
        validator: &mut Validator,
    ) -> Result<(), Refused> {
        self.count(payload, totals)?;
        match validator.payload(payload)? {
            ValidPayload::Func(function, body) => {
                let signatures = Signatures { types: &self.types, functions: &self.functions };
                totals.bodies.check(function, &body, &signatures)
            }
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::End(_) => Ok(()),
        }
    }

    fn count(&mut self, payload: &Payload<'_>, totals: &mut Totals) -> Result<(), Refused> {
        match payload {
            Payload::TypeSection(section) => self.types(section.clone()),
            Payload::ImportSection(section) => self.imports(section.clone()),
            Payload::FunctionSection(section) => {
                at_most("functions", u64::from(section.count()), limits::FUNCTIONS_MAX)?;
                self.functions_defined = section.count();
                section.clone().into_iter().try_for_each(|index| {
                    self.functions.push(index?);
                    Ok(())
                })
            }
            Payload::TableSection(section) => self.tables(section.clone(), totals),
            Payload::MemorySection(section) => self.memories(section.clone()),
            Payload::TagSection(section) => at_most("tags", u64::from(section.count()), limits::TAGS_MAX),
            Payload::GlobalSection(section) => {
                at_most("globals", u64::from(section.count()), limits::GLOBALS_MAX)?;
                section.clone().into_iter().try_for_each(|global| constant(&global?.init_expr))
            }
            Payload::ExportSection(section) => self.exports(section.clone()),
            Payload::ElementSection(section) => self.elements(section.clone(), totals),
            Payload::DataCountSection { count, .. } => {
                at_most("data segments", u64::from(*count), limits::DATA_SEGMENTS_MAX)
            }
            Payload::DataSection(section) => {
                at_most("data segments", u64::from(section.count()), limits::DATA_SEGMENTS_MAX)?;
                section.clone().into_iter().try_for_each(|data| match data?.kind {
                    DataKind::Active { offset_expr, .. } => constant(&offset_expr),
                    DataKind::Passive => Ok(()),
                })
            }
            Payload::CodeSectionStart { count, .. } => at_most("functions", u64::from(*count), limits::FUNCTIONS_MAX),
            Payload::CodeSectionEntry(body) => {
                at_most("bytes in one function", body.range().len() as u64, limits::BODY_BYTES_MAX)
            }
            Payload::CustomSection(section) => {
                totals.custom(section);
                Ok(())
            }
            // The rest is small, or not of a core module, which the validator refuses.
            _ => Ok(()),
        }
    }

    fn types(&mut self, section: wasmparser::TypeSectionReader<'_>) -> Result<(), Refused> {
        at_most("types", u64::from(section.count()), limits::TYPES_MAX)?;
        for group in section {
            for ty in group?.into_types() {
                at_most("types", self.types.len() as u64 + 1, limits::TYPES_MAX)?;
                let function = match ty.composite_type.inner {
                    CompositeInnerType::Func(function) => Some(function),
                    _ => None,
                };
                if let Some(function) = &function {
                    at_most("parameters in one function", function.params().len() as u64, limits::PARAMETERS_MAX)?;
                    at_most("results in one function", function.results().len() as u64, limits::RESULTS_MAX)?;
                }
                self.types.push(function);
            }
        }
        Ok(())
    }

    fn imports(&mut self, section: wasmparser::ImportSectionReader<'_>) -> Result<(), Refused> {
        let imports_max = if self.stands_alone { limits::IMPORTS_MAX } else { limits::INNER_IMPORTS_MAX };
        at_most("imports", u64::from(section.count()), imports_max)?;
        for (import, count) in section.into_imports().zip(1..) {
            let import = import?;
            at_most("imports", count, imports_max)?;
            name(import.module)?;
            name(import.name)?;
            let type_index = match import.ty {
                TypeRef::Func(index) => Some(index),
                _ => None,
            };
            let signature = type_index.and_then(|index| self.types.get(index as usize)).and_then(Option::as_ref);
            self.functions.extend(type_index);
            if !self.stands_alone {
                continue;
            }
            imports::check(import.module, import.name, signature)?;
            self.imports.push(Import { module: import.module.to_owned(), name: import.name.to_owned() });
        }
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'_>, totals: &mut Totals) -> Result<(), Refused> {
        at_most("tables", u64::from(section.count()), limits::TABLES_MAX)?;
        for table in section {
            let table = table?;
            totals.table_elements.add(table.ty.initial)?;
            if let TableInit::Expr(value) = &table.init {
                constant(value)?;
            }
        }
        Ok(())
    }

    fn memories(&mut self, section: wasmparser::MemorySectionReader<'_>) -> Result<(), Refused> {
        at_most("memories", u64::from(section.count()), 1)?;
        for memory in section {
            let memory = memory?;
            at_most("pages of memory to begin with", memory.initial, limits::MEMORY_START_PAGES_MAX)?;
            self.memory = Some((memory.initial, memory.maximum));
        }
        Ok(())
    }

    fn exports(&mut self, section: wasmparser::ExportSectionReader<'_>) -> Result<(), Refused> {
        at_most("exports", u64::from(section.count()), limits::EXPORTS_MAX)?;
        for export in section {
            let export = export?;
            name(export.name)?;
            let kind = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Function,
                ExternalKind::Table => ExportKind::Table,
                ExternalKind::Memory => ExportKind::Memory,
                ExternalKind::Global => ExportKind::Global,
                ExternalKind::Tag => ExportKind::Tag,
            };
            match (export.name, kind) {
                ("_start", ExportKind::Function) => self.start = Some(export.index),
                ("memory", ExportKind::Memory) => self.exports_memory = true,
                _ => {}
            }
            self.exports.push(Export { name: export.name.to_owned(), kind });
        }
        Ok(())
    }

    fn elements(&mut self, section: wasmparser::ElementSectionReader<'_>, totals: &mut Totals) -> Result<(), Refused> {
        at_most("element segments", u64::from(section.count()), limits::ELEMENT_SEGMENTS_MAX)?;
        for element in section {
            let element = element?;
            if let ElementKind::Active { offset_expr, .. } = &element.kind {
                constant(offset_expr)?;
            }
            match element.items {
                ElementItems::Functions(items) => totals.element_items.add(u64::from(items.count()))?,
                ElementItems::Expressions(_, items) => {
                    totals.element_items.add(u64::from(items.count()))?;
                    items.into_iter().try_for_each(|item| constant(&item?))?;
                }
            }
        }
        Ok(())
    }

    /// What an accepted command is.
    pub(super) fn finish(self, bytes: &[u8], totals: &Totals) -> Result<ModuleInfo, Refused> {
        self.check_start()?;
        let (Some((memory_min_pages, memory_max_pages)), true) = (self.memory, self.exports_memory) else {
            return Err(Refused::Export(
                "the module exports no memory named \"memory\": WASI passes all data through it; build with a WASI target",
            ));
        };
        Ok(ModuleInfo {
            digest: Digest(Sha256::digest(bytes).into()),
            bytes: bytes.len() as u64,
            warnings: self.warnings(totals),
            imports: self.imports,
            exports: self.exports,
            memory_min_pages,
            memory_max_pages,
            functions: self.functions_defined,
        })
    }

    fn check_start(&self) -> Result<(), Refused> {
        let Some(start) = self.start else {
            let initialize = self.exports.iter().any(|export| export.name == "_initialize");
            return Err(Refused::Export(if initialize {
                "the module is a library (a WASI reactor with _initialize): build a command with a main function, without -mexec-model=reactor"
            } else {
                "the module exports no function _start: build a program with a main function for a WASI target"
            }));
        };
        let ty = self
            .functions
            .get(start as usize)
            .and_then(|&index| self.types.get(index as usize))
            .and_then(Option::as_ref);
        if ty.is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty()) {
            return Ok(());
        }
        Err(Refused::Export("the module's function _start takes parameters or yields results: WASI calls it with none"))
    }

    fn warnings(&self, totals: &Totals) -> Vec<Warning> {
        let mut warnings = totals.warnings();
        if self.exports.iter().any(|export| export.name == "_initialize") {
            let message = "The module exports _initialize beside _start: only _start is called.";
            warnings.push(Warning {
                code: "reactor".to_owned(),
                message: message.to_owned(),
                line: None,
                pointer: None,
            });
        }
        warnings
    }
}

pub(super) fn name(name: &str) -> Result<(), Refused> {
    at_most("bytes in one name", name.len() as u64, limits::NAME_BYTES_MAX)
}

fn constant(expression: &ConstExpr<'_>) -> Result<(), Refused> {
    at_most(
        "bytes in one constant expression",
        expression.get_binary_reader().bytes_remaining() as u64,
        limits::CONSTANT_BYTES_MAX,
    )
}
