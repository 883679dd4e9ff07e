//! Slots under a real engine: which memory a module gets, and what is in it.

use super::*;
use crate::{NanPayloads, config};
use wasmtime::{Engine, Instance, Memory, Module, Store};

struct Modules {
    engine: Engine,
    /// The module that images are for: one page, no data.
    one_page: Module,
    /// Another, with a memory of two pages.
    two_pages: Module,
}

impl Modules {
    fn new() -> Self {
        let engine = Engine::new(&config(NanPayloads::Native)).unwrap();
        let module = |pages: u32| {
            let text = format!(
                r#"(module (memory (export "memory") {pages})
                    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"#
            );
            Module::new(&engine, wat::parse_str(text).unwrap()).unwrap()
        };
        Self { one_page: module(1), two_pages: module(2), engine }
    }

    fn store(&self) -> Store<()> {
        let mut store = Store::new(&self.engine, ());
        store.set_fuel(1_000).unwrap();
        store.set_epoch_deadline(1);
        store
    }
}

fn instantiate(store: &mut Store<()>, module: &Module) -> (Instance, Memory) {
    let instance = Instance::new(&mut *store, module, &[]).unwrap();
    let memory = instance.get_memory(&mut *store, "memory").unwrap();
    (instance, memory)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[test]
fn a_modules_memory_starts_as_the_image_each_time() {
    let (modules, image) = (Modules::new(), image(5, 2));
    for round in 0..5 {
        let mut store = modules.store();
        let make = || instantiate(&mut store, &modules.one_page);
        let (instance, memory) = SlotCreator::with_image(&image, WASM_PAGE_BYTES, make);
        assert!(memory.data(&store) == image.contents(), "round {round}");
        let load = instance.get_typed_func::<i32, i32>(&mut store, "load").unwrap();
        for at in [0, 4_097, WASM_PAGE_BYTES + 99] {
            assert_eq!(load.call(&mut store, at as i32).unwrap(), i32::from(image.contents()[at]), "{at}");
        }
        // Beyond the image a load traps, until the memory grows; then it reads zero.
        assert!(load.call(&mut store, 2 * WASM_PAGE_BYTES as i32).is_err());
        assert_eq!(memory.grow(&mut store, 1).unwrap(), 2);
        assert_eq!(load.call(&mut store, 2 * WASM_PAGE_BYTES as i32).unwrap(), 0);
        assert!(is_zero(&memory.data(&store)[image.bytes()..]));
        memory.data_mut(&mut store).fill(CANARY);
        assert_eq!(idle_slots(&image), 0);
        drop(store);
        assert_eq!(idle_slots(&image), 1);
    }
}

#[test]
fn a_plain_module_never_gets_an_images_slot() {
    let (modules, image) = (Modules::new(), image(6, 3));
    for _ in 0..3 {
        let mut store = modules.store();
        let mut with_image = |modules_to_make: &[&Module]| -> Vec<Memory> {
            let make = || modules_to_make.iter().map(|module| instantiate(&mut store, module).1).collect();
            SlotCreator::with_image(&image, WASM_PAGE_BYTES, make)
        };
        // The image is for the first memory of the declared size alone.
        let [two_pages, imaged, second] = with_image(&[&modules.two_pages, &modules.one_page, &modules.one_page])[..]
        else {
            panic!("three")
        };
        // One that nobody took is not left for the next.
        with_image(&[]);
        let (_, after) = instantiate(&mut store, &modules.one_page);
        assert!(memory_is(&store, imaged, image.contents()));
        assert!(memory_is(&store, two_pages, &[0; 2 * WASM_PAGE_BYTES]));
        for plain in [second, after] {
            assert!(memory_is(&store, plain, &[0; WASM_PAGE_BYTES]));
        }
        for memory in [two_pages, imaged, second, after] {
            memory.data_mut(&mut store).fill(CANARY);
        }
        drop(store);
        assert_eq!(idle_slots(&image), 1);
    }
}

fn memory_is(store: &Store<()>, memory: Memory, bytes: &[u8]) -> bool {
    memory.data(store) == bytes
}
