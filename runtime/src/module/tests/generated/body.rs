//! The code of generated functions.

use super::{Draw, Shape, TYPES};
use rand_chacha::rand_core::Rng;
use std::borrow::Cow;
use wasm_encoder::{
    BlockType, Catch, Function, HeapType, Instruction, MemArg,
    ValType::{self, F32, F64, I32, I64, V128},
};

/// Values and statements of one function, roughly.
const BODY_STEPS: u32 = 80;

/// An instruction, what it takes and what it yields.
pub(super) struct Operator(&'static [ValType], ValType, Instruction<'static>);

const AT: MemArg = MemArg { offset: 40, align: 0, memory_index: 0 };

pub(super) fn operators() -> Vec<Operator> {
    vec![
        Operator(&[I32, I32], I32, Instruction::I32Add),
        Operator(&[I32, I32], I32, Instruction::I32DivS),
        Operator(&[I32, I32], I32, Instruction::I32ShrU),
        Operator(&[I64], I32, Instruction::I64Eqz),
        Operator(&[F64, F64], I32, Instruction::F64Lt),
        Operator(&[F64], I32, Instruction::I32TruncSatF64S),
        Operator(&[V128], I32, Instruction::I32x4ExtractLane(3)),
        Operator(&[V128], I32, Instruction::V128AnyTrue),
        Operator(&[I32], I32, Instruction::I32Load8U(AT)),
        Operator(&[], I32, Instruction::MemorySize(0)),
        Operator(&[I32], I32, Instruction::MemoryGrow(0)),
        Operator(&[], I32, Instruction::TableSize(0)),
        Operator(&[I64, I64], I64, Instruction::I64Mul),
        Operator(&[I64, I64], I64, Instruction::I64RemU),
        Operator(&[I64, I64], I64, Instruction::I64Rotl),
        Operator(&[I32], I64, Instruction::I64ExtendI32S),
        Operator(&[F64], I64, Instruction::I64ReinterpretF64),
        Operator(&[I32], I64, Instruction::I64Load(AT)),
        Operator(&[F32, F32], F32, Instruction::F32Min),
        Operator(&[F64], F32, Instruction::F32DemoteF64),
        Operator(&[I32], F32, Instruction::F32Load(AT)),
        Operator(&[F64, F64], F64, Instruction::F64Div),
        Operator(&[F64], F64, Instruction::F64Sqrt),
        Operator(&[F32], F64, Instruction::F64PromoteF32),
        Operator(&[I32], F64, Instruction::F64ConvertI32S),
        Operator(&[I32], F64, Instruction::F64Load(AT)),
        Operator(&[I32], V128, Instruction::I32x4Splat),
        Operator(&[F64], V128, Instruction::F64x2Splat),
        Operator(&[V128, V128], V128, Instruction::I32x4Add),
        Operator(&[V128, V128], V128, Instruction::F64x2Mul),
        Operator(&[V128, V128], V128, Instruction::I8x16Swizzle),
    ]
}

/// The code of one function while it is made: a stack machine's code from the trees of a structured language.
pub(super) struct Body<'a> {
    shape: &'a Shape,
    draw: &'a mut Draw,
    operators: &'a [Operator],
    out: Function,
    locals: Vec<ValType>,
    /// What a branch to each open block takes with it, the innermost last.
    labels: Vec<Option<ValType>>,
    results: &'a [ValType],
    steps_left: u32,
}

impl<'a> Body<'a> {
    pub(super) fn function(shape: &'a Shape, draw: &'a mut Draw, operators: &'a [Operator], function: u32) -> Function {
        let (parameters, results) = shape.signature(function);
        let own = draw.types(6);
        let out = Function::new_with_locals_types(own.clone());
        let locals = parameters.iter().copied().chain(own).collect();
        let mut body =
            Body { shape, draw, operators, out, locals, labels: Vec::new(), results, steps_left: BODY_STEPS };
        while body.steps_left > 0 {
            body.statement();
        }
        results.iter().for_each(|ty| body.value(*ty));
        body.put(Instruction::End);
        body.out
    }

    fn put(&mut self, instruction: Instruction<'_>) {
        self.out.instruction(&instruction);
        if self.draw.mischief && self.draw.one_in(200) {
            let operator = self.draw.below(self.operators.len());
            self.out.instruction(&self.operators[operator].2);
        }
    }

