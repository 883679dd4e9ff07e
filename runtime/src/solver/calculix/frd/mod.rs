//! The `.frd` file: the mesh, and fields at its nodes for each increment or mode.
//!
//! Columns are fixed and numbers may touch. After the three letters of a record (` -1`) comes a node's number, 5 wide in
//! the short format (0) and 10 wide in the long one (1), then values, 12 wide each. The binary formats (2, 3) are not
//! read. Stress components stand in the order xx, yy, zz, xy, yz, zx.
//! Source: CalculiX GraphiX User's Manual, "Result Format".

mod mesh;
mod records;

pub(super) use mesh::{Mesh, Shape};

use super::token;
use records::{BlockHead, Component, columns, record_node};

use super::lines::Lines;
use std::io;

/// Increments and modes that are kept.
pub(super) const FRAMES_MAX: usize = 2_000;
/// Modes whose shapes are kept for pictures.
pub(super) const MODES_DRAWN_MAX: usize = 6;
/// Values that are held for pictures of modes, all together.
const MODE_VALUES_MAX: usize = 12 << 20;
const LINE_BYTES_MAX: usize = 1_024;
const COMPONENTS_MAX: usize = 64;

/// What an `.frd` file says.
#[derive(Debug, Default)]
pub(super) struct Frd {
    /// Whether the file is in a binary format; then nothing but `complete` and `blocks` is known.
    pub(super) binary: bool,
    /// Whether it ends with its closing record, ` 9999`.
    pub(super) complete: bool,
    /// Blocks of results.
    pub(super) blocks: u64,
    pub(super) frames: Vec<Frame>,
    pub(super) frames_left_out: u64,
    /// The diagonal of the box around all nodes; 0 where there are none.
    pub(super) diagonal: f64,
    pub(super) mesh: Mesh,
    /// Fields of the last increment that is no mode.
    pub(super) last: Option<Shot>,
    /// Fields of the first modes, in their order.
    pub(super) modes: Vec<Shot>,
}

/// What belongs to one time, frequency or factor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    pub(super) step: u64,
    /// The increment's or mode's number.
    pub(super) number: u64,
    pub(super) kind: Kind,
    /// The time, frequency or buckling factor as printed.
    pub(super) value: String,
    pub(super) displacement_max: Option<Peak>,
    pub(super) von_mises_max: Option<Peak>,
    pub(super) temperature_max: Option<Peak>,
    /// Negated: the lowest temperature is the greatest of these.
    pub(super) temperature_min: Option<Peak>,
    pub(super) plastic_strain_max: Option<Peak>,
    /// A node with a value that is no finite number.
    pub(super) not_finite: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Statics, dynamics, heat: at a time.
    Time,
    Frequency,
    Buckling,
}

/// A greatest value and the node where it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Peak {
    pub(super) value: f64,
    pub(super) node: u64,
}

/// Fields over the mesh's nodes at one frame, for a picture.
#[derive(Debug)]
pub(super) struct Shot {
    /// Which of the frames.
    pub(super) frame: usize,
    pub(super) displacements: Vec<[f32; 3]>,
    /// Empty where the file has no stresses.
    pub(super) von_mises: Vec<f32>,
}

/// The von Mises stress of six stress components, the shear components in any order:
/// sqrt(((xx − yy)² + (yy − zz)² + (zz − xx)²)/2 + 3 (xy² + yz² + zx²)).
/// Source: R. von Mises, Nachr. Ges. Wiss. Göttingen (1913) 582–592.
pub(super) fn von_mises(stress: [f64; 6]) -> f64 {
    let [xx, yy, zz, xy, yz, zx] = stress;
    let normal = ((xx - yy).powi(2) + (yy - zz).powi(2) + (zz - xx).powi(2)) / 2.0;
    (normal + 3.0 * (xy * xy + yz * yz + zx * zx)).sqrt()
}

/// Reads an `.frd` file of any size with bounded memory.
///
/// # Errors
/// The file can't be read. What is malformed in it is passed over.
pub(super) fn read(file: Box<dyn io::Read + '_>) -> io::Result<Frd> {
    let mut parser = Parser::default();
    let mut lines = Lines::new(file, LINE_BYTES_MAX);
    while let Some(line) = lines.next()? {
        let closing = line.starts_with(b" 9999");
        parser.line(line);
        // Binary values end with no line of their own.
        parser.frd.complete = closing || (parser.frd.binary && lines.tail.ends_with(b" 9999"));
    }
    parser.end_section();
    parser.keep_shot();
    let mut frd = parser.frd;
    frd.diagonal = frd.mesh.diagonal();
    Ok(frd)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Head,
    Nodes,
    Elements,
    /// A block of results.
    Block,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Displacement,
    Stress,
    Temperature,
    PlasticStrain,
    Other,
}

