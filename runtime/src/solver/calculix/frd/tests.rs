//! Result files in both formats, broken ones, and noise.

use super::*;

/// Two 8-node bricks in a row and one increment; `wide` numbers nodes in 10 columns, else in 5.
fn sample(wide: bool) -> String {
    let format = if wide { "1" } else { "0" };
    let id = |number: usize| if wide { format!("{number:>10}") } else { format!("{number:>5}") };
    let head = |code: &str, count: usize| format!("    {code}{count:>30}{format:>38}\n");
    let mut text = format!("    1C\n{}", head("2C", 12));
    for node in 0..12 {
        let (x, y, z) = (node % 3, node / 3 % 2, node / 6);
        text += &format!(" -1{}{x:>12.5E}{y:>12.5E}{z:>12.5E}\n", id(node + 1));
    }
    text += &format!(" -3\n{}", head("3C", 2));
    for (element, first) in [(1, 1), (2, 2)] {
        let nodes = [0, 1, 4, 3, 6, 7, 10, 9].map(|step| id(first + step)).concat();
        text += &format!(" -1{}    1    0    1\n -2{nodes}\n", id(element));
    }
    text += " -3\n    1PSTEP                         1           2           1\n";
    let block = |name: &str, parts: &[&str]| {
        let head = format!("  100CL  101 5.00000E-01{:>12}{:>22}{:>5}{:>12}\n", 12, 0, 1, format);
        let parts: String = parts.iter().map(|part| format!(" -5  {part:<8}    1    2    1    0\n")).collect();
        format!("{head} -4  {name:<8}{:>5}    1\n{parts}", 4)
    };
    text += &block("DISP", &["D1", "D2", "D3"]);
    text += " -5  ALL         1    2    0    0    1ALL\n";
    for node in 1..=12 {
        text += &format!(
            " -1{}-3.00000E+00 4.00000E+00{}\n",
            id(node),
            if node == 7 { " 1.20000E+01" } else { " 0.00000E+00" }
        );
    }
    text += " -3\n";
    text += &block("STRESS", &["SXX", "SYY", "SZZ", "SXY", "SYZ", "SZX"]);
    for node in 1..=12 {
        text += &format!(
            " -1{} 1.00000E+02 0.00000E+00 0.00000E+00{} 0.00000E+00 0.00000E+00\n",
            id(node),
            if node == 3 { "-1.00000E+02" } else { " 0.00000E+00" }
        );
    }
    text + " -3\n 9999\n"
}

fn read_text(text: &[u8]) -> Frd {
    read(Box::new(text)).unwrap()
}

#[test]
fn both_text_formats_give_mesh_extremes_and_fields() {
    for wide in [false, true] {
        let frd = read_text(sample(wide).as_bytes());
        assert!(frd.complete && !frd.binary);
        assert_eq!((frd.blocks, frd.frames.len(), frd.mesh.points.len(), frd.mesh.elements().count()), (2, 1, 12, 2));
        assert_eq!(frd.diagonal, 6_f64.sqrt());
        let frame = &frd.frames[0];
        assert_eq!((frame.step, frame.number, frame.kind, frame.value.as_str()), (1, 2, Kind::Time, "5.00000E-01"));
        assert_eq!(frame.displacement_max, Some(Peak { value: 13.0, node: 7 }));
        assert_eq!(frame.von_mises_max, Some(Peak { value: 200.0, node: 3 }));
        let shot = frd.last.unwrap();
        assert_eq!(shot.displacements[6], [-3.0, 4.0, 12.0]);
        assert_eq!(shot.von_mises[2], 200.0);
    }
}

#[test]
fn von_mises_is_the_stress_itself_in_tension_and_root_three_of_it_in_shear() {
    assert_eq!(von_mises([250.0, 0.0, 0.0, 0.0, 0.0, 0.0]), 250.0);
    assert_eq!(von_mises([50.0, 50.0, 50.0, 0.0, 0.0, 0.0]), 0.0);
    assert!((von_mises([0.0, 0.0, 0.0, 100.0, 0.0, 0.0]) - 100.0 * 3_f64.sqrt()).abs() < 1e-12);
}

#[test]
fn truncated_binary_and_not_finite_files_are_told_apart() {
    let text = sample(true);
    let cut = read_text(&text.as_bytes()[..text.len() - 300]);
    assert!(!cut.complete && cut.blocks == 2);
    let binary = text.replacen(&format!("{:>38}", "1"), &format!("{:>38}", "3"), 1);
    let binary = read_text(binary.as_bytes());
    assert!(binary.binary && binary.complete && binary.frames.is_empty() && binary.blocks == 2);
    let broken = read_text(text.replacen(" 1.20000E+01", "         NaN", 1).as_bytes());
    assert_eq!(broken.frames[0].not_finite, Some(7));
}

#[test]
fn noise_never_breaks_the_parser() {
    let seeds = [sample(false).into_bytes(), sample(true).into_bytes()];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound.max(1) as u64) as usize
    };
    for round in 0..3_000 {
        let mut bytes = seeds[round % 2].clone();
        for _ in 0..=random(12) {
            let at = random(bytes.len());
            if bytes.is_empty() {
                break;
            }
            match random(5) {
                0 => bytes[at] = random(256) as u8,
                1 => bytes[at] = b"0123456789 -+E.\nNC"[random(18)],
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, b"-1 9\n"[random(5)]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let frd = read_text(&bytes);
        for (_, nodes) in frd.mesh.elements() {
            assert!(nodes.iter().all(|node| (*node as usize) < frd.mesh.points.len()));
        }
    }
}
