//! Tests of the adapter as a whole: from a study to its command, and from a folder and its output to a conclusion.

use super::*;
use mecapy_model::Limits;
use proptest::prelude::*;
use std::io::{self, Read};
use std::time::Duration;

struct Files(Vec<(&'static str, Vec<u8>)>);

impl Folder for Files {
    fn list(&self) -> io::Result<Vec<(ArtifactName, u64)>> {
        let named = |(name, bytes): &(&str, Vec<u8>)| (ArtifactName::parse(name).unwrap(), bytes.len() as u64);
        Ok(self.0.iter().map(named).collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let file = self.0.iter().find(|(known, _)| *known == name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(file.1.as_slice()))
    }
}

const LIMITS: Limits = Limits { timeout_ms: 60_000, memory_bytes: 1 << 30, fuel: 0, cpus: 1 };
const ENDED: Ended = Ended { exit_code: 0, stopped: None, disk_free_bytes: 1 << 30, wall: Duration::from_secs(1) };

fn with_study<T>(inputs: &str, sent: &[&str], act: impl FnOnce(&Study<'_>) -> T) -> T {
    let inputs = RawValue::from_string(inputs.to_owned()).unwrap();
    let files: Vec<_> = sent.iter().map(|name| (ArtifactName::parse(name).unwrap(), None)).collect();
    let command = ["run_aster".to_owned()];
    act(&Study { inputs: &inputs, files: &files, limits: &LIMITS, command: &command })
}

fn conclude(inputs: &str, sent: &[&str], output: &str, files: &Files) -> Conclusion {
    with_study(inputs, sent, |study| {
        let mut reader = CodeAster.reader(study);
        output.lines().for_each(|line| {
            reader.line(line);
        });
        CodeAster.conclude(study, &ENDED, &*reader, files)
    })
}

#[test]
fn the_command_ends_in_a_name_of_ours() {
    let files = Files(vec![("a.comm", vec![])]);
    with_study(r#"{"parameters":{"load":1.50}}"#, &["a.comm"], |study| {
        assert_eq!(CodeAster.check(study), []);
        let prepared = CodeAster.prepare(study, &files).unwrap();
        assert_eq!(prepared.command, ["run_aster", "mecapy.export"]);
        let names: Vec<_> = prepared.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["mecapy.export", "inputs.json"]);
        assert_eq!(prepared.files[1].1, br#"{"load":1.50}"#);
    });
}

/// A file of the study in the fixtures.
fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/solvers/code_aster/cantilever");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

#[test]
fn the_studies_of_the_fixtures_can_be_run() {
    let results = r#"{"results":{"tip.csv":38,"clamp.table":39},"parameters":{"force_n":150.0}}"#;
    let rows: [(&str, &[&'static str], &[&str]); 3] = [
        (
            "{}",
            &["cantilever.comm", "cantilever.mail", "cantilever.export"],
            &[
                "F comm cantilever.comm D 1\nF mail cantilever.mail D 20\n",
                "F libr tip.csv R 38\nF libr clamp.table R 39\n",
            ],
        ),
        (
            results,
            &["cantilever.comm", "cantilever.mail"],
            &[
                "F comm cantilever.comm D 1\nF mail cantilever.mail D 20\n",
                "F libr clamp.table R 39\nF libr tip.csv R 38\nF nom inputs.json D 0\n",
            ],
        ),
        (
            "{}",
            &["cantilever.comm", "further.comm", "cantilever.mail", "further.export"],
            &["F comm cantilever.comm D 1\nF comm further.comm D 1\n", "R base base RC 0\n"],
        ),
    ];
    for (inputs, names, expected) in rows {
        let files = Files(names.iter().map(|name| (*name, fixture(name))).collect());
        with_study(inputs, names, |study| {
            assert_eq!(CodeAster.check(study), []);
            let prepared = CodeAster.prepare(study, &files).unwrap();
            let export = String::from_utf8(prepared.files[0].1.clone()).unwrap();
            assert!(expected.iter().all(|lines| export.contains(lines)), "{export}");
        });
    }
}

#[test]
fn steps_and_residuals_are_told_in_both_languages() {
    const TABLE: &str = "\
---------------------------------------------------------------------\n\
|     NEWTON     |     RESIDU     |     RESIDU     |     OPTION     |\n\
|    ITERATION   |     RELATIF    |     ABSOLU     |   ASSEMBLAGE   |\n\
|                | RESI_GLOB_RELA | RESI_GLOB_MAXI |                |\n\
---------------------------------------------------------------------\n\
|     0        X | 9.10000E-01  X | 1.40000E+04    |TANGENTE        |\n\
|     1          | 2.50000E-09    | 3.80000E-05    |                |\n";
    let french = [
        "# Commande #0001 de a.changed.py, ligne 9",
        "Instant de calcul:   1.000E+00 - Niveau de découpe: 0",
        "# Fin commande #0001",
    ];
    let english =
        ["# Command #0001 of a.changed.py, line 9", "Time of computation:   1.000E+00", "# End command #0001"];
    for [begins, step, ends] in [french, english] {
        let call = "RESU = STAT_NON_LINE(INCREMENT=_F(INST_FIN=2.0))";
        let output =
            format!("{begins}\n{call}\n\n{step}\n{TABLE}{ends}   user+syst:        0.02s (syst:        0.00s)\n");
        let mut reader = with_study("{}", &["a.comm"], |study| CodeAster.reader(study));
        let told = output.lines().filter_map(|line| reader.line(line));
        let told: Vec<_> = told.map(|told| format!("{} {}", told.fraction, told.message.unwrap_or_default())).collect();
        assert_eq!(
            told,
            [
                "0 command 1: STAT_NON_LINE",
                "0.5 step 1, time 1.000E+00",
                "0.5 time 1.000E+00, iteration 0: RESI_GLOB_RELA 9.10000E-01, RESI_GLOB_MAXI 1.40000E+04",
                "0.5 time 1.000E+00, iteration 1: RESI_GLOB_RELA 2.50000E-09, RESI_GLOB_MAXI 3.80000E-05",
                "0.5 command 1: STAT_NON_LINE ended",
            ]
        );
    }
}

#[test]
fn a_study_that_completed_gives_its_tables_and_results() {
    let table = b"#DEBUT_TABLE\n#TITRE TIP\n DY\n R\n -1.9047D+00\n#FIN_TABLE\n#DEBUT_TABLE\n A\n 1\n#FIN_TABLE\n";
    let files = Files(vec![
        ("a.comm", vec![]),
        ("a.mess", b"text".to_vec()),
        ("a.resu", table.to_vec()),
        ("a.rmed", vec![0x89, b'H', 0, 0xff]),
        ("extra.bin", vec![1]),
        ("tip.csv", b"X,Y\n1.50,2\n".to_vec()),
    ]);
    let alarm = "!----------!\n! <A> <B_1> !\n! twice !\n!----------!\n".repeat(2);
    let output = format!("{alarm}--- DIAGNOSTIC JOB : <A>_ALARM\n");
    let conclusion = conclude(r#"{"results":{"tip.csv":38}}"#, &["a.comm"], &output, &files);
    let result = conclusion.result.unwrap();
    assert_eq!(
        result.get(),
        "{\"diagnostic\":\"<A>_ALARM\",\"version\":null,\"tables\":{\
         \"a\":{\"title\":\"TIP\",\"columns\":[\"DY\"],\"rows\":[[-1.9047E+00]]},\
         \"a_2\":{\"columns\":[\"A\"],\"rows\":[[1]]},\
         \"tip\":{\"columns\":[\"X\",\"Y\"],\"rows\":[[1.50,2]]}},\
         \"commands\":[],\"commands_ended\":0,\
         \"time_steps\":{\"count\":0,\"cut\":0,\"last\":null,\"iterations\":0,\"last_iteration\":null},\
         \"tests\":{\"ok\":0,\"nook\":0},\"times\":null,\"alarms\":2}"
    );
    let kept: Vec<_> = conclusion.files.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(kept, ["a.mess", "a.resu", "a.rmed", "tip.csv"]);
    let warnings: Vec<_> = conclusion.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings, ["B_1: twice (2 times)"]);
}

#[test]
fn a_study_that_failed_keeps_what_it_had_written() {
    let files = Files(vec![
        ("a.comm", vec![]),
        ("b/glob.1.gz", vec![1]),
        ("work/fort.6", b"text".to_vec()),
        (
            "s.export",
            b"F comm a.comm D 1\nF mess a.mess R 6\nR base b RC 0\nF libr c.csv RC 38\nF libr d R 39\n".to_vec(),
        ),
        ("c.csv.gz", vec![2]),
    ]);
    let conclusion = conclude("{}", &["a.comm", "s.export"], "--- DIAGNOSTIC JOB : <F>_ABNORMAL_ABORT\n", &files);
    assert_eq!(conclusion.result.unwrap_err().kind, ErrorKind::Solver);
    let kept: Vec<_> = conclusion.files.iter().map(|(found, name)| (found.as_str(), name.as_str())).collect();
    assert_eq!(kept, [("b/glob.1.gz", "b/glob.1.gz"), ("c.csv.gz", "c.csv.gz"), ("work/fort.6", "a.mess")]);
}

#[test]
fn a_table_that_can_not_be_read_is_a_warning() {
    let files = Files(vec![("a.comm", vec![]), ("t.csv", b"a,b\n1\n".to_vec())]);
    let conclusion = conclude(r#"{"results":{"t.csv":38}}"#, &["a.comm"], "--- DIAGNOSTIC JOB : OK\n", &files);
    assert!(conclusion.result.unwrap().get().contains("\"tables\":{}"));
    assert_eq!(conclusion.warnings[0].message, "t.csv is kept as a file only: line 2 has 1 values for 2 columns");
}

/// Texts in which the formats' own words are likely.
fn near_texts() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        Just("\n"),
        Just(" "),
        Just("!----------!\n"),
        Just("! <F> <A_1>"),
        Just("╔══════════╗\n"),
        Just("║"),
        Just("# Commande #0001 de x\n"),
        Just("A = B(JUSQU_A="),
        Just("INST_FIN=1.0D+00"),
        Just("# Fin commande #1 user+syst: "),
        Just("Instant de calcul: "),
        Just("| NEWTON | RESI_GLOB_RELA |\n"),
        Just("| 1 | 2.0 |\n"),
        Just("--- DIAGNOSTIC JOB :"),
        Just("* TOTAL_JOB : 1 : 2 : 3 : 4"),
        Just("Traceback (most recent call last):\n"),
        Just("  File \"a.comm\", line 3\n"),
        Just("#DEBUT_TABLE\n"),
        Just("#FIN_TABLE\n"),
        Just("#TITRE"),
        Just("K8 R I\n"),
        Just(","),
        Just(";"),
        Just("\""),
        Just("-"),
        Just("1.5-120"),
        Just("\u{fffd}"),
        Just("é"),
        Just("P ncpus 1\n"),
        Just("F comm a.comm D 1\n"),
        Just("R base b DC 0\n"),
        Just("OK "),
        Just("NOOK "),
        Just("99999999999999999999"),
        Just("fort."),
        Just("<"),
        Just(">"),
        Just("\u{0}"),
    ];
    proptest::collection::vec(prop_oneof![3 => words.prop_map(str::to_owned), 1 => any::<String>()], 0..60)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_parser_panic(text in near_texts(), bytes in proptest::collection::vec(any::<u8>(), 0..300), exit_code: i64) {
        let lossy = String::from_utf8_lossy(&bytes);
        for text in [text.as_str(), lossy.as_ref()] {
            let mut messages = Messages::default();
            for line in text.lines() {
                if let Some(progress) = messages.line(line) {
                    prop_assert!((0.0..=1.0).contains(&progress.fraction));
                }
            }
            let ended = Ended { exit_code, ..ENDED };
            let _ = diagnostic::failure(&messages, &ended, &diagnostic::Context::default());
            let tables = [tables::read(text, Csv::Yes), tables::read(text, Csv::No)];
            let json = serde_json::to_string(&tables.iter().flatten().flatten().collect::<Vec<_>>()).unwrap();
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
            prop_assert!(serde_json::from_str::<serde_json::Value>(summary(&messages, BTreeMap::new()).unwrap().get()).is_ok());
            if let Ok(export) = export::Export::parse(text) {
                prop_assert_eq!(export::Export::parse(&export.text()).unwrap().text(), export.text());
            }
            let files = Files(vec![("a.comm", text.as_bytes().to_vec()), ("s.export", text.as_bytes().to_vec())]);
            with_study("{}", &["a.comm", "s.export"], |study| {
                let _ = CodeAster.prepare(study, &files);
            });
        }
    }
}