    fn values(&mut self, types: &[ValType]) {
        types.iter().for_each(|ty| self.value(*ty));
    }

    /// Code that leaves one value of this type.
    fn value(&mut self, ty: ValType) {
        self.steps_left = self.steps_left.saturating_sub(1);
        if self.steps_left == 0 {
            return self.constant(ty);
        }
        match self.draw.below(9) {
            0 => self.constant(ty),
            1 => self.variable(ty),
            2 => self.block(Instruction::Block(BlockType::Result(ty)), Some(ty)),
            3 => {
                self.value(I32);
                self.put(Instruction::If(BlockType::Result(ty)));
                self.inside(Some(ty));
                self.put(Instruction::Else);
                self.inside(Some(ty));
                self.put(Instruction::End);
            }
            4 => {
                self.values(&[ty, ty, I32]);
                self.put(Instruction::Select);
            }
            5 => match self.draw.index(&self.shape.functions, |of| self.shape.types[*of as usize].1 == [ty]) {
                Some(function) => {
                    let shape = self.shape;
                    self.values(&shape.signature(function).0);
                    self.put(Instruction::Call(function));
                }
                None => self.constant(ty),
            },
            _ => {
                let operators = self.operators;
                if let Some(index) = self.draw.index(operators, |operator| operator.1 == ty) {
                    let Operator(parameters, _, instruction) = &operators[index as usize];
                    self.values(parameters);
                    self.put(instruction.clone());
                }
            }
        }
    }

    fn constant(&mut self, ty: ValType) {
        let bits = self.draw.random.next_u64();
        self.put(match ty {
            I32 => Instruction::I32Const(bits as i32),
            I64 => Instruction::I64Const(bits as i64),
            F32 => Instruction::F32Const(f32::from_bits(bits as u32).into()),
            F64 => Instruction::F64Const(f64::from_bits(bits).into()),
            _ => Instruction::V128Const(i128::from(bits)),
        });
    }

    fn variable(&mut self, ty: ValType) {
        let local = self.draw.index(&self.locals, |local| *local == ty);
        let global = self.draw.index(&self.shape.globals, |global| global.0 == ty);
        match (local, global) {
            (Some(local), None) => self.put(Instruction::LocalGet(local)),
            (Some(local), Some(_)) => {
                self.value(ty);
                self.put(Instruction::LocalTee(local));
            }
            (None, Some(global)) => self.put(Instruction::GlobalGet(global)),
            (None, None) => self.constant(ty),
        }
    }

    /// A block of any sort around statements, and the value that it yields.
    fn block(&mut self, begin: Instruction<'_>, yields: Option<ValType>) {
        self.put(begin);
        self.inside(yields);
        self.put(Instruction::End);
    }

    fn inside(&mut self, yields: Option<ValType>) {
        self.labels.push(yields);
        for _ in 0..self.draw.below(3) {
            self.statement();
        }
        self.values(yields.as_slice());
        self.labels.pop();
    }

    /// Code that leaves nothing.
    fn statement(&mut self) {
        self.steps_left = self.steps_left.saturating_sub(1);
        if self.steps_left == 0 {
            return;
        }
        match self.draw.below(10) {
            0 => self.assignment(),
            1 => {
                let ty = TYPES[self.draw.below(TYPES.len())];
                self.value(ty);
                self.put(Instruction::Drop);
            }
            2 => self.store(),
            3 => self.block(Instruction::Block(BlockType::Empty), None),
            4 => self.block(Instruction::Loop(BlockType::Empty), None),
            5 => {
                self.value(I32);
                self.block(Instruction::If(BlockType::Empty), None);
            }
            6 => self.conditional_branch(),
            7 => self.leaving(),
            8 => self.catching(),
            _ => self.calling(),
        }
    }

    fn assignment(&mut self) {
        if let Some(local) = self.draw.index(&self.locals, |_| true) {
            self.value(self.locals[local as usize]);
            self.put(Instruction::LocalSet(local));
        }
        if let Some(global) = self.draw.index(&self.shape.globals, |global| global.1) {
            self.value(self.shape.globals[global as usize].0);
            self.put(Instruction::GlobalSet(global));
        }
    }

