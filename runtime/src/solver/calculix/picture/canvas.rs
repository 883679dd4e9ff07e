//! A picture while it is drawn: colours and depths of small pixels, four of which make one of the result.

use super::colours::{Colour, WHITE, banded, lit, mixed};

/// Small pixels along each side of a pixel.
const FINE: usize = 2;
/// Small pixels that all triangles and lines of a picture may touch: a mesh of large faces behind one another would
/// else take hours.
const TOUCHED_MAX: u64 = 400_000_000;

/// A point on the canvas, in pixels from the top left corner; what is nearer to the eye has the greater depth.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spot {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) depth: f32,
}

impl Spot {
    fn is_drawable(self) -> bool {
        [self.x, self.y, self.depth].iter().all(|value| value.abs() < 1e6)
    }
}

/// How a line is laid on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    pub(super) colour: Colour,
    /// Share of the colour, from 0 to 1.
    pub(super) strength: f32,
    /// In small pixels.
    pub(super) width: usize,
    /// How much nearer to the eye than its points a line counts as; infinite for lines over all else.
    pub(super) lift: f32,
}

#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    colours: Vec<Colour>,
    depths: Vec<f32>,
    touched: u64,
}

impl Canvas {
    /// White; sizes in pixels of the result.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let (width, height) = (width * FINE, height * FINE);
        let fine = width * height;
        Canvas { width, height, colours: vec![WHITE; fine], depths: vec![f32::NEG_INFINITY; fine], touched: 0 }
    }

    /// Whether drawing stopped because it took too much work.
    pub(super) fn is_exhausted(&self) -> bool {
        self.touched > TOUCHED_MAX
    }

    /// A triangle whose values (from 0 to 1) colour it.
    pub(super) fn triangle(&mut self, corners: [Spot; 3], values: [f32; 3], light: f32) {
        let scale = FINE as f32;
        let [a, b, c] = corners.map(|spot| Spot { x: spot.x * scale, y: spot.y * scale, ..spot });
        let area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
        if !corners.iter().all(|spot| spot.is_drawable()) || area.abs() < 1e-6 || self.is_exhausted() {
            return;
        }
        let (left, right) = span([a.x, b.x, c.x], self.width);
        let (top, bottom) = span([a.y, b.y, c.y], self.height);
        self.touched += (right.saturating_sub(left) * bottom.saturating_sub(top)) as u64;
        let mut last = (f32::NAN, WHITE);
        for row in top..bottom {
            let y = row as f32 + 0.5;
            for column in left..right {
                let x = column as f32 + 0.5;
                let of_b = ((x - a.x) * (c.y - a.y) - (y - a.y) * (c.x - a.x)) / area;
                let of_c = ((b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x)) / area;
                let of_a = 1.0 - of_b - of_c;
                // A hair over the edge, so that neighbours leave no gap.
                if of_a < -1e-4 || of_b < -1e-4 || of_c < -1e-4 {
                    continue;
                }
                let depth = of_a * a.depth + of_b * b.depth + of_c * c.depth;
                let value = of_a * values[0] + of_b * values[1] + of_c * values[2];
                if last.0 != value {
                    last = (value, lit(banded(value), light));
                }
                self.put(row * self.width + column, depth, last.1);
            }
        }
    }

    fn put(&mut self, at: usize, depth: f32, colour: Colour) {
        if let (Some(known), Some(place)) = (self.depths.get_mut(at), self.colours.get_mut(at))
            && depth >= *known
        {
            (*known, *place) = (depth, colour);
        }
    }

    /// A straight line, hidden by what is nearer to the eye.
    pub(super) fn line(&mut self, from: Spot, to: Spot, pen: Pen) {
        if !from.is_drawable() || !to.is_drawable() || self.is_exhausted() {
            return;
        }
        let scale = FINE as f32;
        let (x, y) = (from.x * scale, from.y * scale);
        let (along, down) = ((to.x - from.x) * scale, (to.y - from.y) * scale);
        let steps = along.abs().max(down.abs()).ceil().clamp(1.0, 20_000.0);
        self.touched += steps as u64 * pen.width as u64;
        for step in 0..=steps as usize {
            let share = step as f32 / steps;
            let depth = from.depth + (to.depth - from.depth) * share + pen.lift;
            // The width lies across the line: up and down for a flat line, left and right for a steep one.
            for across in 0..pen.width {
                let shift = across as f32 - (pen.width - 1) as f32 / 2.0;
                let (dx, dy) = if along.abs() > down.abs() { (0.0, shift) } else { (shift, 0.0) };
                self.ink(x + along * share + dx, y + down * share + dy, depth, pen);
            }
        }
    }

    fn ink(&mut self, x: f32, y: f32, depth: f32, pen: Pen) {
        if x < 0.0 || y < 0.0 || x >= self.width as f32 || y >= self.height as f32 {
            return;
        }
        let at = y as usize * self.width + x as usize;
        if let (Some(known), Some(place)) = (self.depths.get(at), self.colours.get_mut(at))
            && depth >= *known
        {
            *place = mixed(*place, pen.colour, pen.strength);
        }
    }

    /// Whether nothing nearer to the eye hides a place.
    pub(super) fn shows(&self, spot: Spot) -> bool {
        let (x, y) = (spot.x * FINE as f32, spot.y * FINE as f32);
        let inside = spot.is_drawable() && x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32;
        let known = if inside { self.depths.get(y as usize * self.width + x as usize) } else { None };
        known.is_some_and(|known| *known <= spot.depth + 3.0)
    }

    /// The finished picture's rows of red, green and blue.
    pub(super) fn into_pixels(self) -> Pixels {
        let (width, height) = (self.width / FINE, self.height / FINE);
        let mut rgb = Vec::with_capacity(width * height * 3);
        for row in 0..height {
            for column in 0..width {
                let mut sums = [0_u32; 3];
                for fine in 0..FINE * FINE {
                    let at = (row * FINE + fine / FINE) * self.width + column * FINE + fine % FINE;
                    let colour = self.colours.get(at).copied().unwrap_or(WHITE);
                    for (sum, part) in sums.iter_mut().zip(colour) {
                        *sum += u32::from(part);
                    }
                }
                rgb.extend(sums.map(|sum| (sum / (FINE * FINE) as u32) as u8));
            }
        }
        Pixels { width, height, rgb }
    }
}

