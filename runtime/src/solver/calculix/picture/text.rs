//! Text on a picture.

use super::canvas::Pixels;
use super::colours::Colour;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Characters of one text that are drawn.
const CHARS_MAX: usize = 110;

/// A size and weight of type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    weight: FontWeight,
    height: RasterHeight,
}

pub(super) const TITLE: Type = Type { weight: FontWeight::Bold, height: RasterHeight::Size20 };
pub(super) const PLAIN: Type = Type { weight: FontWeight::Regular, height: RasterHeight::Size16 };

impl Type {
    /// How wide a text is, in pixels.
    pub(super) fn width(self, text: &str) -> usize {
        text.chars().take(CHARS_MAX).count() * get_raster_width(self.weight, self.height)
    }

    /// Draws a text to the right of and below a place; letters that the typeface lacks become `?`.
    pub(super) fn write(self, pixels: &mut Pixels, (x, y): (usize, usize), text: &str, colour: Colour) {
        let step = get_raster_width(self.weight, self.height);
        for (at, letter) in text.chars().take(CHARS_MAX).enumerate() {
            let drawn =
                get_raster(letter, self.weight, self.height).or_else(|| get_raster('?', self.weight, self.height));
            let Some(drawn) = drawn else { continue };
            for (row, line) in drawn.rows().enumerate() {
                for (column, strength) in line.iter().enumerate().filter(|(_, strength)| **strength > 0) {
                    pixels.blend(x + at * step + column, y + row, colour, f32::from(*strength) / 255.0);
                }
            }
        }
    }
}
