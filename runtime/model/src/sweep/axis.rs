//! One input of a sweep: its name and the values that it takes.

use super::range::Range;
use super::sample::{Distribution, Stream};
use serde_json::value::RawValue;

#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) name: Box<str>,
    /// The name as JSON text.
    pub(super) key: Box<str>,
    pub(super) values: Values,
}

#[derive(Debug, Clone)]
pub(super) enum Values {
    /// At least one.
    List(Vec<Box<RawValue>>),
    Range {
        range: Range,
        written: Box<RawValue>,
    },
    Random {
        distribution: Distribution,
        written: Box<RawValue>,
    },
}

impl Axis {
    /// What is drawn for this axis. It follows from the name, so that another axis more or less changes nothing here.
    pub(super) fn stream(&self, seed: u64) -> Stream {
        Stream::new(seed, &self.name)
    }
}

impl Values {
    /// How many values there are to choose from; 0 where they are drawn.
    pub(super) fn count(&self) -> u32 {
        match self {
            Values::List(values) => u32::try_from(values.len()).unwrap_or(u32::MAX),
            Values::Range { range, .. } => range.count(),
            Values::Random { .. } => 0,
        }
    }

    /// Writes the value at `place`, which is one of the count's.
    pub(super) fn write(&self, place: u32, text: &mut String) {
        match self {
            Values::List(values) => text.push_str(values.get(place as usize).map_or("null", |value| value.get())),
            Values::Range { range, .. } => range.write(place, text),
            Values::Random { .. } => text.push_str("null"),
        }
    }

    /// Writes the value that the share `p` of all that could be drawn lies below; between 0 and 1, without either.
    pub(super) fn draw(&self, p: f64, text: &mut String) {
        match self {
            Values::Random { distribution, .. } => write_double(distribution.quantile(p), text),
            Values::List(_) | Values::Range { .. } => {
                let count = self.count();
                let place = (p * f64::from(count)) as u32;
                self.write(place.min(count.saturating_sub(1)), text);
            }
        }
    }
}

/// The shortest text that is read as the same double; with a point or an exponent, so that it stays a double.
pub(super) fn write_double(value: f64, text: &mut String) {
    match serde_json::to_string(&value) {
        Ok(written) => text.push_str(&written),
        Err(_) => text.push_str("null"),
    }
}
