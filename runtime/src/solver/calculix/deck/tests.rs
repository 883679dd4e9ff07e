//! Decks and what is understood of them.

use super::super::shelf::Shelf;
use super::*;

fn read(files: &[(&str, &str)]) -> Result<Deck, String> {
    Deck::read(&Shelf::of(files), "a.inp").map_err(|fault| fault.into_error("a.inp").message)
}

#[test]
fn steps_outputs_and_names_are_read_through_includes_and_continued_lines() {
    let main = "** a comment in Latin 1\n*Include, input = \"mesh.inp\"\n*STEP, NLGEOM,\nINC = 7\n*Static\n0.1, 2.5\n\
        1., 9.\n*node file\nU\n*End Step\n*STEP\n*STATIC\n*EL PRINT, ELSET=all\nS\n*END STEP\n*STEP\n*FREQUENCY\n3\n";
    let deck = read(&[("a.inp", main), ("mesh.inp", "*NODE, NSET=Nall\r\n1, 0, 0\r\n*BOUNDARY\n1, 1\n")]).unwrap();
    let step =
        |procedure: &str, period, increments_max| Step { procedure: procedure.to_owned(), period, increments_max };
    assert_eq!(
        deck.steps,
        [step("STATIC", Some(2.5), 7), step("STATIC", Some(1.0), 100), step("FREQUENCY", None, 100)]
    );
    assert!(deck.asks_for_file && deck.asks_for_print && deck.has_boundary && !deck.asks_for_binary);
    assert_eq!(deck.names["node set"], ["NALL"]);
    assert_eq!(deck.total_time(), None);
}

#[test]
fn what_a_deck_may_not_name_is_refused_with_its_line() {
    let long = format!("*HEADING\n{}\n", "x".repeat(2_000));
    for (main, expected) in [
        ("*INCLUDE, INPUT=../../etc/passwd\n", "a.inp, line 1: \"../../etc/passwd\" must be the plain name"),
        ("*INCLUDE, INPUT=/etc/passwd\n", "a.inp, line 1: \"/etc/passwd\" must be the plain name"),
        (
            "*NODE\n\n*INCLUDE, INPUT=mehs.inp\n",
            "a.inp, line 3: the file mehs.inp was not sent; add it to the task's \
            files. Did you mean mesh.inp?",
        ),
        ("*INCLUDE\n", "a.inp, line 1: *INCLUDE needs INPUT="),
        ("*SUBMODEL, TYPE=NODE, INPUT=big.frd\n", "a.inp, line 1: the file big.frd was not sent"),
        ("*INCLUDE, INPUT=a.inp\n", "a.inp, line 1: files include one another more than 9 deep"),
        ("\u{1}\u{2}\n", "a.inp, line 1: this is no text"),
        (&long, "a.inp, line 2: this line is longer than the 1320"),
    ] {
        let message = read(&[("a.inp", main), ("mesh.inp", "*NODE\n")]).unwrap_err();
        assert!(message.starts_with(expected), "{message}");
    }
    assert_eq!(
        Deck::read(&Shelf::of(&[]), "a.inp").unwrap_err().into_error("").message,
        "a.inp: this file was not sent"
    );
}

#[test]
fn text_that_is_not_utf8_is_refused_outside_comments() {
    let mut shelf = Shelf::of(&[]);
    shelf.0.push(("a.inp".to_owned(), b"** Tr\xe4ger\n*HEADING\n".to_vec()));
    assert!(Deck::read(&shelf, "a.inp").is_ok());
    shelf.0[0].1 = b"*HEADING\nTr\xe4ger\n".to_vec();
    let error = Deck::read(&shelf, "a.inp").unwrap_err().into_error("a.inp");
    assert_eq!((error.kind, error.line), (ErrorKind::InvalidInput, Some(2)));
}

#[test]
fn a_card_is_found_by_its_image() {
    let shelf = Shelf::of(&[("a.inp", "*INCLUDE, INPUT=b.inp\n"), ("b.inp", "*STEP\n** x\nFix, 1, 3\n")]);
    assert_eq!(locate(&shelf, "a.inp", "FIX,1,3"), Some(("b.inp".to_owned(), 3)));
    assert_eq!(locate(&shelf, "a.inp", "FIX,1,2"), None);
}
