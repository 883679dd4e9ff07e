//! BLAS and LAPACK as a guest calls them: a number of an operation and the address of its parameters, in the guest's memory.
//!
//! Whatever is unusual is declined, before anything was written: the guest's own code does it instead, and reports what is
//! wrong with it. So nothing here has an error to tell.

mod arguments;
mod eigen;
mod factor;
mod flags;
mod level1;
mod level2;
mod level3;
mod operands;
mod table;

pub use arguments::Arguments;
pub use table::{Convention, Entry, Kernel, TABLE, table_text};

use crate::{Context, Stop};

/// Runs the operation of that number in [`TABLE`], whose parameters lie at `parameters_at` in the guest's memory, 8 bytes
/// apart. `Ok`: done. [`Stop::Declined`]: the memory is as it was. [`Stop::Interrupted`]: outputs are of no use.
pub fn call(cx: &mut Context<'_>, memory: &mut [u8], operation: u32, parameters_at: u32) -> Result<(), Stop> {
    let entry = TABLE.get(operation as usize).ok_or(Stop::Declined)?;
    (entry.kernel)(cx, Arguments::new(memory, entry, parameters_at)?)
}

/// For the second part of an operation, which needs the same room as the first: where it declines all the same, what the
/// first part wrote can't be taken back.
fn after_writing<R>(result: Result<R, Stop>) -> Result<R, Stop> {
    result.map_err(|_| Stop::Interrupted)
}

#[cfg(test)]
mod tests;
