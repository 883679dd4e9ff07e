//! The component of `fixtures/component`, which uses everything that components are granted and checks most of it itself.

use crate::driver::{Limits, Run, run_component};
use mecapy_model::ErrorKind;

fn run(inputs: &'static str) -> Run {
    run_component(Limits { inputs, memory_bytes: 256 << 20, ..Limits::default() })
}

/// The result of a run, as JSON text.
fn result(inputs: &'static str) -> String {
    run(inputs).outcome.result.unwrap_or_else(|error| panic!("{inputs}: {error:?}")).get().to_owned()
}

#[test]
fn inputs_and_results_cross_exactly() {
    assert_eq!(result(r#"{"do": "echo", "number": 0.1, "text": "é∑🦀"}"#), r#"{"number":0.1,"text":"é∑🦀"}"#);
    assert_eq!(result(r#"{"do": "echo", "number": 5e-324}"#), r#"{"number":5e-324,"text":""}"#);
    let usage = run(r#"{"do": "echo"}"#).outcome.usage;
    assert!(usage.fuel > 1_000 && usage.memory_peak_bytes >= 17 << 16, "{usage:?}");
}

#[test]
fn files_are_those_of_the_task() {
    let outcome = run(r#"{"do": "files"}"#).passes();
    let names: Vec<_> = outcome.artifacts.iter().map(|artifact| artifact.name.as_str().to_owned()).collect();
    assert_eq!(names, ["figures/one.txt"]);
    let outcome = run(r#"{"do": "artifacts"}"#).passes();
    let names: Vec<_> = outcome.artifacts.iter().map(|artifact| artifact.name.as_str().to_owned()).collect();
    assert_eq!(names, ["figures/two.txt", "large.bin", "log.txt"]);
}

#[test]
fn clock_randomness_and_arguments_are_those_of_the_task() {
    assert_eq!(result(r#"{"do": "clocks"}"#), r#"{"number":1704164645.0,"text":""}"#);
    assert_eq!(result(r#"{"do": "environment"}"#), r#"{"number":0.0,"text":"task"}"#);
    let drawn = |seed| {
        let limits = Limits { seed, inputs: r#"{"do": "random"}"#, ..Limits::default() };
        run_component(limits).passes().result.unwrap().get().to_owned()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn the_log_is_shown_and_warnings_are_told() {
    let outcome = run(r#"{"do": "tell"}"#).passes();
    assert_eq!(outcome.stdout, "to stdout\n");
    assert_eq!(outcome.stderr, "to stderr\nDEBUG one\nINFO two\nWARN three\nERROR four\u{241b}[2J\n");
    let told: Vec<_> = outcome.warnings.iter().map(|one| (one.code.as_str(), one.message.as_str())).collect();
    assert_eq!(told, [("two_words", "the step\u{241b}[2J is small"), ("small", "by the log")]);
}

#[test]
fn how_it_ends_is_told_by_kind() {
    let rows = [
        (r#"{"do": "require"}"#, ErrorKind::InvalidInput, "/number must be greater than zero, not 0"),
        (r#"{"do": "nothing"}"#, ErrorKind::InvalidInput, "/do must be one of"),
        (r#"{"do": "fail", "text": "no root\u001b"}"#, ErrorKind::Exception, "it can't be computed: no root\u{241b}"),
        (r#"{"do": "nan"}"#, ErrorKind::InvalidOutput, "/number of the result is NaN"),
        (r#"{"do": "panic"}"#, ErrorKind::Exception, "a digit ("),
        (r#"{"do": "exit", "number": 1}"#, ErrorKind::ExitCode, "the component ended with exit code 1"),
        (r#"{"do": "exit"}"#, ErrorKind::InvalidOutput, "ended itself before it had a result"),
    ];
    for (inputs, kind, words) in rows {
        let message = run(inputs).fails(kind);
        assert!(message.contains(words), "{inputs}: {message}");
    }
}
