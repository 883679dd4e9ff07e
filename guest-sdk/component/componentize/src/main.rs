//! Makes a component of a core module: `componentize MODULE.wasm COMPONENT.wasm`.
//!
//! The module was built for wasm32-wasip1 from a crate that exports a world with wit-bindgen, which left the world in a
//! custom section. What it imports of WASI preview 1 is adapted to WASI 0.2.

use std::{error::Error, fs};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER,
};
use wit_component::ComponentEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, component] = arguments.as_slice() else {
        return Err("usage: componentize MODULE.wasm COMPONENT.wasm".into());
    };
    let module = fs::read(module)?;
    let encoded = ComponentEncoder::default().validate(true).module(&module)?.adapter(NAME, ADAPTER)?.encode()?;
    fs::write(component, encoded)?;
    Ok(())
}
