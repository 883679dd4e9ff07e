//! The targets, and the ratios that the table shows beside the figures.

use crate::report::{Report, Verdict, figure};

/// What of a row is compared.
enum Figure {
    P50,
    P95,
    P99,
    /// Median of another row over the median of this one.
    TimesFasterThan(&'static str),
    /// Median of this row, a rate, over the median of another one.
    TimesAsManyAs(&'static str),
    /// Median of this row over the median of another one.
    TimeOver(&'static str),
    /// Tail of this row over the tail of another one.
    TailOver(&'static str),
}

enum Bound {
    Most(f64),
    Least(f64),
    /// So much, and so many times the median of another row.
    MostBeside(f64, f64, &'static str),
}

use Bound::{Least, Most, MostBeside};
use Figure::{P50, P95, P99, TailOver, TimeOver, TimesAsManyAs, TimesFasterThan};

const TARGETS: [(&str, Figure, Bound); 63] = [
    ("preview.expression", P50, Most(0.8)),
    ("preview.expression", P99, Most(3.0)),
    ("preview.expression", TimesFasterThan("native.expression"), Least(300.0)),
    ("preview.expression", TimesFasterThan("celery.expression"), Least(4.0)),
    ("preview.solve", P50, Most(1.8)),
    ("preview.module", P50, Most(0.4)),
    ("throughput.64", P50, Least(2000.0)),
    ("errors.1", P50, Most(0.0)),
    ("errors.8", P50, Most(0.0)),
    ("errors.64", P50, Most(0.0)),
    ("busy.expression", TailOver("preview.expression"), Most(2.5)),
    ("busy.expression", P99, Most(15.0)),
    ("durable", P50, Least(1200.0)),
    ("memory", P50, Most(3.0)),
    ("start", P50, Most(500.0)),
    ("functions.ports", P50, Most(0.2)),
    ("functions.python", P50, Most(0.8)),
    ("functions.python", TimesFasterThan("functions.python.inline"), Least(1.0)),
    ("functions.numpy", P50, Most(0.8)),
    ("functions.numpy", TimesFasterThan("functions.numpy.inline"), Least(1.0)),
    ("functions.wasi", P50, Most(0.4)),
    ("functions.wasi.module", P50, Most(0.4)),
    ("functions.publish", P50, Most(5.0)),
    ("batches.item", P50, Most(6.0)),
    ("batches.item.rate", TimesAsManyAs("celery.throughput"), Least(4.0)),
    ("batches.batch", P50, Most(2.0)),
    ("batches.accept.sweep", P50, Most(3.0)),
    ("batches.accept.explicit", P50, Most(3.0)),
    ("workflows.overhead", P50, Most(3.0)),
    ("workflows.fan_out", P50, Most(3.0)),
    ("shared.accept", P50, Least(2000.0)),
    ("shared.wasi", P50, Least(1500.0)),
    ("shared.wasi", TimesAsManyAs("celery.throughput"), Least(3.0)),
    ("shared.python", P50, Least(1000.0)),
    ("shared.python", TimesAsManyAs("celery.throughput"), Least(2.0)),
    ("shared.running", P50, MostBeside(3.0, 2.0, "disk.flush")),
    ("shared.recovery", P50, Most(45.0)),
    ("containers.overhead", P50, MostBeside(150.0, 1.0, "containers.copying")),
    ("containers.line", P95, Most(300.0)),
    ("kernels.matmul.600", TimeOver("kernels.matmul.600.peer"), Most(1.0)),
    ("kernels.matmul.1200", TimeOver("kernels.matmul.1200.peer"), Most(1.0)),
    ("kernels.matmul.3000", TimeOver("kernels.matmul.3000.peer"), Most(1.0)),
    ("kernels.solve.600", TimeOver("kernels.solve.600.peer"), Most(1.2)),
    ("kernels.solve.1200", TimeOver("kernels.solve.1200.peer"), Most(1.2)),
    ("kernels.cholesky.600", TimeOver("kernels.cholesky.600.peer"), Most(1.2)),
    ("kernels.cholesky.1200", TimeOver("kernels.cholesky.1200.peer"), Most(1.2)),
    ("kernels.qr.600", TimeOver("kernels.qr.600.peer"), Most(1.2)),
    ("kernels.qr.1200", TimeOver("kernels.qr.1200.peer"), Most(1.2)),
    ("kernels.eigh.300", TimeOver("kernels.eigh.300.peer"), Most(1.5)),
    ("kernels.eigh.600", TimeOver("kernels.eigh.600.peer"), Most(1.5)),
    ("kernels.svd.300", TimeOver("kernels.svd.300.peer"), Most(1.5)),
    ("kernels.svd.600", TimeOver("kernels.svd.600.peer"), Most(1.5)),
    ("kernels.poisson", TimeOver("kernels.poisson.peer"), Most(1.3)),
    ("kernels.frame", TimeOver("kernels.frame.peer"), Most(1.3)),
    // Nothing but the noise of two medians.
    ("kernels.preview", TimeOver("kernels.preview.wasm"), Most(1.03)),
    ("kernels.fuel.matmul", TimesAsManyAs("kernels.fuel.loop"), Least(0.5)),
    ("kernels.fuel.matmul", TimesAsManyAs("kernels.fuel.loop"), Most(2.0)),
    ("kernels.fuel.solve", TimesAsManyAs("kernels.fuel.loop"), Least(0.5)),
    ("kernels.fuel.solve", TimesAsManyAs("kernels.fuel.loop"), Most(2.0)),
    ("kernels.fuel.svd", TimesAsManyAs("kernels.fuel.loop"), Least(0.5)),
    ("kernels.fuel.svd", TimesAsManyAs("kernels.fuel.loop"), Most(2.0)),
    ("kernels.fuel.poisson", TimesAsManyAs("kernels.fuel.loop"), Least(0.5)),
    ("kernels.fuel.poisson", TimesAsManyAs("kernels.fuel.loop"), Most(2.0)),
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
const AS_CELERY: [&str; 8] = [
    "throughput.64",
    "durable",
    "batches.item.rate",
    "batches.batch.rate",
    "shared.wasi",
    "shared.python",
    "shared.wasi.waited",
    "shared.python.waited",
];

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
                Most(_) | MostBeside(..) => ("at most", measured <= limit),
                Least(_) => ("at least", measured >= limit),
            };
            let limit = match bound {
                Most(limit) | Least(limit) => limit.to_string(),
                MostBeside(base, times, other) => format!("{base} + {times} times {other}, {},", figure(limit)),
            };
            let target = match what {
                P50 => format!("p50 {sign} {limit} {}", row.unit),
                P95 => format!("p95 {sign} {limit} {}", row.unit),
                P99 => format!("p99 {sign} {limit} {}", row.unit),
                TimesFasterThan(other) => format!("{sign} {limit} times as fast as {other}"),
                TimesAsManyAs(other) => format!("{sign} {limit} times as many as {other}"),
                TimeOver(other) => format!("{sign} {limit} times the time of {other}"),
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
            Most(limit) | Least(limit) => *limit,
            MostBeside(base, times, other) => base + times * report.samples(other)?.median(),
        })
    }
}

impl Figure {
    fn of(&self, report: &Report, key: &str) -> Option<f64> {
        let samples = report.samples(key)?;
        Some(match self {
            P50 => samples.median(),
            P95 => samples.quantile(0.95),
            P99 => samples.quantile(0.99),
            TimesFasterThan(other) => report.samples(other)?.median() / samples.median(),
            TimesAsManyAs(other) => samples.median() / report.samples(other)?.median(),
            TimeOver(other) => samples.median() / report.samples(other)?.median(),
            TailOver(other) => samples.quantile(0.99) / report.samples(other)?.quantile(0.99),
        })
    }
}
