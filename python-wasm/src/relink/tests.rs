//! Relinked modules, run with hosts that answer as told.

use super::*;
use mecapy_linalg::Stop;
use wasmtime::{Caller, Engine, Extern, Instance, Linker, Memory, Store, Val};

/// Where [`MODULE`]'s stack pointer is: not aligned, so that aligning it shows.
const STACK_POINTER: u32 = 4_100;
const SPILLED_AT: u32 = (STACK_POINTER - SPILL_BYTES as u32) / 16 * 16;
/// Where the bodies of [`MODULE`] write what they were given.
const RESULTS: usize = 1_024;

/// `mixed_` and `cblas_mixed` have locals of all types in several groups, and use each.
const MODULE: &str = r#"(module
    (type $unused (func (param v128) (result externref)))
    (import "host" "other" (func $other (param i32)))
    (import "host" "call" (func $call (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (global $limit i32 (i32.const 9))
    (global $sp (mut i32) (i32.const 4100))
    (table funcref (elem $mixed_ $cblas_mixed))
    (func $before (export "before") (param i32) (result i32) (local f64 i32)
        (local.set 2 (i32.const 5))
        (i32.add (local.get 0) (local.get 2)))
    (func $mixed_ (export "mixed_") (param $m i32) (param $n i32) (param $alpha f32) (param $beta f64)
        (local $l i64) (local $a f64) (local $b f64) (local $i i32) (local $f f32)
        (block $fresh
            (br_if $fresh (i64.eqz (local.get $l)))
            unreachable)
        (local.set $l (i64.extend_i32_s (i32.add (i32.load (local.get $m)) (i32.load (local.get $n)))))
        (local.set $a (f64.mul (local.get $beta) (f64.const 2)))
        (local.set $b (f64.add (local.get $a) (f64.const 1)))
        (local.set $f (f32.neg (local.get $alpha)))
        (local.set $i (i32.const 1024))
        (i64.store (local.get $i) (local.get $l))
        (f64.store offset=8 (local.get $i) (local.get $b))
        (f32.store offset=16 (local.get $i) (local.get $f))
        (if (f64.lt (local.get $beta) (f64.const 0)) (then return))
        (i32.store offset=24 (local.get $i) (i32.const 1)))
    (func $cblas_mixed (export "cblas_mixed") (param $order i32) (param $n i32) (param $alpha f64)
        (i32.store (i32.const 1024) (local.get $n))
        (f64.store offset=8 (i32.const 1024) (local.get $alpha)))
    (func (export "through_call") (param i32 i32 f32 f64)
        (call $mixed_ (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    (func (export "through_table") (param i32 i32 f64)
        (call_indirect (param i32 i32 f64) (local.get 0) (local.get 1) (local.get 2) (i32.const 1)))
    (func $always_ (export "always_"))
    (func (export "stack_pointer") (result i32) (global.get $sp))
    (data (i32.const 16) "\03\00\00\00\04\00\00\00\ff\ff\ff\ff\ff\ff\ff\ff"))"#;

/// Addresses in [`MODULE`]'s data: 3, 4 and two of −1.
const THREE: i32 = 16;
const FOUR: i32 = 20;
const MINUS_ONE: i32 = 24;

fn entry(symbol: &'static str, parameters: &'static str, sizes: &'static [usize], least: u64) -> Entry {
    let convention = if symbol.starts_with("cblas_") { Convention::Cblas } else { Convention::Fortran };
    Entry { symbol, parameters, result: None, convention, sizes, least, kernel: |_, _| Err(Stop::Declined) }
}

fn table() -> [Entry; 3] {
    [entry("always_", "", &[], 1), entry("mixed_", "iifd", &[0, 1], 12), entry("cblas_mixed", "iid", &[1], 100)]
}

/// What the host was asked: the arguments, and the spilled parameters.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    arguments: [u32; 4],
    spilled: Vec<[u8; 8]>,
}

#[derive(Default)]
struct Host {
    answer: i32,
    /// Is put in the first parameter's place.
    result: Vec<u8>,
    asked: Vec<Asked>,
}

struct Running {
    store: Store<Host>,
    instance: Instance,
    memory: Memory,
}

impl Running {
    fn new(wasm: &[u8], answer: i32) -> Self {
        let engine = Engine::default();
        let module = wasmtime::Module::new(&engine, wasm).unwrap();
        let mut linker = Linker::new(&engine);
        linker.func_wrap("host", "other", |_: u32| {}).unwrap();
        linker.func_wrap("host", "call", answer_call).unwrap();
        let mut store = Store::new(&engine, Host { answer, ..Host::default() });
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Self { store, instance, memory }
    }

    /// Calls a function, and says what the host was asked meanwhile.
    fn call(&mut self, name: &str, arguments: &[Val]) -> Vec<Asked> {
        self.call_for(name, arguments).1
    }

    /// The same, and what the function returns.
    fn call_for(&mut self, name: &str, arguments: &[Val]) -> (Vec<Val>, Vec<Asked>) {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, arguments, &mut results).unwrap();
        (results, std::mem::take(&mut self.store.data_mut().asked))
    }

    fn bytes<const N: usize>(&self, address: usize) -> [u8; N] {
        self.memory.data(&self.store)[address..][..N].try_into().unwrap()
    }

    fn clear_results(&mut self) {
        self.memory.data_mut(&mut self.store)[RESULTS..][..64].fill(0);
    }
}

fn answer_call(mut caller: Caller<'_, Host>, request: u32, length: u32, out: u32, out_length: u32) -> i32 {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { panic!("no memory") };
    let (data, host) = memory.data_and_store_mut(&mut caller);
    let spilled = data[request as usize..][..8 * out_length as usize].as_chunks().0.to_vec();
    host.asked.push(Asked { arguments: [request, length, out, out_length], spilled });
    data[request as usize..][..host.result.len()].copy_from_slice(&host.result);
    host.answer
}

fn module() -> Vec<u8> {
    wat::parse_str(MODULE).unwrap()
}

fn relinked() -> Vec<u8> {
    let wasm = relink(&module(), &table()).unwrap();
    wasmparser::validate(&wasm).unwrap();
    wasm
}

fn mixed(m: i32, n: i32, alpha: f32, beta: f64) -> [Val; 4] {
    [m.into(), n.into(), alpha.into(), beta.into()]
}

#[test]
fn where_the_host_has_done_the_work_the_body_does_not_run() {
    let mut running = Running::new(&relinked(), 0);
    let asked = running.call("mixed_", &mixed(THREE, FOUR, 1.5, 2.5));
    assert_eq!(asked[0].arguments, [SPILLED_AT, 0x8000_0001, 0, 4]);
    let [m, n, alpha, beta] = asked[0].spilled[..] else { panic!("{asked:?}") };
    assert_eq!((&m[..4], &n[..4]), (&THREE.to_le_bytes()[..], &FOUR.to_le_bytes()[..]));
    assert_eq!((&alpha[..4], beta), (&1.5_f32.to_le_bytes()[..], 2.5_f64.to_le_bytes()));
    assert_eq!(asked.len(), 1);
    assert_eq!(running.bytes::<32>(RESULTS), [0; 32]);
}

#[test]
fn what_the_host_leaves_the_body_does_with_its_own_parameters_and_locals() {
    for answer in [1, -1, 7, i32::MIN] {
        let mut running = Running::new(&relinked(), answer);
        assert_eq!(running.call("mixed_", &mixed(THREE, FOUR, 1.5, 2.5)).len(), 1);
        assert_eq!(i64::from_le_bytes(running.bytes(RESULTS)), 7);
        assert_eq!(f64::from_le_bytes(running.bytes(RESULTS + 8)), 6.0);
        assert_eq!(f32::from_le_bytes(running.bytes(RESULTS + 16)), -1.5);
        assert_eq!(running.bytes(RESULTS + 24), [1, 0, 0, 0]);
        // The body's own `return` and labels mean what they did.
        running.clear_results();
        running.call("mixed_", &mixed(THREE, FOUR, 1.5, -1.0));
        assert_eq!(f64::from_le_bytes(running.bytes(RESULTS + 8)), -1.0);
        assert_eq!(running.bytes(RESULTS + 24), [0; 4]);
    }
}

#[test]
fn a_result_is_the_hosts_where_it_has_done_the_work_and_else_the_bodys() {
    let wasm = wat::parse_str(
        r#"(module
        (import "host" "other" (func (param i32)))
        (import "host" "call" (func (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (global (mut i32) (i32.const 4100))
        (func $double_ (export "double_") (param i32 f64) (result f64) (f64.mul (local.get 1) (f64.const 2)))
        (func $single_ (export "single_") (param f32) (result f32) (f32.neg (local.get 0))))"#,
    );
    let double = Entry { result: Some('d'), ..entry("double_", "id", &[], 1) };
    let single = Entry { result: Some('f'), ..entry("single_", "f", &[], 1) };
    let wasm = relink(&wasm.unwrap(), &[double, single]).unwrap();
    wasmparser::validate(&wasm).unwrap();
    let results = |answer| {
        let mut running = Running::new(&wasm, answer);
        running.store.data_mut().result = 0.75_f64.to_le_bytes().to_vec();
        let double = running.call_for("double_", &[Val::I32(0), 1.5_f64.into()]).0[0].unwrap_f64();
        running.store.data_mut().result = 0.25_f32.to_le_bytes().to_vec();
        (double, running.call_for("single_", &[1.5_f32.into()]).0[0].unwrap_f32())
    };
    assert_eq!(results(0), (0.75, 0.25));
    assert_eq!(results(1), (3.0, -1.5));
}

#[test]
fn below_the_least_product_the_host_is_not_asked() {
    let mut running = Running::new(&relinked(), 0);
    assert!(running.call("mixed_", &mixed(THREE, THREE, 1.0, 1.0)).is_empty());
    assert_eq!(i64::from_le_bytes(running.bytes(RESULTS)), 6);
    for (n, asks) in [(99, 0), (100, 1), (0, 0), (-1, 0), (i32::MIN, 0), (i32::MAX, 1)] {
        running.clear_results();
        let asked = running.call("cblas_mixed", &[101.into(), n.into(), 0.5.into()]);
        assert_eq!(asked.len(), asks, "{n}");
        let by_the_body = i32::from_le_bytes(running.bytes(RESULTS));
        assert_eq!(by_the_body, if asks == 0 { n } else { 0 });
    }
    // One negative size is below any least product; two are for the host to decline.
    assert!(running.call("mixed_", &mixed(THREE, MINUS_ONE, 1.0, 1.0)).is_empty());
    let wasm = relink(&module(), &[entry("mixed_", "iifd", &[0, 1], 1)]).unwrap();
    let asked = Running::new(&wasm, 1).call("mixed_", &mixed(MINUS_ONE, MINUS_ONE + 4, 1.0, 1.0));
    assert_eq!(asked.len(), 1);
}

#[test]
fn an_entry_without_sizes_is_always_asked_about() {
    let mut running = Running::new(&relinked(), 0);
    assert_eq!(running.call("always_", &[]), [Asked { arguments: [SPILLED_AT, 0x8000_0000, 0, 0], spilled: vec![] }]);
}

#[test]
fn every_way_to_a_function_passes_its_prologue_and_the_stack_pointer_stays() {
    let mut running = Running::new(&relinked(), 0);
    assert_eq!(running.call("through_call", &mixed(THREE, FOUR, 1.0, 1.0)).len(), 1);
    let asked = running.call("through_table", &[101.into(), 100.into(), 0.25.into()]);
    assert_eq!(asked[0].arguments, [SPILLED_AT, 0x8000_0002, 0, 3]);
    assert_eq!(asked[0].spilled[2], 0.25_f64.to_le_bytes());
    assert_eq!(running.bytes::<32>(RESULTS), [0; 32]);
    let stack_pointer = running.instance.get_typed_func::<(), u32>(&mut running.store, "stack_pointer").unwrap();
    assert_eq!(stack_pointer.call(&mut running.store, ()).unwrap(), STACK_POINTER);
}

type Section = (u8, Vec<u8>);
type Body = Vec<u8>;

/// Each section's number and content, and each body apart.
fn parts(wasm: &[u8]) -> (Vec<Section>, Vec<Body>) {
    let (mut sections, mut bodies) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.unwrap();
        match &payload {
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes().to_vec()),
            Payload::CodeSectionStart { .. } => sections.push((10, Vec::new())),
            other => sections.extend(other.as_section().map(|(id, range)| (id, wasm[range].to_vec()))),
        }
    }
    (sections, bodies)
}

#[test]
fn nothing_but_the_hooked_bodies_changes() {
    let (sections, bodies) = parts(&module());
    let (sections_after, bodies_after) = parts(&relinked());
    assert_eq!(sections, sections_after);
    let changed: Vec<usize> = (0..bodies.len()).filter(|index| bodies[*index] != bodies_after[*index]).collect();
    assert_eq!((changed, bodies.len()), (vec![1, 2, 5], bodies_after.len()));
    let untouched = relink(&module(), &[]).unwrap();
    assert_eq!(parts(&untouched), (sections, bodies));
}

#[test]
fn what_does_not_fit_the_table_is_an_error_that_names_it() {
    let call = r#"(import "host" "call" (func (param i32 i32 i32 i32) (result i32)))"#;
    let sp = "(global (mut i32) (i32.const 64))";
    let own = "(func $dgemv_ (param i32 i32))";
    let rows = [
        (format!("{call}{sp}{own}"), "dgemm_", "ii", "no function dgemm_"),
        (format!("{call}{sp}{own}"), "dgemv_", "iii", "dgemv_ is (ii), the native kernel's is (iii)"),
        (format!("{call}{sp}{own}"), "dgemv_", "id", "dgemv_ is (ii), the native kernel's is (id)"),
        (
            format!("{call}{sp}(func $dgemv_ (param i32 i64) (result f32) unreachable)"),
            "dgemv_",
            "il",
            "dgemv_ has a parameter that is not i, f or d",
        ),
        (
            format!("{call}{sp}(func $dgemv_ (param i32 i32) (result f32) unreachable)"),
            "dgemv_",
            "ii",
            "dgemv_ is (ii -> f), the native kernel's is (ii)",
        ),
        (
            format!(r#"{call}{sp}{own}(func (@name "dgemv_") (param i32 i32))"#),
            "dgemv_",
            "ii",
            "2 functions named dgemv_",
        ),
        (
            format!(r#"(import "env" "dgemv_" (func $dgemv_ (param i32 i32))){call}{sp}"#),
            "dgemv_",
            "ii",
            "imports dgemv_",
        ),
        (format!("{sp}{own}"), "dgemv_", "ii", "no import host.call"),
        (
            format!(r#"(import "host" "call" (func (param i32 i32 i32) (result i32))){sp}{own}"#),
            "dgemv_",
            "ii",
            "no import host.call",
        ),
        (format!("{call}{sp}{sp}{own}"), "dgemv_", "ii", "several mutable globals"),
        (format!("{call}{own}"), "dgemv_", "ii", "no mutable global"),
        (format!("{call}(global (mut i64) (i64.const 64)){own}"), "dgemv_", "ii", "a mutable global that is no i32"),
        (format!(r#"(import "env" "g" (global (mut i32))){call}{sp}{own}"#), "dgemv_", "ii", "several mutable globals"),
        (format!("{call}{sp}(func (param i32 i32))"), "dgemv_", "ii", "no names"),
    ];
    for (fields, symbol, parameters, expected) in rows {
        let wasm = wat::parse_str(format!("(module {fields} (memory 1))")).unwrap();
        let error = relink(&wasm, &[entry(symbol, parameters, &[0], 1)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{fields}: {error}");
    }
    assert!(matches!(relink(b"\x7fELF", &table()), Err(RelinkError::Parse(_))));
}

#[test]
fn an_entry_of_which_no_prologue_can_be_made_is_an_error() {
    let sizes: [(&'static str, &'static [usize]); 4] =
        [("iifd", &[2]), ("iifd", &[4]), ("iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii", &[0]), ("iix", &[0])];
    for (parameters, sizes) in sizes {
        let refused = relink(&module(), &[entry("mixed_", parameters, sizes, 1)]);
        assert!(matches!(refused, Err(RelinkError::Entry { .. })), "{parameters} {sizes:?}");
    }
    for (parameters, result) in [("", 'd'), ("iifd", 'i'), ("iifd", 'x')] {
        let refused = relink(&module(), &[Entry { result: Some(result), ..entry("mixed_", parameters, &[], 1) }]);
        assert!(matches!(refused, Err(RelinkError::Entry { .. })), "{parameters} {result}");
    }
    let [_, mixed, _] = table();
    let [_, again, _] = table();
    let refused = relink(&module(), &[mixed, again]).unwrap_err();
    assert_eq!(refused.to_string(), "the native kernel mixed_ is in the table twice");
}
