//! Conditions: what they mean, what is none, and what happens where one doesn't hold.

use super::{inputs, raw, read};
use crate::ports::validity::{Scalar, Verdict};
use crate::ports::{OnViolation, VALIDITY_BYTES_MAX, Validity};
use proptest::prelude::*;

fn judge(text: &str) -> Verdict {
    let scope = |name: &str| match name {
        "a" => Some(Scalar::Number(2.0)),
        "b" => Some(Scalar::Number(-3.0)),
        "zero" => Some(Scalar::Number(0.0)),
        "yes" => Some(Scalar::Truth(true)),
        "no" => Some(Scalar::Truth(false)),
        _ => None,
    };
    text.parse::<Validity>().unwrap_or_else(|error| panic!("{text}: {error}")).judge(&scope)
}

#[test]
fn conditions_mean_what_they_do_in_mathematics() {
    let hold = [
        "a == 2",
        "a != b",
        "-3 <= b < 0 < a <= 2",
        "1 ≤ a ≥ 2 ≠ 3",
        "a + b == -1 and a - b == 5",
        "a * b / 3 == -2",
        "2 + 3 * 4 ^ 2 == 50",
        "2 ^ 3 ^ 2 == 512 and 2 ** 3 == 8",
        "-a ^ 2 == -4 and (-a) ^ 2 == 4",
        "2 ^ -1 == 0.5 and - -a == a",
        "8 / 4 / 2 == 1 and 8 - 4 - 2 == 2",
        "(a + 1) * (b + 5) == 6",
        "abs(b) == 3 and min(a, b, 7) == b and max(a, b) == a and sqrt(a * 8) == 4",
        "not a > 3",
        "not (a > 3 and b > 3) and not not a > 1",
        "a > 3 or b < 0 and a > 1",
        "yes and not no",
        "no or yes",
        "1.5e3 == 1500 and .5 == 0.5 and 1e-3 < 1E+3",
        // The rest isn't looked at once the answer is known.
        "zero == 0 or 1 / zero > 2",
        "not (zero != 0 and 1 / zero > 2)",
        "a >= 2 or absent > 1",
    ];
    for text in hold {
        assert_eq!(judge(text), Verdict::Holds, "{text}");
    }
    for text in ["a > 2", "1 <= b <= 3", "a == 2 and b == 2", "not yes", "no", "3 > a > 2"] {
        assert!(matches!(judge(text), Verdict::Violated(_)), "{text}");
    }
    for text in ["absent > 1", "a > 1 and absent > 1", "sqrt(absent) > a"] {
        assert_eq!(judge(text), Verdict::Silent, "{text}");
    }
}

#[test]
fn what_has_no_value_is_no_condition_that_holds_even_under_not() {
    let rows = [
        ("sqrt(b) > 0", "being a root of -3"),
        ("not sqrt(b) > 0", "being a root of -3"),
        ("not b ^ 0.5 > 0", "being a root of -3"),
        ("1 / zero > 0", "being divided by 0"),
        ("zero ^ -1 > 0", "being divided by 0"),
        ("10 ^ 400 > 1", "becoming too large"),
        ("1e308 * 10 > 1", "becoming too large"),
        ("not 1e308 + 1e308 > 1", "becoming too large"),
        ("a > 5", "a > 5 does not hold with a = 2"),
        ("yes and b > 0", "with yes = true, b = -3"),
        ("1 > 2", "1 > 2 does not hold"),
    ];
    for (text, needed) in rows {
        let Verdict::Violated(reason) = judge(text) else { panic!("{text}") };
        assert!(reason.contains(needed), "{text}: {reason}");
    }
}

#[test]
fn what_is_no_condition_is_refused_with_what_to_do() {
    let brackets = format!("{}1{} > 0", "(".repeat(400), ")".repeat(400));
    let minus = format!("{}1 > 0", "-".repeat(900));
    let nots = format!("{}1 > 0", "not ".repeat(200));
    let powers = format!("{}1 > 0", "2^".repeat(400));
    let calls = format!("{}1{} > 0", "abs(".repeat(150), ")".repeat(150));
    let long = format!("{}1 > 0", "1+".repeat(VALIDITY_BYTES_MAX / 2));
    let rows = [
        ("", "a number, the name of a port or a bracket is needed where the condition ends"),
        ("a >", "is needed where the condition ends"),
        ("a = 2", "== for a comparison"),
        ("(a > 2", ") is needed where the condition ends"),
        ("a > 2)", "the end is needed where \")\" begins"),
        ("a > 2 b", "is needed where \"b\" begins"),
        ("a > 2;", "is needed where \";\" begins"),
        ("\"a\" > 2", "a number, the name of a port or a bracket is needed"),
        ("sin(a) > 0", "no function \"sin\": use abs, min, max or sqrt"),
        ("__import__('os')", "no function \"__import__\""),
        ("abs(a, 2) > 0", "abs takes one number"),
        ("min(a) > 0", "min takes two numbers or more"),
        ("max() > 0", "a number, the name of a port"),
        ("1e999 > a", "the number \"1e999\" is too large"),
        ("1.2.3 > a", "a number is needed"),
        ("a and", "is needed where the condition ends"),
        (&brackets, "deeper than 32"),
        (&minus, "deeper than 32"),
        (&nots, "deeper than 32"),
        (&powers, "deeper than 32"),
        (&calls, "deeper than 32"),
        (&long, "1000 bytes"),
    ];
    for (text, needed) in rows {
        let error = text.parse::<Validity>().unwrap_err().to_string();
        assert!(error.contains(needed), "{text:.40}: {error}");
    }
}

