//! The macros of `mecapy-task`, which documents and re-exports them.

mod names;
mod ports;
mod task;

use proc_macro::TokenStream;

/// Makes a function the program: `fn name(input: Input) -> Result<Output, E>`, where `Input` is `Deserialize + Ports`,
/// `Output` is `Serialize + Ports`, and `E` converts into [`Error`](https://doc.rust-lang.org/std/error/trait.Error.html)
/// or is `mecapy_task::Error`. Its name and comment, and the ports of both types, go into the module as its signature.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Says which ports a struct has, or which texts an enum without fields stands for.
///
/// Names follow serde's `rename` and `rename_all`; a field that is an `Option` or has serde's `default` may be left out;
/// comments are descriptions. A field's `#[port(type = "Length", unit = "mm", validity = "pitch > 0")]` says what its
/// Rust type can't; each of the three may be left out.
#[proc_macro_derive(Ports, attributes(port))]
pub fn ports(item: TokenStream) -> TokenStream {
    ports::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
