//! Calls by a guest that means no good: whatever the parameters, memory changes only where the function's output is, and
//! not at all where the call is declined.

use super::super::{Convention, Entry, TABLE, call};
use crate::{Context, Host, Instructions, Stop};
use proptest::prelude::*;

const MEMORY_BYTES: usize = 1 << 16;
const PARAMETERS_AT: usize = 256;
const FLAGS_AT: usize = 512;
const SIZES_AT: usize = 544;
const STEPS_AT: usize = 608;
const SCALARS_AT: usize = 672;
/// Ones, which are good pivots.
const PIVOTS_AT: usize = 1024;
const ARRAYS_AT: usize = 2048;

/// Sides, parts, transposes and diagonals, four each; and some that are none.
const FLAGS: &[u8; 20] = b"LRlrULulNTCcNUnuXR*\0";
const SIZES: [i32; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 0, -1, i32::MAX];
const STEPS: [i32; 16] = [12, 12, 12, 13, 16, 16, 16, 24, 30, 1, 1, -1, 2, -3, 0, i32::MIN];

/// What each parameter is, without a layout: `h` a side, `u` a part, `t` a transpose, `d` a diagonal, `n` a size, `s` a scalar, `a` an array, `l` its leading dimension or
/// step, `p` integers.
fn roles(function: &str) -> &'static str {
    match function {
        "gemm" => "ttnnnsalalsal",
        "symm" | "hemm" => "hunnsalalsal",
        "syr2k" | "her2k" => "utnnsalalsal",
        "syrk" | "herk" => "utnnsalsal",
        "trmm" | "trsm" => "hutdnnsalal",
        "gemv" => "tnnsalalsal",
        "symv" | "hemv" => "unsalalsal",
        "ger" | "geru" | "gerc" => "nnsalalal",
        "syr2" | "her2" => "unsalalal",
        "trsv" | "trmv" => "utdnalal",
        "getrf" => "nnalpp",
        "getrs" => "tnnalpalp",
        "gesv" => "nnalpalp",
        "potrf" | "lauum" => "unalp",
        "potrs" => "unnalalp",
        "trtri" => "udnalp",
        "syr" | "her" => "unsalal",
        "nrm2" | "cnrm2" | "znrm2" => "nal",
        "laed4" => "nnaaasap",
        _ => panic!("a function without roles: {function}"),
    }
}

/// The name without the kind of numbers and the convention.
fn function(entry: &Entry) -> &'static str {
    let name = entry.symbol.strip_prefix("cblas_").unwrap_or(entry.symbol);
    name[1..].trim_end_matches('_')
}

fn element_bytes(entry: &Entry) -> usize {
    match entry.symbol.trim_start_matches("cblas_").as_bytes()[0] {
        b's' => 4,
        b'z' => 16,
        _ => 8,
    }
}

/// One parameter: something that suits its role, or any word.
#[derive(Debug, Clone, Copy)]
enum Parameter {
    Suiting(u32),
    Any(u32),
}

#[derive(Debug, Clone)]
struct Call {
    operation: usize,
    parameters: Vec<Parameter>,
    seed: u64,
    host: Rationed,
}

/// A host that has so much scratch memory, and interrupts after so many pieces of work.
#[derive(Debug, Clone, Copy)]
struct Rationed {
    pieces: u64,
    scratch_bytes: u64,
}

impl Host for Rationed {
    fn work(&mut self, _flops: u64) -> Result<(), Stop> {
        self.pieces = self.pieces.checked_sub(1).ok_or(Stop::Interrupted)?;
        Ok(())
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), Stop> {
        self.scratch_bytes = self.scratch_bytes.checked_sub(bytes).ok_or(Stop::Declined)?;
        Ok(())
    }

    fn release(&mut self, bytes: u64) {
        self.scratch_bytes += bytes;
    }
}

fn calls() -> impl Strategy<Value = Call> {
    let parameter =
        prop_oneof![24 => any::<u32>().prop_map(Parameter::Suiting), 1 => any::<u32>().prop_map(Parameter::Any)];
    let pieces = prop_oneof![4 => Just(u64::MAX), 1 => 0..6u64];
    let scratch = prop_oneof![4 => Just(1 << 40), 1 => 0..1_000_000u64];
    let host = (pieces, scratch).prop_map(|(pieces, scratch_bytes)| Rationed { pieces, scratch_bytes });
    (0..TABLE.len(), prop::collection::vec(parameter, 14), any::<u64>(), host)
        .prop_map(|(operation, parameters, seed, host)| Call { operation, parameters, seed, host })
}

