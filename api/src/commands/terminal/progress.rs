//! Progress bars on stderr; where nobody watches they are silent.

use super::Terminal;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

const SPINNER_INTERVAL: Duration = Duration::from_millis(120);
/// Resolution of a bar that shows a fraction.
pub(crate) const FRACTION_STEPS: u64 = 1_000;

impl Terminal {
    /// Whether bars are shown.
    pub(crate) fn is_animated(&self) -> bool {
        self.animated
    }

    /// A bar that counts bytes.
    pub(crate) fn bytes_bar(&self, total: u64) -> ProgressBar {
        self.bar(Some(total), "{msg}  [{bar:30}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}")
    }

    /// A bar from 0 to [`FRACTION_STEPS`].
    pub(crate) fn fraction_bar(&self) -> ProgressBar {
        let bar = self.bar(Some(FRACTION_STEPS), "{spinner} [{bar:30}] {percent:>3} %  {elapsed}  {msg}");
        bar.enable_steady_tick(SPINNER_INTERVAL);
        bar
    }

    /// A bar of `total` steps with what is done now.
    pub(crate) fn steps_bar(&self, total: u64) -> ProgressBar {
        let bar = self.bar(Some(total), "{spinner} [{bar:30}] {pos}/{len}  {elapsed}  {wide_msg}");
        bar.enable_steady_tick(SPINNER_INTERVAL);
        bar
    }

    /// Something that turns while there is nothing to count.
    pub(crate) fn spinner(&self) -> ProgressBar {
        let bar = self.bar(None, "{spinner} {msg}  {elapsed}");
        bar.enable_steady_tick(SPINNER_INTERVAL);
        bar
    }

    fn bar(&self, total: Option<u64>, template: &str) -> ProgressBar {
        let target = if self.animated { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        // The templates are constants of this file, and a test reads them.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(total, target).with_style(style.progress_chars("=> "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    #[test]
    fn bars_for_programs_are_silent() {
        let terminal = Terminal::new(Format::Json);
        for bar in [terminal.bytes_bar(10), terminal.fraction_bar(), terminal.steps_bar(3), terminal.spinner()] {
            assert!(bar.is_hidden());
            bar.finish_and_clear();
        }
    }
}