fn span(values: [f32; 3], size: usize) -> (usize, usize) {
    let [a, b, c] = values;
    let low = a.min(b).min(c).floor().clamp(0.0, size as f32);
    let high = a.max(b).max(c).ceil().clamp(0.0, size as f32);
    (low as usize, high as usize)
}

/// Rows of red, green and blue, 8 bits each.
#[derive(Debug)]
pub(super) struct Pixels {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgb: Vec<u8>,
}

impl Pixels {
    /// Lays `share` of a colour on a pixel.
    pub(super) fn blend(&mut self, x: usize, y: usize, colour: Colour, share: f32) {
        if x >= self.width {
            return;
        }
        let at = (y * self.width + x) * 3;
        if let Some(place) = self.rgb.get_mut(at..at + 3) {
            let under: Colour = <[u8; 3]>::try_from(&*place).unwrap_or(WHITE);
            place.copy_from_slice(&mixed(under, colour, share));
        }
    }

    /// A filled rectangle from a corner, with a size.
    pub(super) fn rectangle(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), colour: Colour) {
        for row in y..y + height {
            for column in x..x + width {
                self.blend(column, row, colour, 1.0);
            }
        }
    }

    /// The same at half the width and height.
    pub(super) fn halved(&self) -> Pixels {
        let (width, height) = (self.width / 2, self.height / 2);
        let part =
            |x: usize, y: usize, of: usize| self.rgb.get((y * self.width + x) * 3 + of).copied().map_or(255, u32::from);
        let mut rgb = Vec::with_capacity(width * height * 3);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (2 * y, 2 * x))) {
            for of in 0..3 {
                let sum = part(x, y, of) + part(x + 1, y, of) + part(x, y + 1, of) + part(x + 1, y + 1, of);
                rgb.push((sum / 4) as u8);
            }
        }
        Pixels { width, height, rgb }
    }

    /// PNG.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder =
            png::Encoder::new(&mut bytes, u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&self.rgb).ok()?;
        writer.finish().ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearer_hides_what_is_farther_whatever_comes_first() {
        let spot = |x, y, depth| Spot { x, y, depth };
        let near = [spot(-10.0, -10.0, 2.0), spot(30.0, -10.0, 2.0), spot(-10.0, 30.0, 2.0)];
        let far = near.map(|spot| Spot { depth: 1.0, ..spot });
        for (first, second) in [((near, 1.0), (far, 0.0)), ((far, 0.0), (near, 1.0))] {
            let mut canvas = Canvas::new(8, 8);
            for (corners, value) in [first, second] {
                canvas.triangle(corners, [value; 3], 1.0);
            }
            canvas.triangle([spot(f32::NAN, 0.0, 9.0), spot(1e30, 0.0, 9.0), spot(0.0, 8.0, 9.0)], [0.5; 3], 1.0);
            canvas.line(
                spot(-1e9, 0.0, 9.0),
                spot(f32::INFINITY, 8.0, 9.0),
                Pen { colour: WHITE, strength: 1.0, width: 1, lift: 0.0 },
            );
            assert_eq!(canvas.into_pixels().rgb[..3], banded(1.0));
        }
    }
}
