//! What may be imported: by a command module the functions of WASI preview 1 and of `mecapy_linalg`, with exactly their
//! types; by a component the interfaces of WASI 0.2 that are offered, and those of the world `mecapy:task`.

use super::Refused;
use super::limits::NAME_BYTES_MAX;
use crate::sandbox::{LINALG_FUNCTIONS, LINALG_MODULE, WORLD_INTERFACES, WORLD_VERSION};
use crate::wasi::{MODULE, preview2};
use wasmparser::{FuncType, ValType};

/// Every function of preview 1 but those of sockets; `i` is i32, `I` is i64 and `d` is f64, results after the colon.
const FUNCTIONS: [(&str, &str); 42] = [
    ("args_get", "ii:i"),
    ("args_sizes_get", "ii:i"),
    ("clock_res_get", "ii:i"),
    ("clock_time_get", "iIi:i"),
    ("environ_get", "ii:i"),
    ("environ_sizes_get", "ii:i"),
    ("fd_advise", "iIIi:i"),
    ("fd_allocate", "iII:i"),
    ("fd_close", "i:i"),
    ("fd_datasync", "i:i"),
    ("fd_fdstat_get", "ii:i"),
    ("fd_fdstat_set_flags", "ii:i"),
    ("fd_fdstat_set_rights", "iII:i"),
    ("fd_filestat_get", "ii:i"),
    ("fd_filestat_set_size", "iI:i"),
    ("fd_filestat_set_times", "iIIi:i"),
    ("fd_pread", "iiiIi:i"),
    ("fd_prestat_dir_name", "iii:i"),
    ("fd_prestat_get", "ii:i"),
    ("fd_pwrite", "iiiIi:i"),
    ("fd_read", "iiii:i"),
    ("fd_readdir", "iiiIi:i"),
    ("fd_renumber", "ii:i"),
    ("fd_seek", "iIii:i"),
    ("fd_sync", "i:i"),
    ("fd_tell", "ii:i"),
    ("fd_write", "iiii:i"),
    ("path_create_directory", "iii:i"),
    ("path_filestat_get", "iiiii:i"),
    ("path_filestat_set_times", "iiiiIIi:i"),
    ("path_link", "iiiiiii:i"),
    ("path_open", "iiiiiIIii:i"),
    ("path_readlink", "iiiiii:i"),
    ("path_remove_directory", "iii:i"),
    ("path_rename", "iiiiii:i"),
    ("path_symlink", "iiiii:i"),
    ("path_unlink_file", "iii:i"),
    ("poll_oneoff", "iiii:i"),
    ("proc_exit", "i:"),
    ("proc_raise", "i:i"),
    ("random_get", "ii:i"),
    ("sched_yield", ":i"),
];

/// Accepts an imported function; `signature` is none where the import is no function.
pub(super) fn check(module: &str, name: &str, signature: Option<&FuncType>) -> Result<(), Refused> {
    let refuse = |reason| Err(Refused::Import { module: shortened(module), name: shortened(name), reason });
    let functions = match module {
        MODULE if name.starts_with("sock_") => {
            return refuse(
                "a sandbox has no network; build without sockets, inputs arrive on stdin and under /work/in",
            );
        }
        MODULE => &FUNCTIONS[..],
        LINALG_MODULE => &LINALG_FUNCTIONS[..],
        _ => return refuse(advice(module, name)),
    };
    let Some(&(_, expected)) = functions.iter().find(|(known, _)| *known == name) else {
        return refuse(if module == MODULE {
            "WASI preview 1 has no such function; build with a current WASI toolchain (target wasm32-wasip1)"
        } else {
            "its functions are dgemm, dgesv, dposv and sparse_solve; the SDKs for Rust and C declare them"
        });
    };
    let Some(signature) = signature else {
        return refuse("only functions can be imported");
    };
    if matches(signature, expected) {
        return Ok(());
    }
    Err(Refused::ImportSignature {
        module: shortened(module),
        name: shortened(name),
        found: in_words(signature),
        expected: spelled_out(expected),
    })
}

