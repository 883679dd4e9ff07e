//! Modules that would cost a compiler far more than their size: each must be refused by the counters.

use std::borrow::Cow;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, DataSegment, DataSegmentMode, ElementSection, Elements, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, Instruction, MemorySection, MemoryType,
    Module, TypeSection, ValType,
};

/// Every bomb, with its name.
pub(super) fn rows() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("parameters", many_functions(2, 1_000)),
        ("a million functions", many_functions(1_000_000, 0)),
        ("a 7 MB body", with_body(std::iter::repeat_n(Instruction::Nop, 7_000_000))),
        ("a br_table", with_body(branch_table(900_000))),
        ("br_tables", with_body((0..30).flat_map(|_| branch_table(1_000)))),
        ("nesting", nested_blocks(100_000)),
        ("locals", Parts::command(ended(Function::new([(45_000, ValType::V128)]))).into_module()),
        ("wide blocks", wide_blocks()),
        ("wide calls", wide_calls()),
        ("a constant", long_constant()),
        ("element items", many_element_items()),
        ("data segments", many_data_segments()),
    ]
}

/// What a bomb is made of.
#[derive(Default)]
struct Parts {
    types: TypeSection,
    functions: FunctionSection,
    globals: GlobalSection,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
}

impl Parts {
    /// A module whose `_start` is `function`, of type 0: no parameters, no results.
    fn command(function: Function) -> Self {
        let mut parts = Self::default();
        parts.types.ty().function([], []);
        parts.add(0, &function);
        parts
    }

    fn add(&mut self, ty: u32, function: &Function) {
        self.functions.function(ty);
        self.code.function(function);
    }

    fn into_module(self) -> Vec<u8> {
        let mut memories = MemorySection::new();
        memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0).export("_start", ExportKind::Func, 0);
        let mut module = Module::new();
        module
            .section(&self.types)
            .section(&self.functions)
            .section(&memories)
            .section(&self.globals)
            .section(&exports)
            .section(&self.elements)
            .section(&self.code)
            .section(&self.data);
        module.finish()
    }
}

fn ended(mut function: Function) -> Function {
    function.instruction(&Instruction::End);
    function
}

fn empty() -> Function {
    ended(Function::new([]))
}

fn body<'a>(instructions: impl IntoIterator<Item = Instruction<'a>>) -> Function {
    let mut function = Function::new([]);
    for instruction in instructions {
        function.instruction(&instruction);
    }
    ended(function)
}

fn with_body<'a>(instructions: impl IntoIterator<Item = Instruction<'a>>) -> Vec<u8> {
    Parts::command(body(instructions)).into_module()
}

fn many_functions(count: usize, parameters: usize) -> Vec<u8> {
    let mut parts = Parts::command(empty());
    parts.types.ty().function(vec![ValType::I32; parameters], []);
    for _ in 1..count {
        parts.add(1, &empty());
    }
    parts.into_module()
}

fn branch_table(targets: usize) -> [Instruction<'static>; 2] {
    [Instruction::I32Const(0), Instruction::BrTable(Cow::Owned(vec![0; targets]), 0)]
}

fn nested_blocks(depth: usize) -> Vec<u8> {
    let opened = std::iter::repeat_n(Instruction::Block(BlockType::Empty), depth);
    with_body(opened.chain(std::iter::repeat_n(Instruction::End, depth)))
}

fn wide_blocks() -> Vec<u8> {
    let blocks = (0..100_000).flat_map(|_| [Instruction::Block(BlockType::FunctionType(1)), Instruction::End]);
    let mut parts = Parts::command(body(std::iter::once(Instruction::Unreachable).chain(blocks)));
    parts.types.ty().function(vec![ValType::I32; 100], []);
    parts.into_module()
}

fn wide_calls() -> Vec<u8> {
    let calls = (0..400_000).flat_map(|_| [Instruction::Call(1), Instruction::Unreachable]);
    let caller = body(std::iter::once(Instruction::Unreachable).chain(calls));
    let mut parts = Parts::command(body([Instruction::Unreachable]));
    parts.types.ty().function(vec![ValType::I32; 128], vec![ValType::I32; 32]);
    parts.add(1, &body([Instruction::Unreachable]));
    for _ in 0..4 {
        parts.add(0, &caller);
    }
    parts.into_module()
}

fn long_constant() -> Vec<u8> {
    let sum = std::iter::once(Instruction::I32Const(0))
        .chain((0..100_000).flat_map(|_| [Instruction::I32Const(1), Instruction::I32Add]));
    let mut parts = Parts::command(empty());
    parts
        .globals
        .global(GlobalType { val_type: ValType::I32, mutable: false, shared: false }, &ConstExpr::extended(sum));
    parts.into_module()
}

fn many_element_items() -> Vec<u8> {
    let mut parts = Parts::command(empty());
    parts.elements.passive(Elements::Functions(Cow::Owned(vec![0; 1_000_000])));
    parts.into_module()
}

fn many_data_segments() -> Vec<u8> {
    let mut parts = Parts::command(empty());
    for _ in 0..20_000 {
        parts.data.segment(DataSegment { mode: DataSegmentMode::Passive, data: [] });
    }
    parts.into_module()
}
