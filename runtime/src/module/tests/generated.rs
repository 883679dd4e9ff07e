//! Modules from a seeded generator: most are valid, some deliberately not. None makes the inspection panic, and the
//! engine compiles each that is accepted.

mod body;

use crate::module::{Refused, imports, inspect};
use body::{Body, Operator, operators};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use std::borrow::Cow;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction, MemorySection, MemoryType,
    Module, RefType, TableSection, TableType, TagKind, TagSection, TagType, TypeSection,
    ValType::{self, F32, F64, I32, I64, V128},
};

const MODULES: u64 = 300;
const TYPES: [ValType; 5] = [I32, I64, F32, F64, V128];

#[test]
fn security_20_generated_modules_are_answered_and_what_is_accepted_compiles() {
    let engine = crate::Engine::new(crate::NanPayloads::Native).unwrap();
    let operators = operators();
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..MODULES {
        let mut draw = Draw { random: ChaCha20Rng::seed_from_u64(seed), mischief: seed.is_multiple_of(4) };
        let module = Shape::draw(&mut draw).module(&mut draw, &operators);
        match inspect(&module) {
            Ok(_) => {
                let compiled = wasmtime::Module::new(engine.wasm(), &module);
                assert!(compiled.is_ok(), "seed {seed} was accepted: {:?}", compiled.err());
                accepted += 1;
            }
            Err(Refused::Invalid { .. }) => refused += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    // Else the generator makes nothing that is worth its time.
    assert!(accepted > MODULES / 2 && refused > MODULES / 20, "{accepted} accepted, {refused} refused");
}

struct Draw {
    random: ChaCha20Rng,
    /// Now and then there is an instruction too many.
    mischief: bool,
}

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        (self.random.next_u64() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn types(&mut self, count_max: usize) -> Vec<ValType> {
        (0..self.below(count_max + 1)).map(|_| TYPES[self.below(TYPES.len())]).collect()
    }

    /// An index of `items` at which `fits` holds.
    fn index<T>(&mut self, items: &[T], fits: impl Fn(&T) -> bool) -> Option<u32> {
        let fitting: Vec<usize> = (0..items.len()).filter(|index| fits(&items[*index])).collect();
        (!fitting.is_empty()).then(|| fitting[self.below(fitting.len())] as u32)
    }
}

type Signature = (Vec<ValType>, Vec<ValType>);

/// Everything but the code.
struct Shape {
    /// The first is `_start`'s, the second the tag's.
    types: Vec<Signature>,
    /// The module and the name of each, and its type.
    imports: Vec<(&'static str, &'static str, u32)>,
    /// Type of each function, imported ones first.
    functions: Vec<u32>,
    globals: Vec<(ValType, bool)>,
    tables: u32,
    data_segments: u32,
}

impl Shape {
    fn draw(draw: &mut Draw) -> Self {
        let mut types = vec![(vec![], vec![]), (vec![I32], vec![])];
        for _ in 0..draw.below(6) {
            let results_max = if draw.one_in(4) { 2 } else { 1 };
            types.push((draw.types(4), draw.types(results_max)));
        }
        let own_types = types.len();
        let mut imported = Vec::new();
        for (module, name, signature) in imports::all() {
            if draw.one_in(8) {
                let (parameters, results) = signature.split_once(':').unwrap();
                let value = |letter| match letter {
                    'i' => I32,
                    'I' => I64,
                    _ => F64,
                };
                let of = |letters: &str| letters.chars().map(value).collect();
                imported.push((module, name, types.len() as u32));
                types.push((of(parameters), of(results)));
            }
        }
        let mut functions: Vec<u32> = imported.iter().map(|(_, _, ty)| *ty).collect();
        functions.push(0);
        functions.extend((0..draw.below(5)).map(|_| draw.below(own_types) as u32));
        Self {
            types,
            imports: imported,
            functions,
            globals: (0..draw.below(5)).map(|_| (TYPES[draw.below(TYPES.len())], draw.one_in(2))).collect(),
            tables: 1 + draw.below(2) as u32,
            data_segments: 1 + draw.below(3) as u32,
        }
    }

    fn signature(&self, function: u32) -> &Signature {
        &self.types[self.functions[function as usize] as usize]
    }

    fn module(&self, draw: &mut Draw, operators: &[Operator]) -> Vec<u8> {
        let start = self.imports.len() as u32;
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        for function in start..self.functions.len() as u32 {
            functions.function(self.functions[function as usize]);
            code.function(&Body::function(self, draw, operators, function));
        }
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0).export("_start", ExportKind::Func, start);
        let mut module = Module::new();
        module
            .section(&self.type_section())
            .section(&self.import_section())
            .section(&functions)
            .section(&self.table_section())
            .section(&memory_section(draw))
            .section(&tag_section())
            .section(&self.global_section())
            .section(&exports)
            .section(&self.element_section())
            .section(&DataCountSection { count: self.data_segments })
            .section(&code)
            .section(&self.data_section(draw));
        module.finish()
    }

    fn type_section(&self) -> TypeSection {
        let mut section = TypeSection::new();
        for (parameters, results) in &self.types {
            section.ty().function(parameters.clone(), results.clone());
        }
        section
    }

    fn import_section(&self) -> ImportSection {
        let mut section = ImportSection::new();
        for (module, name, ty) in &self.imports {
            section.import(module, name, EntityType::Function(*ty));
        }
        section
    }

    fn table_section(&self) -> TableSection {
        let mut section = TableSection::new();
        for _ in 0..self.tables {
            section.table(TableType {
                element_type: RefType::FUNCREF,
                table64: false,
                minimum: 100,
                maximum: None,
                shared: false,
            });
        }
        section
    }

    fn global_section(&self) -> GlobalSection {
        let mut section = GlobalSection::new();
        for (val_type, mutable) in &self.globals {
            let value = match val_type {
                I32 => ConstExpr::extended([Instruction::I32Const(-1), Instruction::I32Const(9), Instruction::I32Add]),
                I64 => ConstExpr::i64_const(i64::MIN),
                F32 => ConstExpr::f32_const(f32::NAN.into()),
                F64 => ConstExpr::f64_const((-0.0_f64).into()),
                _ => ConstExpr::v128_const(1 << 100),
            };
            section.global(GlobalType { val_type: *val_type, mutable: *mutable, shared: false }, &value);
        }
        section
    }

    /// Every function, so that each may be referred to.
    fn element_section(&self) -> ElementSection {
        let all: Vec<u32> = (0..self.functions.len() as u32).collect();
        let mut section = ElementSection::new();
        section.active(None, &ConstExpr::i32_const(0), Elements::Functions(Cow::Borrowed(all.as_slice())));
        section.declared(Elements::Functions(Cow::Borrowed(all.as_slice())));
        section
    }

    fn data_section(&self, draw: &mut Draw) -> DataSection {
        let mut section = DataSection::new();
        for _ in 0..self.data_segments {
            if draw.one_in(2) {
                section.passive(*b"passive");
            } else {
                section.active(0, &ConstExpr::i32_const(draw.below(60_000) as i32), *b"active");
            }
        }
        section
    }
}

fn memory_section(draw: &mut Draw) -> MemorySection {
    let mut section = MemorySection::new();
    let maximum = draw.one_in(2).then_some(16);
    section.memory(MemoryType { minimum: 1, maximum, memory64: false, shared: false, page_size_log2: None });
    section
}

fn tag_section() -> TagSection {
    let mut section = TagSection::new();
    section.tag(TagType { kind: TagKind::Exception, func_type_idx: 1 });
    section
}
