//! The requests that make and change studies.

use super::{Rejected, labels};
use crate::json::{Faults, Fields, Path, Value};

/// The longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 10_000;

/// A study's words as they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedStudy {
    pub name: Option<String>,
    pub description: Option<String>,
}

/// Reads the study that `text`, checked JSON, asks for.
///
/// # Errors
/// All faults of the request together.
pub fn study(text: &str) -> Result<AskedStudy, Rejected> {
    let mut faults = Faults::default();
    match read(text, &mut faults).filter(|_| faults.is_empty()) {
        Some(asked) => Ok(asked),
        None => Err(Rejected::Invalid(faults.into_vec())),
    }
}

fn read(text: &str, faults: &mut Faults) -> Option<AskedStudy> {
    let mut fields = Fields::open(Value::of(text), Path::Root, faults)?;
    let path = fields.path();
    let name = labels::name(&mut fields, faults);
    if name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        faults.at(path.key("name"), "invalid", "a study needs a name that people find it by");
    }
    let description = fields.string("description", faults).map(|text| text.into_owned());
    if let Some(text) = &description {
        if text.chars().count() > DESCRIPTION_CHARS_MAX {
            let message = format!("a description may have {DESCRIPTION_CHARS_MAX} characters at most");
            faults.at(path.key("description"), "too_long", message);
        }
        if text.contains(labels::NUL) {
            faults.at(path.key("description"), "invalid", "a description can't hold the character U+0000");
        }
    }
    fields.finish(faults);
    Some(AskedStudy { name, description })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_is_read_and_every_fault_is_pointed_at() {
        let asked = study(r#"{"name": "M12 joint", "description": "Which class?"}"#).unwrap();
        assert_eq!((asked.name.as_deref(), asked.description.as_deref()), (Some("M12 joint"), Some("Which class?")));
        let long = format!(r#"{{"description": "{}"}}"#, "x".repeat(DESCRIPTION_CHARS_MAX + 1));
        let rows = [
            (r#"{"name": " "}"#, "/name"),
            (r#"{"name": 7}"#, "/name"),
            (r#"{"description": ["x"]}"#, "/description"),
            (r#"{"description": "\u0000"}"#, "/description"),
            (&long, "/description"),
            (r#"{"tenant": "x"}"#, "/tenant"),
            ("[]", ""),
        ];
        for (text, pointer) in rows {
            let Err(Rejected::Invalid(faults)) = study(text) else { panic!("{text}") };
            assert_eq!(faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(), [pointer], "{text}");
        }
    }
}
