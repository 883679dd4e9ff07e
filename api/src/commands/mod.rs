//! The command line of `mecapy`: one command per file, and here the way to each.
//!
//! Commands compose concrete backends from configuration, and are the only place that does.

mod artifacts;
mod cancel;
mod computation;
mod connection;
mod doctor;
mod exit;
mod following;
mod inputs;
mod interrupt;
mod logs;
mod preview;
mod python;
mod refusal;
mod report;
mod run;
mod serve;
mod submit;
mod terminal;
mod watch;

use anyhow::Result;
use clap::{Parser, Subcommand};
use exit::{EXIT_CODES_HELP, Exit};
use std::{future::Future, process::ExitCode};
use terminal::{Format, Terminal};

/// Runs engineers' computations, each in a sandbox of its own
#[derive(Debug, Parser)]
#[command(name = "mecapy", version, after_help = EXIT_CODES_HELP, subcommand_required = true)]
struct CommandLine {
    /// Write JSON to stdout, for programs, and nothing else there
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_help = EXIT_CODES_HELP)]
    Run(Box<run::RunArguments>),
    Serve(Box<serve::ServeArguments>),
    #[command(after_help = EXIT_CODES_HELP)]
    Preview(Box<preview::PreviewArguments>),
    #[command(after_help = EXIT_CODES_HELP)]
    Submit(Box<submit::SubmitArguments>),
    #[command(after_help = EXIT_CODES_HELP)]
    Watch(watch::WatchArguments),
    Logs(logs::LogsArguments),
    Cancel(cancel::CancelArguments),
    Doctor(Box<doctor::DoctorArguments>),
    Python(python::PythonArguments),
}

/// Reads the arguments, does what they say, and answers the process's exit code.
pub fn run() -> ExitCode {
    // The hidden command that compiles one module ties its own hands, and wants nothing else to have happened.
    if let Some(exit) = mecapy_runtime::module::compile_child(std::env::args_os()) {
        return exit;
    }
    let CommandLine { json, command } = CommandLine::parse();
    let terminal = Terminal::new(if json { Format::Json } else { Format::Human });
    match dispatch(command, &terminal) {
        Ok(exit) => exit.into(),
        Err(error) => {
            terminal.fail(&error);
            Exit::of_error(&error).into()
        }
    }
}

fn dispatch(command: Command, terminal: &Terminal) -> Result<Exit> {
    match command {
        Command::Run(arguments) => finish(run::run(*arguments, terminal)),
        Command::Serve(arguments) => serve::serve(*arguments, terminal),
        Command::Preview(arguments) => finish(preview::preview(*arguments, terminal)),
        Command::Submit(arguments) => finish(submit::submit(*arguments, terminal)),
        Command::Watch(arguments) => finish(watch::watch(arguments, terminal)),
        Command::Logs(arguments) => finish(logs::logs(arguments, terminal)),
        Command::Cancel(arguments) => finish(cancel::cancel(arguments, terminal)),
        Command::Doctor(arguments) => finish(doctor::doctor(*arguments, terminal)),
        Command::Python(arguments) => python::python(arguments, terminal),
    }
}

/// Runs a client's command to its end, on this thread.
fn finish(command: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_its_help_names_the_exit_codes() {
        let mut command = CommandLine::command();
        command.clone().debug_assert();
        let help = command.render_long_help().to_string();
        for name in
            ["run", "serve", "preview", "submit", "watch", "logs", "cancel", "doctor", "python", "70  the platform"]
        {
            assert!(help.contains(name), "{name} is missing in\n{help}");
        }
    }

    #[test]
    fn json_is_understood_after_a_command_too() {
        for arguments in [["mecapy", "--json", "doctor"], ["mecapy", "doctor", "--json"]] {
            assert!(CommandLine::parse_from(arguments).json);
        }
    }

    #[test]
    fn wrong_use_is_refused_by_the_parser() {
        let id = "0190aaaa-0000-7000-8000-000000000000";
        let rows: [&[&str]; 7] = [
            &["run"],
            &["submit", "a.py", "--lane", "express"],
            &["submit", "a.py", "--priority", "10"],
            &["submit", "a.py", "--wait", "--watch"],
            &["watch", "42"],
            &["cancel"],
            &["logs", id, "--since", "-1"],
        ];
        for row in rows {
            let parsed = CommandLine::try_parse_from(["mecapy"].iter().chain(row));
            assert_eq!(parsed.unwrap_err().exit_code(), 2, "{row:?}");
        }
    }
}
