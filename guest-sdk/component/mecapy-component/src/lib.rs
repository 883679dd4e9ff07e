//! A function of `mecapy-task` as a component of the world `mecapy:task`.
//!
//! ```ignore
//! // Cargo.toml: [lib] crate-type = ["cdylib"]
//! fn rod(input: Input) -> mecapy_task::Result<Output> { … }
//!
//! mecapy_component::component!(rod);
//! ```
//!
//! Everything of `mecapy-task` works in it: files in `/work/in` and `/work/out`, progress, warnings, errors. The world's
//! own interfaces are in [`world`], for those who would rather not go through files and the log.
//!
//! A compiler for `wasm32-wasip2` makes a component of the crate by itself; what one for `wasm32-wasip1` makes is
//! turned into one by `componentize`, beside this crate.

#[allow(missing_docs, clippy::all, unreachable_pub)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "task",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "mecapy_component",
        export_macro_name: "export_task",
    });
}

#[doc(hidden)]
pub use bindings::*;

/// The interfaces that a component may call: `progress`, `log` and `artifact`.
pub use bindings::mecapy::task as world;

use mecapy_task::internal;
use serde::{Serialize, de::DeserializeOwned};
use world::types::ErrorKind;

/// Exports a function `fn(Input) -> Result<Output, E>` as the world's `run`.
#[macro_export]
macro_rules! component {
    ($function:path) => {
        struct Component;

        impl $crate::Guest for Component {
            fn run(inputs: ::std::string::String) -> ::core::result::Result<::std::string::String, $crate::Error> {
                $crate::run($function, &inputs)
            }
        }

        $crate::export_task!(Component with_types_in $crate);
    };
}

/// Calls `task` with inputs as JSON text: what [`component!`] exports.
pub fn run<I, O, E>(task: fn(I) -> Result<O, E>, inputs: &str) -> Result<String, Error>
where
    I: DeserializeOwned,
    O: Serialize,
    E: Into<mecapy_task::Error>,
{
    internal::tell_panics();
    mecapy_task::call_json(task, inputs).map_err(|error| {
        let kind = match internal::kind(&error) {
            "invalid_input" => ErrorKind::InvalidInput,
            "invalid_output" => ErrorKind::InvalidOutput,
            _ => ErrorKind::Exception,
        };
        // An input's pointer begins the message already.
        Error { kind, message: error.to_string(), pointer: None }
    })
}
