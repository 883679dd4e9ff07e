//! The adapter as a whole: studies, and how runs ended.

use super::shelf::Shelf;
use super::*;
use crate::solver::Stopped;
use mecapy_model::{Lane, LimitsRequest};
use serde_json::value::RawValue;
use std::time::Duration;

const DECK: &str = "*HEADING\n*NODE, NSET=ALL\n1, 0., 0., 0.\n*NSET, NSET=FIX\n1\n*ELSET, ELSET=EALL\n1\n*MATERIAL, NAME=STEEL\n\
    *BOUNDARY\nFIX, 1, 3\n*STEP, INC=2\n*STATIC\n0.5, 1.\n*NODE FILE\nU\n*END STEP\n";
const MESH: &str = "    1C\n    2C                             2                                     1\n\
    \x20-1         1 0.00000E+00 0.00000E+00 0.00000E+00\n -1         2 1.00000E+02 0.00000E+00 0.00000E+00\n -3\n";

/// An `.frd` file with one block of displacements, of which the second node's is given.
fn frd(moved: &str) -> String {
    format!(
        "{MESH}    1PSTEP                         1           1           1\n  100CL  101 1.000000000           2\
        {:>22}    1           1\n -4  DISP        4    1\n -5  D1          1    2    1    0\n -5  D2          1    2    2    0\n \
        -5  D3          1    2    3    0\n -5  ALL         1    2    0    0    1ALL\n -1         1 0.00000E+00 0.00000E+00 \
        0.00000E+00\n -1         2{moved:>12} 0.00000E+00 0.00000E+00\n -3\n 9999\n",
        0
    )
}

fn with_study<T>(inputs: &str, files: &[(&str, &str)], then: impl FnOnce(&Study<'_>) -> T) -> T {
    let inputs = RawValue::from_string(inputs.to_owned()).unwrap();
    let named = |(name, text): &(&str, &str)| (ArtifactName::parse(name).unwrap(), Some(text.len() as u64));
    let files: Vec<_> = files.iter().map(named).collect();
    let limits = LimitsRequest::default().resolve(Lane::Default).unwrap();
    then(&Study { inputs: &inputs, files: &files, limits: &limits, command: &["/usr/bin/ccx".to_owned()] })
}

/// Runs the adapter over what CalculiX said and left.
fn concluded(deck: &str, said: &str, left: &[(&str, &str)], ended: Ended) -> Conclusion {
    let sent = [("a.inp", deck)];
    let mut shelf = Shelf::of(&sent);
    shelf.0.extend(Shelf::of(left).0);
    with_study("{}", &sent, |study| {
        let mut reader = CalculiX.reader_beside(study, &shelf);
        for line in said.lines() {
            reader.line(line);
        }
        CalculiX.conclude(study, &ended, reader.as_ref(), &shelf)
    })
}

fn ended(exit_code: i64) -> Ended {
    Ended { exit_code, stopped: None, disk_free_bytes: 1 << 30, wall: Duration::from_secs(1) }
}

#[test]
fn faults_of_a_study_point_at_what_is_wrong() {
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<(&'a str, &'a str)>);
    let rows: [Row<'_>; 10] = [
        ("{}", &[("beam.inp", ""), ("mesh.msh", "")], None),
        ("{\"deck\": \"b.inp\"}", &[("a.inp", ""), ("b.inp", "")], None),
        ("{}", &[("a.inp", ""), ("b.inp", "")], Some(("/inputs/deck", "ambiguous_deck"))),
        ("{}", &[("a.txt", "")], Some(("/code/files", "missing_deck"))),
        ("{\"deck\": \"c.inp\"}", &[("a.inp", "")], Some(("/inputs/deck", "missing_deck"))),
        ("{\"deck\": 7}", &[("a.inp", "")], Some(("/inputs/deck", "invalid_deck"))),
        ("{\"dekc\": 7}", &[("a.inp", "")], Some(("/inputs/dekc", "unknown_input"))),
        ("{}", &[("-v.inp", "")], Some(("/code/files/-v.inp", "invalid_deck_name"))),
        ("{}", &[("sub/a.inp", "")], Some(("/code/files/sub~1a.inp", "invalid_deck_name"))),
        ("{}", &[("a.inp", ""), ("a.frd", "")], Some(("/code/files/a.frd", "name_taken"))),
    ];
    for (inputs, files, expected) in rows {
        let faults = with_study(inputs, files, |study| CalculiX.check(study));
        let found = faults.first().map(|fault| (fault.pointer.as_str(), fault.code.as_str()));
        assert_eq!((found, faults.len()), (expected, usize::from(expected.is_some())), "{inputs} {files:?}");
    }
}

