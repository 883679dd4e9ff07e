//! One row for each way a module can be bad, and modules made to break whoever checks them.

mod bombs;
mod components;
mod generated;

use super::*;
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// A module that is accepted, with `extra` inside.
fn command(extra: &str) -> String {
    format!("(module {extra} (memory (export \"memory\") 1) (func (export \"_start\")))")
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(bytes: &[u8]) -> Refused {
    match inspect(bytes) {
        Err(refused) => refused,
        Ok(info) => panic!("accepted: {info:?}"),
    }
}

#[test]
fn commands_are_accepted_and_described() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (memory (export "memory") 2 64) (table 4 funcref) (global (mut i32) (i32.const 7)) (tag (param i32))
        (data (i32.const 8) "text") (elem (i32.const 0) func 2)
        (func (export "_start") (block (try_table (catch_all 0) (throw 0 (i32.const 1)))) (return_call 3))
        (func (drop (i8x16.relaxed_swizzle (v128.const i64x2 1 2) (v128.const i64x2 1 2)))))"#;
    let info = inspect(&wat(text)).unwrap();
    assert_eq!((info.memory_min_pages, info.memory_max_pages, info.functions), (2, Some(64), 2));
    assert_eq!(info.imports.iter().map(|import| import.name.as_str()).collect::<Vec<_>>(), ["fd_write", "proc_exit"]);
    assert_eq!(
        info.exports.iter().map(|export| (export.name.as_str(), export.kind)).collect::<Vec<_>>(),
        [("memory", ExportKind::Memory), ("_start", ExportKind::Function)]
    );
    assert_eq!(info.warnings, []);
    assert!(inspect(&wat(&command("(start 0)"))).is_ok());
    let json = serde_json::to_value(&info).unwrap();
    assert_eq!(json["digest"].as_str().unwrap().len(), 64);
}

/// Each import that is accepted, with its name.
fn imports() -> impl Iterator<Item = (&'static str, String)> {
    super::imports::all().map(|(module, name, signature)| {
        let (parameters, results) = signature.split_once(':').unwrap();
        let word = |letter| match letter {
            'i' => " i32",
            'd' => " f64",
            _ => " i64",
        };
        let [parameters, results] = [parameters, results].map(|letters| letters.chars().map(word).collect::<String>());
        (name, format!("(import \"{module}\" \"{name}\" (func (param{parameters}) (result{results})))"))
    })
}

#[test]
fn every_function_that_is_offered_is_accepted_with_its_type() {
    for (name, import) in imports() {
        inspect(&wat(&command(&import))).unwrap_or_else(|refused| panic!("{name}: {refused}"));
    }
}

/// The host must have what is let through.
#[test]
fn every_accepted_import_exists_in_the_host() {
    let engine = crate::Engine::new(crate::NanPayloads::Native).unwrap();
    let imports: String = imports().map(|(_, import)| import).collect();
    let module = wasmtime::Module::new(engine.wasm(), wat(&command(&imports))).unwrap();
    assert!(crate::WasiModule::new(&engine, &module).is_ok());
}

#[test]
fn what_is_no_module_is_told_by_its_first_bytes() {
    let zeros = vec![0; 32 << 20];
    let rows: [(&[u8], &str); 9] = [
        (b"", "an empty file"),
        (b"\x7fELF\x02\x01\x01", "ELF"),
        (b"(module (func))", "text"),
        (b"  ;; a comment\n(module)", "text"),
        (&zeros, "something else"),
        (b"\0as", "something else"),
        (b"\0asm\x02\0\0\0", "unknown version"),
        (b"PK\x03\x04", "zip"),
        (b"#!/bin/sh", "something else"),
    ];
    for (bytes, words) in rows {
        let refused = refused(bytes);
        assert!(refused.is_other_media_type() && refused.to_string().contains(words), "{refused}");
    }
    assert!(matches!(refused(&vec![0; (32 << 20) + 1]), Refused::TooLarge { .. }));
}

