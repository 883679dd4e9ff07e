//! Numbers as Fortran, C and Python write them, as JSON: digit by digit, never through a binary number.

use serde_json::value::RawValue;

/// A number has no more characters than this.
const NUMBER_BYTES_MAX: usize = 64;

/// The JSON number that a token stands for: the token itself where it is JSON already, and otherwise with what JSON
/// asks for (`1.0D+00` is `1.0E+00`, `.5` is `0.5`, `1.` is `1.0`, `1.5-120` is `1.5E-120`, `+1` is `1`). Nothing for
/// other texts, for `0012`, which is rather a name, and for what no double can hold.
pub(super) fn json_number(token: &str) -> Option<Box<RawValue>> {
    if token.is_empty() || token.len() > NUMBER_BYTES_MAX {
        return None;
    }
    let (sign, rest) = match token.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", token.strip_prefix('+').unwrap_or(token)),
    };
    let (whole, rest) = digits(rest);
    let (point, fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (fraction, rest) = digits(rest);
            (".", fraction, rest)
        }
        None => ("", "", rest),
    };
    let padded = whole.len() > 1 && whole.starts_with('0');
    if (whole.is_empty() && fraction.is_empty()) || padded {
        return None;
    }
    let exponent = exponent(rest, !point.is_empty())?;
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if !point.is_empty() && fraction.is_empty() { "0" } else { fraction };
    let text = format!("{sign}{whole}{point}{fraction}{exponent}");
    let held = text.parse::<f64>().is_ok_and(f64::is_finite);
    held.then(|| RawValue::from_string(text).ok()).flatten()
}

/// The value of such a token, for progress and comparisons.
pub(super) fn value(token: &str) -> Option<f64> {
    json_number(token)?.get().parse().ok()
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// `E+02` for `E+02`, `D+02` and, behind a fraction, `+02`: Fortran leaves the letter out where three digits need room.
fn exponent(text: &str, has_point: bool) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let (letter, signed) = match text.split_at_checked(1)? {
        ("e" | "E", rest) => (text.get(..1)?, rest),
        ("d" | "D", rest) => ("E", rest),
        ("+" | "-", _) if has_point => ("E", text),
        _ => return None,
    };
    let unsigned = signed.strip_prefix(['+', '-']).unwrap_or(signed);
    let (all, rest) = digits(unsigned);
    (!all.is_empty() && rest.is_empty()).then(|| format!("{letter}{signed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_take_jsons_form() {
        let rows = [
            ("1", Some("1")),
            ("-3.50", Some("-3.50")),
            ("1.90476190476190E+00", Some("1.90476190476190E+00")),
            ("1e5", Some("1e5")),
            ("1.0D+00", Some("1.0E+00")),
            ("-1.5d-3", Some("-1.5E-3")),
            (".5", Some("0.5")),
            ("-.5E+00", Some("-0.5E+00")),
            ("1.", Some("1.0")),
            ("+7", Some("7")),
            ("0.123-102", Some("0.123E-102")),
            ("0.10000000000000000000000001", Some("0.10000000000000000000000001")),
            ("0012", None),
            ("2026-11", None),
            ("", None),
            ("-", None),
            (".", None),
            ("E5", None),
            ("1E", None),
            ("1E+", None),
            ("NaN", None),
            ("1E999", None),
            ("1,5", None),
            ("1.2.3", None),
            ("N2", None),
            ("é", None),
            ("1é", None),
        ];
        for (token, expected) in rows {
            assert_eq!(json_number(token).as_deref().map(RawValue::get), expected, "{token}");
        }
        assert_eq!(value("2.5D+01"), Some(25.0));
        assert_eq!(json_number(&"1".repeat(65)).map(|_| ()), None);
    }
}