/// The memory of a call, with its parameters in it.
fn memory_of(call: &Call) -> Vec<u64> {
    let entry = &TABLE[call.operation];
    let mut state = call.seed | 1;
    let mut memory: Vec<u8> = (0..MEMORY_BYTES / 8)
        .flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Numbers about 1, in either precision: bytes of an f64, or of two f32s.
            if state >> 63 == 0 {
                (1.0 + state as f64 / 2e19).to_le_bytes()
            } else {
                [0, 0, 0x40, 0x3f, 0, 0, 0x80, 0x3f]
            }
        })
        .collect();
    memory[FLAGS_AT..FLAGS_AT + 20].copy_from_slice(FLAGS);
    let integers =
        |integers: &[i32]| -> Vec<u8> { integers.iter().flat_map(|integer| integer.to_le_bytes()).collect() };
    memory[SIZES_AT..SIZES_AT + 64].copy_from_slice(&integers(&SIZES));
    memory[STEPS_AT..STEPS_AT + 64].copy_from_slice(&integers(&STEPS));
    memory[PIVOTS_AT..PIVOTS_AT + 256].copy_from_slice(&integers(&[1; 64]));
    let is_c = entry.convention == Convention::Cblas;
    let roles = roles(function(entry)).chars();
    let roles: Vec<char> = if is_c { std::iter::once('y').chain(roles).collect() } else { roles.collect() };
    assert_eq!(roles.len(), entry.parameters.len(), "{}", entry.symbol);
    for (index, (role, parameter)) in roles.iter().zip(&call.parameters).enumerate() {
        let word = match *parameter {
            Parameter::Any(word) => word,
            Parameter::Suiting(word) => suiting(*role, word as usize, is_c) as u32,
        };
        let at = PARAMETERS_AT + 8 * index;
        memory[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    memory.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn suiting(role: char, word: usize, is_c: bool) -> usize {
    let sixteenth = word % 16;
    match (role, is_c) {
        ('y', _) => 101 + word % 2,
        ('t', true) => 111 + word % 4,
        ('u', true) => 121 + word % 2,
        ('n', true) => SIZES[sixteenth] as u32 as usize,
        ('l', true) => STEPS[sixteenth] as u32 as usize,
        ('h' | 'u' | 't' | 'd', false) if sixteenth == 0 => FLAGS_AT + 16 + word / 16 % 4,
        ('h', false) => FLAGS_AT + word % 4,
        ('u', false) => FLAGS_AT + 4 + word % 4,
        ('t', false) => FLAGS_AT + 8 + word % 4,
        ('d', false) => FLAGS_AT + 12 + word % 4,
        ('n', false) => SIZES_AT + 4 * sixteenth,
        ('l', false) => STEPS_AT + 4 * sixteenth,
        ('s', _) => SCALARS_AT + 5 * sixteenth,
        ('p', _) if !word.is_multiple_of(3) => PIVOTS_AT + 4 * (word / 3 % 60),
        // A few are misaligned, and a few reach beyond the end.
        _ => ARRAYS_AT + word / 16 % (MEMORY_BYTES - ARRAYS_AT) / 16 * 16 + if sixteenth == 0 { 4 } else { 0 },
    }
}

/// Reads a call's arguments again, in its own way.
struct Reader<'m> {
    memory: &'m [u8],
    entry: &'static Entry,
    roles: &'static str,
}

impl Reader<'_> {
    fn word(&self, at: usize) -> i64 {
        i64::from(i32::from_le_bytes(self.memory[at..at + 4].try_into().unwrap()))
    }

    /// Where the parameter is that is the nth of that role.
    fn parameter(&self, role: char, nth: usize) -> usize {
        let index = self.roles.char_indices().filter(|(_, found)| *found == role).nth(nth).unwrap().0;
        PARAMETERS_AT + 8 * (index + usize::from(self.entry.convention == Convention::Cblas))
    }

    fn integer(&self, role: char, nth: usize) -> i64 {
        let word = self.word(self.parameter(role, nth));
        if self.entry.convention == Convention::Cblas { word } else { self.word(word as u32 as usize) }
    }

    fn address(&self, role: char, nth: usize) -> usize {
        self.word(self.parameter(role, nth)) as u32 as usize
    }

    /// Whether the matrix is plain, by the first transpose.
    fn is_plain(&self) -> bool {
        let word = self.word(self.parameter('t', 0)) as u32 as usize;
        if self.entry.convention == Convention::Cblas { word == 111 } else { b"Nn".contains(&self.memory[word]) }
    }
}