#[test]
fn bad_modules_are_refused_with_a_reason() {
    let wasi = |name: &str, ty: &str| format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func {ty}))");
    let rows: Vec<(String, &str, &str)> = vec![
        (command("(import \"env\" \"emscripten_resize_heap\" (func (param i32) (result i32)))"), "import_not_available", "env.emscripten_resize_heap"),
        (command("(import \"env\" \"solve\" (func))"), "import_not_available", "Build with a WASI target"),
        ("(module (import \"env\" \"memory\" (memory 1)) (export \"memory\" (memory 0)) (func (export \"_start\")))".to_owned(), "import_not_available", "--import-memory"),
        (command("(import \"wasi_unstable\" \"fd_write\" (func (param i32 i32 i32 i32) (result i32)))"), "import_not_available", "wasi_unstable.fd_write"),
        (command(&wasi("sock_accept", "(param i32 i32 i32) (result i32)")), "import_not_available", "sock_accept: a sandbox has no network"),
        (command(&wasi("sock_open", "(param i32) (result i32)")), "import_not_available", "no network"),
        (command(&wasi("fd_frobnicate", "")), "import_not_available", "no such function"),
        (command(&wasi("fd_write", "(param i32 i32 i32) (result i32)")), "import_not_available", "as (i32, i32, i32) -> (i32); what is offered is (i32, i32, i32, i32) -> (i32)"),
        (command(&wasi("fd_write", "(param i32 i32 i32 i64) (result i32)")), "import_not_available", "i64"),
        (command("(import \"wasi_snapshot_preview1\" \"fd_write\" (global i32))"), "import_not_available", "only functions"),
        (command("(import \"host\" \"call\" (func (param i32 i32 i32 i32) (result i32)))"), "import_not_available", "host.call"),
        (command("(import \"mecapy_linalg\" \"nope\" (func (result i32)))"), "import_not_available", "mecapy_linalg.nope: its functions are dgemm, "),
        (command("(import \"mecapy_linalg\" \"dposv\" (func (param i32 i32 i32 i32 i32 f64) (result i32)))"), "import_not_available", "as (i32, i32, i32, i32, i32, f64) -> (i32); what is offered is (i32, i32, i32, i32, i32, i32) -> (i32)"),
        (command("(import \"mecapy_linalg\" \"dgemm\" (global i32))"), "import_not_available", "only functions"),
        (command("(import \"wasi\" \"thread-spawn\" (func (param i32) (result i32)))"), "import_not_available", "threads"),
        (command("(import \"wasi:io/poll@0.2.0\" \"poll\" (func))"), "import_not_available", "components"),
        (command("(import \"wbg\" \"x\" (func))"), "import_not_available", "wasm-bindgen"),
        (command("(import \"GOT.mem\" \"x\" (global (mut i32)))"), "import_not_available", "dynamic linking"),
        ("(module)".to_owned(), "export_missing", "_start"),
        ("(module (memory (export \"memory\") 1) (func (export \"main\")))".to_owned(), "export_missing", "_start"),
        ("(module (memory (export \"memory\") 1) (func (export \"_initialize\")))".to_owned(), "export_missing", "reactor"),
        ("(module (memory (export \"memory\") 1) (func (export \"_start\") (param i32)))".to_owned(), "export_missing", "takes parameters"),
        ("(module (memory (export \"memory\") 1) (func (export \"_start\") (result i32) i32.const 0))".to_owned(), "export_missing", "yields results"),
        ("(module (memory (export \"memory\") 1) (global (export \"_start\") i32 (i32.const 0)))".to_owned(), "export_missing", "_start"),
        ("(module (func (export \"_start\")))".to_owned(), "export_missing", "memory"),
        ("(module (memory 1) (func (export \"_start\")))".to_owned(), "export_missing", "memory"),
        ("(module (memory (export \"mem\") 1) (func (export \"_start\")))".to_owned(), "export_missing", "memory"),
        (command("(memory 1)"), "module_over_limit", "2 memories"),
        ("(module (memory (export \"memory\") i64 1) (func (export \"_start\")))".to_owned(), "module_invalid", "64-bit memory"),
        ("(module (memory (export \"memory\") 1 2 shared) (func (export \"_start\")))".to_owned(), "module_invalid", "threads"),
        ("(module (memory (export \"memory\") 1) (func (export \"_start\") (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))".to_owned(), "module_invalid", "threads"),
        ("(module (memory (export \"memory\") 1 (pagesize 1)) (func (export \"_start\")))".to_owned(), "module_invalid", "page"),
        ("(module (memory (export \"memory\") 40000) (func (export \"_start\")))".to_owned(), "module_over_limit", "40000 pages"),
        (command("(type (struct (field i32)))"), "module_invalid", "garbage-collected"),
        (command("(global externref (ref.null extern))"), "module_invalid", ""),
        (command("(table 10000000 funcref)"), "module_over_limit", "table elements"),
        (command(&"(table 1 funcref)".repeat(100)), "module_over_limit", "tables"),
        (command("(func (result i32) i64.const 1)"), "module_invalid", "type mismatch"),
        (command("(type $t (func)) (type $c (cont $t))"), "module_invalid", ""),
    ];
    for (text, code, words) in rows {
        let refused = refused(&wat(&text));
        assert!(refused.code() == code && refused.to_string().contains(words), "{text}\n{}: {refused}", refused.code());
    }
}

