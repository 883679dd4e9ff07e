//! What is accepted of components: the world `mecapy:task` and WASI 0.2, within the counters.

use super::*;
use crate::wasi::preview2;

/// A component that is accepted, with `extra` before its function.
fn component(extra: &str) -> String {
    format!(
        r#"(component
            (import "mecapy:task/types@0.1.0" (instance $types
                (type $k (enum "exception" "invalid-input" "invalid-output"))
                (export "error-kind" (type $kind (eq $k)))
                (type $text (option string))
                (type $e (record (field "kind" $kind) (field "message" string) (field "pointer" $text)))
                (export "error" (type $error (eq $e)))))
            (alias export $types "error" (type $error))
            {extra}
            (core module $m (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "run") (param i32 i32) (result i32) (i32.const 16)))
            (core instance $i (instantiate $m))
            (alias core export $i "memory" (core memory $memory))
            (alias core export $i "realloc" (core func $realloc))
            (func (export "run") (param "inputs" string) (result (result string (error $error)))
                (canon lift (core func $i "run") (memory $memory) (realloc $realloc))))"#
    )
}

/// Imports one function of an interface.
fn import(interface: &str, function: &str) -> String {
    format!("(import \"{interface}\" (instance (export \"{function}\" (func))))")
}

#[test]
fn components_are_accepted_and_described() {
    let extra =
        format!("{} {}", import("wasi:cli/stdout@0.2.12", "get-stdout"), import("mecapy:task/log@0.1.7", "write"));
    let info = inspect(&wat(&component(&extra))).unwrap();
    let imports: Vec<_> = info.imports.iter().map(|one| (one.module.as_str(), one.name.as_str())).collect();
    assert_eq!(imports, [("wasi:cli/stdout@0.2.12", "get-stdout"), ("mecapy:task/log@0.1.7", "write")]);
    assert_eq!((info.memory_min_pages, info.functions, info.exports.len()), (1, 2, 1));
    assert_eq!((info.exports[0].name.as_str(), info.exports[0].kind), ("run", ExportKind::Function));
}

/// The host must have what is let through: a name that is linked can't be defined again.
#[test]
fn every_interface_that_is_offered_is_linked() {
    let engine = crate::Engine::new(crate::NanPayloads::Native).unwrap();
    let mut linker = crate::sandbox::component_linker(&engine).unwrap();
    let offered = preview2::INTERFACES.map(|name| format!("{name}@{}", preview2::VERSION)).into_iter();
    let world = crate::sandbox::WORLD_INTERFACES.map(|name| format!("{name}@{}", crate::sandbox::WORLD_VERSION));
    for name in offered.chain(world) {
        let again = linker.root().func_new(&name, |_, _, _, _| Ok(()));
        assert!(again.is_err(), "{name} is offered, but not linked");
    }
}