#[test]
fn a_condition_speaks_of_numbers_and_truths_that_there_are() {
    let ports = r#"{"d": "Length", "hot": "Boolean", "mesh": "File", "n": "literal[1,2]", "s": "String"}"#;
    let rows = [
        ("d > 0 and hot and n >= 1", None),
        ("d", Some("d is a number where a condition is needed")),
        ("d + 1", Some("a sum is a number where a condition is needed")),
        ("hot > 1", Some("hot is a condition where a number is needed")),
        ("(d > 1) + 1 > 0", Some("a comparison is a condition where a number is needed")),
        ("d > 1 and 2", Some("2 is a number where a condition is needed")),
        ("not d", Some("d is a number where a condition is needed")),
        ("mesh > 1", Some("it is the name of a file")),
        ("s > 1", Some("it is a string")),
        ("D > 1", Some("there are d, hot, n")),
    ];
    for (text, needed) in rows {
        let error = read(ports, "{}", &format!("{text:?}")).err();
        match (error, needed) {
            (None, None) => {}
            (Some(faults), Some(needed)) => {
                assert_eq!(
                    (faults[0].pointer.as_str(), faults[0].code.as_str()),
                    ("/functions/f/validity/0", "invalid_validity")
                );
                assert!(faults[0].message.contains(needed), "{text}: {}", faults[0].message);
            }
            (error, needed) => panic!("{text}: {error:?}, not {needed:?}"),
        }
    }
}

#[test]
fn a_violation_refuses_the_call_or_flags_it() {
    let signature = inputs(
        r#"{"slenderness": {"type": "Float", "validity": "0.5 <= slenderness <= 200"},
            "d": {"type": "Length", "unit": "mm", "required": false, "validity": {"expression": "d <= 36", "on_violation": "flag"}},
            "plate": {"type": {"t": {"type": "Length", "unit": "mm", "validity": "t > 0 and t < w"}, "w": {"type": "Length", "unit": "mm"}}, "required": false}}"#,
    );
    let check = |text: &str| signature.check_inputs(&raw(text), "/inputs");
    let passed = check(r#"{"slenderness": 200, "d": {"value": 3.6, "unit": "cm"}}"#).unwrap();
    assert!(passed.flags.is_empty());
    // In the port's own unit, after the conversion.
    let flagged = check(r#"{"slenderness": 0.5, "d": {"value": 0.04, "unit": "m"}}"#).unwrap();
    let [flag] = flagged.flags.as_slice() else { panic!("{:?}", flagged.flags) };
    assert_eq!((flag.code.as_str(), flag.pointer.as_deref()), ("outside_validity", Some("/inputs/d")));
    assert!(flag.message.ends_with("d <= 36 does not hold with d = 40"), "{}", flag.message);
    let faults = check(r#"{"slenderness": 201, "plate": {"t": 5, "w": 4}}"#).unwrap_err();
    let shown: Vec<_> = faults.iter().map(|fault| (fault.pointer.as_str(), fault.code.as_str())).collect();
    assert_eq!(shown, [("/inputs/plate/t", "outside_validity"), ("/inputs/slenderness", "outside_validity")]);
    assert!(faults[0].message.contains("t > 0 and t < w does not hold with t = 5, w = 4"), "{}", faults[0].message);
}

#[test]
fn conditions_over_outputs_are_judged_after_the_run() {
    let ports = (
        r#"{"F": "Force", "A": {"type": "Area", "unit": "mm^2"}}"#,
        r#"{"s": {"type": "Stress", "unit": "MPa", "validity": "s > 0"}}"#,
    );
    let validity = r#"["F > 0", {"expression": "s <= 0.5 * F / A + 100", "on_violation": "flag"}]"#;
    let signature = read(ports.0, ports.1, validity).unwrap();
    assert_eq!(signature.validity()[1].on_violation, OnViolation::Flag);
    let inputs = signature.check_inputs(&raw(r#"{"F": 1000, "A": 10}"#), "").unwrap();
    let run = crate::ports::Run { inputs: &inputs.values, non_finite: crate::NonFinite::Reject };
    let after = |text: &str| signature.check_outputs(&raw(text), run, "/result");
    assert!(after(r#"{"s": 150}"#).unwrap().flags.is_empty());
    let flagged = after(r#"{"s": 150.5}"#).unwrap();
    assert!(flagged.flags[0].message.contains("with s = 150.5, F = 1000, A = 10"), "{:?}", flagged.flags);
    let faults = after(r#"{"s": -1}"#).unwrap_err();
    assert_eq!((faults[0].pointer.as_str(), faults[0].code.as_str()), ("/result/s", "outside_validity"));
    let faults = signature.check_inputs(&raw(r#"{"F": 0, "A": 10}"#), "/inputs").unwrap_err();
    assert_eq!((faults[0].pointer.as_str(), faults[0].code.as_str()), ("/inputs", "outside_validity"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_or_the_judge_panic(text in "\\PC{0,60}|[ab0-9.+*/^()<>=!, -]{0,80}|((a|1|-|\\(|\\)|not |and |or |<|\\+|sqrt\\(|\\^){0,40})") {
        if let Ok(validity) = text.parse::<Validity>() {
            let _ = validity.judge(&|_| Some(Scalar::Number(1.5)));
            let again = validity.as_str().parse::<Validity>().unwrap();
            prop_assert_eq!(again, validity);
        }
    }

    #[test]
    fn sums_and_products_are_those_of_doubles(a in -1e6f64..1e6, b in -1e6f64..1e6, c in 1e-3f64..1e3) {
        let scope = |name: &str| Some(Scalar::Number(match name { "a" => a, "b" => b, _ => c }));
        let text = format!("a + b * c - a / c == {:e}", a + b * c - a / c);
        let text = text.replace("== -", "== 0 - ");
        prop_assert_eq!(text.parse::<Validity>().unwrap().judge(&scope), Verdict::Holds, "{}", text);
    }
}
