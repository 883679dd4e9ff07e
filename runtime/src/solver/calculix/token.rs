//! Numbers as Fortran and C print them, turned into JSON without a digit changed.

/// The JSON of a printed number: the same digits, or `null` for what is no number (`NaN`, `Infinity`, `******`).
pub(super) fn json(token: &str) -> String {
    let written = with_exponent_letter(token.trim());
    let text = written.strip_prefix('+').unwrap_or(&written);
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let trimmed = digits.trim_start_matches('0');
    // JSON wants one digit before the point, and no zero before another digit.
    let whole = if trimmed.starts_with(|c: char| c.is_ascii_digit()) { trimmed } else { &format!("0{trimmed}") };
    let whole = whole.replacen(".e", ".0e", 1).replacen(".E", ".0E", 1);
    let whole = if whole.ends_with('.') { format!("{whole}0") } else { whole };
    let text = format!("{sign}{whole}");
    let digit = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.len() <= 64;
    if digit && serde_json::from_str::<serde_json::Number>(&text).is_ok() { text } else { "null".to_owned() }
}

/// The value of a printed number; not a number for what is none.
pub(super) fn value(token: &str) -> f64 {
    let token = token.trim();
    token.parse().or_else(|_| with_exponent_letter(token).parse()).unwrap_or(f64::NAN)
}

pub(super) fn is_number(token: &str) -> bool {
    let special = ["nan", "inf", "infinity", "-inf", "-infinity", "+infinity"];
    json(token) != "null" || token.chars().all(|c| c == '*') || special.contains(&token.to_ascii_lowercase().as_str())
}

/// Fortran leaves the letter out where an exponent has three digits: `0.187-100`; it may also write `D`.
fn with_exponent_letter(token: &str) -> String {
    let token = token.replace(['d', 'D'], "E");
    let sign = token.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-'));
    let Some((at, _)) = sign else { return token };
    let (mantissa, exponent) = token.split_at_checked(at).unwrap_or((&token, ""));
    let bare = mantissa.ends_with(|c: char| c.is_ascii_digit() || c == '.');
    if bare { format!("{mantissa}E{exponent}") } else { token }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_numbers_keep_their_digits() {
        for (token, expected) in [
            ("-1.420232E-01", "-1.420232E-01"),
            ("0.1000000E+01", "0.1000000E+01"),
            ("-0.1874145-100", "-0.1874145E-100"),
            ("1.5D+03", "1.5E+03"),
            ("  21", "21"),
            ("+007", "7"),
            ("0", "0"),
            ("-0.000", "-0.000"),
            (".5", "0.5"),
            ("-5.", "-5.0"),
            ("1.E+10", "1.0E+10"),
            ("835.2412014", "835.2412014"),
            ("NaN", "null"),
            ("-Infinity", "null"),
            ("************", "null"),
            ("", "null"),
            ("1.2.3", "null"),
            ("é", "null"),
            ("1,2", "null"),
        ] {
            assert_eq!(json(token), expected, "{token}");
        }
        assert_eq!(value("-0.25-002"), -0.0025);
        assert!(value("x").is_nan() && is_number("*****") && is_number("NaN") && !is_number("L"));
    }
}
