//! Pictures of small results.

use super::super::frd;
use super::*;

/// One 20-node brick of edge 10, stretched to 11 along x, with stresses that rise along x; `kind` is the block's type.
fn brick(kind: u64) -> Frd {
    let corners = [[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0], [0, 0, 2], [2, 0, 2], [2, 2, 2], [0, 2, 2]];
    let sides = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 5), (2, 6), (3, 7), (4, 5), (5, 6), (6, 7), (7, 4)];
    let half = |(from, to): (usize, usize)| std::array::from_fn(|axis| (corners[from][axis] + corners[to][axis]) / 2);
    let places: Vec<[i32; 3]> = corners.into_iter().chain(sides.into_iter().map(half)).collect();
    let mut text = format!("    2C{:>30}{:>38}\n", 20, 1);
    for (node, [x, y, z]) in (1..).zip(&places) {
        text += &format!(" -1{node:>10}{:>12.5E}{:>12.5E}{:>12.5E}\n", 5 * x, 5 * y, 5 * z);
    }
    text += &format!(" -3\n    3C{:>30}{:>38}\n -1         1    4    0    1\n -2", 1, 1);
    text += &(1..=10).map(|node| format!("{node:>10}")).collect::<String>();
    text += "\n -2";
    text += &(11..=20).map(|node| format!("{node:>10}")).collect::<String>();
    text += "\n -3\n    1PSTEP                         1           1           1\n";
    for (name, count) in [("DISP", 3), ("STRESS", 6)] {
        text +=
            &format!("  100CL  101 2.50000E+02{:>12}{kind:>22}{:>5}{:>12}\n -4  {name:<8}{count:>5}    1\n", 20, 1, 1);
        text += &" -5  C           1    2    1    0\n".repeat(count);
        for (node, [x, ..]) in (1..).zip(&places) {
            let value = if count == 3 { f64::from(*x) / 2.0 } else { 100.0 + 50.0 * f64::from(*x) };
            text += &format!(" -1{node:>10}{value:>12.5E}{}\n", " 0.00000E+00".repeat(count - 1));
        }
        text += " -3\n";
    }
    text += " 9999\n";
    frd::read(Box::new(std::io::Cursor::new(text))).unwrap()
}

fn pixels(png: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgb).unwrap();
    (info.width, info.height, rgb)
}

#[test]
fn an_increment_is_drawn_by_stress_and_a_mode_by_displacement() {
    for (kind, name) in [(0, "von-mises"), (2, "mode-1")] {
        let drawn = draw("job", &brick(kind));
        assert_eq!(drawn.iter().map(|drawn| drawn.name.as_str()).collect::<Vec<_>>(), [name]);
        assert!(drawn[0].png.len() < PNG_BYTES_MAX);
        let (width, height, rgb) = pixels(&drawn[0].png);
        assert_eq!((width as usize, height as usize), (WIDTH, HEIGHT));
        // The brick's right end, in the middle of the stage, bears the greatest value: yellow.
        let yellow = rgb.chunks_exact(3).filter(|pixel| pixel[0] > 180 && pixel[1] > 160 && pixel[2] < 80).count();
        assert!(yellow > 2_000, "{yellow} yellow pixels");
        assert_eq!(draw("job", &brick(kind))[0].png, drawn[0].png);
    }
}

#[test]
fn only_faces_of_one_element_and_sharp_edges_are_drawn() {
    let frd = brick(0);
    let surface = Surface::of(&frd.mesh);
    assert_eq!((surface.faces.len(), surface.edges.len(), surface.one_of), (6, 12, 1));
    assert!(surface.faces.iter().all(|face| face.mid_sides().len() == 4));
    // A mid-side node lies half-way between the corners of its side.
    let point = |node: u32| frd.mesh.points[node as usize];
    for (from, mid, to) in surface.faces.iter().flat_map(surface::Face::sides) {
        let half: [f32; 3] = std::array::from_fn(|axis| (point(from)[axis] + point(to)[axis]) / 2.0);
        assert_eq!(point(mid.unwrap()), half);
    }
}

#[test]
fn displacements_are_enlarged_until_they_are_seen_and_never_shrunk() {
    for (farthest, kind, expected) in [
        (1.9, Kind::Time, 2.0),
        (0.0001, Kind::Time, 50_000.0),
        (2.5, Kind::Time, 1.0),
        (40.0, Kind::Time, 1.0),
        (0.0, Kind::Time, 1.0),
        (400.0, Kind::Frequency, 0.02),
    ] {
        assert_eq!(shown_scale(farthest, 100.0, kind), expected, "{farthest}");
    }
}

#[test]
fn nothing_is_drawn_of_numbers_that_are_none() {
    let mut frd = brick(0);
    frd.last.as_mut().unwrap().von_mises[3] = f32::NAN;
    assert!(draw("job", &frd).is_empty());
    assert!(draw("job", &Frd::default()).is_empty());
}