/// What to do about an import from anywhere but WASI.
fn advice(module: &str, name: &str) -> &'static str {
    match module {
        "env"
            if matches!(
                name,
                "memory" | "__indirect_function_table" | "__stack_pointer" | "__memory_base" | "__table_base"
            ) =>
        {
            "the module expects to be linked into another; link it as a command of its own, without --import-memory and without -fPIC"
        }
        "env" if name.starts_with("emscripten") || name.starts_with("__syscall") || name.starts_with("invoke_") => {
            "that is Emscripten's JavaScript runtime; build with a WASI target (clang --target=wasm32-wasip1, or python -m ziglang cc -target wasm32-wasi)"
        }
        "env" | "a" => {
            "nothing provides it; it may be a function that was declared but not linked, or the module was built for a browser. Build with a WASI target"
        }
        "GOT.mem" | "GOT.func" => "that is dynamic linking; link statically, without -fPIC",
        "wasi_unstable" => "that is WASI as it was before 2020; build with a current toolchain (target wasm32-wasip1)",
        "wasi" => "that is WASI threads; a sandbox runs one thread, build with target wasm32-wasip1",
        "wbg" | "__wbindgen_placeholder__" | "__wbindgen_externref_xform__" => {
            "that is wasm-bindgen, for browsers; build with --target wasm32-wasip1 and without wasm-bindgen"
        }
        "go" | "gojs" => "that is Go for browsers; build with GOOS=wasip1 GOARCH=wasm",
        _ if module.starts_with("wasi:") || module.starts_with("wasi_snapshot_preview2") => {
            "that is WASI 0.2, for components; build a component (wasm32-wasip2), or a core module (wasm32-wasip1)"
        }
        _ => "a sandbox offers the functions of wasi_snapshot_preview1 and of mecapy_linalg, and nothing else",
    }
}

/// Accepts an interface that a component imports; `function` is the first of those that it imports of it.
pub(super) fn check_interface(interface: &str, function: Option<&str>) -> Result<(), Refused> {
    let (base, version) = interface.split_once('@').unwrap_or((interface, ""));
    let offered = if preview2::INTERFACES.contains(&base) {
        preview2::VERSION
    } else if WORLD_INTERFACES.contains(&base) {
        WORLD_VERSION
    } else {
        return Err(interface_refused(interface, function, interface_advice(base)));
    };
    if is_release_of(version, offered) {
        return Ok(());
    }
    let advice = if base.starts_with("wasi:") {
        "sandboxes offer WASI 0.2; build with a toolchain for it (target wasm32-wasip2)"
    } else {
        "sandboxes offer version 0.1 of the world mecapy:task; build with its WIT"
    };
    Err(interface_refused(interface, function, advice))
}

/// Refuses an import that is a function, a module or a component by itself.
pub(super) fn not_an_interface(name: &str) -> Refused {
    interface_refused(name, None, "only interfaces can be imported: those of mecapy:task@0.1.0 and of WASI 0.2")
}

fn interface_refused(interface: &str, function: Option<&str>, reason: &'static str) -> Refused {
    Refused::Import { module: shortened(interface), name: shortened(function.unwrap_or("*")), reason }
}

/// What to do about an interface that nobody offers.
fn interface_advice(base: &str) -> &'static str {
    match base.split_once('/').map_or(base, |(package, _)| package) {
        "wasi:sockets" | "wasi:http" | "wasi:tls" => {
            "a sandbox has no network; build without it, inputs arrive as the argument of run and files in /work/in"
        }
        _ => {
            "a component may import the interfaces of mecapy:task@0.1.0, and cli, clocks, filesystem, io and random of WASI 0.2"
        }
    }
}

/// Whether `version` is a release of the same minor version as `offered`, which is what linking goes by.
fn is_release_of(version: &str, offered: &str) -> bool {
    let (Some((found, patch)), Some((wanted, _))) = (version.rsplit_once('.'), offered.rsplit_once('.')) else {
        return false;
    };
    found == wanted && !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit())
}

fn matches(signature: &FuncType, expected: &str) -> bool {
    let letters = |types: &[ValType]| -> Option<String> { types.iter().map(letter).collect() };
    let (parameters, results) = expected.split_once(':').unwrap_or((expected, ""));
    letters(signature.params()).as_deref() == Some(parameters)
        && letters(signature.results()).as_deref() == Some(results)
}

fn letter(ty: &ValType) -> Option<char> {
    match ty {
        ValType::I32 => Some('i'),
        ValType::I64 => Some('I'),
        ValType::F64 => Some('d'),
        _ => None,
    }
}

fn in_words(signature: &FuncType) -> String {
    let words = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", words(signature.params()), words(signature.results()))
}

fn spelled_out(expected: &str) -> String {
    let word = |letter| match letter {
        'i' => "i32",
        'd' => "f64",
        _ => "i64",
    };
    let words = |letters: &str| letters.chars().map(word).collect::<Vec<_>>().join(", ");
    let (parameters, results) = expected.split_once(':').unwrap_or((expected, ""));
    format!("({}) -> ({})", words(parameters), words(results))
}

/// A name of the module's author, fit for a message.
fn shortened(name: &str) -> String {
    name.chars().take(NAME_BYTES_MAX / 10).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let of = |module| move |(name, signature)| (module, name, signature);
    FUNCTIONS.into_iter().map(of(MODULE)).chain(LINALG_FUNCTIONS.into_iter().map(of(LINALG_MODULE)))
}
