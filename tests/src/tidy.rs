//! Reads the tree: what the tidy rules need to know of sources and manifests, with no judgement of its own.

mod lexer;
mod manifests;
mod tree;

pub use lexer::{Function, code_only, identifiers, python_functions, rust_functions};
pub use manifests::{Manifest, manifests};
pub use tree::{TreeFile, tree_files};
