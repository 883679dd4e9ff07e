//! Tests of what a diagnostic means, and of the words for it.

use super::*;
use crate::solver::Reader;
use std::time::Duration;

const ENDED: Ended = Ended { exit_code: 0, stopped: None, disk_free_bytes: 1 << 30, wall: Duration::from_secs(1) };

fn read(text: &str) -> Messages {
    let mut messages = Messages::default();
    text.lines().for_each(|line| {
        messages.line(line);
    });
    messages
}

fn context() -> Context {
    let files = vec![("beam.comm".to_owned(), "DEBUT()\nMA = LIRE_MAILLAGE(UNITE=20\nFIN()\n".to_owned())];
    Context { time_limit_s: 60, memory_limit_mb: 512, command_files: files }
}

fn boxed(head: &str, text: &str) -> String {
    format!("!------------------!\n! {head} !\n! {text} !\n!------------------!\n")
}

#[test]
fn each_diagnostic_completes_or_fails_with_its_cause() {
    let step = "Instant de calcul:  5.0E-01\n| NEWTON | X | X |\n|  | RESI_GLOB_RELA | RESI_GLOB_MAXI |\n| 7 X | 3.2E-02 X | 1.4E+03 X |\n";
    let python = "  File \"/tmp/run_aster_x/./beam.comm.changed.py\", line 9\n    MA = LIRE_MAILLAGE(UNITE=20\n                      ^\nSyntaxError: '(' was never closed\n";
    let rows: [(&str, String, Option<&str>); 14] = [
        ("OK", String::new(), None),
        ("<A>_ALARM", boxed("<A> <X_1>", "text"), None),
        (
            "NOOK_TEST_RESU",
            "NOOK  ANALYTIQUE a b\n OK   ANALYTIQUE\n".to_owned(),
            Some("1 of 2 tests are out of tolerance: NOOK ANALYTIQUE a b (NOOK_TEST_RESU)"),
        ),
        ("NO_TEST_RESU", String::new(), Some("it was run as a test case, and has no TEST_RESU (NO_TEST_RESU)")),
        (
            "<S>_ERROR",
            step.to_owned() + &boxed("<S> <CALCULEL_1>", "no field"),
            Some("the study ended with an error (at time 5.0E-01, step 1): no field [CALCULEL_1] (<S>_ERROR)"),
        ),
        (
            "<S>_CPU_LIMIT",
            step.to_owned(),
            Some(
                "the solver's time limit of 60 s was used up: ask for more in limits.timeout_ms (at time 5.0E-01, step 1) (<S>_CPU_LIMIT)",
            ),
        ),
        (
            "<S>_NO_CONVERGENCE",
            step.to_owned(),
            Some(
                "Newton's iterations did not converge at time 5.0E-01 (step 1); after iteration 7 RESI_GLOB_RELA 3.2E-02, RESI_GLOB_MAXI 1.4E+03 (<S>_NO_CONVERGENCE)",
            ),
        ),
        (
            "<S>_MEMORY_ERROR",
            boxed("<F> <JEVEUX_62>", "MEMOIRE INSUFFISANTE"),
            Some(
                "the solver needs more than its 512 MB of memory: ask for more in limits.memory_bytes: MEMOIRE INSUFFISANTE [JEVEUX_62] (<S>_MEMORY_ERROR)",
            ),
        ),
        (
            "<F>_ERROR",
            boxed("<F> <MODELISA_1>", "fort.20 not found"),
            Some(
                "the study ended with an error: fort.20 not found [MODELISA_1]; the mesh is read from there: was one sent, with this unit? (<F>_ERROR)",
            ),
        ),
        (
            "<F>_SYNTAX_ERROR",
            python.to_owned(),
            Some("beam.comm, line 2: the command file has a syntax error: '(' was never closed (<F>_SYNTAX_ERROR)"),
        ),
        (
            "<F>_ABNORMAL_ABORT",
            "EXECUTION_CODE_ASTER_EXIT_1=139\n".to_owned(),
            Some("the solver's process ended abnormally with exit code 139 (<F>_ABNORMAL_ABORT)"),
        ),
        ("<F>_COPY_ERROR", String::new(), Some("the study ended with an error (<F>_COPY_ERROR)")),
        ("?", String::new(), Some("the study ended with an error (?)")),
        ("", String::new(), Some("Code_Aster ended with exit code 0 and without a diagnostic")),
    ];
    for (diagnostic, text, expected) in rows {
        // The exit code is 0 throughout: it does not decide.
        let messages = read(&format!("{text}--- DIAGNOSTIC JOB : {diagnostic}\n"));
        let error = failure(&messages, &ENDED, &context());
        assert_eq!(error.as_ref().map(|error| error.message.as_str()), expected, "{diagnostic}");
        assert!(error.is_none_or(|error| error.kind == ErrorKind::Solver), "{diagnostic}");
    }
}

