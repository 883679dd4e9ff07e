//! The colour map: viridis, whose lightness rises evenly and which people with any colour vision can read.
//!
//! Source: nine published points of viridis (S. van der Walt and N. Smith, A Better Default Colormap for Matplotlib,
//! SciPy 2015), with straight lines between them.

/// Colours of equal steps from the least to the greatest value.
const POINTS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 45, 123],
    [59, 82, 139],
    [44, 114, 142],
    [33, 145, 140],
    [40, 174, 128],
    [94, 201, 98],
    [173, 220, 48],
    [253, 231, 37],
];

/// Steps that the map is shown in: contours are easier to follow than a gradient, and make small files.
pub(super) const BANDS: usize = 16;

pub(super) type Colour = [u8; 3];

pub(super) const WHITE: Colour = [255, 255, 255];
pub(super) const INK: Colour = [33, 37, 41];
pub(super) const FAINT: Colour = [96, 104, 112];
pub(super) const OUTLINE: Colour = [150, 156, 162];

/// The colour of a share from 0 to 1, in bands.
pub(super) fn banded(share: f32) -> Colour {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let band = ((share * BANDS as f32) as usize).min(BANDS - 1);
    at(band as f32 / (BANDS - 1) as f32)
}

fn at(share: f32) -> Colour {
    let place = share * (POINTS.len() - 1) as f32;
    let from = POINTS.get(place as usize).copied().unwrap_or_default();
    let to = POINTS.get(place as usize + 1).copied().unwrap_or(from);
    mixed(from, to, place.fract())
}

/// `share` of `over` laid on `under`.
pub(super) fn mixed(under: Colour, over: Colour, share: f32) -> Colour {
    let [mut red, mut green, mut blue] = under;
    for (part, other) in [&mut red, &mut green, &mut blue].into_iter().zip(over) {
        *part = (f32::from(*part) + (f32::from(other) - f32::from(*part)) * share).round() as u8;
    }
    [red, green, blue]
}

/// A colour in less light; 1 leaves it as it is.
pub(super) fn lit(colour: Colour, light: f32) -> Colour {
    colour.map(|part| (f32::from(part) * light).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_starts_dark_ends_bright_and_grows_lighter() {
        assert_eq!((banded(0.0), banded(1.0), banded(f32::NAN)), ([68, 1, 84], [253, 231, 37], [68, 1, 84]));
        let light = |colour: Colour| {
            0.2126 * f32::from(colour[0]) + 0.7152 * f32::from(colour[1]) + 0.0722 * f32::from(colour[2])
        };
        let bands: Vec<f32> = (0..BANDS).map(|band| light(banded((band as f32 + 0.5) / BANDS as f32))).collect();
        assert!(bands.is_sorted(), "{bands:?}");
    }
}
