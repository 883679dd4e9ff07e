//! Tests of the adapter over whole runs of the stand-in for Code_Aster, in the order in which the container lane does
//! it: check, prepare, write, run, read, conclude.

use super::*;
use mecapy_model::Limits;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/solvers/code_aster");
const LIMITS: Limits = Limits { timeout_ms: 120_000, memory_bytes: 1 << 30, fuel: 0, cpus: 1 };

/// A folder of this machine.
struct Disk(PathBuf);

impl Folder for Disk {
    fn list(&self) -> io::Result<Vec<(ArtifactName, u64)>> {
        let (mut found, mut open) = (Vec::new(), vec![self.0.clone()]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    open.push(entry.path());
                } else if kind.is_file() {
                    let path = entry.path();
                    let name = path.strip_prefix(&self.0).unwrap().to_str().unwrap();
                    found.push((ArtifactName::parse(name).unwrap(), entry.metadata()?.len()));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(File::open(self.0.join(name))?))
    }
}

struct Ran {
    conclusion: Conclusion,
    progress: Vec<String>,
    exit_code: i64,
}

/// Runs what was sent as files of these names and texts.
fn run(inputs: &str, sent: &[(&str, &str)]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in sent {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let files: Vec<_> = sent.iter().map(|(name, _)| (ArtifactName::parse(name).unwrap(), None)).collect();
    let inputs = RawValue::from_string(inputs.to_owned()).unwrap();
    let command = ["sh".to_owned(), format!("{FIXTURES}/stand-in/run_aster")];
    let study = Study { inputs: &inputs, files: &files, limits: &LIMITS, command: &command };
    assert_eq!(CodeAster.check(&study), []);
    let disk = Disk(folder.path().to_owned());
    let prepared = CodeAster.prepare(&study, &disk).unwrap();
    for (name, bytes) in &prepared.files {
        fs::write(folder.path().join(name.as_str()), bytes).unwrap();
    }
    let mut reader = CodeAster.reader(&study);
    let (progress, exit_code) = follow(&prepared.command, folder.path(), &mut *reader);
    let ended = Ended { exit_code, stopped: None, disk_free_bytes: 1 << 30, wall: Duration::from_secs(1) };
    Ran { conclusion: CodeAster.conclude(&study, &ended, &*reader, &disk), progress, exit_code }
}

fn follow(command: &[String], folder: &Path, reader: &mut dyn Reader) -> (Vec<String>, i64) {
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]).current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin");
    let mut child = child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut progress = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).split(b'\n') {
        let told = reader.line(&String::from_utf8_lossy(&line.unwrap()));
        progress.extend(told.map(|told| format!("{:.2} {}", told.fraction, told.message.unwrap_or_default())));
    }
    (progress, i64::from(child.wait().unwrap().code().unwrap()))
}

fn fixture(name: &str) -> String {
    fs::read_to_string(format!("{FIXTURES}/cantilever/{name}")).unwrap()
}

