//! From space to the canvas: an isometric view, fitted into a frame.

use super::canvas::Spot;

/// Where a model is drawn, in pixels: left, top, right, bottom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

/// Seen from the front right above, at equal angles to the three axes: x points to the right and down, y to the right
/// and up, z up.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    scale: f32,
    /// Added after scaling, in pixels.
    shift: [f32; 2],
}

impl View {
    /// The view in which all points fill the frame; `None` where there are none.
    pub(super) fn fitting(points: impl Iterator<Item = [f32; 3]>, frame: Frame) -> Option<Self> {
        let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for [across, up, _] in points.map(turned).filter(|point| point.iter().all(|value| value.is_finite())) {
            for ((low, high), value) in low.iter_mut().zip(&mut high).zip([across, up]) {
                *low = low.min(value);
                *high = high.max(value);
            }
        }
        let ([left, bottom], [right, top]) = (low, high);
        if !(left.is_finite() && right.is_finite()) {
            return None;
        }
        let room = [(right - left) / (frame.right - frame.left), (top - bottom) / (frame.bottom - frame.top)];
        let largest = room[0].max(room[1]);
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        let shift = [
            (frame.left + frame.right) / 2.0 - scale * (left + right) / 2.0,
            (frame.top + frame.bottom) / 2.0 + scale * (top + bottom) / 2.0,
        ];
        Some(View { scale, shift })
    }

    pub(super) fn spot(&self, point: [f32; 3]) -> Spot {
        let [across, up, near] = turned(point);
        let [right, down] = self.shift;
        Spot { x: right + self.scale * across, y: down - self.scale * up, depth: self.scale * near }
    }
}

/// Across, up, towards the eye.
pub(super) fn turned([x, y, z]: [f32; 3]) -> [f32; 3] {
    let (two, three, six) = (2_f32.sqrt(), 3_f32.sqrt(), 6_f32.sqrt());
    [(x + y) / two, (2.0 * z + y - x) / six, (x - y + z) / three]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_fills_its_frame_and_keeps_lengths() {
        for point in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.3, -0.4, 0.5]] {
            let length = |[a, b, c]: [f32; 3]| (a * a + b * b + c * c).sqrt();
            assert!((length(turned(point)) - length(point)).abs() < 1e-6);
        }
        let frame = Frame { left: 10.0, top: 20.0, right: 110.0, bottom: 70.0 };
        let corners = [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, 5.0, 1.0]];
        let view = View::fitting(corners.into_iter(), frame).unwrap();
        let spots = corners.map(|corner| view.spot(corner));
        assert!(spots.iter().all(|spot| (9.9..110.1).contains(&spot.x) && (19.9..70.1).contains(&spot.y)), "{spots:?}");
        assert!(View::fitting([[f32::NAN; 3]].into_iter(), frame).is_none());
    }
}
