//! Reads a component: the core modules in it by the same counters, what is around them by its own, and what it imports.

use super::core_module::{CoreModule, Totals, name};
use super::counters::{Counter, at_most};
use super::inspect::{Export, ExportKind, FEATURES, Import, ModuleInfo};
use super::{Refused, imports, limits};
use mecapy_model::Digest;
use sha2::{Digest as _, Sha256};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::{
    ComponentExternalKind, Encoding, Instance, Parser, Payload, ValidPayload, Validator, WasmFeatures, types::Types,
};

const COMPONENT_FEATURES: WasmFeatures = FEATURES.union(WasmFeatures::COMPONENT_MODEL);

/// Accepts a component of the world `mecapy:task`, or says why not. Nothing is compiled.
pub(super) fn inspect(bytes: &[u8]) -> Result<ModuleInfo, Refused> {
    let mut inspection = Inspection::new();
    let mut validator = Validator::new_with_features(COMPONENT_FEATURES);
    let mut parser = Parser::new(0);
    parser.set_features(COMPONENT_FEATURES);
    for payload in parser.parse_all(bytes) {
        inspection.payload(&payload?, &mut validator)?;
    }
    inspection.finish(bytes)
}

struct Inspection {
    /// Components that have begun and not ended.
    depth: usize,
    /// The core module that is being read.
    module: Option<CoreModule>,
    totals: Totals,
    modules: Counter,
    instances: Counter,
    components: Counter,
    items: Counter,
    type_bytes: Counter,
    memory_pages: Counter,
    functions: Counter,
    functions_defined: u32,
    /// Names of what the whole imports.
    import_names: Vec<String>,
    imports: Vec<Import>,
    exports: Vec<Export>,
}

impl Inspection {
    fn new() -> Self {
        Self {
            depth: 0,
            module: None,
            totals: Totals::new(),
            modules: Counter::new("core modules", limits::CORE_MODULES_MAX),
            instances: Counter::new("instances of core modules", limits::CORE_INSTANCES_MAX),
            components: Counter::new("components inside", limits::COMPONENTS_MAX),
            items: Counter::new("items of a component", limits::COMPONENT_ITEMS_MAX),
            type_bytes: Counter::new("bytes of types of a component", limits::COMPONENT_TYPE_BYTES_MAX),
            memory_pages: Counter::new("pages of memory to begin with", limits::MEMORY_START_PAGES_MAX),
            functions: Counter::new("functions", limits::FUNCTIONS_MAX),
            functions_defined: 0,
            import_names: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
        }
    }