    fn store(&mut self) {
        let shape = self.shape;
        let (types, instruction): (&[ValType], Instruction<'static>) = match self.draw.below(8) {
            0 => (&[I32, I32], Instruction::I32Store16(AT)),
            1 => (&[I32, F64], Instruction::F64Store(AT)),
            2 => (&[I32, I32, I32], Instruction::MemoryFill(0)),
            3 => (&[I32, I32, I32], Instruction::MemoryCopy { src_mem: 0, dst_mem: 0 }),
            4 => {
                let data_index = self.draw.below(shape.data_segments as usize) as u32;
                (&[I32, I32, I32], Instruction::MemoryInit { mem: 0, data_index })
            }
            5 => (&[], Instruction::DataDrop(self.draw.below(shape.data_segments as usize) as u32)),
            _ => return self.table(),
        };
        self.values(types);
        self.put(instruction);
    }

    fn table(&mut self) {
        let table = self.draw.below(self.shape.tables as usize) as u32;
        self.value(I32);
        if self.draw.one_in(2) {
            self.put(Instruction::TableGet(table));
            self.put(Instruction::RefIsNull);
            return self.put(Instruction::Drop);
        }
        let function = self.draw.below(self.shape.functions.len()) as u32;
        let null = self.draw.one_in(3);
        self.put(if null { Instruction::RefNull(HeapType::FUNC) } else { Instruction::RefFunc(function) });
        self.put(Instruction::TableSet(table));
    }

    fn conditional_branch(&mut self) {
        let Some(open) = self.draw.index(&self.labels, |_| true) else { return };
        let taken = self.labels[open as usize];
        self.values(taken.as_slice());
        self.value(I32);
        self.put(Instruction::BrIf(self.depth(open)));
        if taken.is_some() {
            self.put(Instruction::Drop);
        }
    }

    /// How a branch names the open block of this index.
    fn depth(&self, open: u32) -> u32 {
        self.labels.len() as u32 - 1 - open
    }

    /// A block that is always left before its end.
    fn leaving(&mut self) {
        self.put(Instruction::Block(BlockType::Empty));
        self.labels.push(None);
        match self.draw.below(5) {
            0 => self.put(Instruction::Unreachable),
            1 => {
                self.values(self.results);
                self.put(Instruction::Return);
            }
            2 => {
                self.value(I32);
                self.put(Instruction::Throw(0));
            }
            3 => {
                let (shape, results) = (self.shape, self.results);
                if let Some(function) = self.draw.index(&shape.functions, |of| shape.types[*of as usize].1 == results) {
                    self.values(&shape.signature(function).0);
                    self.put(Instruction::ReturnCall(function));
                }
            }
            _ => {
                let open: Vec<u32> =
                    (0..self.draw.below(5)).filter_map(|_| self.draw.index(&self.labels, Option::is_none)).collect();
                let targets: Vec<u32> = open.into_iter().map(|open| self.depth(open)).collect();
                self.value(I32);
                self.put(Instruction::BrTable(Cow::Owned(targets), 0));
            }
        }
        self.labels.pop();
        self.put(Instruction::End);
    }

    fn catching(&mut self) {
        let takes = self.draw.one_in(2).then_some(I32);
        let (ty, catch) = match takes {
            Some(value) => (BlockType::Result(value), Catch::One { tag: 0, label: 0 }),
            None => (BlockType::Empty, Catch::All { label: 0 }),
        };
        self.put(Instruction::Block(ty));
        self.labels.push(takes);
        self.block(Instruction::TryTable(BlockType::Empty, Cow::Owned(vec![catch])), None);
        self.values(takes.as_slice());
        self.labels.pop();
        self.put(Instruction::End);
        if takes.is_some() {
            self.put(Instruction::Drop);
        }
    }

    fn calling(&mut self) {
        let function = self.draw.below(self.shape.functions.len()) as u32;
        let shape = self.shape;
        let (parameters, results) = shape.signature(function);
        self.values(parameters);
        if self.draw.one_in(2) {
            self.put(Instruction::Call(function));
        } else {
            self.value(I32);
            let type_index = shape.functions[function as usize];
            self.put(Instruction::CallIndirect { type_index, table_index: 0 });
        }
        results.iter().for_each(|_| self.put(Instruction::Drop));
    }
}
