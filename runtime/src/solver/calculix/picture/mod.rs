//! Pictures of results: the deformed shape over the outline of the undeformed one, coloured by a field.
//!
//! Knows nothing of runs; draws what an `.frd` file holds, with bounded work and memory.

mod canvas;
mod colours;
mod legend;
mod patch;
mod surface;
mod text;
mod view;

use super::frd::{Frd, Kind, Shot};
use canvas::{Canvas, Pen, Spot};
use legend::Legend;
use surface::{Surface, cross, unit};
use view::{Frame, View, turned};

const WIDTH: usize = 1_200;
const HEIGHT: usize = 800;
/// The largest file; what is larger is drawn again at half the size.
const PNG_BYTES_MAX: usize = 300 << 10;
/// Where the model is drawn.
const STAGE: Frame = Frame { left: 60.0, top: 120.0, right: 980.0, bottom: 700.0 };
/// How large the greatest displacement is shown at least, as a share of the model's diagonal.
const SHOWN_SHARE: f64 = 0.08;
/// From this share on, displacements are shown as large as they are.
const VISIBLE_SHARE: f64 = 0.02;

/// A picture and what it is called after the job's name.
#[derive(Debug)]
pub(super) struct Drawn {
    /// `von-mises`, `displacement` or `mode-1`.
    pub(super) name: String,
    pub(super) png: Vec<u8>,
}

/// Draws the last increment and the first modes of a file.
pub(super) fn draw(job: &str, frd: &Frd) -> Vec<Drawn> {
    if frd.mesh.too_large || (frd.last.is_none() && frd.modes.is_empty()) {
        return Vec::new();
    }
    let surface = Surface::of(&frd.mesh);
    if surface.is_empty() {
        return Vec::new();
    }
    frd.last.iter().chain(&frd.modes).filter_map(|shot| Scene::of(job, frd, &surface, shot)?.draw()).collect()
}

/// One picture to be drawn.
struct Scene<'a> {
    frd: &'a Frd,
    surface: &'a Surface,
    displacements: &'a [[f32; 3]],
    /// At each node of the mesh.
    values: Vec<f32>,
    low: f32,
    high: f32,
    /// The node of the greatest value, as an index.
    peak: usize,
    scale: f32,
    name: String,
    legend: Legend,
}

impl<'a> Scene<'a> {
    /// `None` where a value that would be drawn is no finite number.
    fn of(job: &str, frd: &'a Frd, surface: &'a Surface, shot: &'a Shot) -> Option<Self> {
        let frame = frd.frames.get(shot.frame)?;
        let size = |[x, y, z]: &[f32; 3]| (x * x + y * y + z * z).sqrt();
        let sizes: Vec<f32> = shot.displacements.iter().map(size).collect();
        let stresses = frame.kind == Kind::Time && !shot.von_mises.is_empty();
        let mut values = if stresses { shot.von_mises.clone() } else { sizes.clone() };
        let (mut low, mut high, mut peak, mut farthest) = (f32::INFINITY, f32::NEG_INFINITY, 0, 0.0_f32);
        for node in surface.nodes().map(|node| node as usize) {
            let value = values.get(node).copied().filter(|value| value.is_finite())?;
            if value > high {
                (high, peak) = (value, node);
            }
            low = low.min(value);
            farthest = farthest.max(sizes.get(node).copied().filter(|size| size.is_finite())?);
        }
        if frame.kind != Kind::Time && high > 0.0 {
            // A mode has a shape and no size.
            values.iter_mut().for_each(|value| *value /= high);
            (low, high) = (low / high, 1.0);
        }
        let scale = shown_scale(f64::from(farthest), frd.diagonal, frame.kind);
        let quantity = match frame.kind {
            Kind::Time if stresses => "von Mises stress",
            Kind::Time => "displacement",
            _ => "relative displacement",
        };
        let (name, title, what) = match frame.kind {
            Kind::Time => {
                let name = if stresses { "von-mises" } else { "displacement" };
                let what =
                    format!("Step {}, increment {}, time {}", frame.step, frame.number, legend::short(&frame.value));
                (name.to_owned(), format!("{job}: {quantity}"), what)
            }
            Kind::Frequency => {
                let hertz = legend::short(&frame.value);
                (
                    format!("mode-{}", frame.number),
                    format!("{job}: mode {}, {hertz} Hz", frame.number),
                    format!("Step {}, natural frequency", frame.step),
                )
            }
            Kind::Buckling => {
                let factor = legend::short(&frame.value);
                (
                    format!("mode-{}", frame.number),
                    format!("{job}: buckling mode {}, factor {factor}", frame.number),
                    format!("Step {}, buckling", frame.step),
                )
            }
        };
        let shown = match frame.kind {
            Kind::Time if scale == 1.0 => "displacements at true scale".to_owned(),
            Kind::Time => format!("displacements {} times enlarged", legend::number(scale)),
            _ => "amplitude arbitrary, scaled to be seen".to_owned(),
        };
        let units = if frame.kind == Kind::Time { " Values in the deck's units." } else { "" };
        let mut note = format!("Undeformed shape in grey.{units}");
        if surface.one_of > 1 {
            note.push_str(&format!(" 1 of {} faces is drawn.", surface.one_of));
        }
        let legend =
            Legend { title, subtitle: format!("{what}; {shown}"), quantity, note, relative: frame.kind != Kind::Time };
        let displacements = &shot.displacements;
        Some(Scene { frd, surface, displacements, values, low, high, peak, scale: scale as f32, name, legend })
    }

