//! Components of the world `mecapy:task` written as WebAssembly text, around what is special about each.

/// What stands around a body. Every part may be empty.
#[derive(Debug, Clone, Copy)]
pub struct Component<'a> {
    /// Imports and aliases of the component, beside the world's types.
    pub imports: &'a str,
    /// Core functions made of them, `(core func $f (canon lower (func $i "f") (memory $memory)))`, which may name
    /// the core memory `$memory` (2 pages) and the core function `$realloc`.
    pub lowered: &'a str,
    /// Those that the module is handed: `(export "f" (func $f))`.
    pub handed: &'a str,
    /// The module's own imports (from `host`), data and functions.
    pub fields: &'a str,
    /// What `run` does with its parameters `$at` and `$length`, and the local `$n`, before it returns [`Component::answer`].
    pub body: &'a str,
    /// JSON text of the result.
    pub answer: &'a str,
    /// Body of `realloc`, where it is not to be an honest one.
    pub realloc: &'a str,
}

/// Gives out one piece of memory after the other.
const REALLOC: &str = "(global.get $next)
      (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))";
/// Where the answer's text lies. What the caller passes in is laid from 8192 on.
const ANSWER_AT: usize = 1024;

impl Component<'_> {
    /// The component as text. Its `run` returns what lies at address 16: at first, the answer.
    pub fn text(&self) -> String {
        let Component { imports, lowered, handed, fields, body, answer, realloc } = self;
        let realloc = if realloc.is_empty() { REALLOC } else { realloc };
        let bytes: String = answer.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        format!(
            r#"(component
  (import "mecapy:task/types@0.1.0" (instance $types
    (type $k (enum "exception" "invalid-input" "invalid-output"))
    (export "error-kind" (type $kind (eq $k)))
    (type $text (option string))
    (type $e (record (field "kind" $kind) (field "message" string) (field "pointer" $text)))
    (export "error" (type $error (eq $e)))))
  (alias export $types "error" (type $error))
  {imports}
  (core module $libc-module
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 8192))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc}))
  (core instance $libc (instantiate $libc-module))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  {lowered}
  (core module $main
    (import "libc" "memory" (memory 2))
    {fields}
    (data (i32.const {ANSWER_AT}) "{bytes}")
    (func $answer
      (i32.store8 (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (i32.const {ANSWER_AT}))
      (i32.store (i32.const 24) (i32.const {length})))
    (func (export "run") (param $at i32) (param $length i32) (result i32)
      (local $n i32)
      (call $answer) {body} (i32.const 16)))
  (core instance $main (instantiate $main (with "libc" (instance $libc)) (with "host" (instance {handed}))))
  (func (export "run") (param "inputs" string) (result (result string (error $error)))
    (canon lift (core func $main "run") (memory $memory) (realloc $realloc))))"#,
            length = answer.len()
        )
    }
}

/// One that is granted nothing and answers `{"n": 1}`.
pub const PLAIN: Component<'_> =
    Component { imports: "", lowered: "", handed: "", fields: "", body: "", answer: "{\"n\": 1}", realloc: "" };

/// Has `$write` (level, address and length of a message) of the log.
pub const LOG: Component<'_> = Component {
    imports: r#"(import "mecapy:task/log@0.1.0" (instance $log
        (type $l (enum "debug" "info" "warn" "error")) (export "level" (type $level (eq $l)))
        (export "write" (func (param "level" $level) (param "message" string)))))"#,
    lowered: r#"(core func $write (canon lower (func $log "write") (memory $memory)))"#,
    handed: r#"(export "write" (func $write))"#,
    fields: r#"(import "host" "write" (func $write (param i32 i32 i32)))"#,
    ..PLAIN
};

/// Has `$write` (address and length of name and of content, address of the answer) of artifacts.
pub const ARTIFACT: Component<'_> = Component {
    imports: r#"(import "mecapy:task/artifact@0.1.0" (instance $artifact
        (type $f (enum "invalid-name" "not-found" "too-large")) (export "fault" (type $fault (eq $f)))
        (export "write" (func (param "name" string) (param "content" (list u8)) (result (result (error $fault)))))))"#,
    lowered: r#"(core func $write (canon lower (func $artifact "write") (memory $memory)))"#,
    handed: r#"(export "write" (func $write))"#,
    fields: r#"(import "host" "write" (func $write (param i32 i32 i32 i32 i32)))"#,
    ..PLAIN
};

