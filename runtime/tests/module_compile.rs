//! Compilation in a child process, and the cache: through the example `compile_child`, which is the hidden command.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail.

use mecapy_model::Digest;
use mecapy_runtime::module::{
    Artefacts, ArtefactsError, CacheConfig, CompileError, CompileLimits, Compiler, ModuleCache, ModuleError, Refused,
    inspect,
};
use mecapy_runtime::{Engine, NanPayloads};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples/compile_child");
    assert!(program.exists(), "{} is missing: build the examples", program.display());
    program
}

fn compiler(limits: CompileLimits) -> Compiler {
    Compiler { program: program(), limits, ..Compiler::new(NanPayloads::Native) }
}

fn module(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module (memory (export \"memory\") 1) (func (export \"_start\") {body}))")).unwrap()
}

/// Code that takes the compiler seconds: many live values, far from each other.
fn dear(functions: usize) -> Vec<u8> {
    let values: String = (0..900)
        .map(|i| format!("(local.set {i} (i64.mul (i64.load offset={} (i32.const 0)) (i64.const {i})))", i * 8))
        .collect();
    let uses: String = (0..900)
        .map(|i| {
            format!(
                "(i64.store offset={} (i32.const 8) (i64.add (local.get {i}) (local.get {})))",
                i * 8,
                (i * 7) % 900
            )
        })
        .collect();
    let locals = "i64 ".repeat(900);
    let body = format!("(local {locals}) {values} (loop {uses} {values} (br_if 0 (i64.eqz (local.get 5))))");
    let extra: String = (0..functions).map(|_| format!("(func {body})")).collect();
    wat::parse_str(format!("(module (memory (export \"memory\") 1) (func (export \"_start\")) {extra})")).unwrap()
}

fn digest(wasm: &[u8]) -> Digest {
    inspect(wasm).unwrap().digest
}

#[test]
fn a_module_is_compiled_and_loads() {
    let engine = Engine::new(NanPayloads::Native).unwrap();
    let code = compiler(CompileLimits::default()).compile(&module("nop")).unwrap();
    // SAFETY: made by our own compiler a moment ago.
    let loaded = unsafe { wasmtime::Module::deserialize(engine.wasm(), &code) }.unwrap();
    assert!(loaded.get_export("_start").is_some());
}

