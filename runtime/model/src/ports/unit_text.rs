//! Reads a unit from its text: symbols, products, quotients and whole powers.

use super::dimension::{Dimension, write_product};
use super::factor::Factor;
use super::symbols::{self, Found};
use super::unit::Unit;
use std::str::FromStr;

/// The longest text of a unit, bytes.
pub const UNIT_BYTES_MAX: usize = 80;
/// Brackets in brackets.
const DEPTH_MAX: usize = 4;
const POWER_MAX: i32 = 12;
/// So much of a text is quoted in a message, in characters.
const QUOTED_CHARS_MAX: usize = 40;

/// Why a text is not a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUnit {
    #[error("a unit is needed, such as \"mm\" or \"N/mm^2\", or \"1\" for a plain number; this text is empty")]
    Empty,
    #[error("a unit has {UNIT_BYTES_MAX} bytes at most")]
    TooLong,
    #[error("there is no unit {0:?}")]
    Unknown(String),
    #[error("there is no unit {found:?}: did you mean {meant:?}?")]
    Misspelt { found: String, meant: String },
    #[error("{0:?} means several units: use {1}")]
    Ambiguous(String, &'static str),
    #[error("{0:?} can't be read as part of a unit: write products as N*m, quotients as kg/m^3 or W/(m*K)")]
    Unreadable(String),
    #[error("after a quotient it is unclear what is below the line: write a/(b*c) or a*c/b")]
    Unclear,
    #[error("brackets are nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("the powers of a unit are whole numbers from -{POWER_MAX} to {POWER_MAX}")]
    Power,
    #[error("the unit is too large or too small to be held exactly")]
    OutOfRange,
}

/// Names that engineers use for more than one unit.
const AMBIGUOUS: [(&str, &str); 5] = [
    ("ton", "\"t\" (1000 kg), \"ton_US\" (2000 lb) or \"ton_UK\" (2240 lb)"),
    ("tons", "\"t\" (1000 kg), \"ton_US\" (2000 lb) or \"ton_UK\" (2240 lb)"),
    ("M", "\"m\" or \"nmi\", or a prefix with its unit"),
    ("c", "\"cm\" or \"degC\""),
    ("a", "\"d\" (days) for times, \"ha\" for areas"),
];

impl FromStr for Unit {
    type Err = InvalidUnit;

    fn from_str(text: &str) -> Result<Self, InvalidUnit> {
        if text.len() > UNIT_BYTES_MAX {
            return Err(InvalidUnit::TooLong);
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidUnit::Empty);
        }
        // A dash in a column of units says that there is none.
        if text == "-" {
            return Ok(Unit::ONE);
        }
        // Most units are one symbol.
        if let Some(found) = symbols::find(text) {
            let name = format!("{}{}", found.prefix, found.symbol.text);
            return Ok(Unit::new(name, found.symbol.dimension, found.factor, found.symbol.zero));
        }
        let mut reader = Reader { rest: text, terms: Vec::new() };
        reader.product(1, 0)?;
        if !reader.rest.is_empty() {
            return Err(unreadable(reader.rest));
        }
        reader.unit()
    }
}

struct Reader<'a> {
    rest: &'a str,
    /// Each symbol with its power, in the order of their first mention.
    terms: Vec<(Found, i32)>,
}

/// What stands between two factors.
enum Between {
    Times,
    Over,
    End,
}