    fn draw(mut self) -> Option<Drawn> {
        let points = self.surface.nodes().flat_map(|node| [self.place(node, 0.0), self.place(node, self.scale)]);
        let view = View::fitting(points, STAGE)?;
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        self.faces(&mut canvas, &view);
        self.lines(&mut canvas, &view);
        if canvas.is_exhausted() {
            self.legend.note.push_str(" Not all is drawn: too much work.");
        }
        let peak = view.spot(self.place(u32::try_from(self.peak).ok()?, self.scale));
        let shown = canvas.shows(peak);
        let mut pixels = canvas.into_pixels();
        let id = self.frd.mesh.ids.get(self.peak).copied().unwrap_or_default();
        self.legend.draw(&mut pixels, [self.low, self.high], id);
        if shown {
            legend::mark(&mut pixels, peak);
        }
        let png = pixels.encode()?;
        let png = if png.len() > PNG_BYTES_MAX { pixels.halved().encode()? } else { png };
        Some(Drawn { name: self.name, png })
    }

    /// Where a node is, with its displacement so many times enlarged.
    fn place(&self, node: u32, scale: f32) -> [f32; 3] {
        let mut point = self.frd.mesh.points.get(node as usize).copied().unwrap_or_default();
        let moved = self.displacements.get(node as usize).copied().unwrap_or_default();
        for (part, by) in point.iter_mut().zip(moved) {
            *part += scale * by;
        }
        point
    }