#[derive(Debug, Default)]
struct Parser {
    frd: Frd,
    section: Section,
    /// How wide a node's number is.
    id_width: usize,
    /// From `1PSTEP` and `1PMODE`.
    step: u64,
    increment: u64,
    mode: Option<u64>,
    /// The number that the present frame's blocks carry.
    block_number: u64,
    field: Option<Field>,
    stored: Vec<Component>,
    /// The node that the next record likely has, as an index.
    expected: usize,
    /// Fields of the present frame.
    shot: Option<Shot>,
}

impl Parser {
    fn line(&mut self, line: &[u8]) {
        if self.frd.binary {
            self.frd.blocks += u64::from(line.starts_with(b"  100C"));
            return;
        }
        let Ok(text) = std::str::from_utf8(line) else { return };
        if text.starts_with(" -1") && self.section != Section::Head {
            self.record(text);
        } else if text.starts_with(" -2") {
            if self.section == Section::Elements {
                self.frd.mesh.element_nodes(text, self.id_width);
            }
        } else if text.starts_with(" -3") {
            self.end_section();
        } else if text.starts_with(" -4") {
            let name = text.get(5..13).unwrap_or_default().trim();
            self.field = Some(match name {
                "DISP" => Field::Displacement,
                "STRESS" => Field::Stress,
                "NDTEMP" => Field::Temperature,
                "PE" => Field::PlasticStrain,
                _ => Field::Other,
            });
            self.stored.clear();
        } else if text.starts_with(" -5") {
            if let Some(component) = Component::parse(text).filter(|_| self.stored.len() < COMPONENTS_MAX)
                && component.stored
            {
                self.stored.push(component);
            }
        } else {
            self.head(text);
        }
    }

    fn head(&mut self, text: &str) {
        let numbers =
            |from: usize| text.get(from..).unwrap_or_default().split_whitespace().map(|word| word.parse().ok());
        if text.starts_with("    2C") {
            let format = text.get(73..74).and_then(|format| format.parse().ok()).unwrap_or(1);
            self.end_section();
            self.set_format(format);
            self.frd.mesh = Mesh::default();
            (self.frd.last, self.shot) = (None, None);
            self.frd.modes.clear();
            self.section = Section::Nodes;
        } else if text.starts_with("    3C") {
            self.end_section();
            self.section = Section::Elements;
        } else if text.starts_with("    1PSTEP") {
            let found: Vec<Option<u64>> = numbers(10).collect();
            self.increment = found.get(1).copied().flatten().unwrap_or_default();
            self.step = found.get(2).copied().flatten().unwrap_or_default();
            self.mode = None;
        } else if text.starts_with("    1PMODE") {
            self.mode = numbers(10).next().flatten();
        } else if let Some(head) = BlockHead::parse(text) {
            self.end_section();
            self.set_format(head.format);
            self.frd.blocks += 1;
            (self.section, self.field, self.expected) = (Section::Block, None, 0);
            self.frame(&head);
        }
    }

    fn set_format(&mut self, format: u64) {
        self.frd.binary = format > 1;
        self.id_width = if format == 0 { 5 } else { 10 };
    }

    /// Begins a frame unless the block belongs to the present one.
    fn frame(&mut self, head: &BlockHead) {
        let kind = match head.kind {
            2 => Kind::Frequency,
            // The load that buckling starts from comes first, with the factor 0.
            4 if token::value(&head.value) != 0.0 => Kind::Buckling,
            _ => Kind::Time,
        };
        let same = |known: &Frame| (known.step, known.kind, &known.value) == (self.step, kind, &head.value);
        if self.block_number == head.number && self.frd.frames.last().is_some_and(same) {
            return;
        }
        self.keep_shot();
        self.block_number = head.number;
        let alike = |known: &&Frame| (known.step, known.kind) == (self.step, kind);
        let number = match (kind, self.mode) {
            (Kind::Time, _) => self.increment,
            (_, Some(mode)) => mode,
            (_, None) => 1 + self.frd.frames.iter().filter(alike).count() as u64,
        };
        if self.frd.frames.len() >= FRAMES_MAX {
            self.frd.frames_left_out += 1;
            self.frd.frames.pop();
        }
        self.frd.frames.push(Frame::new(self.step, number, kind, &head.value));
    }

