//! A JSON value as the text that it was written as: numbers keep their digits on the way through a workflow.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;

/// One JSON value as text. Copies are cheap: they share the text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// The text as it is, which must be one JSON value.
    ///
    /// # Errors
    /// What isn't JSON about it.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        Ok(Self(Arc::from(RawValue::from_string(text.into())?)))
    }

    pub fn null() -> Self {
        Self::of(RawValue::NULL)
    }

    /// A copy of a part of a document.
    pub fn of(value: &RawValue) -> Self {
        Self(Arc::from(value.to_owned()))
    }

    /// A string.
    pub fn text(text: &str) -> Self {
        Self::written(serde_json::Value::from(text).to_string())
    }

    /// A text that this crate wrote; `null` where it wrote nonsense, which its tests rule out.
    pub(crate) fn written(text: String) -> Self {
        Self::parse(text).unwrap_or_else(|_| Self::null())
    }

    pub fn get(&self) -> &str {
        self.0.get()
    }

    pub fn raw(&self) -> &RawValue {
        &self.0
    }

    /// The length of the text, bytes.
    pub fn bytes(&self) -> usize {
        self.get().len()
    }

    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }
}

impl From<Box<RawValue>> for Json {
    fn from(value: Box<RawValue>) -> Self {
        Self(Arc::from(value))
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

/// By its text.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}
