//! `mecapy functions show`: the ports of a function, and a call to begin with.

use super::ports::{PortRow, example_call, port_rows};
use crate::{
    client::FunctionAnswer,
    commands::{
        connection::connect,
        exit::Exit,
        terminal::{Format, Style, Terminal, aligned, neutralise, neutralise_line},
    },
    config::ClientFlags,
    packages::FunctionReference,
};
use anyhow::Result;
use serde_json::value::RawValue;

/// Show a function: its inputs and outputs with types and units, and how to call it
#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// As acme/bolted-joint#preload or acme/bolted-joint@1.2.0#preload
    #[arg(value_name = "OWNER/PACKAGE[@VERSION]#NAME")]
    function: FunctionReference,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn show(arguments: ShowArguments, terminal: &Terminal) -> Result<Exit> {
    let answer = connect(&arguments.client)?.function(&arguments.function).await?;
    match terminal.format {
        Format::Json => terminal.print(answer.text.get()),
        Format::Human => lines(&answer.value, terminal).iter().for_each(|line| terminal.print(line)),
    }
    Ok(Exit::Completed)
}

fn lines(function: &FunctionAnswer, terminal: &Terminal) -> Vec<String> {
    let reference = neutralise_line(&function.reference);
    let mut lines = vec![terminal.out.paint(Style::Bold, &reference)];
    lines.extend(neutralise(&function.description).trim().lines().map(str::to_owned));
    if let Some(at) = function.yanked_at.as_deref() {
        let day = at.split_once('T').map_or(at, |(day, _)| day);
        lines.push(terminal.out.paint(Style::Yellow, &format!("this version was yanked on {}", neutralise_line(day))));
    }
    lines.push(String::new());
    lines.extend(inputs(function.inputs.as_deref(), terminal));
    lines.push(String::new());
    lines.extend(outputs(function.outputs.as_deref(), terminal));
    lines.push(String::new());
    lines.push(terminal.out.paint(Style::Dim, "a call, with values to replace:"));
    lines.push(format!("  {}", example_call(&reference, function.inputs.as_deref())));
    lines
}

fn inputs(schema: Option<&RawValue>, terminal: &Terminal) -> Vec<String> {
    let Some((rows, validity)) = schema.and_then(port_rows) else {
        return vec!["it takes any inputs: its manifest declares none".to_owned()];
    };
    if rows.is_empty() {
        return vec!["it takes no inputs".to_owned()];
    }
    let cells = rows.into_iter().map(|row| {
        let PortRow { name, ty, unit, needed, about } = row;
        [name, ty, unit, needed, about]
    });
    let mut lines = aligned(["INPUT", "TYPE", "UNIT", "DEFAULT", ""], &cells.collect::<Vec<_>>(), terminal.out);
    lines.extend(validity.into_iter().map(|rule| format!("valid where {rule}")));
    lines
}

fn outputs(schema: Option<&RawValue>, terminal: &Terminal) -> Vec<String> {
    let Some((rows, validity)) = schema.and_then(port_rows) else {
        return vec!["its manifest declares no outputs".to_owned()];
    };
    let cells = rows.into_iter().map(|PortRow { name, ty, unit, about, .. }| [name, ty, unit, about]);
    let mut lines = aligned(["OUTPUT", "TYPE", "UNIT", ""], &cells.collect::<Vec<_>>(), terminal.out);
    lines.extend(validity.into_iter().map(|rule| format!("valid where {rule}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_shown_with_its_ports_and_a_call() {
        let function = r#"{"reference":"acme/rods@1.0.0#rod","owner":"acme","package":"rods","version":"1.0.0","name":"rod",
            "description":"Mean stress in a round rod.\n","handler":"rods:rod","resources":{},"yanked_at":null,
            "inputs":{"type":"object","properties":{
                "F":{"title":"F","description":"Axial force","x-type":"Force","unit":"N","anyOf":[],"examples":[12]},
                "d":{"x-type":"Length","unit":"mm","default":12.0,"x-validity":[{"expression":"d >= 3","on_violation":"refuse"}]},
                "note":{"x-type":"String","type":"string"}},
              "required":["F"],"x-validity":[{"expression":"F < 1e6 * d","on_violation":"flag"}]},
            "outputs":{"type":"object","properties":{"result":{"x-type":"Stress","unit":"MPa","type":"number"}}}}"#;
        let lines = lines(&serde_json::from_str(function).unwrap(), &Terminal::new(Format::Json));
        let expected = [
            "acme/rods@1.0.0#rod",
            "Mean stress in a round rod.",
            "",
            "INPUT  TYPE    UNIT  DEFAULT",
            "F      Force   N     needed   Axial force",
            "d      Length  mm    12.0     valid where d >= 3",
            "note   String        -",
            "valid where F < 1e6 * d (else a warning)",
            "",
            "OUTPUT  TYPE    UNIT",
            "result  Stress  MPa",
            "",
            "a call, with values to replace:",
            "  mecapy preview 'acme/rods@1.0.0#rod' -i F=12N",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_function_that_declares_nothing_takes_anything() {
        let function = r#"{"reference":"acme/rods@1.0.0#rod","inputs":null,"outputs":null}"#;
        let lines = lines(&serde_json::from_str(function).unwrap(), &Terminal::new(Format::Json));
        assert!(lines.iter().any(|line| line.contains("any inputs")), "{lines:?}");
        assert_eq!(
            lines.last().map(String::as_str),
            Some("  mecapy preview 'acme/rods@1.0.0#rod' --inputs @inputs.json")
        );
    }
}
