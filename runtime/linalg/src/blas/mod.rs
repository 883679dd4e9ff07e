//! BLAS and LAPACK as a guest calls them: a number of an operation and the address of its parameters, in the guest's memory.
//!
//! Whatever is unusual is declined, before anything was written: the guest's own code does it instead, and reports what is
//! wrong with it. So nothing here has an error to tell.

mod table;

pub use table::{Convention, Entry, Kernel, TABLE, table_text};

use crate::{Context, Stop};

/// Runs the operation of that number in [`TABLE`], whose parameters lie at `parameters_at` in the guest's memory, 8 bytes
/// apart. `Ok`: done. [`Stop::Declined`]: the memory is as it was. [`Stop::Interrupted`]: outputs are of no use.
pub fn call(cx: &mut Context<'_>, memory: &mut [u8], operation: u32, parameters_at: u32) -> Result<(), Stop> {
    let entry = TABLE.get(operation as usize).ok_or(Stop::Declined)?;
    (entry.kernel)(cx, Arguments::new(memory, entry, parameters_at)?)
}

/// stub
#[derive(Debug)]
pub struct Arguments<'m>(&'m mut [u8]);
impl<'m> Arguments<'m> {
    fn new(memory: &'m mut [u8], _entry: &Entry, _parameters_at: u32) -> Result<Self, Stop> {
        Ok(Self(memory))
    }
}
macro_rules! stub { ($module:ident: $($name:ident)*) => { mod $module { use super::*; $(pub(super) fn $name<T: crate::Scalar>(_cx: &mut Context<'_>, arguments: Arguments<'_>) -> Result<(), Stop> { let _ = arguments.0; Err(Stop::Declined) })* } } }
stub!(level3: gemm symm hemm syrk herk syr2k her2k trmm trsm);
stub!(level2: gemv symv hemv ger gerc syr2 her2 trsv trmv);
stub!(factor: getrf getrs gesv potrf potrs trtri lauum);
