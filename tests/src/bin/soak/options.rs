//! What the soak was asked for.

use anyhow::{Context, Result, bail, ensure};

const USAGE: &str = "usage: soak [--tasks N] [--nodes N] [--workers N] [--kills N] [--wipes N] [--restarts N]";

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) tasks: usize,
    pub(crate) nodes: usize,
    pub(crate) workers: usize,
    /// SIGKILL of a random worker, which is started again.
    pub(crate) kills: usize,
    /// Redis forgets everything.
    pub(crate) wipes: usize,
    /// PostgreSQL stops as in a crash, and is started again.
    pub(crate) restarts: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { tasks: 10_000, nodes: 2, workers: 8, kills: 20, wipes: 3, restarts: 2 }
    }
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let number = match argument.as_str() {
                "--tasks" => &mut options.tasks,
                "--nodes" => &mut options.nodes,
                "--workers" => &mut options.workers,
                "--kills" => &mut options.kills,
                "--wipes" => &mut options.wipes,
                "--restarts" => &mut options.restarts,
                _ => bail!(USAGE),
            };
            *number = arguments.next().and_then(|text| text.parse().ok()).context(USAGE)?;
        }
        ensure!(options.tasks > 0 && options.nodes > 0 && options.workers > 0, USAGE);
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options> {
        Options::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_number_can_be_said() {
        assert_eq!(parse("").unwrap(), Options::default());
        let all = "--tasks 1 --nodes 2 --workers 3 --kills 4 --wipes 5 --restarts 6";
        let expected = Options { tasks: 1, nodes: 2, workers: 3, kills: 4, wipes: 5, restarts: 6 };
        assert_eq!(parse(all).unwrap(), expected);
        for wrong in ["--tasks", "--tasks many", "--tasks 0", "--help", "7"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