#[test]
fn the_study_of_the_fixtures_runs_with_and_without_its_export() {
    let (comm, mail, export) = (fixture("cantilever.comm"), fixture("cantilever.mail"), fixture("cantilever.export"));
    let loose = [("cantilever.comm", comm.as_str()), ("cantilever.mail", mail.as_str())];
    let whole = [&loose[..], &[("cantilever.export", export.as_str())]].concat();
    let results = r#"{"results":{"tip.csv":38,"clamp.table":39},"parameters":{"force_n":150.0}}"#;
    for (inputs, sent) in [("{}", whole.as_slice()), (results, &loose[..])] {
        let ran = run(inputs, sent);
        assert_eq!(ran.exit_code, 0);
        let result = ran.conclusion.result.unwrap();
        // The stand-in's own digits: Fortran's exponent has become JSON's, and nothing else has changed.
        assert!(result.get().contains(r#"["TIP","N2",1,0.00000000000000E+00,-1.90476190476190E+00]"#), "{result}");
        let value: serde_json::Value = serde_json::from_str(result.get()).unwrap();
        assert_eq!((&value["diagnostic"], &value["version"]), (&"OK".into(), &"17.4.0".into()));
        assert_eq!(value["tables"]["tip"]["columns"][4], "DY");
        assert_eq!(value["tables"]["clamp"]["title"], "STAND-IN: FIXED NUMBERS");
        assert_eq!(value["commands"][8]["name"], "MECA_STATIQUE");
        assert_eq!(value["commands_ended"], 16);
        assert_eq!(value["times"]["elapsed"], 2.0);
        let kept: Vec<_> = ran.conclusion.files.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(kept, ["cantilever.mess", "cantilever.resu", "cantilever.rmed", "clamp.table", "tip.csv"]);
        assert_eq!(ran.conclusion.warnings, []);
    }
}

#[test]
fn two_command_files_run_in_a_row_and_leave_their_base() {
    let names = ["cantilever.comm", "further.comm", "cantilever.mail", "further.export"];
    let texts = names.map(fixture);
    let sent: Vec<_> = names.iter().copied().zip(texts.iter().map(String::as_str)).collect();
    let ran = run("{}", &sent);
    let value: serde_json::Value = serde_json::from_str(ran.conclusion.result.unwrap().get()).unwrap();
    assert_eq!((&value["commands"][16]["name"], &value["commands_ended"]), (&"POURSUITE".into(), &21.into()));
    let kept: Vec<_> = ran.conclusion.files.iter().map(|(_, name)| name.as_str()).collect();
    let expected =
        ["base/glob.1", "base/pick.1", "cantilever.rmed", "clamp.table", "further.mess", "tip.csv", "twice.csv"];
    assert_eq!(kept, expected);
    let restart = run("{}", &[("a.comm", "POURSUITE()\nFIN()\n"), ("base/glob.1", ""), ("base/pick.1", "")]);
    assert!(restart.conclusion.result.is_ok());
}

#[test]
fn every_diagnostic_of_the_stand_in_is_understood() {
    let rows: [(&str, i64, Option<&str>); 15] = [
        ("diagnostic OK", 0, None),
        ("diagnostic <A>_ALARM", 0, None),
        ("alarm CALCULEL_8", 0, None),
        ("diagnostic NOOK_TEST_RESU", 2, Some("1 of 1 tests are out of tolerance: NOOK ANALYTIQUE")),
        ("tests 3 2", 2, Some("2 of 5 tests are out of tolerance")),
        ("diagnostic NO_TEST_RESU", 4, Some("no TEST_RESU")),
        (
            "diagnostic <S>_ERROR",
            1,
            Some("Le calcul est interrompu, le pas courant est conservé. [STANDIN_2] (<S>_ERROR)"),
        ),
        ("diagnostic <S>_CPU_LIMIT", 1, Some("the solver's time limit of 91 s was used up")),
        ("diagnostic <S>_NO_CONVERGENCE", 1, Some("did not converge: Le nombre d'itérations")),
        ("diagnostic <S>_MEMORY_ERROR", 1, Some("more than its 768 MB of memory")),
        ("diagnostic <F>_ERROR", 1, Some("Le groupe de mailles BEAM n'existe pas")),
        (
            "diagnostic <F>_SYNTAX_ERROR",
            1,
            Some("a.comm, line 4: the command file has a syntax error: '(' was never closed"),
        ),
        ("diagnostic <F>_ABNORMAL_ABORT", 1, Some("ended abnormally with exit code 139")),
        ("signal ABRT", 1, Some("ended abnormally with exit code 134")),
        ("diagnostic none", 1, Some("exit code 1 and without a diagnostic")),
    ];
    for (directive, exit_code, expected) in rows {
        for (exit, boxes) in [("", "new"), ("# stand-in: exit 0\n", "old")] {
            let comm = format!("DEBUT()\n# stand-in: boxes {boxes}\n# stand-in: {directive}\nFIN()\n{exit}");
            let ran = run("{}", &[("a.comm", &comm)]);
            // An exit code of 0 changes nothing.
            assert_eq!(ran.exit_code, if exit.is_empty() { exit_code } else { 0 }, "{directive}");
            let error = ran.conclusion.result.err();
            let told = error.as_ref().map(|error| error.message.as_str());
            let fits = match (told, expected) {
                (Some(told), Some("exit code 1 and without a diagnostic")) => told.contains("without a diagnostic"),
                (Some(told), Some(expected)) => told.contains(expected),
                (told, expected) => told == expected,
            };
            assert!(fits, "{directive}: {told:?}");
            assert!(error.is_none_or(|error| error.kind == ErrorKind::Solver && error.traceback.is_some()));
        }
    }
}

#[test]
fn steps_and_residuals_are_told_in_both_languages() {
    for language in ["fr", "en"] {
        let comm = format!("DEBUT()\n# stand-in: language {language}\n# stand-in: steps 4 every 0\nFIN()\n");
        let ran = run("{}", &[("a.comm", &comm)]);
        let steps: Vec<_> = ran.progress.iter().filter(|told| told.contains("step ")).collect();
        assert_eq!(
            steps,
            [
                "0.25 step 1, time 0.250000000000E+00",
                "0.50 step 2, time 0.500000000000E+00",
                "0.75 step 3, time 0.750000000000E+00",
                "1.00 step 4, time 1.000000000000E+00",
            ]
        );
        assert!(
            ran.progress
                .iter()
                .any(|told| told.ends_with("iteration 1: RESI_GLOB_RELA 2.50000E-09, RESI_GLOB_MAXI 3.80000E-05"))
        );
        assert!(
            ran.progress.iter().any(|told| told.ends_with("STAT_NON_LINE ended")),
            "{language}: {:?}",
            ran.progress
        );
        let result = ran.conclusion.result.unwrap();
        assert!(result.get().contains(r#""time_steps":{"count":4,"cut":0,"last":1.000000000000E+00,"iterations":8,"#));
    }
    let diverging = "# stand-in: diagnostic <S>_NO_CONVERGENCE\nDEBUT()\n# stand-in: steps 3 every 0\nFIN()\n";
    let error = run("{}", &[("a.comm", diverging)]).conclusion.result.unwrap_err();
    assert_eq!(
        error.message,
        "Newton's iterations did not converge at time 1.000000000000E+00 (step 3); after iteration 10 RESI_GLOB_RELA \
         3.20000E-02, RESI_GLOB_MAXI 1.40000E+03 (<S>_NO_CONVERGENCE)"
    );
    assert!(error.traceback.unwrap().starts_with("<EXCEPTION> <STANDIN_4>\nLe nombre"));
}

#[test]
fn floods_bytes_that_are_no_text_and_planted_files_do_no_harm() {
    let comm = "DEBUT()\n# stand-in: flood 20000\n# stand-in: latin1\n# stand-in: hog 20\n# stand-in: sparse a.rmed 5000\n\
        # stand-in: link a.resu /etc/passwd\n# stand-in: fifo pipe\n# stand-in: files 20\n# stand-in: fork 5\n\
        # stand-in: read /proc/1/environ\nFIN()\n# stand-in: diagnostic <F>_ABNORMAL_ABORT\n# stand-in: exit 0\n";
    let ran = run("{}", &[("a.comm", comm)]);
    assert_eq!(ran.exit_code, 0);
    let kept: Vec<_> = ran.conclusion.files.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(kept, ["a.rmed"]);
    assert!(ran.conclusion.result.unwrap_err().message.contains("<F>_ABNORMAL_ABORT"));
}

#[test]
fn a_syntax_error_is_found_in_the_file_that_was_sent() {
    let error = run("{}", &[("a.comm", "DEBUT()\n\nM = AFFE_MODELE(\n")]).conclusion.result.unwrap_err();
    assert_eq!((error.line, error.kind), (Some(3), ErrorKind::Solver));
    assert!(error.message.starts_with("a.comm, line 3: the command file has a syntax error"), "{}", error.message);
}
