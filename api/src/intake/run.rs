//! The request that starts a run of a workflow.

use super::{Rejected, labels, lookup::Intake, task};
use crate::json::{Faults, Fields, Path, Value};
use mecapy_model::StudyId;
use std::collections::BTreeMap;

/// A run as it was asked for.
#[derive(Debug)]
pub struct AskedRun<'a> {
    /// For people.
    pub name: Option<String>,
    /// The user's own JSON text; `{}` where the request has none.
    pub inputs: &'a str,
    /// The newest where it is absent.
    pub version: Option<u32>,
    pub study: Option<StudyId>,
    pub labels: BTreeMap<String, String>,
}

impl Intake<'_> {
    /// Reads the run that `text`, checked JSON, asks for. Its inputs are the workflow's to judge.
    ///
    /// # Errors
    /// All faults of the request together.
    pub async fn run<'a>(&self, text: &'a str) -> Result<AskedRun<'a>, Rejected> {
        let mut faults = Faults::default();
        let asked = read(text, &mut faults);
        if let Some(study) = asked.as_ref().and_then(|asked| asked.study) {
            self.check_study_exists(study, &mut faults).await?;
        }
        asked.filter(|_| faults.is_empty()).ok_or_else(|| Rejected::Invalid(faults.into_vec()))
    }
}

fn read<'a>(text: &'a str, faults: &mut Faults) -> Option<AskedRun<'a>> {
    let mut fields = Fields::open(Value::of(text), Path::Root, faults)?;
    let version = fields.integer("version", 1..=u64::from(u32::MAX), faults);
    let asked = AskedRun {
        name: labels::name(&mut fields, faults),
        inputs: fields.take("inputs").map_or("{}", Value::text),
        version: version.and_then(|version| u32::try_from(version).ok()),
        study: task::study(&mut fields, faults),
        labels: labels::labels(&mut fields, faults),
    };
    fields.finish(faults);
    Some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_and_every_fault_is_pointed_at() {
        let mut faults = Faults::default();
        let text = r#"{"inputs": {"F": 1.10}, "version": 3, "labels": {"case": "A"}}"#;
        let asked = read(text, &mut faults).unwrap();
        assert_eq!((asked.inputs, asked.version, asked.labels.len()), (r#"{"F": 1.10}"#, Some(3), 1));
        assert_eq!(read("{}", &mut faults).unwrap().inputs, "{}");
        assert!(faults.is_empty());
        let rows = [
            ("[]", ""),
            (r#"{"version": 0}"#, "/version"),
            (r#"{"study": "x"}"#, "/study"),
            (r#"{"labels": {"": "x"}}"#, "/labels/"),
            (r#"{"tenant": "x"}"#, "/tenant"),
        ];
        for (text, pointer) in rows {
            let mut faults = Faults::default();
            read(text, &mut faults);
            let found: Vec<_> = faults.into_vec().into_iter().map(|fault| fault.pointer).collect();
            assert_eq!(found, [pointer], "{text}");
        }
    }
}
