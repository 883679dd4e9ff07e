//! Faces with curved sides as small triangles, by the shape functions of the elements that they come from.
//!
//! Source of the functions: O. C. Zienkiewicz, The Finite Element Method (serendipity quadrilateral, quadratic triangle).

use super::surface::Face;

/// A place in space and the value there.
pub(super) type Sample = ([f32; 3], f32);

/// The triangles of a face that is divided into `parts` along each side. `sample` answers what is at a node.
pub(super) fn triangles(face: &Face, parts: usize, sample: &dyn Fn(u32) -> Sample) -> Vec<[Sample; 3]> {
    let nodes: Vec<Sample> = face.corners().iter().chain(face.mid_sides()).map(|node| sample(*node)).collect();
    let parts = parts.max(1);
    let at = |column: usize, row: usize| {
        let (u, v) = (column as f32 / parts as f32, row as f32 / parts as f32);
        match (face.corners().len(), nodes.len()) {
            (4, 4) => mix(&nodes, &bilinear(2.0 * u - 1.0, 2.0 * v - 1.0)),
            (4, _) => mix(&nodes, &serendipity(2.0 * u - 1.0, 2.0 * v - 1.0)),
            (_, 3) => mix(&nodes, &[1.0 - u - v, u, v]),
            _ => mix(&nodes, &quadratic(1.0 - u - v, u, v)),
        }
    };
    let mut found = Vec::new();
    let triangular = face.corners().len() == 3;
    for row in 0..parts {
        let columns = if triangular { parts - row } else { parts };
        for column in 0..columns {
            let corner = [at(column, row), at(column + 1, row), at(column, row + 1)];
            found.push(corner);
            if !triangular || column + 1 < columns {
                let [_, right, below] = corner;
                found.push([right, at(column + 1, row + 1), below]);
            }
        }
    }
    found
}

/// A side as a chain of points.
pub(super) fn chain(from: [f32; 3], mid: Option<[f32; 3]>, to: [f32; 3], parts: usize) -> Vec<[f32; 3]> {
    let Some(mid) = mid else { return vec![from, to] };
    let point = |part: usize| {
        let t = part as f32 / parts as f32;
        let weights = [(1.0 - t) * (1.0 - 2.0 * t), 4.0 * t * (1.0 - t), t * (2.0 * t - 1.0)];
        mix(&[(from, 0.0), (mid, 0.0), (to, 0.0)], &weights).0
    };
    (0..=parts).map(point).collect()
}

fn mix(nodes: &[Sample], weights: &[f32]) -> Sample {
    let mut sum = ([0.0_f32; 3], 0.0_f32);
    for ((point, value), weight) in nodes.iter().zip(weights) {
        for (part, add) in sum.0.iter_mut().zip(point) {
            *part += weight * add;
        }
        sum.1 += weight * value;
    }
    sum
}

fn bilinear(u: f32, v: f32) -> [f32; 4] {
    [(1.0 - u) * (1.0 - v), (1.0 + u) * (1.0 - v), (1.0 + u) * (1.0 + v), (1.0 - u) * (1.0 + v)].map(|w| w / 4.0)
}

fn serendipity(u: f32, v: f32) -> [f32; 8] {
    let corner = |a: f32, b: f32| (1.0 + a * u) * (1.0 + b * v) * (a * u + b * v - 1.0) / 4.0;
    [
        corner(-1.0, -1.0),
        corner(1.0, -1.0),
        corner(1.0, 1.0),
        corner(-1.0, 1.0),
        (1.0 - u * u) * (1.0 - v) / 2.0,
        (1.0 + u) * (1.0 - v * v) / 2.0,
        (1.0 - u * u) * (1.0 + v) / 2.0,
        (1.0 - u) * (1.0 - v * v) / 2.0,
    ]
}

fn quadratic(a: f32, b: f32, c: f32) -> [f32; 6] {
    [a * (2.0 * a - 1.0), b * (2.0 * b - 1.0), c * (2.0 * c - 1.0), 4.0 * a * b, 4.0 * b * c, 4.0 * c * a]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_functions_sum_to_one_and_are_one_at_their_own_node() {
        for (u, v) in [(0.3_f32, -0.7_f32), (1.0, 1.0), (0.0, 0.0)] {
            assert!((bilinear(u, v).iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert!((serendipity(u, v).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert_eq!(serendipity(1.0, 0.0)[5], 1.0);
        assert_eq!(serendipity(1.0, 1.0)[2], 1.0);
        assert_eq!(quadratic(0.0, 0.5, 0.5), [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
