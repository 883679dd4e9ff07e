//! A task that does what its input `do` says: every part of the SDK once, for the platform's tests.

use mecapy_task::{Ports, Result, artifact, ensure_input, input_file, progress, warning};
use serde::{Deserialize, Serialize};
use std::{fs, io::Write};

#[derive(Deserialize, Ports)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(rename = "do")]
    what: What,
    #[serde(default)]
    number: f64,
    #[serde(default)]
    text: String,
}

#[derive(Clone, Copy, Deserialize, Ports)]
#[serde(rename_all = "lowercase")]
enum What {
    Echo,
    Files,
    Progress,
    Require,
    Fail,
    Panic,
    Nan,
}

#[derive(Serialize, Ports)]
struct Output {
    number: f64,
    text: String,
}

/// Does one thing.
#[mecapy_task::main]
fn every(input: Input) -> Result<Output> {
    let Input { what, mut number, mut text } = input;
    match what {
        What::Echo => {}
        What::Files => {
            text = fs::read_to_string(input_file(&text))?;
            artifact("figures/one.txt")?.write_all(b"one\n")?;
        }
        What::Progress => {
            progress(0.25, "meshing");
            eprintln!("a line of the log");
            warning("small", "the step is small");
            progress(1.0, "");
        }
        What::Require => ensure_input!(number > 0.0, "/number", "must be greater than zero, not {number}"),
        What::Fail => mecapy_task::ensure!(number > 0.0, "it can't be computed: {text}"),
        What::Panic => {
            let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
            number = f64::from(*digits.first().expect("a digit"));
        }
        What::Nan => number = f64::NAN,
    }
    Ok(Output { number, text })
}
