//! The work of one request: its operations are counted in portions, its scratch memory is charged and handed back.

use crate::{Context, Stop};
use std::alloc::{Layout, alloc_zeroed};

/// Steps that are announced at once where pieces are small, as so many operations each: a step follows an index or works on
/// a short column, and takes as long as several operations of a packed product. The bench holds the fuel of both against
/// that of WebAssembly.
const PORTION_STEPS: u64 = 1_000_000;
const STEP_FLOPS: u64 = 10;

/// Numbers whose bytes may all be zero, or anything else.
///
/// # Safety
/// Every pattern of bits is a value, without padding.
pub(super) unsafe trait Plain: Copy {}
// SAFETY: bytes, integers and floating-point numbers have no padding and no invalid patterns.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: as above.
unsafe impl Plain for f64 {}

/// What the parts of a sparse solve are handed. Dropped, it hands back all that it charged and is not freed yet.
pub(super) struct Work<'c, 'h> {
    cx: &'c mut Context<'h>,
    /// Steps that are announced and not yet done.
    left: u64,
    reserved: u64,
}

impl<'c, 'h> Work<'c, 'h> {
    pub(super) fn new(cx: &'c mut Context<'h>) -> Self {
        Self { cx, left: 0, reserved: 0 }
    }

    pub(super) fn cx(&mut self) -> &mut Context<'h> {
        self.cx
    }

    /// To be called before a loop of so many steps.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Stop> {
        let steps = steps as u64;
        while self.left < steps {
            self.cx.work(PORTION_STEPS * STEP_FLOPS)?;
            self.left += PORTION_STEPS;
        }
        self.left -= steps;
        Ok(())
    }

    /// `len` zeros, charged; `Declined` where there is no memory for them.
    pub(super) fn zeros<T: Plain>(&mut self, len: usize) -> Result<Vec<T>, Stop> {
        if len == 0 {
            return Ok(Vec::new());
        }
        let layout = Layout::array::<T>(len).map_err(|_| Stop::Declined)?;
        self.cx.reserve(layout.size() as u64)?;
        self.reserved += layout.size() as u64;
        // SAFETY: the layout is not empty; the memory is of `len` values of T, for which zeros are valid; a vector of that
        // capacity is freed with the same layout.
        unsafe {
            let first = alloc_zeroed(layout).cast::<T>();
            if first.is_null() { Err(Stop::Declined) } else { Ok(Vec::from_raw_parts(first, len, len)) }
        }
    }

    pub(super) fn filled<T: Plain>(&mut self, len: usize, value: T) -> Result<Vec<T>, Stop> {
        let mut values = self.zeros(len)?;
        values.fill(value);
        Ok(values)
    }

    /// Drops what [`Work::zeros`] made, and hands back the charge.
    pub(super) fn free<T: Plain>(&mut self, values: Vec<T>) {
        let bytes = (values.capacity() * size_of::<T>()) as u64;
        drop(values);
        debug_assert!(bytes <= self.reserved);
        self.reserved -= bytes;
        self.cx.release(bytes);
    }
}

impl Drop for Work<'_, '_> {
    fn drop(&mut self) {
        self.cx.release(self.reserved);
    }
}

/// The bytes as numbers; `None` where they are misaligned or no whole number of them.
pub(super) fn numbers<T: Plain>(bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: every pattern of bits is a T.
    let (before, numbers, after) = unsafe { bytes.align_to::<T>() };
    (before.is_empty() && after.is_empty()).then_some(numbers)
}

/// As [`numbers`], to be written.
pub(super) fn numbers_mut<T: Plain>(bytes: &mut [u8]) -> Option<&mut [T]> {
    // SAFETY: every pattern of bits is a T, and every T is bytes.
    let (before, numbers, after) = unsafe { bytes.align_to_mut::<T>() };
    (before.is_empty() && after.is_empty()).then_some(numbers)
}

/// Words as bytes.
pub(super) fn bytes_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: bytes have no alignment and no invalid patterns.
    unsafe { words.align_to_mut::<u8>().1 }
}
