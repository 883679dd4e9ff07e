//! The mesh of an `.frd` file: nodes and elements, as far as a picture needs them.

/// Nodes that are held; more are counted, and no picture is made. The limit lets a face's key be 64 bits.
pub(in super::super) const NODES_MAX: usize = 1 << 21;
/// Element nodes that are held.
const ELEMENT_NODES_MAX: usize = 16 << 20;

/// The shape of an element, by its number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Shape {
    Hexahedron8,
    Wedge6,
    Tetrahedron4,
    Hexahedron20,
    Wedge15,
    Tetrahedron10,
    Triangle3,
    Triangle6,
    Quadrilateral4,
    Quadrilateral8,
    Line2,
    Line3,
}

impl Shape {
    fn of(number: u64) -> Option<Self> {
        Some(match number {
            1 => Shape::Hexahedron8,
            2 => Shape::Wedge6,
            3 => Shape::Tetrahedron4,
            4 => Shape::Hexahedron20,
            5 => Shape::Wedge15,
            6 => Shape::Tetrahedron10,
            7 => Shape::Triangle3,
            8 => Shape::Triangle6,
            9 => Shape::Quadrilateral4,
            10 => Shape::Quadrilateral8,
            11 => Shape::Line2,
            12 => Shape::Line3,
            _ => return None,
        })
    }

    fn nodes(self) -> usize {
        match self {
            Shape::Hexahedron8 | Shape::Quadrilateral8 => 8,
            Shape::Wedge6 | Shape::Triangle6 => 6,
            Shape::Tetrahedron10 => 10,
            Shape::Tetrahedron4 | Shape::Quadrilateral4 => 4,
            Shape::Hexahedron20 => 20,
            Shape::Wedge15 => 15,
            Shape::Triangle3 | Shape::Line3 => 3,
            Shape::Line2 => 2,
        }
    }
}

/// Nodes in ascending order of their numbers, and elements over their indices.
#[derive(Debug, Default)]
pub(in super::super) struct Mesh {
    pub(in super::super) ids: Vec<u32>,
    pub(in super::super) points: Vec<[f32; 3]>,
    /// Shape, and where its nodes begin in `element_nodes`.
    elements: Vec<(Shape, u32)>,
    element_nodes: Vec<u32>,
    /// The element whose nodes are being read: its shape, and how many are missing.
    open: Option<(Shape, usize)>,
    low: [f64; 3],
    high: [f64; 3],
    /// Whether there was more than is held.
    pub(in super::super) too_large: bool,
}

impl Mesh {
    /// The elements' shapes and node indices.
    pub(in super::super) fn elements(&self) -> impl Iterator<Item = (Shape, &[u32])> {
        self.elements.iter().filter_map(|(shape, first)| {
            let first = *first as usize;
            Some((*shape, self.element_nodes.get(first..first + shape.nodes())?))
        })
    }

    pub(super) fn diagonal(&self) -> f64 {
        let squares = self.low.iter().zip(&self.high).map(|(low, high)| (high - low).powi(2));
        squares.sum::<f64>().sqrt()
    }

    pub(super) fn node(&mut self, id: u64, point: [f64; 3]) {
        if point.iter().any(|value| !value.is_finite()) {
            return;
        }
        let first = self.points.is_empty() && !self.too_large;
        for ((low, high), value) in self.low.iter_mut().zip(&mut self.high).zip(point) {
            *low = if first { value } else { low.min(value) };
            *high = if first { value } else { high.max(value) };
        }
        match u32::try_from(id) {
            Ok(id) if self.points.len() < NODES_MAX => {
                self.ids.push(id);
                self.points.push(point.map(|value| value as f32));
            }
            _ => self.too_large = true,
        }
    }

    /// Sorts the nodes, which CalculiX writes in order.
    pub(super) fn nodes_end(&mut self) {
        if !self.ids.is_sorted() {
            let mut nodes: Vec<_> = self.ids.iter().copied().zip(self.points.iter().copied()).collect();
            nodes.sort_by_key(|(id, _)| *id);
            (self.ids, self.points) = nodes.into_iter().unzip();
        }
    }

    /// Where a node is; `likely` is tried first.
    pub(super) fn index(&self, id: u64, likely: usize) -> Option<usize> {
        let id = u32::try_from(id).ok()?;
        if self.ids.get(likely) == Some(&id) { Some(likely) } else { self.ids.binary_search(&id).ok() }
    }

    /// ` -1` number, type, group, material.
    pub(super) fn element(&mut self, text: &str, id_width: usize) {
        self.drop_unfinished();
        let kind = text.get(3 + id_width..8 + id_width).and_then(|kind| kind.trim().parse().ok());
        let Some(shape) = kind.and_then(Shape::of) else { return };
        if self.element_nodes.len() + shape.nodes() > ELEMENT_NODES_MAX {
            self.too_large = true;
            return;
        }
        let Ok(first) = u32::try_from(self.element_nodes.len()) else { return };
        self.elements.push((shape, first));
        self.open = Some((shape, shape.nodes()));
    }

    /// ` -2` and nodes, each as wide as a node's number.
    pub(super) fn element_nodes(&mut self, text: &str, id_width: usize) {
        let mut from = 3;
        while let Some((shape, missing)) = self.open {
            let Some(field) = text.get(from..(from + id_width).min(text.len())).filter(|field| !field.is_empty())
            else {
                return;
            };
            from += id_width;
            let index = field.trim().parse().ok().and_then(|id| self.index(id, usize::MAX));
            let Some(index) = index.and_then(|index| u32::try_from(index).ok()) else {
                self.drop_unfinished();
                return;
            };
            self.element_nodes.push(index);
            self.open = (missing > 1).then_some((shape, missing - 1));
        }
    }

    /// Takes back an element that lacks nodes.
    fn drop_unfinished(&mut self) {
        if self.open.take().is_some()
            && let Some((_, first)) = self.elements.pop()
        {
            self.element_nodes.truncate(first as usize);
        }
    }
}
