//! Components of the world `mecapy:task` written as WebAssembly text, around what is special about each.

/// What stands around a body. Every part may be empty.
#[derive(Debug, Clone, Copy, Default)]
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
}

/// Where the answer's text lies. What the caller passes in is laid from 8192 on.
const ANSWER_AT: usize = 1024;

impl Component<'_> {
    /// The component as text. Its `run` returns what lies at address 16: at first, the answer.
    pub fn text(&self) -> String {
        let Component { imports, lowered, handed, fields, body, answer } = self;
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
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
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

/// One that answers `{"n": 1}`, whatever it is handed.
pub fn component(body: &str) -> String {
    Component { body, answer: "{\"n\": 1}", ..Component::default() }.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_components_are_valid() {
        for text in [component(""), component("(drop (memory.grow (i32.const 1)))"), Component::default().text()] {
            assert!(wat::parse_str(&text).is_ok(), "{text}");
        }
    }
}