impl Reader<'_> {
    /// Reads factors up to a closing bracket or the end; `sign` is −1 below the line.
    fn product(&mut self, sign: i32, depth: usize) -> Result<(), InvalidUnit> {
        if depth > DEPTH_MAX {
            return Err(InvalidUnit::TooDeep);
        }
        self.factor(sign, depth)?;
        let mut divided = false;
        loop {
            match self.between() {
                Between::End => return Ok(()),
                Between::Over => {
                    divided = true;
                    self.factor(-sign, depth)?;
                }
                Between::Times if divided => return Err(InvalidUnit::Unclear),
                Between::Times => self.factor(sign, depth)?,
            }
        }
    }

    fn between(&mut self) -> Between {
        let spaced = self.rest.trim_start();
        let (had_space, mut chars) = (spaced.len() < self.rest.len(), spaced.chars());
        let between = match chars.next() {
            None | Some(')') => Between::End,
            Some('/' | '÷') => Between::Over,
            Some('*' | '.' | '\u{b7}' | '\u{22c5}' | '\u{d7}') => Between::Times,
            Some(_) if had_space => {
                self.rest = spaced;
                return Between::Times;
            }
            Some(_) => return Between::End,
        };
        self.rest = if matches!(between, Between::End) { spaced } else { chars.as_str().trim_start() };
        between
    }

    fn factor(&mut self, sign: i32, depth: usize) -> Result<(), InvalidUnit> {
        if let Some(inner) = self.rest.strip_prefix('(') {
            self.rest = inner.trim_start();
            let before = self.terms.clone();
            self.terms.clear();
            self.product(1, depth + 1)?;
            self.rest = self.rest.strip_prefix(')').ok_or_else(|| unreadable(self.rest))?;
            let power = self.power()?;
            let inner = std::mem::replace(&mut self.terms, before);
            return inner.into_iter().try_for_each(|(found, own)| self.add(found, sign * own * power));
        }
        let length = self.rest.find(|c| !is_of_symbol(c)).unwrap_or(self.rest.len());
        let (symbol, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        if symbol.is_empty() {
            // A plain 1 holds the place above the line.
            self.rest = self.rest.strip_prefix('1').ok_or_else(|| unreadable(self.rest))?;
            return if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
                Err(unreadable(self.rest))
            } else {
                Ok(())
            };
        }
        // Water and the standard gravity have digits in their symbols: they are matched whole.
        let whole = ["mmH2O", "inH2O", "g0"].into_iter().find(|whole| self.rest.starts_with(whole));
        let (symbol, rest) =
            whole.map_or((symbol, rest), |whole| (whole, self.rest.get(whole.len()..).unwrap_or_default()));
        let found = symbols::find(symbol).ok_or_else(|| unknown(symbol))?;
        self.rest = rest;
        let power = self.power()?;
        self.add(found, sign * power)
    }

    /// Reads `^2`, `**2`, `2`, `-1` or `²`; 1 where there is none.
    fn power(&mut self) -> Result<i32, InvalidUnit> {
        const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
        let spaced = self.rest.trim_start();
        let marked = spaced.strip_prefix('^').or_else(|| spaced.strip_prefix("**"));
        let rest = marked.map_or(self.rest, str::trim_start);
        let (negative, digits) = match rest.strip_prefix(['-', '⁻', '\u{2212}']) {
            Some(digits) => (true, digits),
            None => (false, rest.strip_prefix('+').filter(|_| marked.is_some()).unwrap_or(rest)),
        };
        let value = |c: char| c.to_digit(10).or_else(|| RAISED.iter().zip(0..).find(|(r, _)| **r == c).map(|(_, n)| n));
        let length = digits.find(|c| value(c).is_none()).unwrap_or(digits.len());
        let (number, after) = digits.split_at_checked(length).unwrap_or((digits, ""));
        if number.is_empty() {
            return match (marked, negative) {
                (Some(_), _) => Err(InvalidUnit::Power),
                (None, true) => Err(unreadable(self.rest)),
                (None, false) => Ok(1),
            };
        }
        // A fraction of a power would otherwise be read as a product: m^0.5.
        let fraction = after.strip_prefix('.').is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit()));
        let number = number
            .chars()
            .filter_map(value)
            .try_fold(0i32, |sum, digit| Some(sum * 10 + digit.cast_signed()).filter(|sum| *sum <= POWER_MAX));
        self.rest = after;
        match number {
            Some(number) if !fraction => Ok(if negative { -number } else { number }),
            _ => Err(InvalidUnit::Power),
        }
    }

    fn add(&mut self, found: Found, power: i32) -> Result<(), InvalidUnit> {
        let same =
            |(known, _): &&mut (Found, i32)| std::ptr::eq(known.symbol, found.symbol) && known.prefix == found.prefix;
        let sum = match self.terms.iter_mut().find(same) {
            Some((_, sum)) => {
                *sum += power;
                *sum
            }
            None => {
                self.terms.push((found, power));
                power
            }
        };
        if sum.abs() > POWER_MAX { Err(InvalidUnit::Power) } else { Ok(()) }
    }

    fn unit(mut self) -> Result<Unit, InvalidUnit> {
        self.terms.retain(|(_, power)| *power != 0);
        let (mut dimension, mut factor) = (Dimension::NONE, Factor::ONE);
        for (found, power) in &self.terms {
            let power_of = found.factor.checked_power(*power);
            factor = power_of.and_then(|power_of| factor.checked_times(power_of)).ok_or(InvalidUnit::OutOfRange)?;
            dimension = dimension.times_power(found.symbol.dimension, *power).ok_or(InvalidUnit::OutOfRange)?;
        }
        // A degree within a product counts a difference, which has no zero of its own.
        let zero = match self.terms.as_slice() {
            [(found, 1)] => found.symbol.zero,
            _ => 0,
        };
        let names: Vec<_> = self
            .terms
            .iter()
            .map(|(found, power)| (format!("{}{}", found.prefix, found.symbol.text), *power))
            .collect();
        let mut text = String::new();
        write_product(&mut text, names.iter().map(|(name, power)| (name.as_str(), *power)))
            .map_err(|_| InvalidUnit::OutOfRange)?;
        // What we write must be read again.
        if text.len() > UNIT_BYTES_MAX {
            return Err(InvalidUnit::TooLong);
        }
        Ok(Unit::new(text, dimension, factor, zero))
    }
}

fn is_of_symbol(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '%' | '_' | '°' | '′' | '″' | '₀' | '₂')
}

fn unknown(symbol: &str) -> InvalidUnit {
    let found = quoted(symbol);
    if let Some((_, instead)) = AMBIGUOUS.iter().find(|(name, _)| *name == symbol) {
        return InvalidUnit::Ambiguous(found, instead);
    }
    match symbols::find_in_other_case(symbol) {
        Some(meant) => InvalidUnit::Misspelt { found, meant },
        None => InvalidUnit::Unknown(found),
    }
}

fn unreadable(text: &str) -> InvalidUnit {
    InvalidUnit::Unreadable(quoted(text))
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}
