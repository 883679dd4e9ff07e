//! `CalculiX`, the finite-element solver.
#![allow(dead_code)]
mod dat;
mod deck;
mod frd;
mod keywords;
mod lines;
mod output;
#[cfg(test)]
mod shelf;
mod token;
pub struct CalculiX;
