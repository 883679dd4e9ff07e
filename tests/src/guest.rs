//! Guest modules written as WebAssembly text, around a body that says what is special about each.

/// WASI functions that the bodies below may call, each with its type.
const IMPORTS: &str = r#"
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink" (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_create_directory (param i32 i32 i32) (result i32)))
"#;

/// `$write` puts bytes on a descriptor; `$answer` writes a number to stdout as JSON. Both use the first 256 bytes.
const PRELUDE: &str = r#"
  (func $write (param $fd i32) (param $at i32) (param $length i32) (result i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length))
    (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
  (func $answer (param $value i32)
    (local $at i32)
    (local.set $at (i32.const 64))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
      (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
      (br_if $digit (local.get $value)))
    (drop (call $write (i32.const 1) (local.get $at) (i32.sub (i32.const 64) (local.get $at)))))
"#;

/// A command module with two pages of memory whose `_start` is `body`; data may be laid from address 1024 on.
pub fn command(body: &str) -> String {
    command_with("(memory (export \"memory\") 2)", body)
}

/// The same with a memory (and other fields) of one's own.
pub fn command_with(fields: &str, body: &str) -> String {
    format!("(module {IMPORTS} {fields} {PRELUDE} (func (export \"_start\") {body}))")
}

/// A module that answers the constant JSON `text`.
pub fn answering(text: &str) -> String {
    let bytes: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let fields = format!("(memory (export \"memory\") 2) (data (i32.const 1024) \"{bytes}\")");
    command_with(&fields, &format!("(drop (call $write (i32.const 1) (i32.const 1024) (i32.const {})))", text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_are_valid() {
        for text in [command("(call $answer (i32.const 42))"), answering("{\"a\": \"é\"}")] {
            assert!(wat::parse_str(&text).is_ok(), "{text}");
        }
    }
}
