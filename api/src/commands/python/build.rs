//! `mecapy python build`: makes the interpreter images, and says how far it is.

use crate::{
    commands::{
        exit::Exit,
        refusal::Misuse,
        terminal::{Format, Style, Terminal, duration, neutralise_line},
    },
    config::{PlaceFlags, Places},
};
use anyhow::Result;
use indicatif::ProgressBar;
use mecapy_python::{BuildEvent, BuildOptions, Rebuild, Recipe};
use mecapy_runtime::Engine;
use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

/// Fetch, check, compile and warm up the interpreter; takes minutes the first time
#[derive(Debug, clap::Args)]
pub(super) struct BuildArguments {
    /// Only these images, separated by commas [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    image: Vec<String>,
    /// Build again what is there already
    #[arg(long)]
    force: bool,
    /// Cores that may compile at once [default: all]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    places: PlaceFlags,
}

pub(super) fn build(arguments: BuildArguments, terminal: &Terminal) -> Result<Exit> {
    let Places { cache_dir, nan_payloads, .. } = arguments.places.load()?;
    let recipe = Recipe::bundled()?;
    if let Some(jobs) = arguments.jobs {
        use_cores(jobs)?;
    }
    let engine = Engine::new(nan_payloads)?;
    let known = mecapy_python::list(&engine, &cache_dir, &recipe)?;
    if let Some(unknown) = arguments.image.iter().find(|name| known.iter().all(|image| image.name != **name)) {
        let names: Vec<_> = known.iter().map(|image| image.name.as_str()).collect();
        return Err(Misuse::new(format!("there is no image {unknown:?}: choose from {}", names.join(", "))).into());
    }
    let rebuild = if arguments.force { Rebuild::Always } else { Rebuild::IfChanged };
    let options = BuildOptions { images: arguments.image, rebuild };
    let started = Instant::now();
    let mut display = Display::new(terminal);
    let built = mecapy_python::build(&engine, &cache_dir, &recipe, &options, &mut |event| display.tell(event));
    display.end();
    built?;
    match terminal.format {
        Format::Json => terminal.print_json(&mecapy_python::list(&engine, &cache_dir, &recipe)?),
        Format::Human => {
            let text = format!("ready in {}: {}", milliseconds(started.elapsed()), cache_dir.display());
            terminal.note(&terminal.err.paint(Style::Green, &text));
        }
    }
    Ok(Exit::Completed)
}

/// A bar where somebody watches, else a line for each step.
struct Display<'t> {
    terminal: &'t Terminal,
    bar: Option<ProgressBar>,
    title: String,
    began: Instant,
}

impl<'t> Display<'t> {
    fn new(terminal: &'t Terminal) -> Self {
        Self { terminal, bar: None, title: String::new(), began: Instant::now() }
    }

    fn tell(&mut self, event: BuildEvent) {
        match event {
            BuildEvent::Step { step, steps, title } => self.begin(step, steps, &title),
            BuildEvent::Progress { done, total } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("{} ({done}/{total})", self.title));
                }
            }
            BuildEvent::Cached => self.ended("already there"),
            BuildEvent::Done => self.ended(&milliseconds(self.began.elapsed())),
        }
    }

    fn begin(&mut self, step: usize, steps: usize, title: &str) {
        self.title = neutralise_line(title);
        self.began = Instant::now();
        if self.terminal.is_animated() {
            let bar = self.bar.get_or_insert_with(|| self.terminal.steps_bar(steps as u64));
            bar.set_position(step.saturating_sub(1) as u64);
            bar.set_message(self.title.clone());
        } else {
            self.terminal.note(&format!("[{step}/{steps}] {}", self.title));
        }
    }

    fn ended(&self, how: &str) {
        let line = format!("{} {}", self.title, self.terminal.err.paint(Style::Dim, &format!("({how})")));
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                bar.suspend(|| self.terminal.note(&line));
            }
            None => self.terminal.note(&format!("      {how}")),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn milliseconds(time: Duration) -> String {
    duration(time.as_secs_f64() * 1_000.0)
}

/// Confines this process to its first `jobs` cores; the compiler starts as many threads as it may use.
fn use_cores(jobs: NonZeroUsize) -> std::io::Result<()> {
    // SAFETY: all zeros is an empty set of cores.
    let (mut allowed, mut chosen) = unsafe { (std::mem::zeroed::<libc::cpu_set_t>(), std::mem::zeroed()) };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: `allowed` has the size that is named.
    if unsafe { libc::sched_getaffinity(0, size, &mut allowed) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: every index is below the size of a set.
    let usable = (0..libc::CPU_SETSIZE as usize).filter(|core| unsafe { libc::CPU_ISSET(*core, &allowed) });
    // SAFETY: the same.
    usable.take(jobs.get()).for_each(|core| unsafe { libc::CPU_SET(core, &mut chosen) });
    // SAFETY: `chosen` has the size that is named, and holds one core at least, since one runs this.
    match unsafe { libc::sched_setaffinity(0, size, &chosen) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
