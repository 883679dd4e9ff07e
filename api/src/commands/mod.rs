//! The command line of `mecapy`: one command per file, and here the way to each.
//!
//! Commands compose concrete backends from configuration, and are the only place that does.

mod artifacts;
mod batch;
mod batches;
mod cancel;
mod computation;
mod connection;
mod doctor;
mod exit;
mod following;
mod functions;
mod help;
mod inputs;
mod interrupt;
mod listing;
mod logs;
mod migrate;
mod new;
mod packages;
mod preview;
mod process;
mod publish;
mod python;
mod refusal;
mod report;
mod run;
mod schedule;
mod serve;
mod study;
mod submit;
mod tables;
mod terminal;
mod watch;
mod worker;
mod workflow;

use anyhow::Result;
use clap::{Parser, Subcommand};
use exit::{EXIT_CODES_HELP, Exit};
use std::{future::Future, process::ExitCode};
use terminal::{Format, Terminal};

/// Runs engineers' computations, each in a sandbox of its own
///
/// Python (NumPy and SciPy are there) or a WASI module, and inputs, give a JSON result and files. Each computation
/// has a WebAssembly sandbox that was made for it alone: no network, no files of this machine, and limits on time and
/// memory.
#[derive(Debug, Parser)]
#[command(name = "mecapy", version, after_help = help::of_all(), subcommand_required = true)]
struct CommandLine {
    /// Write JSON to stdout, for programs, and nothing else there
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(after_help = help::of_run())]
    Run(Box<run::RunArguments>),
    #[command(after_help = help::of_serve())]
    Serve(Box<serve::ServeArguments>),
    #[command(after_help = help::of_worker())]
    Worker(Box<worker::WorkerArguments>),
    #[command(after_help = help::of_migrate())]
    Migrate(Box<migrate::MigrateArguments>),
    #[command(after_help = help::of_preview())]
    Preview(Box<preview::PreviewArguments>),
    #[command(after_help = help::of_submit())]
    Submit(Box<submit::SubmitArguments>),
    #[command(after_help = help::of_batch())]
    Batch(Box<batch::BatchArguments>),
    #[command(after_help = help::of_batches())]
    Batches(batches::BatchesArguments),
    #[command(after_help = help::of_workflow())]
    Workflow(workflow::WorkflowArguments),
    #[command(after_help = help::of_study())]
    Study(study::StudyArguments),
    #[command(after_help = help::of_schedule())]
    Schedule(schedule::ScheduleArguments),
    #[command(after_help = help::of_new())]
    New(Box<new::NewArguments>),
    #[command(after_help = help::of_publish())]
    Publish(Box<publish::PublishArguments>),
    #[command(after_help = help::of_packages())]
    Packages(packages::PackagesArguments),
    #[command(after_help = help::of_functions())]
    Functions(functions::FunctionsArguments),
    #[command(after_help = EXIT_CODES_HELP)]
    Watch(watch::WatchArguments),
    #[command(after_help = EXIT_CODES_HELP)]
    Logs(logs::LogsArguments),
    #[command(after_help = EXIT_CODES_HELP)]
    Cancel(cancel::CancelArguments),
    #[command(after_help = EXIT_CODES_HELP)]
    Doctor(Box<doctor::DoctorArguments>),
    #[command(after_help = EXIT_CODES_HELP)]
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
        Command::Worker(arguments) => worker::worker(*arguments, terminal),
        Command::Migrate(arguments) => finish(migrate::migrate(*arguments, terminal)),
        Command::Preview(arguments) => finish(preview::preview(*arguments, terminal)),
        Command::Submit(arguments) => finish(submit::submit(*arguments, terminal)),
        Command::Batch(arguments) => finish(batch::batch(*arguments, terminal)),
        Command::Batches(arguments) => finish(batches::batches(arguments, terminal)),
        Command::Workflow(arguments) => finish(workflow::workflow(arguments, terminal)),
        Command::Study(arguments) => finish(study::study(arguments, terminal)),
        Command::Schedule(arguments) => finish(schedule::schedule(arguments, terminal)),
        Command::New(arguments) => new::new(*arguments, terminal),
        Command::Publish(arguments) => finish(publish::publish(*arguments, terminal)),
        Command::Packages(arguments) => finish(packages::packages(arguments, terminal)),
        Command::Functions(arguments) => finish(functions::functions(arguments, terminal)),
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
        let names = [
            "run",
            "serve",
            "worker",
            "migrate",
            "preview",
            "submit",
            "batch",
            "batches",
            "workflow",
            "study",
            "schedule",
            "new",
            "publish",
            "packages",
            "functions",
            "watch",
            "logs",
            "cancel",
            "doctor",
            "python",
        ];
        for name in names.into_iter().chain(["70  the platform"]) {
            assert!(help.contains(name), "{name} is missing in\n{help}");
        }
    }

    #[test]
    fn every_command_says_its_exit_codes() {
        let mut all = CommandLine::command();
        all.build();
        for command in all.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Exit codes:"), "{help}");
        }
        assert!(all.render_long_help().to_string().contains("Quick start:"));
    }

    #[test]
    fn a_token_file_stands_beside_a_token_of_the_environment_and_not_of_a_flag() {
        let parse = |more: &[&str]| {
            let all = ["mecapy", "preview", "a.py", "--token-file", "key"];
            CommandLine::try_parse_from(all.iter().chain(more))
        };
        let command = CommandLine::command();
        let preview = command.get_subcommands().find(|command| command.get_name() == "preview").unwrap();
        // The environment is read by `config`, after the flags.
        let token = preview.get_arguments().find(|arg| arg.get_id() == "token").unwrap();
        assert!(token.get_env().is_none());
        assert!(parse(&[]).is_ok());
        assert!(parse(&["--token", "x"]).is_err());
    }

    #[test]
    fn a_worker_takes_its_lanes_between_commas() {
        let line = ["mecapy", "worker", "--lanes", "default,long_running", "--concurrency", "4"];
        assert!(CommandLine::try_parse_from(line).is_ok());
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
        let rows: [&[&str]; 26] = [
            &["run"],
            &["worker", "--lanes", "default,express"],
            &["worker", "--concurrency", "many"],
            &["submit", "a.py", "--lane", "express"],
            &["submit", "a.py", "--priority", "10"],
            &["submit", "a.py", "--wait", "--watch"],
            &["submit", "a.py", "--wait", "--wait-at-most", "0"],
            &["submit", "a.py", "--wait-at-most", "9"],
            &["watch", "42"],
            &["cancel"],
            &["logs", id, "--since", "-1"],
            &["new", "Rods", "--lang", "c"],
            &["new", "rods", "--lang", "fortran"],
            &["new", "rods"],
            &["publish", "--owner", "../x"],
            &["packages", "yank", "acme/rods@1.0.0"],
            &["packages", "show", "rods"],
            &["functions", "show", "acme/rods"],
            &["batch", "a.py", "--sweep", "d"],
            &["batch", "a.py", "--sweep", "F=0:1:0"],
            &["batch", "a.py", "--random", "9"],
            &["batches", "results", "42"],
            &["workflow", "watch", "42"],
            &["workflow", "approve", id],
            &["study", "table", id, "--format", "xlsx"],
            &["schedule", "create", "task", "a.py"],
        ];
        for row in rows {
            let parsed = CommandLine::try_parse_from(["mecapy"].iter().chain(row));
            assert_eq!(parsed.unwrap_err().exit_code(), 2, "{row:?}");
        }
    }
}