    fn share(&self, node: u32) -> f32 {
        let value = self.values.get(node as usize).copied().unwrap_or_default();
        if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 0.5 }
    }

    /// Into how many parts the side of a curved face is divided: few faces are seen from near.
    fn parts(&self) -> usize {
        match self.surface.faces.len() {
            0..=2_000 => 6,
            2_001..=20_000 => 3,
            _ => 2,
        }
    }

    fn faces(&self, canvas: &mut Canvas, view: &View) {
        // From the left above behind the eye.
        let lamp = unit([-0.25, 0.55, 0.8]);
        let sample = |node: u32| (self.place(node, self.scale), self.share(node));
        let grown = (self.surface.one_of as f32).sqrt();
        for face in &self.surface.faces {
            let parts = if face.mid_sides().is_empty() { 1 + face.corners().len() % 2 } else { self.parts() };
            for corners in patch::triangles(face, parts, &sample) {
                let [a, b, c] = corners.map(|(point, _)| turned(point));
                let side = |[x, y, z]: [f32; 3], [u, v, w]: [f32; 3]| [u - x, v - y, w - z];
                let normal = unit(cross(side(a, b), side(a, c)));
                let facing: f32 = normal.iter().zip(lamp).map(|(part, light)| part * light).sum();
                let spots = enlarged(corners.map(|(point, _)| view.spot(point)), grown);
                canvas.triangle(spots, corners.map(|(_, value)| value), 0.86 + 0.14 * facing.abs());
            }
        }
    }

    fn lines(&self, canvas: &mut Canvas, view: &View) {
        let parts = self.parts();
        let mut side = |(from, mid, to): (u32, Option<u32>, u32), scale: f32, pen: Pen| {
            let place = |node| self.place(node, scale);
            let chain = patch::chain(place(from), mid.map(place), place(to), parts);
            for (from, to) in chain.iter().zip(chain.iter().skip(1)) {
                canvas.line(view.spot(*from), view.spot(*to), pen);
            }
        };
        let grid = Pen { colour: colours::INK, strength: 0.3, width: 1, lift: 0.4 };
        if self.surface.one_of == 1 && self.side_pixels(view) > 5.0 {
            let mut sides: Vec<_> = self.surface.faces.iter().flat_map(surface::Face::sides).collect();
            sides.iter_mut().for_each(|(from, _, to)| (*from, *to) = ((*from).min(*to), (*from).max(*to)));
            sides.sort_unstable();
            sides.dedup();
            sides.into_iter().for_each(|from_to| side(from_to, self.scale, grid));
        }
        let edge = Pen { colour: colours::INK, strength: 0.75, width: 2, lift: 0.5 };
        let outline = Pen { colour: colours::OUTLINE, strength: 0.9, width: 2, lift: -1.0 };
        for (pen, scale) in [(edge, self.scale), (outline, 0.0)] {
            self.surface.edges.iter().for_each(|edge| side(*edge, scale, pen));
        }
        for [from, to] in &self.surface.lines {
            side((*from, None, *to), 0.0, outline);
            let colour = colours::banded((self.share(*from) + self.share(*to)) / 2.0);
            side((*from, None, *to), self.scale, Pen { colour, strength: 1.0, width: 5, lift: 0.5 });
        }
    }

    /// How long the sides of faces are on the canvas, about.
    fn side_pixels(&self, view: &View) -> f32 {
        let every = (self.surface.faces.len() / 500).max(1);
        let lengths = self.surface.faces.iter().step_by(every).flat_map(surface::Face::sides).map(|(from, _, to)| {
            let [from, to] = [from, to].map(|node| view.spot(self.place(node, self.scale)));
            (from.x - to.x).hypot(from.y - to.y)
        });
        let (count, sum) = lengths.fold((0_u32, 0.0), |(count, sum), length| (count + 1, sum + length));
        sum / count.max(1) as f32
    }
}

/// A triangle so many times larger about its middle, to cover for those that are not drawn.
fn enlarged(spots: [Spot; 3], times: f32) -> [Spot; 3] {
    if times <= 1.0 {
        return spots;
    }
    let x = spots.iter().map(|spot| spot.x).sum::<f32>() / 3.0;
    let y = spots.iter().map(|spot| spot.y).sum::<f32>() / 3.0;
    spots.map(|spot| Spot { x: x + times * (spot.x - x), y: y + times * (spot.y - y), ..spot })
}

/// How many times displacements are enlarged: 1, 2 or 5 times a power of ten, or as it is where that is well visible.
fn shown_scale(farthest: f64, diagonal: f64, kind: Kind) -> f64 {
    if farthest <= 0.0 || diagonal <= 0.0 {
        return 1.0;
    }
    let wanted = SHOWN_SHARE * diagonal / farthest;
    match kind {
        Kind::Time if farthest >= VISIBLE_SHARE * diagonal => 1.0,
        Kind::Time => {
            let power = 10_f64.powf(wanted.log10().floor());
            let digit = [5.0, 2.0].into_iter().find(|digit| digit * power <= wanted).unwrap_or(1.0);
            digit * power
        }
        _ => wanted,
    }
}

#[cfg(test)]
mod tests;