/// Has `$get`, which gives a handle of the standard output each time, `$drop` for one, and `$write` (handle, address and
/// length, address of the answer).
pub const STDOUT: Component<'_> = Component {
    imports: r#"(import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
    (alias export $errors "error" (type $io-error))
    (import "wasi:io/streams@0.2.0" (instance $streams
        (alias outer 1 $io-error (type $e0)) (export "error" (type $e (eq $e0)))
        (export "output-stream" (type $s (sub resource)))
        (type $f (variant (case "last-operation-failed" (own $e)) (case "closed")))
        (export "stream-error" (type $failure (eq $f)))
        (export "[method]output-stream.write"
            (func (param "self" (borrow $s)) (param "contents" (list u8)) (result (result (error $failure)))))))
    (alias export $streams "output-stream" (type $stream))
    (import "wasi:cli/stdout@0.2.6" (instance $stdout
        (alias outer 1 $stream (type $s)) (export "output-stream" (type $s2 (eq $s)))
        (export "get-stdout" (func (result (own $s2))))))"#,
    lowered: r#"(core func $get (canon lower (func $stdout "get-stdout")))
    (core func $drop (canon resource.drop $stream))
    (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $memory)))"#,
    handed: r#"(export "get" (func $get)) (export "drop" (func $drop)) (export "write" (func $write))"#,
    fields: r#"(import "host" "get" (func $get (result i32))) (import "host" "drop" (func $drop (param i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))"#,
    ..PLAIN
};

/// Has `$new`, which makes a handle of a resource of its own.
pub const RESOURCE: Component<'_> = Component {
    imports: "(type $thing (resource (rep i32)))",
    lowered: "(core func $new (canon resource.new $thing))",
    handed: r#"(export "new" (func $new))"#,
    fields: r#"(import "host" "new" (func $new (param i32) (result i32)))"#,
    ..PLAIN
};

/// Has `$subscribe`, which gives a timer of so many nanoseconds, and `$block`, which waits for one.
pub const TIMER: Component<'_> = Component {
    imports: r#"(import "wasi:io/poll@0.2.3" (instance $poll (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $p))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
        (alias outer 1 $pollable (type $p)) (export "pollable" (type $p2 (eq $p)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p2))))))"#,
    lowered: r#"(core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))"#,
    handed: r#"(export "subscribe" (func $subscribe)) (export "block" (func $block))"#,
    fields: r#"(import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))"#,
    ..PLAIN
};

/// Has `$random`, which asks for so many random bytes and has their address and number written to an address.
pub const RANDOM: Component<'_> = Component {
    imports: r#"(import "wasi:random/random@0.2.0" (instance $random
        (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))"#,
    lowered: r#"(core func $random (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))"#,
    handed: r#"(export "random" (func $random))"#,
    fields: r#"(import "host" "random" (func $random (param i64 i32)))"#,
    ..PLAIN
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_components_are_valid() {
        let write = "(call $write (i32.const 1) (i32.const 1024) (i32.const 4))";
        let rows = [
            PLAIN,
            Component { body: "(drop (memory.grow (i32.const 1)))", ..PLAIN },
            Component { realloc: "(i32.const 0)", ..PLAIN },
            Component { body: write, ..LOG },
            Component {
                body: "(call $write (local.get $at) (local.get $length) (i32.const 0) (i32.const 1) (i32.const 8))",
                ..ARTIFACT
            },
            Component { body: "(call $write (call $get) (i32.const 0) (i32.const 1) (i32.const 8))", ..STDOUT },
            Component { body: "(local.set $n (call $new (i32.const 1)))", ..RESOURCE },
            Component { body: "(call $block (call $subscribe (i64.const -1)))", ..TIMER },
            Component { body: "(call $random (i64.const 8) (i32.const 64))", ..RANDOM },
        ];
        for component in rows {
            let text = component.text();
            assert!(wat::parse_str(&text).is_ok(), "{text}");
        }
    }
}
