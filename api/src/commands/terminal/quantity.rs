//! Numbers with units, as people read and write them.

use mecapy_model::{KernelUsage, Usage};

/// `0.4 ms · 1.2 M fuel · 82 MiB`, with the time in the queue where it was noticeable.
pub(crate) fn usage_line(usage: &Usage) -> String {
    let mut line = format!(
        "{} · {} fuel · {}",
        duration(usage.startup_ms + usage.execute_ms),
        count(usage.fuel),
        bytes(usage.memory_peak_bytes)
    );
    if let Some(compile_ms) = usage.compile_ms {
        line += &format!(" · compiled in {}", duration(compile_ms));
    }
    if let Some(kernels) = &usage.kernels {
        line += &format!(" · {}", kernels_used(kernels));
    }
    if usage.queued_ms >= 1.0 {
        line += &format!(" · waited {}", duration(usage.queued_ms));
    }
    line
}

/// `native kernels: 12 calls, 1.2 GFlop (x86-64-v3)`.
fn kernels_used(kernels: &KernelUsage) -> String {
    let calls = if kernels.calls == 1 { "call" } else { "calls" };
    let flops = scaled(kernels.flops, 1_000, &[" Flop", " kFlop", " MFlop", " GFlop", " TFlop", " PFlop", " EFlop"]);
    format!("native kernels: {} {calls}, {flops} ({})", count(kernels.calls), kernels.instructions)
}

/// A time given in milliseconds.
pub(crate) fn duration(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms < 0.0 || !ms.is_finite() => "?".to_owned(),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 120_000.0 => format!("{:.2} s", ms / 1_000.0),
        ms if ms < 7_200_000.0 => {
            format!("{:.0} min {:02.0} s", (ms / 60_000.0).floor(), (ms / 1_000.0 % 60.0).floor())
        }
        ms => format!("{:.0} h {:02.0} min", (ms / 3_600_000.0).floor(), (ms / 60_000.0 % 60.0).floor()),
    }
}

/// A count with a decimal prefix.
pub(crate) fn count(number: u64) -> String {
    scaled(number, 1_000, &["", " k", " M", " G", " T", " P", " E"])
}

/// A result's number in six significant digits, without zeros that say nothing.
pub(crate) fn significant(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e7).contains(&magnitude) {
        let text = format!("{number:.5e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", without_zeros(digits));
    }
    let before = if magnitude < 1.0 { 0 } else { magnitude.log10().floor() as usize + 1 };
    let leading = if magnitude > 0.0 && magnitude < 1.0 { (-magnitude.log10()).floor() as usize } else { 0 };
    let decimals = 6_usize.saturating_sub(before) + leading;
    without_zeros(&format!("{number:.decimals$}")).to_owned()
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// A size with a binary prefix.
pub(crate) fn bytes(number: u64) -> String {
    scaled(number, 1_024, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
}

/// Reads a size such as `512MiB`, `1.5 GB` or `1048576`; a bare `M` or `G` is binary, as memory is.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let number: f64 = number.parse().map_err(|_| format!("{text:?} does not begin with a number"))?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(format!("{unit:?} is no unit of size: use B, KiB, MiB, GiB, KB, MB or GB")),
    };
    let size = (number * factor as f64).round();
    // The cast saturates, and sizes above 2^53 need no exactness: they are refused by every limit.
    Ok(size as u64)
}

fn scaled(number: u64, step: u64, units: &[&str]) -> String {
    let mut value = number as f64;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for next in units {
        // Before rounding could show a whole step of the smaller unit.
        if value < step as f64 - 0.5 {
            break;
        }
        value /= step as f64;
        unit = next;
    }
    if number < step || value >= 9.95 { format!("{value:.0}{unit}") } else { format!("{value:.1}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::InstructionSet;

    #[test]
    fn quantities_are_short_and_have_their_units() {
        let durations = [
            (0.412, "0.4 ms"),
            (87.3, "87 ms"),
            (1_534.0, "1.53 s"),
            (125_000.0, "2 min 05 s"),
            (7_260_000.0, "2 h 01 min"),
            (f64::NAN, "?"),
        ];
        for (ms, expected) in durations {
            assert_eq!(duration(ms), expected);
        }
        for (number, expected) in [(0, "0"), (999, "999"), (1_234_567, "1.2 M"), (20_000_000_000, "20 G")] {
            assert_eq!(count(number), expected);
        }
        for (number, expected) in [(512, "512 B"), (1536, "1.5 KiB"), (82 << 20, "82 MiB"), (4 << 30, "4.0 GiB")] {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn numbers_of_results_have_six_digits() {
        let rows = [
            (0.0, "0"),
            (442.097_064_144, "442.097"),
            (-0.000_123_456_78, "-0.000123457"),
            (1_234_567.89, "1234568"),
            (2.1e11, "2.1e11"),
            (1.234_567_8e-9, "1.23457e-9"),
            (100.0, "100"),
            (0.25, "0.25"),
        ];
        for (number, expected) in rows {
            assert_eq!(significant(number), expected);
        }
    }

    #[test]
    fn the_usage_line_says_time_fuel_and_memory() {
        let usage = Usage {
            fuel: 1_234_567,
            memory_peak_bytes: 82 << 20,
            cpu_ms: 0.4,
            queued_ms: 0.01,
            startup_ms: 0.1,
            execute_ms: 0.31,
            compile_ms: None,
            kernels: None,
        };
        assert_eq!(usage_line(&usage), "0.4 ms · 1.2 M fuel · 82 MiB");
        let compiled = Usage { compile_ms: Some(2_500.0), ..usage };
        assert_eq!(usage_line(&compiled), "0.4 ms · 1.2 M fuel · 82 MiB · compiled in 2.50 s");
        let instructions = InstructionSet::X86_64V3;
        let kernels = Some(KernelUsage { instructions, calls: 12, flops: 1_234_567_890, price_version: 1 });
        let told = "0.4 ms · 1.2 M fuel · 82 MiB · native kernels: 12 calls, 1.2 GFlop (x86-64-v3)";
        assert_eq!(usage_line(&Usage { kernels, ..usage }), told);
        assert_eq!(usage_line(&Usage { queued_ms: 1_200.0, ..usage }), "0.4 ms · 1.2 M fuel · 82 MiB · waited 1.20 s");
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, expected) in
            [("1048576", 1 << 20), ("512MiB", 512 << 20), ("1.5 G", 3 << 29), ("2gb", 2_000_000_000), ("64k", 65_536)]
        {
            assert_eq!(parse_bytes(text), Ok(expected));
        }
        for text in ["", "MiB", "12 parsecs", "-5", "1.2.3"] {
            assert!(parse_bytes(text).is_err(), "{text:?} was accepted");
        }
    }
}
