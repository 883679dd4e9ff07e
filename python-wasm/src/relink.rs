//! Gives the interpreter's BLAS and LAPACK functions to the host, by a prologue in front of each one's own body.
//!
//! The prologue asks the host through the import `host.call` once the operands are large enough. What the host leaves
//! undone, by any answer but 0, the function's own body does: one module works with and without the host's kernels. It
//! is only code that is put in front: no index, no type and no other function changes.
//!
//! Functions are found by the module's `name` section, so this comes before [`strip`](crate::strip), which drops it.

mod survey;
#[cfg(test)]
mod tests;

use mecapy_linalg::blas::{Convention, Entry};
use std::collections::HashMap;
use survey::{Survey, survey};
use wasm_encoder::{BlockType, CodeSection, Encode, InstructionSink, MemArg, Module, RawSection, ValType};
use wasmparser::{FunctionBody, Parser, Payload};

/// The length in `host.call` that says that the request is an operation on spilled parameters; the operation's number
/// is added to it. No frame can be so long.
const OPERATION: u32 = 0x8000_0000;
/// Where the parameters are spilled: so far below the stack pointer.
const SPILL_BYTES: i32 = 256;
const PARAMETER_BYTES: usize = 8;
/// The stack's alignment in C.
const STACK_ALIGNMENT: i32 = 16;

#[derive(Debug, thiserror::Error)]
pub enum RelinkError {
    #[error("the interpreter is not a valid WebAssembly module")]
    Parse(#[from] wasmparser::BinaryReaderError),
    #[error("the interpreter has no function {symbol} that a native kernel could serve")]
    Missing { symbol: String },
    #[error("the interpreter has {found} functions named {symbol}; a native kernel serves exactly one")]
    Repeated { symbol: String, found: usize },
    #[error("the interpreter imports {symbol}: there is no body that a native kernel could stand in front of")]
    Imported { symbol: String },
    #[error("the interpreter's {symbol} is ({found}), the native kernel's is ({expected})")]
    Signature { symbol: String, expected: String, found: String },
    #[error("the native kernel {symbol} {fault}")]
    Entry { symbol: String, fault: &'static str },
    #[error("the interpreter has {0}, so that native kernels can't be called")]
    Unsupported(&'static str),
}

/// Puts prologues in front of the functions of `table`, whose places are the operations' numbers. Needs a module with a
/// `name` section. All else in the module stays byte for byte, but for the lengths of sections and bodies.
pub(crate) fn relink(wasm: &[u8], table: &[Entry]) -> Result<Vec<u8>, RelinkError> {
    let survey = survey(wasm, table)?;
    let hooks = hooks(&survey, table)?;
    let mut module = Module::new();
    let mut code = CodeSection::new();
    let mut functions = survey.functions_imported..;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::CodeSectionEntry(body) = &payload {
            match functions.next().and_then(|function| hooks.get(&function)) {
                Some(hook) => code.raw(&hook.in_front_of(body)?),
                None => code.raw(body.as_bytes()),
            };
            if code.len() as usize == survey.function_types.len() {
                module.section(&code);
            }
            continue;
        }
        let is_code = matches!(payload, Payload::CodeSectionStart { .. });
        if let Some((id, range)) = payload.as_section().filter(|_| !is_code) {
            let data = wasm.get(range).ok_or(RelinkError::Unsupported("a section outside the file"))?;
            module.section(&RawSection { id, data });
        }
    }
    Ok(module.finish())
}

/// The prologues by the index of the function that each belongs to.
fn hooks<'a>(survey: &Survey, table: &'a [Entry]) -> Result<HashMap<u32, Hook<'a>>, RelinkError> {
    let call = survey.call.ok_or(RelinkError::Unsupported("no import host.call (i32 i32 i32 i32) -> i32"))?;
    let mut hooks = HashMap::new();
    for (number, entry) in table.iter().enumerate() {
        let fault = |fault| RelinkError::Entry { symbol: entry.symbol.to_owned(), fault };
        check(entry).map_err(fault)?;
        let function = survey.function(entry)?;
        let operation = OPERATION | number as u32;
        let hook = Hook { entry, operation, call, stack_pointer: survey.stack_pointer };
        if hooks.insert(function, hook).is_some() {
            return Err(fault("is in the table twice"));
        }
    }
    Ok(hooks)
}