#[test]
fn the_command_is_the_catalogues_with_the_jobs_name() {
    let files = [("a.inp", DECK)];
    let prepared = with_study("{}", &files, |study| CalculiX.prepare(study, &Shelf::of(&files))).unwrap();
    assert_eq!(prepared, Prepared { command: vec!["/usr/bin/ccx".to_owned(), "a".to_owned()], files: Vec::new() });
    let files = [("a.inp", "*HEADING\n")];
    let error = with_study("{}", &files, |study| CalculiX.prepare(study, &Shelf::of(&files))).unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::InvalidInput, "a.inp has no *STEP, so nothing would be computed")
    );
}

#[test]
fn a_run_that_went_through_gives_numbers_and_files() {
    let dat = "\n total force (fx,fy,fz) for set FIX and time  0.1000000E+01\n\n  1.000000E+00  2.0E+00  3.0E+00\n";
    let left = [("a.dat", dat), ("a.frd", &frd(" 3.00000E+00")), ("a.12d", ""), ("spooles.out", "x")];
    let said = "CalculiX Version 2.20, Copyright\n *WARNING reading *STEP: parameter not recognized:\n          NLGEM\n \
        *WARNING reading *STEP. Card image:\n          *STEP,NLGEM\n\n STEP            1\n\n Job finished\n";
    let done = concluded(DECK, said, &left, ended(0));
    assert_eq!(
        done.result.unwrap().get(),
        "{\"job\":\"a\",\"version\":\"2.20\",\"total_force\":[{\"columns\":[\"fx\",\"fy\",\"fz\"],\"set\":\"FIX\",\
        \"time\":0.1000000E+01,\"rows\":[[1.000000E+00,2.0E+00,3.0E+00]]}],\"steps\":[{\"step\":1,\"increment\":1,\
        \"time\":1.000000000,\"displacement_max\":{\"value\":3.0,\"node\":2}}]}"
    );
    let kept: Vec<_> = done.files.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(kept, ["a.dat", "a.frd"]);
    assert_eq!(done.warnings[0].message, "reading *STEP: parameter not recognized: NLGEM (*STEP,NLGEM)");
}

/// The deck, what CalculiX said, the `.frd` file, the exit code, and how the message begins.
type Failure<'a> = (&'a str, &'a str, &'a str, i64, &'a str);