#[test]
fn imports_and_names_are_bounded() {
    let long = "x".repeat(5_000);
    assert_eq!(refused(&wat(&command(&format!("(func (export \"{long}\"))")))).code(), "module_over_limit");
    let odd = refused(&wat(&command("(import \"a\\n\\1b[31m\" \"b\" (func))"))).to_string();
    assert!(!odd.contains(['\n', '\x1b']), "{odd:?}");
    let import = "(import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32)))";
    assert_eq!(refused(&wat(&command(&import.repeat(limits::IMPORTS_MAX + 1)))).code(), "module_over_limit");
}

#[test]
fn custom_sections_are_ignored_however_odd_and_told_of_if_large() {
    let mut module = wat(&command(""));
    for (name, data) in [
        ("name", vec![0xff; 100]),
        (".debug_info", vec![7; 3_000]),
        ("producers", vec![0x80; 10]),
        ("huge", vec![1; 1 << 20]),
        ("", vec![]),
    ] {
        let section = wasm_encoder::CustomSection { name: Cow::Borrowed(name), data: Cow::Owned(data) };
        module.push(0);
        wasm_encoder::Encode::encode(&section, &mut module);
    }
    let info = inspect(&module).unwrap();
    let codes: Vec<&str> = info.warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!(codes, ["debug_information", "custom_sections"]);
    assert!(info.warnings[0].message.starts_with("3 KiB"));
    let reactor = inspect(&wat(&command("(func (export \"_initialize\"))"))).unwrap();
    assert_eq!(reactor.warnings[0].code, "reactor");
}

#[test]
fn compile_bombs_are_refused_by_the_counters() {
    for (name, module) in bombs::rows() {
        let started = Instant::now();
        let refused = refused(&module);
        assert_eq!(refused.code(), "module_over_limit", "{name}: {refused}");
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
    }
}

/// Every prefix of a module, and the module with each byte changed: an answer, never a panic.
#[test]
fn cut_and_changed_modules_get_an_answer() {
    let module = wat(
        r#"(module (type (func (param i32 i64) (result f64))) (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
        (memory (export "memory") 1 4) (table 2 8 funcref) (global (mut i64) (i64.const 9)) (tag (param i32))
        (func (export "_start") (local i32 f32 v128) (block (loop (br_table 0 1 0 (local.get 0)))) (drop (call 0 (i32.const 3))))
        (func (param i32 i64) (result f64) (if (result f64) (local.get 0) (then (f64.const 1)) (else (f64.load offset=8 (i32.const 0)))))
        (func (data.drop 1) (try_table (catch_all 0) (throw 0 (i32.const 1))) unreachable)
        (elem (i32.const 0) func 1 2) (data (i32.const 16) "data") (data "passive") (start 1))"#,
    );
    inspect(&module).unwrap();
    let mut accepted = 0;
    for end in 0..module.len() {
        assert!(inspect(&module[..end]).is_err(), "a module cut at {end} was accepted");
    }
    for index in 8..module.len() {
        for value in [0, 1, 0x0b, 0x40, 0x7f, 0x80, 0xff, module[index] ^ 1, module[index].wrapping_add(1)] {
            let mut changed = module.clone();
            changed[index] = value;
            accepted += usize::from(inspect(&changed).is_ok());
        }
    }
    assert!(accepted > 0, "no change was harmless: is the module accepted at all?");
}

/// Whatever is let through must compile: what is validated here is what the engine validates.
#[test]
fn the_engine_accepts_what_is_accepted() {
    let engine = crate::Engine::new(crate::NanPayloads::Native).unwrap();
    for text in [
        command("(func (drop (i32.trunc_sat_f32_s (f32.const 1))) (return_call 0))"),
        command("(func (block (result exnref) (try_table (catch_all_ref 0)) unreachable) drop)"),
    ] {
        let module = wat(&text);
        if inspect(&module).is_ok() {
            wasmtime::Module::new(engine.wasm(), &module).unwrap();
        }
    }
    let most = super::inspect::FEATURES;
    for flag in [
        wasmparser::WasmFeatures::THREADS,
        wasmparser::WasmFeatures::MEMORY64,
        wasmparser::WasmFeatures::MULTI_MEMORY,
        wasmparser::WasmFeatures::GC,
        wasmparser::WasmFeatures::GC_TYPES,
    ] {
        assert!(!most.contains(flag));
    }
}
