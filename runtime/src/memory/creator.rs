//! Hands linear memories to the engine: an image's slot where one was asked for, else a plain one.

use super::{MemoryImage, slot::Slot};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    mem::ManuallyDrop,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

thread_local! {
    /// The image for the next memory that this thread creates. The engine's interface has no other way to say it.
    static NEXT_IMAGE: RefCell<Option<NextImage>> = const { RefCell::new(None) };
}

struct NextImage {
    image: Arc<MemoryImage>,
    /// The declared minimum of the memory it is for, bytes: other memories of the same store get plain ones.
    minimum_bytes: usize,
}

/// The engine's source of linear memories.
#[derive(Debug, Default)]
pub(crate) struct SlotCreator {
    /// Plain memories by reservation: user modules' memories, and the heaps that hold exceptions.
    plain: Mutex<BTreeMap<usize, Arc<MemoryImage>>>,
}

impl SlotCreator {
    /// Runs `instantiate` so that the memory declared with `minimum_bytes` starts as a copy of `image`.
    pub(crate) fn with_image<T>(image: &Arc<MemoryImage>, minimum_bytes: usize, instantiate: impl FnOnce() -> T) -> T {
        /// Takes the image back however `instantiate` ends.
        struct Clear;
        impl Drop for Clear {
            fn drop(&mut self) {
                NEXT_IMAGE.with_borrow_mut(Option::take);
            }
        }
        let _clear = Clear;
        NEXT_IMAGE.with_borrow_mut(|next| *next = Some(NextImage { image: Arc::clone(image), minimum_bytes }));
        instantiate()
    }

    fn plain(&self, reserved_bytes: usize) -> Arc<MemoryImage> {
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(plain.entry(reserved_bytes).or_insert_with(|| Arc::new(MemoryImage::empty())))
    }
}

// SAFETY: a slot reserves `reserved + guard` bytes, never moves, keeps everything beyond its size inaccessible and
// belongs to one memory at a time. A slot of an image is larger than the declared minimum and not zero, which only
// modules without data segments are instantiated with (`with_image`).
unsafe impl MemoryCreator for SlotCreator {
    fn new_memory(
        &self,
        _type: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let reserved_bytes = reserved.unwrap_or(4 << 30).max(minimum).saturating_add(guard);
        let image = NEXT_IMAGE
            .with_borrow_mut(|next| next.take_if(|next| next.minimum_bytes == minimum))
            .map_or_else(|| self.plain(reserved_bytes), |next| next.image);
        let mut slot = image.take_slot(reserved_bytes).map_err(|error| format!("no address space left: {error}"))?;
        slot.grow_to(minimum).map_err(|error| format!("no memory left: {error}"))?;
        let capacity_bytes = reserved_bytes - guard;
        Ok(Box::new(SlotMemory { slot: ManuallyDrop::new(slot), image, capacity_bytes }))
    }
}

/// A slot while one store uses it.
struct SlotMemory {
    slot: ManuallyDrop<Slot>,
    image: Arc<MemoryImage>,
    capacity_bytes: usize,
}

// SAFETY: see `SlotCreator`; `grow_to` neither moves the base nor goes beyond the reservation.
unsafe impl LinearMemory for SlotMemory {
    fn byte_size(&self) -> usize {
        self.slot.accessible_bytes()
    }

    fn byte_capacity(&self) -> usize {
        self.capacity_bytes
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.capacity_bytes {
            return Err(wasmtime::format_err!("a memory of {new_size} bytes is beyond its reservation"));
        }
        Ok(self.slot.grow_to(new_size)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot.base()
    }
}

impl Drop for SlotMemory {
    fn drop(&mut self) {
        // SAFETY: taken once, here; `self.slot` is not touched again.
        let mut slot = unsafe { ManuallyDrop::take(&mut self.slot) };
        if !slot.can_be_reset() {
            return;
        }
        match slot.reset(&self.image) {
            Ok(()) => self.image.give_back(slot, Instant::now()),
            // A page of this run might still be in the slot: unmap it.
            Err(error) => tracing::warn!(%error, "memory.slot: reset failed, the slot is unmapped"),
        }
    }
}