fn assert_told(rows: &[Failure<'_>]) {
    for (deck, said, frd, exit_code, expected) in rows {
        let error = concluded(deck, said, &[("a.frd", frd)], ended(*exit_code)).result.unwrap_err();
        assert!(error.message.starts_with(expected), "{}\n{expected}", error.message);
        assert_eq!(error.kind, ErrorKind::Solver);
    }
}

const FINISHED: &str = " STEP            1\n\n Job finished\n";

#[test]
fn lines_that_calculix_passed_over_fail_the_run_though_it_finished() {
    let card = " *WARNING in calinput. Card image cannot be inter    preted:\n *WARNING reading the input file. Card \
        image:\n          ";
    let keyword = format!("{card}*BOUNDRAY\n\n{card}FIX,1,3\n\n{FINISHED}");
    let line = format!(" *WARNING reading *NODE PRINT: node set FXI does not exist\n\n{card}FIX,1,3\n\n{FINISHED}");
    let (good, misspelt) = (frd(" 3.00000E+00"), DECK.replace("*BOUNDARY", "*BOUNDRAY"));
    let told = "a.inp, line 9: CalculiX doesn't know the keyword *BOUNDRAY, and passed over it and its lines; did you \
        mean *BOUNDARY?";
    let also = "a.inp, line 10: CalculiX passed over the line \"FIX,1,3\": the node set FXI in *NODE PRINT is not \
        defined; did you mean FIX?";
    assert_told(&[(&misspelt, &keyword, &good, 0, told), (DECK, &line, &good, 0, also)]);
}

#[test]
fn errors_of_the_deck_are_told_in_the_engineers_words() {
    let set = " *ERROR reading *BOUNDARY: node set FIXX        \n        has not yet been defined. \n\n *ERROR reading \
        *BOUNDARY. Card image:\n        FIX,1,3\n\n";
    let material = " *ERROR reading *SOLID SECTION: nonexistent material\n  \n *ERROR reading *SOLID SECTION. Card \
        image:\n        *SOLIDSECTION,ELSET=EALL,MATERIAL=STEL\n\n";
    let number = " *ERROR reading *ELASTIC. Card image:\n        2100ABC,0.3\n\n";
    let node = " *ERROR reading *CLOAD: node        99999\n        is not defined\n";
    let element = " *ERROR in e_c3d: nonpositive jacobian\n        determinant in element           7\n\n".repeat(9);
    let file = " *ERROR in readinput: cannot open file mesh.inp\n";
    assert_told(&[
        (DECK, set, "", 201, "a.inp, line 10: the node set FIXX in *BOUNDARY is not defined; did you mean FIX?"),
        (DECK, material, "", 201, "the material STEL in *SOLID SECTION is not defined; did you mean STEEL?"),
        (DECK, number, "", 201, "CalculiX can't read the line \"2100ABC,0.3\" of *ELASTIC"),
        (DECK, node, "", 201, "the node 99999 in *CLOAD is not defined"),
        (DECK, &element, "", 201, "elements are turned inside out (nonpositive Jacobian): 7. "),
        (DECK, file, "", 0, "CalculiX can't open mesh.inp: add it"),
    ]);
}

#[test]
fn a_solution_that_fails_is_told_with_its_last_residual() {
    let iterations = " STEP            1\n\n increment 1 attempt 2 \n increment size= 1.25e-01\n sum of previous \
        increments=0.0\n actual step time=1.25e-01\n actual total time=1.25e-01\n iteration 4\n time avg. forc= \
        200.0\n largest residual force= 961.5 in node 170 and dof 3\n\n divergence; the increment size is decreased \
        to 3.1e-02\n\n";
    let diverged = format!("{iterations} *ERROR: increment size smaller than minimum\n");
    let used_up = format!("{iterations} *ERROR in nonlingeo: max. # of increments reached\n");
    let singular = " *ERROR in spooles: matrix found to be singular\n";
    let last = "the solution diverges in step 1, increment 1 (attempt 2, size 1.25e-01); the last residual force was \
        961.5 (480 % of the average) at node 170: check supports";
    let loose = "matrix found to be singular: the system of equations is singular: the model is probably not held";
    assert_told(&[
        (DECK, &diverged, "", 201, last),
        (DECK, &used_up, "", 201, "step 1 used up its increments (2) before its end"),
        (DECK, singular, "", 201, loose),
        (DECK, " STEP            1\n", "", 139, "CalculiX crashed in step 1 (segmentation fault)"),
    ]);
}

#[test]
fn results_that_cant_be_trusted_fail_a_run_that_finished() {
    let (good, far, no_number) = (frd(" 3.00000E+00"), frd(" 5.00000E+09"), frd("         NaN"));
    let unheld = DECK.replace("*BOUNDARY\nFIX, 1, 3\n", "");
    let lost = "the results are meaningless (node 2 moves by 5.0e9, and the model is 100.000 across)";
    let broken = "the results are meaningless (node 2 has values that are no numbers). Check the supports of the model: \
        nothing holds it: the deck has no *BOUNDARY";
    assert_told(&[
        (DECK, FINISHED, &far, 0, lost),
        (&unheld, FINISHED, &no_number, 0, broken),
        (DECK, FINISHED, &good[..good.len() - 6], 0, "the .frd file breaks off before its end"),
        (DECK, FINISHED, &format!("{MESH} 9999\n"), 0, "the .frd file holds a mesh and no results"),
        (DECK, " Job finished\n", " 9999\n", 0, "nothing was computed"),
    ]);
}

#[test]
fn what_ended_the_container_comes_before_what_calculix_said() {
    for (stopped, kind, expected) in [
        (Stopped::OutOfMemory, ErrorKind::OutOfMemory, "CalculiX needed more memory than it was given in step 1"),
        (Stopped::Timeout, ErrorKind::Timeout, "the time limit ended the run in step 1"),
        (Stopped::Cancelled, ErrorKind::Cancelled, "the run was cancelled in step 1"),
        (Stopped::Flood, ErrorKind::Solver, "CalculiX wrote more output than is kept in step 1"),
    ] {
        let end = Ended { stopped: Some(stopped), ..ended(137) };
        let error = concluded(DECK, " STEP            1\n", &[], end).result.unwrap_err();
        assert!(error.kind == kind && error.message.starts_with(expected), "{error:?}");
        assert_eq!(error.traceback.as_deref(), Some(" STEP            1"));
    }
    let full = Ended { disk_free_bytes: 0, ..ended(0) };
    let error =
        concluded(DECK, " STEP            1\n Job finished\n", &[("a.frd", &frd("1.0"))], full).result.unwrap_err();
    assert!(error.message.starts_with("the work folder is full"), "{}", error.message);
}

#[test]
fn a_deck_that_asks_for_no_fields_is_run_as_it_is_and_says_what_to_add() {
    let deck = DECK.replace("*NODE FILE\nU\n", "");
    let done =
        concluded(&deck, " STEP            1\n Job finished\n", &[("a.frd", &format!("{MESH} 9999\n"))], ended(0));
    assert!(done.result.is_ok() && done.made.is_empty());
    assert_eq!(done.warnings[0].code, "no_field_output");
    assert!(done.warnings[0].message.contains("*NODE FILE, then U, then *EL FILE, then S"));
}