    /// Counts a section before the validator keeps any of it.
    fn payload(&mut self, payload: &Payload<'_>, validator: &mut Validator) -> Result<(), Refused> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => self.module = Some(CoreModule::new(false)),
            Payload::Version { encoding: Encoding::Component, .. } => self.depth += 1,
            _ => {}
        }
        if let Some(module) = &mut self.module {
            module.payload(payload, &mut self.totals, validator)?;
            if matches!(payload, Payload::End(_)) {
                self.memory_pages.add(module.memory_min_pages())?;
                self.functions.add(u64::from(module.functions()))?;
                self.functions_defined = self.functions_defined.saturating_add(module.functions());
                self.module = None;
            }
            return Ok(());
        }
        self.count(payload)?;
        if let ValidPayload::End(types) = validator.payload(payload)? {
            self.depth = self.depth.saturating_sub(1);
            if self.depth == 0 {
                self.check_imports(&types)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, payload: &Payload<'_>) -> Result<(), Refused> {
        match payload {
            Payload::ModuleSection { .. } => {
                self.outermost()?;
                self.modules.add(1)
            }
            Payload::ComponentSection { .. } => {
                self.outermost()?;
                self.components.add(1)
            }
            Payload::InstanceSection(section) => {
                self.items.add(u64::from(section.count()))?;
                section.clone().into_iter().try_for_each(|instance| match instance? {
                    Instance::Instantiate { args, .. } => {
                        self.outermost()?;
                        self.items.add(args.len() as u64)?;
                        self.instances.add(1)
                    }
                    Instance::FromExports(exports) => self.items.add(exports.len() as u64),
                })
            }
            Payload::ComponentInstanceSection(section) => self.items.add(u64::from(section.count())),
            Payload::ComponentAliasSection(section) => self.items.add(u64::from(section.count())),
            Payload::ComponentCanonicalSection(section) => self.items.add(u64::from(section.count())),
            Payload::CoreTypeSection(section) => {
                self.type_bytes.add(section.range().len() as u64)?;
                self.items.add(u64::from(section.count()))
            }
            Payload::ComponentTypeSection(section) => {
                self.type_bytes.add(section.range().len() as u64)?;
                self.items.add(u64::from(section.count()))
            }
            Payload::ComponentImportSection(section) => self.import_section(section.clone()),
            Payload::ComponentExportSection(section) => self.export_section(section.clone()),
            Payload::CustomSection(section) => {
                self.totals.custom(section);
                Ok(())
            }
            // The rest is small, or not of a component, which the validator refuses.
            _ => Ok(()),
        }
    }

    /// What runs stands in the component itself: so a count of it bounds what a run makes.
    fn outermost(&self) -> Result<(), Refused> {
        if self.depth > 1 { Err(Refused::Composed) } else { Ok(()) }
    }

    fn import_section(&mut self, section: wasmparser::ComponentImportSectionReader<'_>) -> Result<(), Refused> {
        self.items.add(u64::from(section.count()))?;
        for import in section {
            let import = import?;
            name(import.name.name)?;
            if self.depth == 1 {
                at_most("imports", self.import_names.len() as u64 + 1, limits::COMPONENT_IMPORTS_MAX)?;
                self.import_names.push(import.name.name.to_owned());
            }
        }
        Ok(())
    }

    fn export_section(&mut self, section: wasmparser::ComponentExportSectionReader<'_>) -> Result<(), Refused> {
        self.items.add(u64::from(section.count()))?;
        for export in section {
            let export = export?;
            name(export.name.name)?;
            let kind = match export.kind {
                ComponentExternalKind::Func => ExportKind::Function,
                ComponentExternalKind::Instance => ExportKind::Instance,
                _ => ExportKind::Type,
            };
            if self.depth == 1 {
                at_most("exports", self.exports.len() as u64 + 1, limits::EXPORTS_MAX)?;
                self.exports.push(Export { name: export.name.name.to_owned(), kind });
            }
        }
        Ok(())
    }

    /// What is imported, once it is known to be valid: interfaces that are offered, and names of their types.
    fn check_imports(&mut self, types: &Types) -> Result<(), Refused> {
        let types = types.as_ref();
        for name in std::mem::take(&mut self.import_names) {
            let instance = match types.component_item_for_import(&name).map(|item| item.ty) {
                Some(ComponentEntityType::Type { .. }) => continue,
                Some(ComponentEntityType::Instance(instance)) => instance,
                _ => return Err(imports::not_an_interface(&name)),
            };
            let items = types.get(instance).into_iter().flat_map(|instance| instance.exports.iter());
            let functions: Vec<&str> = items
                .filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)))
                .map(|(function, _)| function.as_str())
                .collect();
            imports::check_interface(&name, functions.first().copied())?;
            at_most("imports", (self.imports.len() + functions.len()) as u64, limits::COMPONENT_IMPORTS_MAX)?;
            let import = |function: &str| Import { module: name.clone(), name: function.to_owned() };
            self.imports.extend(functions.into_iter().map(import));
        }
        Ok(())
    }

    fn finish(self, bytes: &[u8]) -> Result<ModuleInfo, Refused> {
        let runs = |export: &Export| export.name == "run" && export.kind == ExportKind::Function;
        if !self.exports.iter().any(runs) {
            let is_command = self.exports.iter().any(|export| export.name.starts_with("wasi:cli/run@"));
            return Err(Refused::Export(if is_command { COMMAND } else { NO_RUN }));
        }
        Ok(ModuleInfo {
            digest: Digest(Sha256::digest(bytes).into()),
            bytes: bytes.len() as u64,
            warnings: self.totals.warnings(),
            imports: self.imports,
            exports: self.exports,
            memory_min_pages: self.memory_pages.found(),
            memory_max_pages: None,
            functions: self.functions_defined,
        })
    }
}

const NO_RUN: &str = "the component exports no function run: build it for the world mecapy:task@0.1.0, which says run: func(inputs: string) -> result<string, error>";
const COMMAND: &str = "the component is a command (it exports wasi:cli/run): export run of the world mecapy:task@0.1.0, or build the program as a core module (target wasm32-wasip1)";
