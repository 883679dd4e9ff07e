//! `mecapy study compare`: two cases side by side.

use crate::{
    client::{ComparisonAnswer, FieldDifference},
    commands::{
        connection::connect,
        exit::Exit,
        terminal::{Format, Painter, Style, Terminal, aligned, neutralise_line, significant},
    },
    config::ClientFlags,
};
use anyhow::Result;
use console::truncate_str;
use mecapy_model::StudyId;
use serde_json::value::RawValue;

/// Columns of a text or a list; a number is never cut.
const CELL_COLUMNS_MAX: usize = 24;

/// Show two cases of a study side by side, field by field
#[derive(Debug, clap::Args)]
pub(super) struct CompareArguments {
    /// The study's id, as `study create` printed it
    id: StudyId,
    /// task:ID, workflow_run:ID or item:BATCH:INDEX
    a: String,
    /// The same
    b: String,
    /// Fields that are the same, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn compare(arguments: CompareArguments, terminal: &Terminal) -> Result<Exit> {
    let CompareArguments { id, a, b, all, client } = arguments;
    let compared = connect(&client)?.compare(id, &a, &b).await?;
    match terminal.format {
        Format::Json => terminal.print(compared.text.get()),
        Format::Human => lines(&compared.value, all, terminal.out).iter().for_each(|line| terminal.print(line)),
    }
    Ok(Exit::Completed)
}

fn lines(compared: &ComparisonAnswer, all: bool, painter: Painter) -> Vec<String> {
    let mut rows = Vec::new();
    let (mut equal, mut left_out) = (0, 0);
    for (part, side) in [("inputs", &compared.inputs), ("outputs", &compared.outputs)] {
        let shown = side.fields.iter().filter(|field| all || field.status != "equal");
        rows.extend(shown.map(|field| row(part, field)));
        equal += side.equal;
        left_out += side.left_out;
    }
    let mut lines = match rows.as_slice() {
        [] => Vec::new(),
        rows => aligned(["FIELD", "A", "B", "B - A", "OF A"], rows, painter),
    };
    let mut text = format!("{equal} fields are the same");
    if left_out > 0 {
        text += &format!(", {left_out} more are not listed");
    }
    lines.push(painter.paint(Style::Dim, &text));
    lines
}

fn row(part: &str, field: &FieldDifference) -> [String; 5] {
    let cell = |value: Option<&RawValue>| match value.map(RawValue::get) {
        None => String::new(),
        Some(text) if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => neutralise_line(text),
        Some(text) => truncate_str(&neutralise_line(text), CELL_COLUMNS_MAX, "…").into_owned(),
    };
    [
        neutralise_line(&format!("{part}{}", field.pointer)),
        cell(field.a.as_deref()),
        cell(field.b.as_deref()),
        field.difference.map(significant).unwrap_or_default(),
        field.relative.map(|relative| format!("{:+.2} %", relative * 100.0)).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_its_size() {
        let compared = r#"{"a":{},"b":{},"inputs":{"fields":[
            {"pointer":"/d","status":"changed","a":8,"b":10,"difference":2.0,"relative":0.25},
            {"pointer":"/E","status":"equal","a":2.1e5,"b":210000},
            {"pointer":"/note","status":"only_in_b","b":"a text that is long, and says little"}],
            "equal":1,"changed":1,"only_in_a":0,"only_in_b":1,"left_out":0},
            "outputs":{"fields":[],"equal":0,"changed":0,"only_in_a":0,"only_in_b":0,"left_out":3}}"#;
        let compared = serde_json::from_str(compared).unwrap();
        let expected = [
            "FIELD        A  B                         B - A  OF A",
            "inputs/d     8  10                        2      +25.00 %",
            "inputs/note     \"a text that is long, a…",
            "1 fields are the same, 3 more are not listed",
        ];
        assert_eq!(lines(&compared, false, Painter::Plain), expected);
        assert_eq!(lines(&compared, true, Painter::Plain).len(), 5);
    }
}
