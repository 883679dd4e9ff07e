//! Text that a user chose to find a task again: its name and its labels.

use super::{LABEL_NAME_CHARS_MAX, LABEL_VALUE_CHARS_MAX, LABELS_MAX, NAME_CHARS_MAX};
use crate::json::{Faults, Fields};
use std::collections::BTreeMap;

/// No text in PostgreSQL can hold it.
pub(super) const NUL: char = '\0';

pub(super) fn name(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<String> {
    let name = fields.string("name", faults)?;
    if name.chars().count() > NAME_CHARS_MAX {
        let path = fields.path();
        faults.at(path.key("name"), "too_long", format!("a name may have {NAME_CHARS_MAX} characters at most"));
    }
    if name.contains(NUL) {
        faults.at(fields.path().key("name"), "invalid", "a name can't hold the character U+0000");
    }
    Some(name.into_owned())
}

pub(super) fn labels(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    fields.each("labels", faults, |name, value, path, faults| {
        if name.is_empty() || name.chars().count() > LABEL_NAME_CHARS_MAX {
            let message = format!("the name of a label has 1 to {LABEL_NAME_CHARS_MAX} characters");
            return faults.at(path, "invalid", message);
        }
        if name.contains(NUL) || value.string().is_some_and(|text| text.contains(NUL)) {
            return faults.at(path, "invalid", "a label can't hold the character U+0000");
        }
        match value.string() {
            Some(text) if text.chars().count() <= LABEL_VALUE_CHARS_MAX => {
                labels.insert(name.to_owned(), text.into_owned());
            }
            Some(_) => {
                faults.at(path, "too_long", format!("a label may have {LABEL_VALUE_CHARS_MAX} characters at most"));
            }
            None => faults.wrong_kind(path, "a string", value),
        }
    });
    if labels.len() > LABELS_MAX {
        let path = fields.path();
        faults.at(path.key("labels"), "too_many", format!("a task may have {LABELS_MAX} labels at most"));
    }
    labels
}
