//! A sorted set of measurements and what is told of it. Knows no unit.

use serde_json::{Value, json};

/// At least one measurement is needed for anything to be told: an empty set answers NaN.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The value below which this share of the measurements lies (the nearest one, none is made up).
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1) as f64;
        self.0.get((share * last).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// Each measurement in another unit.
    pub(crate) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self::new(self.0.iter().copied().map(change).collect())
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn summary(&self) -> Value {
        json!({
            "n": self.count(), "min": self.quantile(0.0), "p5": self.quantile(0.05), "p50": self.median(),
            "p95": self.quantile(0.95), "p99": self.quantile(0.99), "max": self.quantile(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measurements_and_nothing_is_not_zero() {
        let samples = Samples::new((1..=100).rev().map(f64::from).collect());
        assert_eq!((samples.quantile(0.0), samples.median(), samples.quantile(1.0)), (1.0, 51.0, 100.0));
        assert_eq!(samples.quantile(0.99), 99.0);
        assert!(Samples::default().median().is_nan());
    }
}
