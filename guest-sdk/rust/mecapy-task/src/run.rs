//! One run: inputs on stdin, the function, its result on stdout, and how the program ends.

use crate::{Error, Result, error::Kind, finite, input, line};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{self, Read, Write},
    panic::{self, PanicHookInfo},
    process,
};

/// The exit code of a panic, as Rust programs have it.
const EXIT_PANIC: i32 = 101;

/// Runs `task` on the inputs from stdin, writes its result to stdout and ends the program. What `main` does.
pub fn run<I, O, E>(task: fn(I) -> Result<O, E>) -> !
where
    I: DeserializeOwned,
    O: Serialize,
    E: Into<Error>,
{
    tell_panics();
    let end = read().and_then(|bytes| answer(&bytes, task)).and_then(|result| write(&result));
    process::exit(match end {
        Ok(()) => 0,
        Err(error) => {
            line::error(error.kind.word(), &error);
            error.kind.exit_code()
        }
    })
}

/// From now on a panic is told to the platform with its place, and ends the program; records of `log` are log lines.
pub fn tell_panics() {
    panic::set_hook(Box::new(|panic| {
        line::error(Kind::Exception.word(), panic_message(panic));
        process::exit(EXIT_PANIC);
    }));
    #[cfg(feature = "log")]
    crate::logger::install();
}

/// Calls `task` with inputs as JSON text, and gives its result as JSON text: what the platform does, for tests.
pub fn call_json<I, O, E>(task: fn(I) -> Result<O, E>, inputs: &str) -> Result<String>
where
    I: DeserializeOwned,
    O: Serialize,
    E: Into<Error>,
{
    let result = answer(inputs.as_bytes(), task)?;
    String::from_utf8(result).map_err(|error| Error::output(format!("the result is not UTF-8: {error}")))
}

fn answer<I, O, E>(inputs: &[u8], task: fn(I) -> Result<O, E>) -> Result<Vec<u8>>
where
    I: DeserializeOwned,
    O: Serialize,
    E: Into<Error>,
{
    let result = task(input::read(inputs)?).map_err(Into::into)?;
    finite::check(&result)?;
    serde_json::to_vec(&result).map_err(|error| Error::output(format!("the result can't be written as JSON: {error}")))
}

fn read() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|error| Error::new(format!("stdin can't be read: {error}")))?;
    Ok(bytes)
}

fn write(result: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(result).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
    written.map_err(|error| Error::new(format!("the result can't be written to stdout: {error}")))
}

fn panic_message(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked");
    match panic.location() {
        Some(place) => format!("{text} ({}, line {}, column {})", place.file(), place.line(), place.column()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, convert::Infallible};

    #[test]
    fn doubles_cross_exactly() {
        fn same(input: BTreeMap<String, f64>) -> Result<BTreeMap<String, f64>, Infallible> {
            Ok(input)
        }
        // Each is one that a reader which rounds twice gets wrong, or an end of the range.
        let rows = [
            "0.1",
            "1e23",
            "8.41e21",
            "9007199254740993.0",
            "2.2250738585072011e-308",
            "5e-324",
            "1.7976931348623157e308",
            "0.500000000000000166533453693773481063544750213623046875",
            "-0.0",
            "3",
            "123456789012345678901234567890",
        ];
        for text in rows {
            let result = call_json(same, &format!("{{\"x\": {text}}}")).unwrap();
            let written = result.strip_prefix("{\"x\":").and_then(|rest| rest.strip_suffix('}')).unwrap();
            let (sent, got): (f64, f64) = (text.parse().unwrap(), written.parse().unwrap());
            assert_eq!(sent.to_bits(), got.to_bits(), "{text} became {written}");
        }
    }

    #[test]
    fn a_result_that_json_can_not_hold_is_named() {
        fn infinite(_: BTreeMap<String, f64>) -> Result<BTreeMap<String, Vec<f64>>> {
            Ok(BTreeMap::from([("stress".to_owned(), vec![1.0, f64::INFINITY])]))
        }
        let error = call_json(infinite, "{}").unwrap_err();
        assert_eq!(format!("{error:?}"), "invalid_output: /stress/1 of the result is inf, which JSON can't hold");
    }
}
