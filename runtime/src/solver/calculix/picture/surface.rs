//! The outside of a mesh: faces that belong to one element only, shells, and lines.

use super::super::frd::{Mesh, Shape};
use std::collections::HashMap;

/// Faces that are drawn; of more, every second, third, … is drawn, enlarged.
pub(super) const FACES_MAX: usize = 200_000;
/// A face's key holds three node indices of 21 bits, as many as a mesh may have.
const INDEX_BITS: u32 = 21;

/// A face: three or four corners, and as many mid-side nodes or none. The side after a corner has the mid-side node of
/// the same place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Face {
    nodes: [u32; 8],
    corners: u8,
    curved: bool,
}

impl Face {
    pub(super) fn corners(&self) -> &[u32] {
        self.nodes.get(..usize::from(self.corners)).unwrap_or_default()
    }

    /// Empty for a face with straight sides.
    pub(super) fn mid_sides(&self) -> &[u32] {
        let corners = usize::from(self.corners);
        if self.curved { self.nodes.get(corners..2 * corners).unwrap_or_default() } else { &[] }
    }

    /// The sides: corner, mid-side node where there is one, corner.
    pub(super) fn sides(&self) -> impl Iterator<Item = (u32, Option<u32>, u32)> {
        let corners = self.corners();
        let next = corners.iter().skip(1).chain(corners.first());
        corners.iter().zip(next).enumerate().map(|(at, (from, to))| (*from, self.mid_sides().get(at).copied(), *to))
    }

    fn key(&self) -> u64 {
        let mut sorted = [u32::MAX; 4];
        for (place, corner) in sorted.iter_mut().zip(self.corners()) {
            *place = *corner;
        }
        sorted.sort_unstable();
        let three = sorted.iter().take(3).fold(0_u64, |key, index| key << INDEX_BITS | u64::from(*index));
        three << 1 | u64::from(self.corners == 4)
    }
}

/// What is drawn of a mesh.
#[derive(Debug, Default)]
pub(super) struct Surface {
    pub(super) faces: Vec<Face>,
    /// Of how many faces one is drawn.
    pub(super) one_of: usize,
    /// Elements that are lines, as chains of nodes.
    pub(super) lines: Vec<[u32; 2]>,
    /// Sides where the surface ends or bends by more than 30°.
    pub(super) edges: Vec<(u32, Option<u32>, u32)>,
}

/// Corners of faces and the sides that mid-side nodes lie on, as places in an element's nodes.
struct Solid {
    faces: &'static [&'static [usize]],
    corners: usize,
    sides: &'static [(usize, usize)],
}

const HEXAHEDRON: Solid = Solid {
    faces: &[&[0, 1, 2, 3], &[4, 5, 6, 7], &[0, 1, 5, 4], &[1, 2, 6, 5], &[2, 3, 7, 6], &[3, 0, 4, 7]],
    corners: 8,
    sides: &[(0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 5), (2, 6), (3, 7), (4, 5), (5, 6), (6, 7), (7, 4)],
};
const WEDGE: Solid = Solid {
    faces: &[&[0, 1, 2], &[3, 4, 5], &[0, 1, 4, 3], &[1, 2, 5, 4], &[2, 0, 3, 5]],
    corners: 6,
    sides: &[(0, 1), (1, 2), (2, 0), (0, 3), (1, 4), (2, 5), (3, 4), (4, 5), (5, 3)],
};
const TETRAHEDRON: Solid = Solid {
    faces: &[&[0, 1, 2], &[0, 1, 3], &[1, 2, 3], &[2, 0, 3]],
    corners: 4,
    sides: &[(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)],
};
const TRIANGLE: Solid = Solid { faces: &[&[0, 1, 2]], corners: 3, sides: &[(0, 1), (1, 2), (2, 0)] };
const QUADRILATERAL: Solid = Solid { faces: &[&[0, 1, 2, 3]], corners: 4, sides: &[(0, 1), (1, 2), (2, 3), (3, 0)] };

impl Solid {
    fn of(shape: Shape) -> Option<&'static Self> {
        Some(match shape {
            Shape::Hexahedron8 | Shape::Hexahedron20 => &HEXAHEDRON,
            Shape::Wedge6 | Shape::Wedge15 => &WEDGE,
            Shape::Tetrahedron4 | Shape::Tetrahedron10 => &TETRAHEDRON,
            Shape::Triangle3 | Shape::Triangle6 => &TRIANGLE,
            Shape::Quadrilateral4 | Shape::Quadrilateral8 => &QUADRILATERAL,
            Shape::Line2 | Shape::Line3 => return None,
        })
    }

    fn face(&self, corners: &[usize], nodes: &[u32]) -> Option<Face> {
        let mut face = Face { nodes: [0; 8], corners: corners.len() as u8, curved: nodes.len() > self.corners };
        let next = corners.iter().skip(1).chain(corners.first());
        for (at, (from, to)) in corners.iter().zip(next).enumerate() {
            *face.nodes.get_mut(at)? = *nodes.get(*from)?;
            if face.curved {
                let side = self.sides.iter().position(|side| *side == (*from, *to) || *side == (*to, *from))?;
                *face.nodes.get_mut(corners.len() + at)? = *nodes.get(self.corners + side)?;
            }
        }
        Some(face)
    }
}

