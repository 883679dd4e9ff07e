//! Sweeps: many sets of inputs that are told by a few lines, and are never all written out.
//!
//! Any item is made from its index alone, so any worker makes any part of a sweep, and makes the same again.

mod axis;
mod range;
mod read;
mod sample;
#[cfg(test)]
mod tests;

use crate::Fault;
use axis::{Axis, Values};
use serde_json::value::RawValue;

/// Items of one batch.
pub const ITEMS_MAX: u32 = 100_000;
/// Inputs that one sweep may vary.
pub const AXES_MAX: usize = 64;
/// The largest seed: the largest whole number that every JSON reader keeps exact.
pub const SWEEP_SEED_MAX: u64 = (1 << 53) - 1;

/// How the axes of a sweep become items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Each value with each; the axis that was written last changes from item to item.
    #[default]
    Grid,
    /// The first values together, the second ones together, …
    Zip,
    /// Each item draws each input for itself.
    Random,
    /// Latin hypercube: of `n` items, each input has exactly one in each of `n` equally likely parts of its
    /// distribution (McKay, Beckman, Conover: *A comparison of three methods for selecting values of input variables*,
    /// Technometrics 21, 1979).
    Lhs,
}

/// A sweep that makes between 1 and [`ITEMS_MAX`] items.
#[derive(Debug, Clone)]
pub struct Sweep {
    mode: Mode,
    /// What random values follow from; as the text has it, 0 where it has none.
    seed: u64,
    axes: Vec<Axis>,
    /// Inputs that all items share: the name as JSON text, and the value.
    constants: Vec<(Box<str>, Box<RawValue>)>,
    total: u32,
}

impl Mode {
    pub const ALL: [Mode; 4] = [Mode::Grid, Mode::Zip, Mode::Random, Mode::Lhs];

    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Grid => "grid",
            Mode::Zip => "zip",
            Mode::Random => "random",
            Mode::Lhs => "lhs",
        }
    }

    /// Whether its items are drawn, so that their number has to be said.
    pub const fn is_sampled(self) -> bool {
        matches!(self, Mode::Random | Mode::Lhs)
    }
}

impl Sweep {
    /// Reads `{"sweep": {…}, "mode", "samples", "seed", "inputs": {…}}`, which may be a part of a request.
    ///
    /// `sweep` has one member for each input that varies:
    /// - an array: these values, each as it was written;
    /// - `{"from", "to", "count"}`: `count` doubles at equal distances, both ends among them;
    /// - `{"from", "to", "count", "scale": "log"}`: the same at equal ratios, between positive ends;
    /// - `{"from", "to", "step"}`: from `from` as far as `to`, computed in decimal; whole numbers where `from` and
    ///   `step` are written as such;
    /// - `{"random": {"distribution": "uniform", "low", "high"}}`, or `"normal"` or `"lognormal"` with `"mean"` and
    ///   `"std"`, those of the input itself. With the modes `random` and `lhs`, which draw from arrays too.
    ///
    /// # Errors
    /// All faults with pointers into the text, [`FAULTS_MAX`](crate::ports::FAULTS_MAX) at most.
    pub fn parse(text: &str) -> Result<Sweep, Vec<Fault>> {
        read::read(text)
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How many items it makes.
    pub fn total(&self) -> u64 {
        u64::from(self.total)
    }

    /// The names of what varies, in the order in which they were written.
    pub fn axes(&self) -> impl Iterator<Item = &str> {
        self.axes.iter().map(|axis| &*axis.name)
    }

    /// The inputs of one item as the text of a JSON object: what varies, then the constants. Takes time and memory in
    /// proportion to the number of inputs. From `total` on there are no items, and what is answered is any inputs.
    pub fn item(&self, index: u32) -> String {
        let mut text = String::with_capacity(32 * (self.axes.len() + self.constants.len()));
        text.push('{');
        let mut rest = self.total;
        for axis in &self.axes {
            let before = if text.len() > 1 { "," } else { "" };
            text.push_str(before);
            text.push_str(&axis.key);
            text.push(':');
            match self.mode {
                Mode::Grid => {
                    let count = axis.values.count();
                    rest = rest.checked_div(count).unwrap_or(1).max(1);
                    axis.values.write((index / rest).checked_rem(count).unwrap_or(0), &mut text);
                }
                Mode::Zip => axis.values.write(index, &mut text),
                Mode::Random => axis.values.draw(axis.stream(self.seed).uniform(index), &mut text),
                Mode::Lhs => axis.values.draw(axis.stream(self.seed).stratum(index, self.total), &mut text),
            }
        }
        for (key, value) in &self.constants {
            let before = if text.len() > 1 { "," } else { "" };
            text.push_str(before);
            text.push_str(key);
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        text
    }

    /// A text that [`Sweep::parse`] makes the same sweep of.
    pub fn to_json(&self) -> String {
        let mut text = format!("{{\"mode\":\"{}\",\"seed\":{}", self.mode.as_str(), self.seed);
        if self.mode.is_sampled() {
            text.push_str(&format!(",\"samples\":{}", self.total));
        }
        text.push_str(",\"sweep\":{");
        for (place, axis) in self.axes.iter().enumerate() {
            text.push_str(if place > 0 { "," } else { "" });
            text.push_str(&axis.key);
            text.push(':');
            match &axis.values {
                Values::List(values) => {
                    text.push('[');
                    for (place, value) in values.iter().enumerate() {
                        text.push_str(if place > 0 { "," } else { "" });
                        text.push_str(value.get());
                    }
                    text.push(']');
                }
                Values::Range { written, .. } | Values::Random { written, .. } => text.push_str(written.get()),
            }
        }
        text.push_str("},\"inputs\":{");
        for (place, (key, value)) in self.constants.iter().enumerate() {
            text.push_str(if place > 0 { "," } else { "" });
            text.push_str(key);
            text.push(':');
            text.push_str(value.get());
        }
        text.push_str("}}");
        text
    }
}
