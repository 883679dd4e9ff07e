//! What the numbers of many results are like.

use super::flatten::cells;
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// Fields that a summary looks at: each keeps a double for every row.
pub const SUMMARY_FIELDS_MAX: usize = 40;
/// Names of further fields that are told.
const LEFT_OUT_MAX: usize = 100;

/// Numbers that are being counted.
#[derive(Debug, Default)]
pub struct Summary {
    fields: Vec<Field>,
    places: HashMap<Box<str>, usize>,
    left_out: Vec<String>,
}

#[derive(Debug)]
struct Field {
    name: Box<str>,
    values: Vec<f64>,
    /// Welford's running mean and sum of squared distances from it (*Note on a method for calculating corrected sums of
    /// squares and products*, Technometrics 4, 1962).
    mean: f64,
    squares: f64,
    min: (f64, u64),
    max: (f64, u64),
}

/// All numeric fields, in the order in which they were found.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Statistics {
    pub fields: Vec<FieldSummary>,
    /// Numeric fields beyond the first 40.
    pub left_out: Vec<String>,
}

/// One numeric field of the results. Rows without a finite number in it don't count.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FieldSummary {
    /// Where it is, as in `result.stress`.
    pub field: String,
    /// Rows that have a number here.
    pub count: u64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    /// Of the sample: the squares' sum is divided by `count` − 1. Null for one row.
    pub std: Option<f64>,
    /// Quantiles, linear between neighbours (Hyndman and Fan's type 7, as NumPy has it).
    pub p05: f64,
    pub p50: f64,
    pub p95: f64,
    /// The first row that has the least.
    pub min_index: u64,
    pub max_index: u64,
}

impl Summary {
    /// Counts the numbers of `text`, a JSON value called `name`, which belongs to row `index`.
    pub fn see(&mut self, index: u64, name: &str, text: &str) {
        cells(name, text, &mut |path, cell| {
            if let Some(value) = cell.double() {
                self.count(index, path, value);
            }
        });
    }

    pub fn finish(self) -> Statistics {
        Statistics { fields: self.fields.into_iter().map(Field::finish).collect(), left_out: self.left_out }
    }

    fn count(&mut self, index: u64, path: &str, value: f64) {
        if let Some(field) = self.places.get(path).and_then(|place| self.fields.get_mut(*place)) {
            return field.add(index, value);
        }
        if self.fields.len() < SUMMARY_FIELDS_MAX {
            self.places.insert(path.into(), self.fields.len());
            let nowhere = (value, index);
            let field =
                Field { name: path.into(), values: vec![], mean: 0.0, squares: 0.0, min: nowhere, max: nowhere };
            self.fields.push(field);
            return self.count(index, path, value);
        }
        if self.left_out.len() < LEFT_OUT_MAX && !self.left_out.iter().any(|name| name == path) {
            self.left_out.push(path.to_owned());
        }
    }
}

impl Field {
    fn add(&mut self, index: u64, value: f64) {
        self.values.push(value);
        let distance = value - self.mean;
        self.mean += distance / self.values.len() as f64;
        self.squares += distance * (value - self.mean);
        if value < self.min.0 {
            self.min = (value, index);
        }
        if value > self.max.0 {
            self.max = (value, index);
        }
    }

    fn finish(mut self) -> FieldSummary {
        self.values.sort_unstable_by(f64::total_cmp);
        let count = self.values.len();
        FieldSummary {
            count: count as u64,
            min: self.min.0,
            max: self.max.0,
            mean: self.mean,
            std: (count > 1).then(|| (self.squares / (count - 1) as f64).sqrt()),
            p05: quantile(&self.values, 0.05),
            p50: quantile(&self.values, 0.5),
            p95: quantile(&self.values, 0.95),
            min_index: self.min.1,
            max_index: self.max.1,
            field: self.name.into(),
        }
    }
}

/// The quantile of sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let below = place.floor();
    let value = |place: f64| sorted.get(place as usize).or(sorted.last()).copied().unwrap_or(f64::NAN);
    let (low, high) = (value(below), value(below + 1.0));
    low + (high - low) * (place - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_by_hand() {
        let mut summary = Summary::default();
        for (index, value) in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].iter().enumerate() {
            summary.see(index as u64 + 10, "result", &format!(r#"{{"s":{value},"text":"x","deep":{{"n":1}}}}"#));
        }
        summary.see(99, "result", r#"{"s":null,"deep":{"n":1e999}}"#);
        let found = summary.finish();
        let names: Vec<_> = found.fields.iter().map(|field| (&*field.field, field.count)).collect();
        assert_eq!(names, [("result.s", 8), ("result.deep.n", 8)]);
        let s = &found.fields[0];
        assert_eq!((s.min, s.max, s.mean, s.p50), (2.0, 9.0, 5.0, 4.5));
        assert_eq!((s.min_index, s.max_index), (10, 17));
        // The squares are 9, 1, 1, 1, 0, 0, 4 and 16: 32 in all, over 7.
        assert!((s.std.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-15);
        // Places 0.35 and 6.65 of 0 to 7.
        assert!((s.p05 - 2.7).abs() < 1e-12 && (s.p95 - 8.3).abs() < 1e-12, "{s:?}");
        assert_eq!((found.fields[1].std, found.fields[1].p95), (Some(0.0), 1.0));
    }

    #[test]
    fn one_row_has_no_deviation_and_many_fields_are_named_only() {
        let mut summary = Summary::default();
        let members: Vec<_> = (0..300).map(|n| format!("\"f{n}\":{n}")).collect();
        summary.see(0, "result", &format!("{{{}}}", members.join(",")));
        let found = summary.finish();
        assert_eq!((found.fields.len(), found.left_out.len()), (SUMMARY_FIELDS_MAX, LEFT_OUT_MAX));
        assert_eq!((found.fields[7].std, found.fields[7].p05, found.fields[7].p95), (None, 7.0, 7.0));
    }
}