/// The faces of an element; a shell has itself.
fn faces_of(shape: Shape, nodes: &[u32]) -> impl Iterator<Item = Face> {
    let solid = Solid::of(shape);
    solid.into_iter().flat_map(move |solid| solid.faces.iter().filter_map(move |corners| solid.face(corners, nodes)))
}

impl Surface {
    pub(super) fn of(mesh: &Mesh) -> Self {
        let mut keys: Vec<u64> =
            mesh.elements().flat_map(|(shape, nodes)| faces_of(shape, nodes)).map(|face| face.key()).collect();
        keys.sort_unstable();
        let alone = |face: &Face| {
            let key = face.key();
            let at = keys.partition_point(|other| *other < key);
            keys.get(at + 1) != Some(&key)
        };
        let outer = || mesh.elements().flat_map(|(shape, nodes)| faces_of(shape, nodes)).filter(alone);
        let one_of = outer().count().div_ceil(FACES_MAX).max(1);
        let faces: Vec<Face> = outer().step_by(one_of).collect();
        let lines = mesh.elements().filter_map(|(shape, nodes)| match (shape, nodes) {
            (Shape::Line2 | Shape::Line3, [from, to, ..]) => Some([*from, *to]),
            _ => None,
        });
        let lines = lines.take(FACES_MAX).collect();
        let edges = if one_of == 1 { edges(mesh, &faces) } else { Vec::new() };
        Surface { faces, one_of, lines, edges }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faces.is_empty() && self.lines.is_empty()
    }

    /// The nodes that are drawn, with repetitions.
    pub(super) fn nodes(&self) -> impl Iterator<Item = u32> {
        let faces = self.faces.iter().flat_map(|face| face.corners().iter().chain(face.mid_sides()));
        faces.copied().chain(self.lines.iter().flatten().copied())
    }
}

fn edges(mesh: &Mesh, faces: &[Face]) -> Vec<(u32, Option<u32>, u32)> {
    // The cosine of 30°: a smaller one means a sharper bend.
    const BEND: f32 = 0.866;
    type Side = (Option<u32>, [f32; 3], u32, bool);
    let mut sides: HashMap<(u32, u32), Side> = HashMap::new();
    for face in faces {
        let normal = normal(mesh, face.corners());
        for (from, mid, to) in face.sides() {
            let side = sides.entry((from.min(to), from.max(to))).or_insert((mid, normal, 0, false));
            let cosine: f32 = side.1.iter().zip(normal).map(|(left, right)| left * right).sum();
            side.2 += 1;
            // Faces are not turned outward, so a normal may point either way.
            side.3 |= cosine.abs() < BEND;
        }
    }
    let sharp = sides.into_iter().filter(|(_, (_, _, faces, bent))| *faces != 2 || *bent);
    let mut edges: Vec<_> = sharp.map(|((from, to), (mid, ..))| (from, mid, to)).collect();
    edges.sort_unstable();
    edges
}

/// Of length 1; of a quadrilateral from its diagonals.
fn normal(mesh: &Mesh, corners: &[u32]) -> [f32; 3] {
    let point =
        |at: usize| corners.get(at).and_then(|node| mesh.points.get(*node as usize)).copied().unwrap_or_default();
    let (a, b) = if corners.len() == 4 { ((0, 2), (1, 3)) } else { ((0, 1), (0, 2)) };
    let [left, right] = [a, b].map(|(from, to)| between(point(from), point(to)));
    unit(cross(left, right))
}

fn between(from: [f32; 3], to: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|axis| to.get(axis).unwrap_or(&0.0) - from.get(axis).unwrap_or(&0.0))
}

pub(super) fn cross([a, b, c]: [f32; 3], [x, y, z]: [f32; 3]) -> [f32; 3] {
    [b * z - c * y, c * x - a * z, a * y - b * x]
}

/// The same direction with length 1; zero for zero.
pub(super) fn unit(vector: [f32; 3]) -> [f32; 3] {
    let length = vector.iter().map(|part| part * part).sum::<f32>().sqrt();
    if length > 0.0 { vector.map(|part| part / length) } else { [0.0; 3] }
}