#[test]
fn what_stopped_a_run_comes_before_its_diagnostic() {
    let good = read("--- DIAGNOSTIC JOB : OK\n");
    let rows = [
        (Ended { exit_code: 1, ..ENDED }, Some(ErrorKind::Solver)),
        (Ended { stopped: Some(Stopped::Timeout), ..ENDED }, Some(ErrorKind::Timeout)),
        (Ended { stopped: Some(Stopped::Cancelled), ..ENDED }, Some(ErrorKind::Cancelled)),
        (Ended { stopped: Some(Stopped::Flood), ..ENDED }, Some(ErrorKind::Solver)),
        (Ended { stopped: Some(Stopped::OutOfMemory), exit_code: 137, ..ENDED }, Some(ErrorKind::OutOfMemory)),
        (Ended { stopped: Some(Stopped::OutOfMemory), ..ENDED }, None),
        (Ended { disk_free_bytes: 0, ..ENDED }, Some(ErrorKind::Solver)),
    ];
    for (ended, expected) in rows {
        assert_eq!(failure(&good, &ended, &context()).map(|error| error.kind), expected, "{ended:?}");
    }
    // The launcher takes a killed solver for one that used up its time.
    let killed = read("--- DIAGNOSTIC JOB : <S>_CPU_LIMIT\n");
    let ended = Ended { stopped: Some(Stopped::OutOfMemory), ..ENDED };
    assert_eq!(failure(&killed, &ended, &context()).unwrap().kind, ErrorKind::OutOfMemory);
}

#[test]
fn the_traceback_is_the_box_or_the_traceback_or_the_last_lines() {
    let tail = "--- DIAGNOSTIC JOB : <F>_ERROR\n";
    let both = boxed("<E> <A_1>", "first") + &boxed("<F> <A_2>", "second") + tail;
    let error = failure(&read(&both), &ENDED, &context()).unwrap();
    assert_eq!(error.traceback.as_deref(), Some("<E> <A_1>\nfirst\n\n<F> <A_2>\nsecond"));
    let python = format!("Traceback (most recent call last):\n  File \"x\", line 1\nValueError: bad\n{tail}");
    let error = failure(&read(&python), &ENDED, &context()).unwrap();
    assert_eq!(
        error.traceback.as_deref(),
        Some("Traceback (most recent call last):\n  File \"x\", line 1\nValueError: bad")
    );
    assert!(error.message.contains("ValueError: bad"), "{}", error.message);
    let error = failure(&read(&format!("last words\n{tail}")), &ENDED, &context()).unwrap();
    assert_eq!(error.traceback.as_deref(), Some("last words\n--- DIAGNOSTIC JOB : <F>_ERROR"));
    let error = failure(&read(""), &Ended { exit_code: 127, ..ENDED }, &context()).unwrap();
    assert!(error.message.contains("no such program") && error.traceback.is_none(), "{error:?}");
}

#[test]
fn a_line_that_stands_twice_is_not_guessed() {
    let text =
        "  File \"beam.comm.changed.py\", line 9\n    FIN(\nSyntaxError: x\n--- DIAGNOSTIC JOB : <F>_SYNTAX_ERROR\n";
    let twice = Context { command_files: vec![("beam.comm".to_owned(), "FIN(\nFIN(\n".to_owned())], ..context() };
    let error = failure(&read(text), &ENDED, &twice).unwrap();
    assert_eq!(
        (error.line, error.message.as_str()),
        (None, "the command file has a syntax error: x (<F>_SYNTAX_ERROR)")
    );
}
