//! Calls as a guest makes them: parameters spilled into its memory, operands wherever they are.

mod declines;
mod factor;
mod hostile;
mod image;
mod level2;
mod level3;
mod reference;
mod results;