    /// Keeps the fields of the frame that ends, where a picture may be made of them.
    fn keep_shot(&mut self) {
        let Some(shot) = self.shot.take() else { return };
        let held: usize = self.frd.modes.iter().map(|shot| 3 * shot.displacements.len()).sum();
        match self.frd.frames.get(shot.frame).map(|frame| frame.kind) {
            Some(Kind::Time) => self.frd.last = Some(shot),
            Some(_) if self.frd.modes.len() < MODES_DRAWN_MAX && held < MODE_VALUES_MAX => self.frd.modes.push(shot),
            _ => {}
        }
    }

    fn end_section(&mut self) {
        if self.section == Section::Nodes {
            self.frd.mesh.nodes_end();
        }
        self.section = Section::Head;
        self.field = None;
    }

    fn record(&mut self, text: &str) {
        let Some(node) = record_node(text, self.id_width) else { return };
        match (self.section, self.field) {
            (Section::Nodes, _) => {
                let [x, y, z] = columns(text, 3 + self.id_width);
                self.frd.mesh.node(node, [x, y, z]);
            }
            (Section::Elements, _) => self.frd.mesh.element(text, self.id_width),
            (Section::Block, Some(field)) => self.value(field, node, text),
            _ => {}
        }
    }

    fn value(&mut self, field: Field, node: u64, text: &str) {
        let at = self.frd.mesh.index(node, self.expected);
        self.expected = at.map_or(self.expected, |at| at + 1);
        let (nodes, number) = (self.frd.mesh.points.len(), self.frd.frames.len().saturating_sub(1));
        let Some(frame) = self.frd.frames.last_mut() else { return };
        let start = 3 + self.id_width;
        match field {
            Field::Displacement if self.stored.len() >= 3 => {
                let [x, y, z] = columns(text, start);
                let size = (x * x + y * y + z * z).sqrt();
                note(&mut frame.displacement_max, &mut frame.not_finite, size, node);
                let shot = self.shot.get_or_insert_with(|| Shot::of(number, nodes));
                if let Some(place) = at.and_then(|at| shot.displacements.get_mut(at)) {
                    *place = [x as f32, y as f32, z as f32];
                }
            }
            Field::Stress if self.stored.len() >= 6 => {
                let stress = von_mises(columns(text, start));
                note(&mut frame.von_mises_max, &mut frame.not_finite, stress, node);
                let shot = self.shot.get_or_insert_with(|| Shot::of(number, nodes));
                shot.von_mises.resize(nodes, 0.0);
                if let Some(place) = at.and_then(|at| shot.von_mises.get_mut(at)) {
                    *place = stress as f32;
                }
            }
            Field::Temperature => {
                let [temperature] = columns(text, start);
                note(&mut frame.temperature_max, &mut frame.not_finite, temperature, node);
                note(&mut frame.temperature_min, &mut frame.not_finite, -temperature, node);
            }
            Field::PlasticStrain => {
                let [strain] = columns(text, start);
                note(&mut frame.plastic_strain_max, &mut frame.not_finite, strain, node);
            }
            _ => {}
        }
    }
}

impl Frame {
    fn new(step: u64, number: u64, kind: Kind, value: &str) -> Self {
        Frame {
            step,
            number,
            kind,
            value: value.to_owned(),
            displacement_max: None,
            von_mises_max: None,
            temperature_max: None,
            temperature_min: None,
            plastic_strain_max: None,
            not_finite: None,
        }
    }
}

impl Shot {
    fn of(frame: usize, nodes: usize) -> Self {
        Shot { frame, displacements: vec![[0.0; 3]; nodes], von_mises: Vec::new() }
    }
}

/// The first of equal values wins.
fn note(peak: &mut Option<Peak>, not_finite: &mut Option<u64>, value: f64, node: u64) {
    if !value.is_finite() {
        not_finite.get_or_insert(node);
    } else if peak.is_none_or(|peak| value > peak.value) {
        *peak = Some(Peak { value, node });
    }
}

#[cfg(test)]
mod tests;