/// Whether a prologue can be made of an entry.
fn check(entry: &Entry) -> Result<(), &'static str> {
    let parameters = entry.parameters.as_bytes();
    if parameters.len() * PARAMETER_BYTES > SPILL_BYTES as usize {
        return Err("has more parameters than can be spilled");
    }
    if parameters.iter().any(|letter| value_type(*letter).is_none()) {
        return Err("has a parameter that is not i, f or d");
    }
    if entry.result.is_some_and(|letter| !matches!(letter, 'f' | 'd') || parameters.is_empty()) {
        return Err("has a result that is not f or d, or no parameter that it could be written over");
    }
    if entry.sizes.iter().any(|size| parameters.get(*size) != Some(&b'i')) {
        return Err("has a size that is no i32 parameter");
    }
    Ok(())
}

fn value_type(letter: u8) -> Option<ValType> {
    match letter {
        b'i' => Some(ValType::I32),
        b'f' => Some(ValType::F32),
        b'd' => Some(ValType::F64),
        _ => None,
    }
}

/// What goes in front of one function.
struct Hook<'a> {
    entry: &'a Entry,
    /// With [`OPERATION`].
    operation: u32,
    /// Index of `host.call`.
    call: u32,
    /// Index of the global.
    stack_pointer: u32,
}

impl Hook<'_> {
    /// The body with the prologue in front. Its own local comes after the body's, whose indices stay as they are.
    fn in_front_of(&self, body: &FunctionBody<'_>) -> Result<Vec<u8>, RelinkError> {
        let mut locals = body.get_locals_reader()?;
        let groups = locals.get_count();
        let start = locals.original_position();
        let mut spill = self.entry.parameters.len() as u32;
        for _ in 0..groups {
            spill = spill.saturating_add(locals.read()?.0);
        }
        let (declared, own) = (locals.original_position() - start, start - body.range().start);
        let (declared, own) = body.as_bytes().get(own..).unwrap_or_default().split_at(declared);
        let mut bytes = Vec::with_capacity(body.as_bytes().len() + SPILL_BYTES as usize);
        (groups + 1).encode(&mut bytes);
        bytes.extend(declared);
        1_u32.encode(&mut bytes);
        ValType::I32.encode(&mut bytes);
        self.prologue(&mut InstructionSink::new(&mut bytes), spill);
        bytes.extend(own);
        Ok(bytes)
    }

    /// Instructions that return where the host has done the work, and go on otherwise; `spill` is the local that they
    /// use.
    ///
    /// The parameters are spilled below the stack pointer, which doesn't move: nothing of the guest's runs meanwhile. On
    /// a stack with less room than that, the address wraps and the store traps, or it falls among what lies below the
    /// stack, as the body's own, larger frame would. The host takes no address on trust.
    fn prologue(&self, code: &mut InstructionSink<'_>, spill: u32) {
        const OWN: u32 = 0;
        code.block(BlockType::Empty);
        self.product_of_sizes(code);
        // A size that is negative makes a product below it, or operands that the host declines.
        code.i64_const(i64::try_from(self.entry.least).unwrap_or(i64::MAX)).i64_lt_s().br_if(OWN);
        code.global_get(self.stack_pointer).i32_const(SPILL_BYTES).i32_sub();
        code.i32_const(-STACK_ALIGNMENT).i32_and().local_set(spill);
        let letters = self.entry.parameters.bytes();
        for (parameter, kind) in (0..).zip(letters.filter_map(value_type)) {
            let offset = u64::from(parameter) * PARAMETER_BYTES as u64;
            code.local_get(spill).local_get(parameter);
            match kind {
                ValType::F32 => code.f32_store(place(offset, 2)),
                ValType::F64 => code.f64_store(place(offset, 3)),
                _ => code.i32_store(place(offset, 2)),
            };
        }
        let parameters = self.entry.parameters.len() as i32;
        code.local_get(spill).i32_const(self.operation.cast_signed()).i32_const(0).i32_const(parameters);
        code.call(self.call).br_if(OWN);
        match self.entry.result {
            Some('f') => code.local_get(spill).f32_load(place(0, 2)),
            Some(_) => code.local_get(spill).f64_load(place(0, 3)),
            None => code,
        };
        code.return_().end();
    }

    /// Leaves the product as an i64, 1 where the entry has no sizes. A Fortran size is read through its pointer, which
    /// traps where it does in the body too. Sizes beyond any memory may wrap: they are for the body to refuse.
    fn product_of_sizes(&self, code: &mut InstructionSink<'_>) {
        if self.entry.sizes.is_empty() {
            code.i64_const(1);
        }
        for (place_in_list, size) in self.entry.sizes.iter().enumerate() {
            code.local_get(*size as u32);
            if matches!(self.entry.convention, Convention::Fortran) {
                code.i32_load(place(0, 2));
            }
            code.i64_extend_i32_s();
            if place_in_list > 0 {
                code.i64_mul();
            }
        }
    }
}

/// In the only memory.
fn place(offset: u64, align: u32) -> MemArg {
    MemArg { offset, align, memory_index: 0 }
}
