//! The rows of the table, how they print, and how they are kept.

use crate::{machine::Machine, samples::Samples};
use serde_json::{Value, json};
use std::fmt::Write;

const LABEL_WIDTH: usize = 44;

/// What was measured, in the order of the table.
pub(crate) struct Report {
    machine: Machine,
    rows: Vec<Row>,
}

/// One line of the table and the lines that belong to it.
pub(crate) struct Row {
    /// Names it for ratios and targets.
    pub(crate) key: String,
    pub(crate) section: &'static str,
    pub(crate) label: String,
    pub(crate) unit: &'static str,
    /// None where it could not be measured; the notes say why.
    pub(crate) samples: Option<Samples>,
    pub(crate) notes: Vec<String>,
    pub(crate) verdicts: Vec<Verdict>,
}

/// A target and whether it was met.
pub(crate) struct Verdict {
    pub(crate) target: String,
    pub(crate) measured: f64,
    pub(crate) met: bool,
}

impl Row {
    pub(crate) fn new(key: &str, section: &'static str, label: &str) -> Self {
        let (key, label) = (key.to_owned(), label.to_owned());
        Self { key, section, label, unit: "ms", samples: None, notes: Vec::new(), verdicts: Vec::new() }
    }

    pub(crate) fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    pub(crate) fn samples(self, samples: Samples) -> Self {
        Self { samples: Some(samples), ..self }
    }

    pub(crate) fn values(self, values: Vec<f64>) -> Self {
        self.samples(Samples::new(values))
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl Report {
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, rows: Vec::new() }
    }

    /// Of the machine that is measured.
    pub(crate) fn cores(&self) -> usize {
        self.machine.cores
    }

    /// Adds a row and says so, as a sign of progress.
    pub(crate) fn add(&mut self, row: Row) {
        let median = row.samples.as_ref().map_or("not measured".to_owned(), |samples| figure(samples.median()));
        eprintln!("   {}: {}: {median} {}", row.section, row.label, row.unit);
        self.rows.push(row);
    }

    /// Adds a row of what may not be had here.
    pub(crate) fn add_if_had(&mut self, row: Row, samples: anyhow::Result<Samples>) {
        let row = match samples {
            Ok(samples) => row.samples(samples),
            Err(reason) => row.note(format!("{reason:#}")),
        };
        self.add(row);
    }

    pub(crate) fn samples(&self, key: &str) -> Option<&Samples> {
        self.rows.iter().find(|row| row.key == key)?.samples.as_ref()
    }

    pub(crate) fn row_mut(&mut self, key: &str) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.key == key)
    }

    /// Targets that were met, and all that were measured.
    pub(crate) fn score(&self) -> (usize, usize) {
        let verdicts = || self.rows.iter().flat_map(|row| &row.verdicts);
        (verdicts().filter(|verdict| verdict.met).count(), verdicts().count())
    }

    /// The table as text.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.machine.line());
        let heads = ["min", "p5", "p50", "p95", "p99", "n"];
        let _ = write!(text, "{:LABEL_WIDTH$} {:>5}", "", "");
        for head in heads {
            let _ = write!(text, " {head:>8}");
        }
        text.push('\n');
        let mut section = "";
        for row in &self.rows {
            if row.section != section {
                section = row.section;
                let _ = writeln!(text, "{section}");
            }
            row.print(&mut text);
        }
        let (met, all) = self.score();
        let _ = writeln!(text, "\n{met} of {all} targets met");
        text
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        json!({"machine": self.machine.json(), "rows": rows})
    }
}

impl Row {
    fn print(&self, text: &mut String) {
        let _ = write!(text, "  {:width$} {:>5}", self.label, self.unit, width = LABEL_WIDTH - 2);
        match &self.samples {
            Some(samples) => {
                for share in [0.0, 0.05, 0.5, 0.95, 0.99] {
                    let _ = write!(text, " {:>8}", figure(samples.quantile(share)));
                }
                let _ = write!(text, " {:>8}", samples.count());
            }
            None => text.push_str("  not measured"),
        }
        text.push('\n');
        for note in &self.notes {
            let _ = writeln!(text, "      {note}");
        }
        for Verdict { target, measured, met } in &self.verdicts {
            let word = if *met { "met" } else { "MISSED" };
            let _ = writeln!(text, "      target {target}: {}, {word}", figure(*measured));
        }
    }

    fn json(&self) -> Value {
        let verdict =
            |verdict: &Verdict| json!({"target": verdict.target, "measured": verdict.measured, "met": verdict.met});
        json!({
            "key": self.key, "section": self.section, "label": self.label, "unit": self.unit,
            "samples": self.samples.as_ref().map(Samples::summary), "notes": self.notes,
            "targets": self.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        })
    }
}

/// Three digits that mean something.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
