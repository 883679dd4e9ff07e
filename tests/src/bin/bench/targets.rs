//! The targets, and the ratios that the table shows beside the figures.

use crate::report::{Report, Verdict, figure};

/// What of a row is compared.
enum Figure {
    P50,
    P99,
    /// Median of another row over the median of this one.
    TimesFasterThan(&'static str),
    /// Median of this row, a rate, over the median of another one.
    TimesAsManyAs(&'static str),
    /// Tail of this row over the tail of another one.
    TailOver(&'static str),
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// So much, and so many times the median of another row.
    AtMostPlus(f64, f64, &'static str),
}

use Bound::{AtLeast, AtMost, AtMostPlus};
use Figure::{P50, P99, TailOver, TimesAsManyAs, TimesFasterThan};

const TARGETS: [(&str, Figure, Bound); 22] = [
    ("preview.expression", P50, AtMost(0.8)),
    ("preview.expression", P99, AtMost(3.0)),
    ("preview.expression", TimesFasterThan("native.expression"), AtLeast(300.0)),
    ("preview.expression", TimesFasterThan("celery.expression"), AtLeast(4.0)),
    ("preview.solve", P50, AtMost(1.8)),
    ("preview.module", P50, AtMost(0.4)),
    ("throughput.64", P50, AtLeast(2000.0)),
    ("errors.1", P50, AtMost(0.0)),
    ("errors.8", P50, AtMost(0.0)),
    ("errors.64", P50, AtMost(0.0)),
    ("busy.expression", TailOver("preview.expression"), AtMost(2.5)),
    ("busy.expression", P99, AtMost(15.0)),
    ("durable", P50, AtLeast(1200.0)),
    ("memory", P50, AtMost(3.0)),
    ("start", P50, AtMost(500.0)),
    ("shared.accept", P50, AtLeast(2000.0)),
    ("shared.wasi", P50, AtLeast(1500.0)),
    ("shared.wasi", TimesAsManyAs("celery.throughput"), AtLeast(3.0)),
    ("shared.python", P50, AtLeast(1000.0)),
    ("shared.python", TimesAsManyAs("celery.throughput"), AtLeast(2.0)),
    ("shared.running", P50, AtMostPlus(3.0, 2.0, "disk.flush")),
    ("shared.recovery", P50, AtMost(45.0)),
];

/// Row, the row it is compared with, and that row's name in a sentence.
const RATIOS: [(&str, &str, &str); 8] = [
    ("preview.expression", "native.expression", "a native process"),
    ("preview.expression", "runner", "the interpreter's own runner"),
    ("preview.expression", "celery.expression", "warm Celery"),
    ("preview.expression", "docker", "docker run"),
    ("preview.solve", "native.solve", "a native process"),
    ("preview.solve", "celery.solve", "warm Celery"),
    ("preview.truss", "native.truss", "a native process"),
    ("preview.module", "docker", "docker run"),
];

/// Rates that are compared with Celery's.
const AS_CELERY: [&str; 6] =
    ["throughput.64", "durable", "shared.wasi", "shared.python", "shared.wasi.waited", "shared.python.waited"];

/// Writes ratios and verdicts into the rows they belong to. What was not measured is compared with nothing.
pub(crate) fn judge(report: &mut Report) {
    for (key, other, name) in RATIOS {
        let ratio = TimesFasterThan(other).of(report, key);
        if let (Some(ratio), Some(row)) = (ratio, report.row_mut(key)) {
            row.notes.push(format!("{} times as fast as {name}", figure(ratio)));
        }
    }
    let throughput = report.samples("celery.throughput").map(|samples| samples.median());
    for key in AS_CELERY {
        let ours = report.samples(key).map(|samples| samples.median());
        if let (Some(ours), Some(celery), Some(row)) = (ours, throughput, report.row_mut(key)) {
            row.notes.push(format!("{} times warm Celery's", figure(ours / celery)));
        }
    }
    for (key, what, bound) in &TARGETS {
        let (measured, limit) = (what.of(report, key), bound.limit(report));
        if let (Some(measured), Some(limit), Some(row)) = (measured, limit, report.row_mut(key)) {
            let (sign, met) = match bound {
                AtMost(_) | AtMostPlus(..) => ("at most", measured <= limit),
                AtLeast(_) => ("at least", measured >= limit),
            };
            let limit = match bound {
                AtMost(limit) | AtLeast(limit) => limit.to_string(),
                AtMostPlus(base, times, other) => format!("{base} + {times} times {other}, {},", figure(limit)),
            };
            let target = match what {
                P50 => format!("p50 {sign} {limit} {}", row.unit),
                P99 => format!("p99 {sign} {limit} {}", row.unit),
                TimesFasterThan(other) => format!("{sign} {limit} times as fast as {other}"),
                TimesAsManyAs(other) => format!("{sign} {limit} times as many as {other}"),
                TailOver(other) => format!("p99 {sign} {limit} times that of {other}"),
            };
            row.verdicts.push(Verdict { target, measured, met });
        }
    }
}

impl Bound {
    /// `None` where it is relative to what was not measured.
    fn limit(&self, report: &Report) -> Option<f64> {
        Some(match self {
            AtMost(limit) | AtLeast(limit) => *limit,
            AtMostPlus(base, times, other) => base + times * report.samples(other)?.median(),
        })
    }
}

impl Figure {
    fn of(&self, report: &Report, key: &str) -> Option<f64> {
        let samples = report.samples(key)?;
        Some(match self {
            P50 => samples.median(),
            P99 => samples.quantile(0.99),
            TimesFasterThan(other) => report.samples(other)?.median() / samples.median(),
            TimesAsManyAs(other) => samples.median() / report.samples(other)?.median(),
            TailOver(other) => samples.quantile(0.99) / report.samples(other)?.quantile(0.99),
        })
    }
}
