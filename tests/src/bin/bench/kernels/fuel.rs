//! What native kernels cost in fuel for a second of their work, beside what the guest's own instructions cost: fuel is
//! to stay a measure of time.

use super::run::{By, Run};
use crate::{
    http::{Connection, Endpoint},
    report::{Report, Row, figure},
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const SECTION: &str = "linear algebra: fuel for a second of work, in turns";
const ROUNDS: usize = 5;

/// Work whose fuel is told: the difference of two runs that differ in the number of computations only.
struct Work {
    key: &'static str,
    label: &'static str,
    name: &'static str,
    size: u32,
    times: u32,
    by: By,
}

const WORKS: [Work; 6] = [
    Work { key: "kernels.fuel.loop", label: "a loop in Python", name: "loop", size: 1_000_000, times: 8, by: By::Wasm },
    Work {
        key: "kernels.fuel.matmul.wasm",
        label: "product 300, without kernels",
        name: "matmul",
        size: 300,
        times: 60,
        by: By::Wasm,
    },
    Work { key: "kernels.fuel.matmul", label: "product 1200", name: "matmul", size: 1200, times: 16, by: By::Native },
    Work { key: "kernels.fuel.solve", label: "solve 1200", name: "solve", size: 1200, times: 24, by: By::Native },
    Work { key: "kernels.fuel.svd", label: "SVD 600", name: "svd", size: 600, times: 6, by: By::Native },
    Work {
        key: "kernels.fuel.poisson",
        label: "Poisson 2-D, 100 000",
        name: "poisson",
        size: 100_000,
        times: 3,
        by: By::Native,
    },
];

pub(super) async fn measure(report: &mut Report, endpoint: &Endpoint) -> Result<()> {
    let mut connection = endpoint.connect().await?;
    let mut rates = WORKS.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for (work, rates) in WORKS.iter().zip(&mut rates) {
            rates.push(work.fuel_per_second(&mut connection).await.context(work.label)? / 1e9);
        }
    }
    for (work, rates) in WORKS.iter().zip(rates) {
        let mut row = Row::new(work.key, SECTION, work.label).unit("G/s").values(rates);
        let plain = report.samples("kernels.fuel.loop").map(|samples| samples.median());
        if let (Some(plain), Some(rates)) = (plain, &row.samples) {
            row.notes.push(format!("{} times that of a loop in Python", figure(rates.median() / plain)));
        }
        report.add(row);
    }
    Ok(())
}

impl Work {
    /// What the interpreter's start and the making of matrices take is in both runs.
    async fn fuel_per_second(&self, connection: &mut Connection) -> Result<f64> {
        let less = Run::exactly(self.name, self.size, 0).by(self.by, connection).await?.usage;
        let more = Run::exactly(self.name, self.size, self.times).by(self.by, connection).await?.usage;
        let of =
            |usage: &Value, field: &str| usage.get(field).and_then(Value::as_f64).with_context(|| field.to_owned());
        let difference = |field| Ok::<_, anyhow::Error>(of(&more, field)? - of(&less, field)?);
        let (fuel, milliseconds) = (difference("fuel")?, difference("execute_ms")?);
        ensure!(fuel > 0.0 && milliseconds > 0.0, "more work took less: {less} and {more}");
        Ok(fuel / milliseconds * 1e3)
    }
}
