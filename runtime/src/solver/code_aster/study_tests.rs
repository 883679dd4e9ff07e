//! Tests of the planning of studies: what is chosen, refused, capped and written.

use super::*;
use std::io::{self, Read};

/// A file's name and text.
type Sent = (&'static str, &'static str);

struct Files(Vec<Sent>);

impl Folder for Files {
    fn list(&self) -> io::Result<Vec<(mecapy_model::ArtifactName, u64)>> {
        Ok(self.0.iter().map(|(name, text)| (parsed(name), text.len() as u64)).collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let file = self.0.iter().find(|(known, _)| *known == name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(file.1.as_bytes()))
    }
}

fn parsed(name: &str) -> mecapy_model::ArtifactName {
    mecapy_model::ArtifactName::parse(name).unwrap()
}

const LIMITS: Limits = Limits { timeout_ms: 3_600_000, memory_bytes: 4 << 30, fuel: 0, cpus: 4 };

fn with_study<T>(inputs: &str, files: &Files, act: impl FnOnce(&Study<'_>) -> T) -> T {
    let inputs = RawValue::from_string(inputs.to_owned()).unwrap();
    let names: Vec<_> = files.0.iter().map(|(name, _)| (parsed(name), None)).collect();
    act(&Study { inputs: &inputs, files: &names, limits: &LIMITS, command: &[] })
}

fn plan(inputs: &str, files: &[Sent]) -> Result<Plan, TaskError> {
    let files = Files(files.to_vec());
    with_study(inputs, &files, |study| Plan::new(study, &files))
}

#[test]
fn command_file_and_mesh_become_a_study_with_the_tasks_limits() {
    let files = [
        ("beam.comm", "DEBUT()\nM = LIRE_MAILLAGE(UNITE=20)\n"),
        ("beam.mail", ""),
        ("load.csv", ""),
        ("base/glob.1.gz", ""),
        ("base/pick.1.gz", ""),
    ];
    let plan = plan(r#"{"results":{"tip.csv":38},"parameters":{"f":1}}"#, &files).unwrap();
    // 3600 s less 60 s, over 1.25 × 4; 4096 MB less a tenth.
    assert_eq!(
        plan.export.text(),
        "P actions make_etude\nP mpi_nbcpu 1\nP ncpus 4\nP time_limit 708\nP memory_limit 3687\n\
         F comm beam.comm D 1\nF mail beam.mail D 20\nF nom load.csv D 0\nR base base DC 0\n\
         F mess beam.mess R 6\nF resu beam.resu R 8\nF rmed beam.rmed R 80\nF libr tip.csv R 38\nF nom inputs.json D 0\n"
    );
    assert_eq!((plan.parameters.as_deref(), plan.warnings), (Some(r#"{"f":1}"#), vec![]));
}

#[test]
fn inner_ceilings_lie_below_the_tasks() {
    for timeout_ms in [1, 999, 5_000, 60_000, 3_600_000, 864_000_000] {
        for cpus in [1, 2, 16] {
            let ceilings = Ceilings::of(&Limits { timeout_ms, cpus, ..LIMITS });
            let limit = ceilings.time_limit_s(u64::from(cpus));
            let inner_ms = limit * 1_250 * u64::from(cpus);
            assert!(limit == 1 || inner_ms + 1_000 <= timeout_ms, "{timeout_ms} {cpus} {limit}");
        }
    }
    for (memory_bytes, expected) in [(64 << 20, 32), (512 << 20, 256), (4 << 30, 3_687), (1 << 20, 1)] {
        assert_eq!(Ceilings::of(&Limits { memory_bytes, ..LIMITS }).memory_mb, expected);
    }
}

#[test]
fn an_export_keeps_its_files_and_is_capped_with_warnings() {
    let export = "P time_limit 999999.0\nP memory_limit 100\nP ncpus 64\nP version 12\n\
        F comm a.comm D 1\nF comm b.comm D 1\nR base old D 0\nR base new RC 0\nF mmed m.med D 20\n";
    let files =
        [("run.export", export), ("a.comm", ""), ("b.comm", ""), ("old/glob.1", ""), ("m.med", ""), ("x.comm", "")];
    let plan = plan("{}", &files).unwrap();
    let text = plan.export.text();
    for line in [
        "P ncpus 4",
        "P time_limit 708",
        "P memory_limit 100",
        "F comm a.comm D 1\nF comm b.comm D 1",
        "F mess a.mess R 6",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let told: Vec<_> = plan.warnings.iter().map(|warning| (warning.code.as_str(), warning.line)).collect();
    assert_eq!(told, [("limit_capped", Some(3)), ("limit_capped", Some(1)), ("export_line_ignored", None)]);
}

#[test]
fn faults_point_into_the_request() {
    let comm = ("a.comm", "");
    let rows: [(&str, &[Sent], &str, &str); 14] = [
        ("[]", &[comm], "/inputs", "one JSON object"),
        (r#"{"a/b":1}"#, &[comm], "/inputs/a~1b", "go into parameters"),
        (r#"{"export":1}"#, &[comm], "/inputs/export", "a file name"),
        (r#"{"parameters":[]}"#, &[comm], "/inputs/parameters", "an object"),
        (r#"{"results":{"x":-1}}"#, &[comm], "/inputs/results", "an object from"),
        (r#"{"results":{"../x.csv":38}}"#, &[comm], "/inputs/results/..~1x.csv", "leaves"),
        (r#"{"results":{"x.csv":0}}"#, &[comm], "/inputs/results/x.csv", "from 1 to 99"),
        (r#"{"export":"x.export"}"#, &[comm], "/inputs/export", "no file of this name"),
        (r#"{"comm":["a.comm","b.comm"]}"#, &[comm], "/inputs/comm/1", "was not sent"),
        ("{}", &[comm, ("b.comm", "")], "/inputs/comm", "in the order"),
        ("{}", &[("a.mail", "")], "/code/files", "a command file"),
        ("{}", &[comm, ("mecapy.export", "")], "/code/files/mecapy.export", "written by the platform"),
        ("{}", &[("a.export", ""), ("b.export", "")], "/inputs/export", "name the one"),
        ("{}", &[comm, ("a b.csv", "")], "/code/files/a b.csv", "letters without accents"),
    ];
    for (inputs, files, pointer, message) in rows {
        let files = Files(files.to_vec());
        let faults = with_study(inputs, &files, |study| choose(study).unwrap_err());
        let told = faults.iter().any(|fault| fault.pointer == pointer && fault.message.contains(message));
        assert!(told, "{inputs}: {faults:?}");
    }
}

#[test]
fn what_the_files_say_is_refused_with_file_and_line() {
    let rows: [(&[Sent], &str, Option<u32>); 6] = [
        (
            &[("a.comm", "DEBUT()\nM = LIRE_MAILLAGE()\n")],
            "a.comm, line 2: it reads a mesh, and none was sent",
            Some(2),
        ),
        (
            &[("s.export", "F comm a.comm D 1\n"), ("b.comm", "")],
            "s.export, line 1: the command file a.comm was not sent",
            Some(1),
        ),
        (&[("s.export", "F comm /x/a.comm D 1\nZ\n")], "s.export, line 1: \"/x/a.comm\" is an absolute path", Some(1)),
        (
            &[("s.export", "P ncpus many\nF comm a.comm D 1\n"), ("a.comm", "")],
            "s.export, line 1: ncpus is a number",
            Some(1),
        ),
        (&[("s.export", "P time_limit NaN\nF comm a.comm D 1\n"), ("a.comm", "")], "time_limit is a number", Some(1)),
        (&[("s.export", "")], "s.export: it names no command file", None),
    ];
    for (files, message, line) in rows {
        let error = plan("{}", files).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(message), "{}", error.message);
        assert_eq!(error.line, line, "{}", error.message);
    }
    assert!(plan("{}", &[("a.comm", "# LIRE_MAILLAGE\n")]).is_ok());
}
