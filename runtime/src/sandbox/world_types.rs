//! The values of the world `mecapy:task`, each as `guest-sdk/wit` declares it.

// What the macros make of these declarations is theirs; and it is guests that make some of the values.
#![allow(clippy::indexing_slicing, dead_code)]

use crate::output::harmless;
use mecapy_model::{ErrorKind, TaskError};
use wasmtime::component::{ComponentType, Lift, Lower};

/// The longest error, bytes.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        }
    }
}

/// Why a file can't be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum FileFault {
    #[component(name = "invalid-name")]
    InvalidName,
    #[component(name = "not-found")]
    NotFound,
    #[component(name = "too-large")]
    TooLarge,
}

/// Whose fault it is, as a component may say.
#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Kind {
    #[component(name = "exception")]
    Exception,
    #[component(name = "invalid-input")]
    InvalidInput,
    #[component(name = "invalid-output")]
    InvalidOutput,
}

/// Why a component says that it has no result.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Fault {
    kind: Kind,
    message: String,
    pointer: Option<String>,
}

impl Fault {
    /// As the task's error.
    pub(super) fn told(self) -> TaskError {
        let kind = match self.kind {
            Kind::Exception => ErrorKind::Exception,
            Kind::InvalidInput => ErrorKind::InvalidInput,
            Kind::InvalidOutput => ErrorKind::InvalidOutput,
        };
        let text = match self.pointer {
            Some(pointer) => format!("{pointer} {}", self.message),
            None => self.message,
        };
        // As harmless as the log's text is.
        TaskError::new(kind, harmless(&text, MESSAGE_BYTES_MAX))
    }
}