#[test]
fn a_component_is_compiled_and_linked_and_one_of_other_types_is_not() {
    let engine = crate::Engine::new(crate::NanPayloads::Native).unwrap();
    let linked = |text: &str| {
        inspect(&wat(text)).unwrap();
        let component = wasmtime::component::Component::new(engine.wasm(), wat(text)).unwrap();
        crate::WasiModule::of_component(&engine, &component).unwrap()
    };
    assert!(linked(&component("")).is_ok());
    assert!(linked(&component(&import("mecapy:task/types@0.1.3", "x").replace("(export \"x\" (func))", ""))).is_ok());
    let rows = [
        (component(&import("wasi:cli/stdout@0.2.0", "get-stdout")), "import_not_available", "get-stdout"),
        (component(&import("mecapy:task/log@0.1.0", "wrte")), "import_not_available", "wrte"),
        (component("").replace("\"invalid-output\"", "\"other\""), "export_missing", "run: func(inputs: string)"),
        (
            component("").replace("(result (result string", "(result (result (list u8)"),
            "export_missing",
            "another type",
        ),
        (
            component(&format!("(core module $x (memory 1)) {}", "(core instance (instantiate $x))".repeat(4))),
            "module_over_limit",
            "memories",
        ),
    ];
    for (text, code, words) in rows {
        let Err(refused) = linked(&text) else { panic!("linked: {text}") };
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
}

#[test]
fn bad_components_are_refused_with_a_reason() {
    let module = "(core module $x (func (export \"f\")))";
    let rows: Vec<(String, &str, &str)> = vec![
        ("(component)".to_owned(), "export_missing", "exports no function run"),
        (
            component(&import("wasi:sockets/tcp@0.2.0", "connect")),
            "import_not_available",
            "wasi:sockets/tcp@0.2.0.connect: a sandbox has no network",
        ),
        (component(&import("wasi:http/outgoing-handler@0.2.0", "handle")), "import_not_available", "no network"),
        (
            component(&import("wasi:keyvalue/store@0.2.0", "open")),
            "import_not_available",
            "wasi:keyvalue/store@0.2.0.open",
        ),
        (component(&import("wasi:cli/stdout@0.3.0", "get-stdout")), "import_not_available", "WASI 0.2"),
        (component(&import("wasi:cli/stdout@0.2.0-rc-2023-11-10", "get-stdout")), "import_not_available", "WASI 0.2"),
        (component(&import("wasi:cli/stdout", "get-stdout")), "import_not_available", "WASI 0.2"),
        (component(&import("mecapy:task/log@1.0.0", "write")), "import_not_available", "version 0.1"),
        (component(&import("mecapy:task/network@0.1.0", "connect")), "import_not_available", "may import"),
        (component("(import \"solve\" (func))"), "import_not_available", "solve.*: only interfaces"),
        (component("(import \"m\" (core module))"), "import_not_available", "only interfaces"),
        (
            component(&format!("{module} {}", "(core instance (instantiate $x))".repeat(17))),
            "module_over_limit",
            "17 instances of core modules",
        ),
        (component(&"(core module)".repeat(17)), "module_over_limit", "core modules"),
        (component(&"(component)".repeat(21)), "module_over_limit", "components inside"),
        (component("(component (component))"), "component_composed", "composed"),
        (component("(component (core module))"), "component_composed", "composed"),
        (
            component(&format!(
                "{module} (component (alias outer 1 $x (core module $y)) (core instance (instantiate $y)))"
            )),
            "component_composed",
            "composed",
        ),
        (component("(core module (memory i64 1))"), "module_invalid", "sandboxes run"),
        (component("(core module (memory 40000))"), "module_over_limit", "pages"),
        (component(&"(core module (memory 10000))".repeat(4)), "module_over_limit", "pages"),
        (
            component("(core module (table 60000 funcref)) (core module (table 60000 funcref))"),
            "module_over_limit",
            "table elements",
        ),
        (component("(core module (func (i32.add)))"), "module_invalid", ""),
        (component(&"(type (func))".repeat(20_001)), "module_over_limit", "items of a component"),
        (component("(type (stream u8))"), "module_invalid", ""),
    ];
    for (text, code, words) in rows {
        let shown: String = text.chars().take(200).collect();
        let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let refused = refused(&bytes);
        assert_eq!(refused.code(), code, "{shown}: {refused}");
        assert!(refused.to_string().contains(words), "{shown}: {refused}");
    }
}

/// A component that is cut or changed anywhere gets an answer.
#[test]
fn broken_components_get_an_answer() {
    let good = wat(&component(&import("wasi:io/poll@0.2.0", "poll")));
    let refused = (0..good.len()).filter(|end| inspect(&good[..*end]).is_err()).count();
    // Nothing is missing where only names are cut off.
    assert!(refused + 2 > good.len(), "{refused} of {}", good.len());
    for at in 8..good.len() {
        for bit in 0..8 {
            let mut changed = good.clone();
            changed[at] ^= 1 << bit;
            let _ = inspect(&changed);
        }
    }
}