#[test]
fn limits_stop_the_compiler_and_are_named() {
    let (dear, cheap) = (dear(60), module("nop"));
    let limits = CompileLimits::default();
    let rows = [
        (&dear, CompileLimits { wall: Duration::from_millis(30), ..limits }, "elapsed time"),
        (&dear, CompileLimits { cpu: Duration::from_secs(1), ..limits }, "processor time"),
        (&dear, CompileLimits { address_space_bytes: 28 << 20, ..limits }, "memory"),
        (&cheap, CompileLimits { artefact_bytes: 512, ..limits }, "size of the code"),
    ];
    for (wasm, limits, expected) in rows {
        let started = Instant::now();
        let error = compiler(limits).compile(wasm).unwrap_err();
        assert!(
            matches!(&error, CompileError::Refused(Refused::CompileTooExpensive { limit }) if *limit == expected),
            "{expected}: {error:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn what_does_not_compile_and_what_is_no_compiler_are_told_apart() {
    let error = compiler(CompileLimits::default()).compile(b"\0asm\x01\0\0\0\xff").unwrap_err();
    assert!(
        matches!(&error, CompileError::Refused(Refused::CompileFailed { reason }) if !reason.is_empty()),
        "{error:?}"
    );
    let other = |program: &str| Compiler { program: program.into(), ..Compiler::new(NanPayloads::Native) };
    assert!(matches!(other("/bin/false").compile(&module("nop")), Err(CompileError::NotSetUp(_))));
    assert!(matches!(other("/no/such/program").compile(&module("nop")), Err(CompileError::Io(_))));
}

fn cache(engine: &Engine, folder: &Path) -> ModuleCache {
    ModuleCache::open(engine, CacheConfig::new(folder.join("modules"), compiler(CompileLimits::default()))).unwrap()
}

#[test]
fn a_module_is_compiled_once_and_kept() {
    let (engine, folder, wasm) =
        (Engine::new(NanPayloads::Native).unwrap(), tempfile::tempdir().unwrap(), module("nop"));
    let reads = AtomicUsize::new(0);
    let read = || {
        reads.fetch_add(1, Ordering::Relaxed);
        Ok(wasm.clone())
    };
    let first = cache(&engine, folder.path());
    assert!(first.loaded(digest(&wasm)).is_none());
    let modules: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| first.get(digest(&wasm), read).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    assert!(modules.iter().all(|module| Arc::ptr_eq(module, &modules[0])));
    assert!(first.loaded(digest(&wasm)).is_some());
    // Another process would find it in the folder, without the module's bytes.
    cache(&engine, folder.path()).get(digest(&wasm), || panic!("the module was read again")).unwrap();
}

#[test]
fn files_that_were_cut_changed_or_renamed_are_compiled_again() {
    let (engine, folder, wasm) =
        (Engine::new(NanPayloads::Native).unwrap(), tempfile::tempdir().unwrap(), module("nop"));
    let other = module("nop nop");
    cache(&engine, folder.path()).get(digest(&wasm), || Ok(wasm.clone())).unwrap();
    let file_of = |wasm: &[u8]| {
        let name = digest(wasm).to_string();
        let files = std::fs::read_dir(folder.path().join("modules")).unwrap().map(|entry| entry.unwrap().path());
        files.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&name))
    };
    let path = file_of(&wasm).unwrap();
    let good = std::fs::read(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let changed = |index: usize| {
        let mut bytes = good.clone();
        bytes[index] ^= 1;
        bytes
    };
    let elf: Vec<u8> = good[..good.len() - 48].to_vec();
    for bad in [
        Vec::new(),
        good[..100].to_vec(),
        good[..good.len() - 1].to_vec(),
        changed(0),
        changed(good.len() / 2),
        changed(good.len() - 1),
        elf,
    ] {
        std::fs::write(&path, bad).unwrap();
        let reads = AtomicUsize::new(0);
        let again = cache(&engine, folder.path()).get(digest(&wasm), || {
            reads.fetch_add(1, Ordering::Relaxed);
            Ok(wasm.clone())
        });
        assert!(again.is_ok() && reads.load(Ordering::Relaxed) == 1);
        assert_eq!(std::fs::read(&path).unwrap().len(), good.len());
    }
    // The code of one module under the name of another.
    let name =
        path.file_name().unwrap().to_str().unwrap().replace(&digest(&wasm).to_string(), &digest(&other).to_string());
    std::fs::copy(&path, path.with_file_name(name)).unwrap();
    let reads = AtomicUsize::new(0);
    cache(&engine, folder.path())
        .get(digest(&other), || {
            reads.fetch_add(1, Ordering::Relaxed);
            Ok(other.clone())
        })
        .unwrap();
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    // A link is not followed.
    std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
    let artefacts = Artefacts::open(&folder.path().join("modules"), 1 << 30).unwrap();
    assert!(artefacts.read(path.file_stem().unwrap().to_str().unwrap()).is_none());
}

#[test]
fn refusals_and_failures_reach_everyone_and_only_refusals_are_kept() {
    let (engine, folder) = (Engine::new(NanPayloads::Native).unwrap(), tempfile::tempdir().unwrap());
    let cache = cache(&engine, folder.path());
    let wasm = module("nop");
    let bad = Digest([7; 32]);
    assert!(matches!(cache.get(bad, || Ok(wasm.clone())), Err(ModuleError::WrongBytes(_))));
    assert!(matches!(cache.get(bad, || Err(std::io::Error::other("gone"))), Err(ModuleError::Read(_))));
    assert!(matches!(cache.get(bad, || Ok(b"not wasm".to_vec())), Err(ModuleError::Refused(Refused::NotWasm { .. }))));
    assert!(matches!(
        cache.get(bad, || panic!("the refusal was forgotten")),
        Err(ModuleError::Refused(Refused::NotWasm { .. }))
    ));
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cache.get(digest(&wasm), || panic!("on purpose"))));
    assert!(panicked.is_err());
    cache.get(digest(&wasm), || Ok(wasm.clone())).unwrap();
}

#[test]
fn memory_and_disk_are_bounded() {
    let (engine, folder) = (Engine::new(NanPayloads::Native).unwrap(), tempfile::tempdir().unwrap());
    let modules: Vec<Vec<u8>> = (0..4).map(|count| module(&"nop ".repeat(count))).collect();
    let mut config = CacheConfig::new(folder.path().join("modules"), compiler(CompileLimits::default()));
    (config.loaded_bytes_max, config.folder_bytes_max) = (1, 1);
    let cache = ModuleCache::open(&engine, config).unwrap();
    for wasm in &modules {
        cache.get(digest(wasm), || Ok(wasm.clone())).unwrap();
        assert!(cache.loaded(digest(wasm)).is_none(), "kept beyond the limit");
        assert_eq!(std::fs::read_dir(folder.path().join("modules")).unwrap().count(), 1);
    }
}

#[test]
fn a_folder_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(Artefacts::open(&open, 1), Err(ArtefactsError::NotPrivate { .. })));
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    assert!(matches!(Artefacts::open(&link, 1), Err(ArtefactsError::NotPrivate { .. })));
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(Artefacts::open(&file, 1).is_err());
    let made = folder.path().join("made/deep");
    let artefacts = Artefacts::open(&made, 1).unwrap();
    assert_eq!(std::fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(artefacts.write("../x", b"").is_err() && artefacts.read("../x").is_none());
}
