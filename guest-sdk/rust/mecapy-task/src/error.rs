//! Why a task has no result, in words for who sent the inputs.

use std::fmt::{self, Display};

/// What a task's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: every `std::error::Error` becomes one by `?`.
///
/// It is not a `std::error::Error` itself, since then that would not be possible.
pub struct Error {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

/// What the platform calls it, and the program's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Exception,
    InvalidInput,
    InvalidOutput,
}

impl Kind {
    /// A word of the platform's `error.kind`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Exception => "exception",
            Kind::InvalidInput => "invalid_input",
            Kind::InvalidOutput => "invalid_output",
        }
    }

    pub(crate) fn exit_code(self) -> i32 {
        match self {
            Kind::InvalidInput => 2,
            Kind::Exception | Kind::InvalidOutput => 1,
        }
    }
}

impl Error {
    /// The computation can't give a result.
    pub fn new(message: impl Display) -> Self {
        Self { kind: Kind::Exception, message: message.to_string() }
    }

    /// An input that can't be used. `pointer` is its JSON pointer (`/bolt/pitch`), `message` says what is allowed:
    /// `must be greater than zero, not -1`.
    pub fn input(pointer: impl Display, message: impl Display) -> Self {
        Self { kind: Kind::InvalidInput, message: format!("{pointer} {message}") }
    }

    pub(crate) fn output(message: impl Display) -> Self {
        Self { kind: Kind::InvalidOutput, message: message.to_string() }
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::new(message)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.word(), self.message)
    }
}

/// Returns [`Error::new`] with a formatted message unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {{
        // Bound first: a comparison of floats that is negated reads as a mistake to lints.
        let holds: bool = $condition;
        if !holds {
            return ::std::result::Result::Err($crate::Error::new(::std::format!($($message)+)).into());
        }
    }};
}

/// Returns [`Error::input`] with a pointer and a formatted message unless the condition holds.
#[macro_export]
macro_rules! ensure_input {
    ($condition:expr, $pointer:expr, $($message:tt)+) => {{
        // Bound first: a comparison of floats that is negated reads as a mistake to lints.
        let holds: bool = $condition;
        if !holds {
            return ::std::result::Result::Err($crate::Error::input($pointer, ::std::format!($($message)+)).into());
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseFloatError);

    impl Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the table has a bad row")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn every_error_becomes_one_with_its_causes() {
        fn read() -> Result<f64> {
            Ok("x".parse::<f64>().map_err(Outer)?)
        }
        let error = read().unwrap_err();
        assert_eq!(error.to_string(), "the table has a bad row: invalid float literal");
        assert_eq!((error.kind, error.kind.exit_code()), (Kind::Exception, 1));
    }

    #[test]
    fn conditions_end_a_function_where_they_do_not_hold() {
        fn check(length: f64) -> Result<f64> {
            ensure_input!(length > 0.0, "/length", "must be greater than zero, not {length}");
            ensure!(length < 10.0, "no such beam");
            Ok(length)
        }
        assert_eq!(check(1.0).unwrap(), 1.0);
        assert_eq!(format!("{:?}", check(-1.0)), "Err(invalid_input: /length must be greater than zero, not -1)");
        // NaN compares false with everything, so it does not slip through a condition that is written positively.
        assert!(check(f64::NAN).is_err());
        assert_eq!(format!("{:?}", check(10.0)), "Err(exception: no such beam)");
    }
}
