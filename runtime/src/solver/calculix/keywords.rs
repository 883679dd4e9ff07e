//! The keywords of CalculiX's input language, and what a misspelt word was likely meant to be.

/// All keywords that CalculiX CrunchiX 2.20 reads, as its manual writes them.
const KEYWORDS: [&str; 138] = [
    "AMPLITUDE",
    "BASE MOTION",
    "BEAM SECTION",
    "BOUNDARY",
    "BUCKLE",
    "CFD",
    "CFLUX",
    "CHANGE FRICTION",
    "CHANGE MATERIAL",
    "CHANGE PLASTIC",
    "CHANGE SOLID SECTION",
    "CHANGE SURFACE BEHAVIOR",
    "CLEARANCE",
    "CLOAD",
    "COMPLEX FREQUENCY",
    "CONDUCTIVITY",
    "CONSTRAINT",
    "CONTACT DAMPING",
    "CONTACT FILE",
    "CONTACT OUTPUT",
    "CONTACT PAIR",
    "CONTACT PRINT",
    "CONTROLS",
    "CORRELATION LENGTH",
    "COUPLED TEMPERATURE-DISPLACEMENT",
    "COUPLING",
    "CRACK PROPAGATION",
    "CREEP",
    "CYCLIC HARDENING",
    "CYCLIC SYMMETRY MODEL",
    "DAMPING",
    "DASHPOT",
    "DEFORMATION PLASTICITY",
    "DENSITY",
    "DEPVAR",
    "DESIGN RESPONSE",
    "DESIGN VARIABLES",
    "DFLUX",
    "DISTRIBUTING",
    "DISTRIBUTING COUPLING",
    "DISTRIBUTION",
    "DLOAD",
    "DSLOAD",
    "DYNAMIC",
    "EL FILE",
    "EL PRINT",
    "ELASTIC",
    "ELECTRICAL CONDUCTIVITY",
    "ELECTROMAGNETICS",
    "ELEMENT",
    "ELEMENT OUTPUT",
    "ELSET",
    "END STEP",
    "EQUATION",
    "EXPANSION",
    "FEASIBLE DIRECTION",
    "FILM",
    "FILTER",
    "FLUID CONSTANTS",
    "FLUID SECTION",
    "FREQUENCY",
    "FRICTION",
    "GAP",
    "GAP CONDUCTANCE",
    "GAP HEAT GENERATION",
    "GEOMETRIC CONSTRAINT",
    "GEOMETRIC TOLERANCE",
    "GREEN",
    "HCF",
    "HEADING",
    "HEAT TRANSFER",
    "HYPERELASTIC",
    "HYPERFOAM",
    "INCLUDE",
    "INITIAL CONDITIONS",
    "INITIAL STRAIN INCREASE",
    "KINEMATIC",
    "MAGNETIC PERMEABILITY",
    "MASS",
    "MASS FLOW",
    "MATERIAL",
    "MEMBRANE SECTION",
    "MODAL DAMPING",
    "MODAL DYNAMIC",
    "MODEL CHANGE",
    "MOHR COULOMB",
    "MOHR COULOMB HARDENING",
    "MPC",
    "NETWORK MPC",
    "NO ANALYSIS",
    "NODAL THICKNESS",
    "NODE",
    "NODE FILE",
    "NODE OUTPUT",
    "NODE PRINT",
    "NORMAL",
    "NSET",
    "OBJECTIVE",
    "ORIENTATION",
    "OUTPUT",
    "PHYSICAL CONSTANTS",
    "PLASTIC",
    "PRE-TENSION SECTION",
    "RADIATE",
    "RANDOM FIELD",
    "REFINE MESH",
    "RESTART",
    "RETAINED NODAL DOFS",
    "RIGID BODY",
    "ROBUST DESIGN",
    "SECTION PRINT",
    "SELECT CYCLIC SYMMETRY MODES",
    "SENSITIVITY",
    "SHELL SECTION",
    "SOLID SECTION",
    "SPECIFIC GAS CONSTANT",
    "SPECIFIC HEAT",
    "SPRING",
    "STATIC",
    "STEADY STATE DYNAMICS",
    "STEP",
    "SUBMODEL",
    "SUBSTRUCTURE GENERATE",
    "SUBSTRUCTURE MATRIX OUTPUT",
    "SURFACE",
    "SURFACE BEHAVIOR",
    "SURFACE INTERACTION",
    "TEMPERATURE",
    "TIE",
    "TIME POINTS",
    "TRANSFORM",
    "UNCOUPLED TEMPERATURE-DISPLACEMENT",
    "USER ELEMENT",
    "USER MATERIAL",
    "USER SECTION",
    "VALUES AT INFINITY",
    "VIEWFACTOR",
    "VISCO",
];

/// The keyword that `word` (with or without its `*`) was likely meant to be.
pub(super) fn meant_keyword(word: &str) -> Option<&'static str> {
    nearest(&bare(word), KEYWORDS.iter().copied())
}

/// The one of `names` that is nearest to `word`, blanks and case aside, where it is near enough to be a slip: one
/// letter in three, three at most.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = bare(word);
    let slips_max = (word.chars().count() / 3).min(3);
    let measured = names.map(|name| (distance(&word, &bare(name)), name));
    measured.filter(|(slips, _)| (1..=slips_max).contains(slips)).min_by_key(|(slips, _)| *slips).map(|(_, name)| name)
}

fn bare(word: &str) -> String {
    word.chars().filter(|c| !c.is_whitespace() && *c != '*').flat_map(char::to_uppercase).take(80).collect()
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour to turn one word into the other
/// (restricted Damerau–Levenshtein distance).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, letter) in left.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let cell = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (cell(&last, column) + usize::from(letter != *other))
                .min(cell(&last, column + 1) + 1)
                .min(cell(&line, column) + 1);
            let left_neighbour = column.checked_sub(1).and_then(|at| right.get(at).map(|neighbour| (at, *neighbour)));
            if let (Some((at, neighbour)), Some(earlier)) = (left_neighbour, previous)
                && neighbour == letter
                && earlier == *other
            {
                best = best.min(cell(&before_last, at) + 1);
            }
            line.push(best);
        }
        before_last = std::mem::replace(&mut last, line);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_keyword_and_nonsense_finds_none() {
        for (word, expected) in [
            ("*BOUNDRAY", Some("BOUNDARY")),
            ("*STATCI", Some("STATIC")),
            ("*solidsecton", Some("SOLID SECTION")),
            ("*ELFIEL", Some("EL FILE")),
            ("*VISCOO", Some("VISCO")),
            ("*BANANA", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(meant_keyword(word), expected, "{word}");
        }
    }

    #[test]
    fn distances_count_a_swap_of_neighbours_once() {
        for (left, right, expected) in [("", "", 0), ("ab", "ba", 1), ("abc", "", 3), ("kitten", "sitting", 3)] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }
}