/// The bytes that a call may write, of one that was not declined.
fn writable(memory: &[u8], entry: &'static Entry) -> Vec<bool> {
    let function = function(entry);
    let reader = Reader { memory, entry, roles: roles(function) };
    let size = |nth| reader.integer('n', nth) as usize;
    if let Some(kind) = entry.result {
        return only(memory, &[(PARAMETERS_AT, if kind == 'f' { 4 } else { 8 })]);
    }
    if function == "laed4" {
        let bytes = element_bytes(entry);
        let [differences, root] = [2, 3].map(|nth| reader.address('a', nth));
        return only(memory, &[(differences, bytes * size(0)), (root, bytes), (reader.address('p', 0), 4)]);
    }
    let arrays = reader.roles.matches('a').count();
    let (array, is_vector, (rows, cols)) = match function {
        "gemm" | "symm" | "hemm" | "trmm" | "trsm" | "ger" | "geru" | "gerc" => (arrays - 1, false, (size(0), size(1))),
        "gemv" => (2, true, (size(if reader.is_plain() { 0 } else { 1 }), 1)),
        "symv" | "hemv" | "trsv" | "trmv" => (arrays - 1, true, (size(0), 1)),
        "getrf" => (0, false, (size(0), size(1))),
        "getrs" | "potrs" => (1, false, (size(0), size(1))),
        "gesv" => (1, false, (size(0), size(1))),
        _ => (arrays - 1, false, (size(0), size(0))),
    };
    let mut may_change = vec![false; memory.len()];
    let mut matrix = |array: usize, (rows, cols): (usize, usize)| {
        let (at, step, bytes) = (reader.address('a', array), reader.integer('l', array), element_bytes(entry));
        let is_by_rows = entry.convention == Convention::Cblas && reader.word(PARAMETERS_AT) == 101;
        let step = step.unsigned_abs() as usize;
        let (run, count) = match (is_vector, is_by_rows) {
            (true, _) => (1, rows),
            (false, true) => (cols, rows),
            (false, false) => (rows, cols),
        };
        for index in 0..count {
            let at = at + index * step * bytes;
            may_change[at..at + run * bytes].fill(true);
        }
    };
    matrix(array, (rows, cols));
    if function == "gesv" {
        matrix(0, (rows, rows));
    }
    let integers = reader.roles.matches('p').count();
    for nth in 0..integers {
        let (at, is_info) = (reader.address('p', nth), nth + 1 == integers);
        let count = match (is_info, function) {
            (true, _) => 1,
            (false, "getrs") => 0,
            _ => rows.min(cols.max(if function == "gesv" { rows } else { 0 })),
        };
        may_change[at..at + 4 * count].fill(true);
    }
    may_change
}

/// Those bytes: where each range begins, and how long it is.
fn only(memory: &[u8], ranges: &[(usize, usize)]) -> Vec<bool> {
    let mut may_change = vec![false; memory.len()];
    for (at, bytes) in ranges {
        may_change[*at..at + bytes].fill(true);
    }
    may_change
}

fn run(call_: &Call) -> (Vec<u8>, Vec<u8>, Result<(), Stop>) {
    let mut memory = memory_of(call_);
    let before: Vec<u8> = memory.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut host = call_.host;
    let best = Instructions::default();
    let instructions = if best.are_available() { best } else { Instructions::X86_64 };
    let mut cx = Context::new(&mut host, instructions).unwrap();
    // SAFETY: the bytes of those words, which nobody else uses meanwhile.
    let bytes = unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<u8>(), MEMORY_BYTES) };
    let result = call(&mut cx, bytes, call_.operation as u32, PARAMETERS_AT as u32);
    assert_eq!(host.scratch_bytes, call_.host.scratch_bytes, "scratch that was not given back");
    (before, bytes.to_vec(), result)
}

fn check(call: &Call) -> Result<(), Stop> {
    let (before, after, result) = run(call);
    let entry = &TABLE[call.operation];
    if result == Err(Stop::Declined) {
        assert!(before == after, "{}: declined after it wrote", entry.symbol);
        return result;
    }
    let may_change = writable(&before, entry);
    let changed = (0..MEMORY_BYTES).find(|at| before[*at] != after[*at] && !may_change[*at]);
    assert_eq!(changed, None, "{}: wrote outside its output", entry.symbol);
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn whatever_a_guest_asks_for_is_done_within_its_output_or_leaves_no_trace(call in calls()) {
        let _ = check(&call);
    }
}

#[test]
fn each_function_is_done_now_and_then_among_such_calls() {
    let mut done = vec![0; TABLE.len()];
    let mut state = 1u64;
    for operation in (0..TABLE.len()).cycle().take(TABLE.len() * 400) {
        let parameters = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Parameter::Suiting((state >> 32) as u32)
        });
        let parameters = parameters.take(14).collect();
        let host = Rationed { pieces: u64::MAX, scratch_bytes: 1 << 40 };
        let call = Call { operation, parameters, seed: 5, host };
        done[operation] += u32::from(check(&call).is_ok());
    }
    let never: Vec<_> =
        TABLE.iter().zip(&done).filter(|(_, done)| **done == 0).map(|(entry, _)| entry.symbol).collect();
    assert!(never.is_empty(), "{never:?}");
}
