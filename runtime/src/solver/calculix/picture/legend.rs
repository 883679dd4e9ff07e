//! What stands around a model: title, colour bar, axes and notes.

use super::canvas::{Pixels, Spot};
use super::colours::{BANDS, FAINT, INK, WHITE, banded};
use super::text::{PLAIN, TITLE};
use super::view::turned;

const BAR_LEFT: usize = 1_010;
const BAR_TOP: usize = 180;
const BAR_WIDTH: usize = 26;
const BAND_HEIGHT: usize = 26;
/// Bands between two numbers of the bar.
const BANDS_PER_NUMBER: usize = 2;

#[derive(Debug)]
pub(super) struct Legend {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) quantity: &'static str,
    pub(super) note: String,
    /// Whether the greatest value is 1 by definition.
    pub(super) relative: bool,
}

impl Legend {
    pub(super) fn draw(&self, pixels: &mut Pixels, [low, high]: [f32; 2], node: u32) {
        TITLE.write(pixels, (40, 28), &self.title, INK);
        PLAIN.write(pixels, (40, 58), &self.subtitle, FAINT);
        PLAIN.write(pixels, (40, pixels.height - 38), &self.note, FAINT);
        bar(pixels, self.quantity, [low, high]);
        let below = BAR_TOP + BANDS * BAND_HEIGHT + 24;
        let max = if self.relative { "max".to_owned() } else { format!("max {}", number(f64::from(high))) };
        PLAIN.write(pixels, (BAR_LEFT, below), &max, INK);
        PLAIN.write(pixels, (BAR_LEFT, below + 20), &format!("at node {node}"), INK);
        axes(pixels);
    }
}

fn bar(pixels: &mut Pixels, quantity: &str, [low, high]: [f32; 2]) {
    let height = BANDS * BAND_HEIGHT;
    let words: Vec<&str> = quantity.rsplitn(2, ' ').collect();
    for (line, words) in words.iter().rev().enumerate() {
        PLAIN.write(pixels, (BAR_LEFT, BAR_TOP + 20 * line - 20 * words_lines(quantity) - 12), words, INK);
    }
    pixels.rectangle((BAR_LEFT - 1, BAR_TOP - 1), (BAR_WIDTH + 2, height + 2), INK);
    for band in 0..BANDS {
        let colour = banded((band as f32 + 0.5) / BANDS as f32);
        let top = BAR_TOP + (BANDS - 1 - band) * BAND_HEIGHT;
        pixels.rectangle((BAR_LEFT, top), (BAR_WIDTH, BAND_HEIGHT), colour);
    }
    for band in (0..=BANDS).step_by(BANDS_PER_NUMBER) {
        let y = BAR_TOP + (BANDS - band) * BAND_HEIGHT;
        let value = f64::from(low) + (f64::from(high) - f64::from(low)) * band as f64 / BANDS as f64;
        pixels.rectangle((BAR_LEFT + BAR_WIDTH, y), (6, 1), INK);
        PLAIN.write(pixels, (BAR_LEFT + BAR_WIDTH + 12, y - 9), &number(value), INK);
    }
}

fn words_lines(quantity: &str) -> usize {
    quantity.rsplitn(2, ' ').count()
}

/// The directions of x, y and z, bottom left.
fn axes(pixels: &mut Pixels) {
    let (x, y) = (75.0, pixels.height as f32 - 105.0);
    for (axis, name) in [([1.0, 0.0, 0.0], "x"), ([0.0, 1.0, 0.0], "y"), ([0.0, 0.0, 1.0], "z")] {
        let [across, up, _] = turned(axis);
        for step in 0..=90 {
            let reach = 0.5 * step as f32;
            dot(pixels, (x + reach * across, y - reach * up), 0.8);
        }
        let (right, down) = (x + 56.0 * across - 4.0, y - 56.0 * up - 9.0);
        PLAIN.write(pixels, (right as usize, down as usize), name, INK);
    }
}

/// A round dot with soft edges.
fn dot(pixels: &mut Pixels, (x, y): (f32, f32), radius: f32) {
    let reach = radius.ceil() as i64 + 1;
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let (column, row) = (x as i64 + dx, y as i64 + dy);
            let away = (column as f32 + 0.5 - x).hypot(row as f32 + 0.5 - y);
            if let (Ok(column), Ok(row)) = (usize::try_from(column), usize::try_from(row)) {
                pixels.blend(column, row, INK, (radius + 0.5 - away).clamp(0.0, 1.0));
            }
        }
    }
}

/// Marks the place of the greatest value.
pub(super) fn mark(pixels: &mut Pixels, spot: Spot) {
    dot(pixels, (spot.x, spot.y), 4.0);
    let wide = PLAIN.width("max");
    let x = spot.x as usize;
    let left = if x + wide + 24 < BAR_LEFT { x + 14 } else { x.saturating_sub(wide + 14) };
    let top = (spot.y as usize).saturating_sub(28);
    for row in 0..20 {
        for column in 0..wide + 8 {
            pixels.blend((left + column).saturating_sub(4), top + row, WHITE, 0.8);
        }
    }
    PLAIN.write(pixels, (left, top + 1), "max", INK);
}

/// A printed number with four significant digits at most.
pub(super) fn short(token: &str) -> String {
    number(super::super::token::value(token))
}

/// Four significant digits, zeros at the end left out; a power of ten where that is shorter.
pub(super) fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    if rounded == 0.0 || (1e-3..1e6).contains(&rounded.abs()) { format!("{rounded}") } else { format!("{rounded:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (301.4843, "301.5"),
            (0.0, "0"),
            (1e-9, "1e-9"),
            (123_456.0, "123500"),
            (-2.0e7, "-2e7"),
            (0.0123456, "0.01235"),
        ] {
            assert_eq!(number(value), expected);
        }
        assert_eq!(short("0.1000000E+01"), "1");
    }
}
