//! Scratch memory: charged before it is allocated, and handed back on every path.

use crate::{Context, Scalar, Stop};
use std::alloc::{Layout, alloc, dealloc};

/// A cache line, and two vectors of AVX2.
const ALIGNMENT: usize = 64;

struct Allocation {
    first: *mut u8,
    layout: Layout,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: `first` came from `alloc` with this layout.
        unsafe { dealloc(self.first, self.layout) }
    }
}

/// Uninitialised memory of `len` elements while `within` runs. `Declined` where the host or the machine has no more.
pub(super) fn with_scratch<'h, T: Scalar, R>(
    cx: &mut Context<'h>,
    len: usize,
    within: impl FnOnce(&mut Context<'h>, *mut T) -> Result<R, Stop>,
) -> Result<R, Stop> {
    if len == 0 {
        return within(cx, std::ptr::NonNull::dangling().as_ptr());
    }
    let layout = Layout::array::<T>(len).and_then(|layout| layout.align_to(ALIGNMENT)).map_err(|_| Stop::Declined)?;
    let bytes = layout.size() as u64;
    cx.reserve(bytes)?;
    // SAFETY: the layout has a size.
    let first = unsafe { alloc(layout) };
    let result = if first.is_null() {
        Err(Stop::Declined)
    } else {
        let allocation = Allocation { first, layout };
        within(cx, allocation.first.cast())
    };
    cx.release(bytes);
    result
}
