//! Numbers of every kind of port, with and without units: what the guest gets, digit by digit.

use super::{given, port};
use crate::ports::{INTEGER_MAX, Kind, NUMBER_BYTES_MAX, Unit};
use proptest::prelude::*;

#[test]
fn digits_are_kept_where_no_unit_is_converted() {
    let long = "0.1234567890123456789012345678901234567890";
    let rows = [
        ("\"Float\"", "0.1", "0.1"),
        ("\"Float\"", long, long),
        ("\"Float\"", "1E5", "1E5"),
        ("\"Float\"", "-0.0e0", "-0.0e0"),
        ("\"Length\"", "12.50", "12.50"),
        ("{\"type\":\"Length\",\"unit\":\"mm\"}", "{\"value\": 12.50, \"unit\": \"mm\"}", "12.50"),
        ("{\"type\":\"Stress\",\"unit\":\"MPa\"}", "{\"unit\": \"N/mm²\", \"value\": 355.00}", "355.00"),
        ("\"Numeric\"", "7", "7"),
        ("\"Numeric\"", "7.0", "7.0"),
    ];
    for (port, value, expected) in rows {
        assert_eq!(given(port, value).unwrap(), expected, "{port} {value}");
    }
}

#[test]
fn whole_numbers_become_floating_point_ones_where_an_array_of_them_would_wrap() {
    let rows = [
        ("\"Float\"", "210000", "210000.0"),
        ("\"Stress\"", "210000000000", "210000000000.0"),
        ("\"Float\"", "-0", "-0.0"),
        ("\"Vector3\"", "[1,2.5,-3]", "[1.0,2.5,-3.0]"),
        ("\"list[Force]\"", "[1, 2e0]", "[1.0,2e0]"),
        ("\"Matrix\"", "[[1,2],[3,4]]", "[[1.0,2.0],[3.0,4.0]]"),
        ("\"Numeric\"", "2147483647", "2147483647"),
        ("\"Numeric\"", "2147483648", "2147483648.0"),
        ("\"Numeric\"", "-99999999999999999999999999999999999999999", "-99999999999999999999999999999999999999999.0"),
        ("\"Integer\"", "12", "12"),
    ];
    for (port, value, expected) in rows {
        assert_eq!(given(port, value).unwrap(), expected, "{port} {value}");
    }
}

#[test]
fn integers_that_would_wrap_in_a_32_bit_guest_are_refused() {
    let most = INTEGER_MAX.to_string();
    for (value, expected) in [("12.0", "12"), ("1.2e1", "12"), ("-0", "0"), (&most, &most), ("2147483647.000", &most)] {
        assert_eq!(given("\"Integer\"", value).unwrap(), expected);
    }
    let beyond = ["2147483648", "-2147483648", "5e9", "1e400", "9223372036854775808", "1e999999999999999999999"];
    for value in beyond.into_iter().chain(["123456789012345678901234567890123456789012345678901234567890"]) {
        let faults = given("\"Integer\"", value).unwrap_err();
        let [(pointer, code, message)] = faults.as_slice() else { panic!("{value}: {faults:?}") };
        assert_eq!((pointer.as_str(), code.as_str()), ("/inputs/p", "out_of_range"), "{value}");
        assert!(message.contains("32 bits") && message.contains("Float"), "{message}");
    }
    for value in ["1.5", "1e-3", "-0.1"] {
        assert_eq!(given("\"Integer\"", value).unwrap_err()[0].1, "not_whole", "{value}");
    }
}

#[test]
fn whole_numbers_with_a_unit_stay_whole_or_are_refused() {
    let rpm = "{\"type\":\"Integer\",\"unit\":\"rpm\"}";
    assert_eq!(given(rpm, "{\"value\":2,\"unit\":\"rev/s\"}").unwrap(), "120");
    assert_eq!(given(rpm, "1500").unwrap(), "1500");
    let faults = given(rpm, "{\"value\":0.01,\"unit\":\"rev/s\"}").unwrap_err();
    assert_eq!((faults[0].1.as_str(), faults[0].0.as_str()), ("not_whole", "/inputs/p/value"));
    assert!(faults[0].2.contains("in rpm"), "{}", faults[0].2);
    assert_eq!(given(rpm, "{\"value\":1,\"unit\":\"rad/s\"}").unwrap_err()[0].1, "not_whole");
    assert_eq!(given(rpm, "{\"value\":40000000,\"unit\":\"rev/s\"}").unwrap_err()[0].1, "out_of_range");
}

#[test]
fn every_kind_takes_its_usual_units_and_a_bare_number() {
    for kind in Kind::ALL {
        for own in kind.usual_units() {
            let text = format!("{{\"type\":\"{kind}\",\"unit\":\"{own}\"}}");
            assert_eq!(given(&text, "1.5").unwrap(), "1.5", "{kind} {own}");
            for unit in kind.usual_units() {
                let value = given(&text, &format!("{{\"value\":1.5,\"unit\":\"{unit}\"}}")).unwrap();
                let number: f64 = value.parse().unwrap();
                assert!(number.is_finite(), "{kind} {unit} in {own}: {value}");
                // By the approximate factors of both units: independent of the exact way.
                let [from, to] = [unit, own].map(|text| kind.admit(text.parse::<Unit>().unwrap()).unwrap());
                let expected = (1.5 + from.offset()) * from.factor() / to.factor() - to.offset();
                assert!(
                    (number - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                    "{kind} {unit} in {own}: {value}"
                );
            }
        }
    }
}

#[test]
fn units_are_converted_exactly_and_rounded_once() {
    let mm = "{\"type\":\"Length\",\"unit\":\"mm\"}";
    let rows = [
        (mm, "{\"value\": 0.3, \"unit\": \"m\"}", "300.0"),
        (mm, "{\"value\": 1.1, \"unit\": \"cm\"}", "11.0"),
        (mm, "{\"value\": 0.1, \"unit\": \"in\"}", "2.54"),
        ("\"Length\"", "{\"value\": 12, \"unit\": \"mm\"}", "0.012"),
        ("\"Length\"", "{\"value\": 1e-320, \"unit\": \"km\"}", "1e-317"),
        ("\"Temperature\"", "{\"value\": 20, \"unit\": \"degC\"}", "293.15"),
        ("{\"type\":\"Temperature\",\"unit\":\"degC\"}", "{\"value\": 0.1, \"unit\": \"K\"}", "-273.05"),
        ("{\"type\":\"Temperature\",\"unit\":\"degC\"}", "{\"value\": 98.6, \"unit\": \"degF\"}", "37.0"),
        ("\"Angle\"", "{\"value\": 180, \"unit\": \"deg\"}", "3.141592653589793"),
        ("\"Frequency\"", "{\"value\": 90, \"unit\": \"rpm\"}", "1.5"),
        ("{\"type\":\"Frequency\",\"unit\":\"rpm\"}", "{\"value\": 50, \"unit\": \"Hz\"}", "3000.0"),
        ("\"Vector3\"", "{\"value\": [1,2,3], \"unit\": \"%\"}", "[0.01,0.02,0.03]"),
        ("\"Force3\"", "{\"value\": [1,2,-3.5], \"unit\": \"kN\"}", "[1000.0,2000.0,-3500.0]"),
        ("\"Force3\"", "[{\"value\": 1, \"unit\": \"kN\"},2,{\"value\": 3, \"unit\": \"daN\"}]", "[1000.0,2.0,30.0]"),
        ("\"Moment3\"", "{\"value\": [1,0,0], \"unit\": \"lbf*in\"}", "[0.1129848290276167,0.0,0.0]"),
        ("\"list[Stress]\"", "{\"value\": [1,2], \"unit\": \"MPa\"}", "[1000000.0,2000000.0]"),
        ("\"list[list[Length]]\"", "{\"value\": [[1],[2,3]], \"unit\": \"km\"}", "[[1000.0],[2000.0,3000.0]]"),
        ("\"list[Vector3]\"", "[[1,2,3],{\"value\": [1,2,3], \"unit\": \"1\"}]", "[[1.0,2.0,3.0],[1.0,2.0,3.0]]"),
        (
            "{\"type\":\"Matrix\",\"unit\":\"N/m\"}",
            "{\"value\": [[1,0],[0,1]], \"unit\": \"kN/m\"}",
            "[[1000.0,0.0],[0.0,1000.0]]",
        ),
        ("\"dict[str,Length]\"", "{\"a\": {\"value\": 1, \"unit\": \"mm\"}, \"b\": 2}", "{\"a\":0.001,\"b\":2.0}"),
        // Entries named like the parts of a quantity are entries.
        ("\"dict[str,Length]\"", "{\"value\": 1, \"unit\": 2}", "{\"value\":1.0,\"unit\":2.0}"),
        (
            "\"Torsor\"",
            "{\"moment\": [0,0,1], \"force\": {\"value\": [1,0,0], \"unit\": \"kN\"}}",
            "{\"force\":[1000.0,0.0,0.0],\"moment\":[0.0,0.0,1.0]}",
        ),
    ];
    for (port, value, expected) in rows {
        assert_eq!(given(port, value).unwrap_or_else(|faults| panic!("{faults:?}")), expected, "{port} {value}");
    }
}

const MM: &str = "{\"type\":\"Length\",\"unit\":\"mm\"}";

/// Port, value, where below it the fault is, its code, and what its message says.
const REFUSED: &[(&str, &str, &str, &str, &str)] = &[
    (MM, "\"NaN\"", "", "not_finite", "send a finite one"),
    (MM, "\"-Infinity\"", "", "not_finite", "send a finite one"),
    (MM, "{\"value\": \"inf\", \"unit\": \"mm\"}", "/value", "not_finite", "send a finite one"),
    (MM, "\"12\"", "", "wrong_type", "send 12 without quotes"),
    (MM, "\"12 in\"", "", "wrong_type", "send {\"value\": 12, \"unit\": \"in\"}"),
    (MM, "\"thick\"", "", "wrong_type", "a length (in mm, or {\"value\": 12, \"unit\": \"mm\"}) is needed here"),
    (MM, "true", "", "wrong_type", "not true"),
    (MM, "[1]", "", "wrong_type", "not an array"),
    (MM, "{\"x\": 1}", "", "wrong_type", "not an object without \"value\""),
    (MM, "{\"value\": 1}", "/unit", "required", "use one of m, mm"),
    (MM, "{\"unit\": \"mm\"}", "/value", "required", "a value is needed"),
    (MM, "{\"value\": 1, \"unit\": \"mm\", \"tol\": 2}", "/tol", "unknown_field", "nothing may stand here"),
    (MM, "{\"value\": 1, \"value\": 2, \"unit\": \"mm\"}", "", "duplicate", "twice"),
    (MM, "{\"value\": {\"value\": 1, \"unit\": \"m\"}, \"unit\": \"mm\"}", "/value", "wrong_type", "not an object"),
    (MM, "{\"value\": 1, \"unit\": 3}", "/unit", "wrong_type", "the text of a unit"),
    (MM, "{\"value\": 1, \"unit\": \"Mm \\ud800\"}", "/unit", "wrong_type", "surrogate"),
    (MM, "{\"value\": 1, \"unit\": \"furlong\"}", "/unit", "unknown_unit", "use one of m, mm"),
    (MM, "{\"value\": 1, \"unit\": \"MM\"}", "/unit", "unknown_unit", "did you mean \"Mm\"?"),
    (
        MM,
        "{\"value\": 1, \"unit\": \"bar\"}",
        "/unit",
        "wrong_dimension",
        "bar measures a pressure (kg/(m*s^2)), and a length in mm is needed here",
    ),
    (MM, "{\"value\": 1, \"unit\": \"\"}", "/unit", "unknown_unit", "empty"),
    (
        "\"Float\"",
        "{\"value\": 1, \"unit\": \"mm\"}",
        "/unit",
        "wrong_dimension",
        "a plain number is needed here: leave the unit out",
    ),
    ("\"Frequency\"", "{\"value\": 1, \"unit\": \"rad/s\"}", "/unit", "wrong_dimension", "a frequency in Hz is needed"),
    (
        "{\"type\":\"Float\",\"unit\":\"rad/s\"}",
        "{\"value\": 1, \"unit\": \"Hz\"}",
        "/unit",
        "wrong_dimension",
        "use rad/s",
    ),
    (MM, "1e400", "", "out_of_range", "too large for a double"),
    (MM, "-1e400", "", "out_of_range", "too large for a double"),
    (MM, "{\"value\": 1e400, \"unit\": \"m\"}", "/value", "out_of_range", "too large"),
    (MM, "{\"value\": 1e308, \"unit\": \"m\"}", "/value", "out_of_range", "too large"),
    (MM, "{\"value\": 1e999999999999999999999, \"unit\": \"m\"}", "/value", "out_of_range", "too large"),
    (MM, "1e-400", "", "out_of_range", "would become 0"),
    (MM, "{\"value\": 1e-330, \"unit\": \"m\"}", "/value", "out_of_range", "would become 0"),
    ("\"Vector3\"", "[1,2]", "", "wrong_length", "not 2"),
    ("\"Vector3\"", "[1,2,\"x\"]", "/2", "wrong_type", "a number is needed"),
    ("\"Force3\"", "{\"value\": [1,2,3,4], \"unit\": \"kN\"}", "/value", "wrong_length", "not 4"),
    ("\"Matrix\"", "[[1,2],[3]]", "/1", "wrong_length", "the first row has 2 numbers, this one 1"),
    ("\"Matrix\"", "[[1,2],3]", "/1", "wrong_type", "a row of numbers"),
    ("\"list[Length]\"", "[1,{\"value\": 1, \"unit\": \"s\"}]", "/1/unit", "wrong_dimension", "s measures a time"),
];

#[test]
fn what_is_no_fitting_number_is_refused_with_its_pointer() {
    let digits = "9".repeat(NUMBER_BYTES_MAX + 1);
    let long_unit = format!("{{\"value\": 1, \"unit\": \"{}\"}}", "m".repeat(100_000));
    let long = [
        (MM, digits.as_str(), "", "out_of_range", "too many digits"),
        (MM, long_unit.as_str(), "/unit", "unknown_unit", "80 bytes"),
    ];
    for (port, value, place, code, advice) in REFUSED.iter().copied().chain(long) {
        let faults = given(port, value).unwrap_err();
        let [(pointer, found, message)] = faults.as_slice() else { panic!("{value:.80}: {faults:?}") };
        let expected = format!("/inputs/p{place}");
        assert_eq!((pointer.as_str(), found.as_str()), (expected.as_str(), code), "{value:.80}: {message}");
        assert!(message.contains(advice), "{value:.80}: {message}");
        assert!(message.len() < 600, "{} bytes", message.len());
    }
}

proptest! {
    #[test]
    fn every_double_goes_through_untouched(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let text = format!("{number:?}");
        prop_assert_eq!(given("\"Length\"", &text).unwrap(), text);
    }

    #[test]
    fn a_metric_prefix_moves_the_point_and_nothing_else(digits in 1u32.., ten in -30i32..30) {
        let value = given("\"Length\"", &format!("{{\"value\":{digits}e{ten},\"unit\":\"mm\"}}")).unwrap();
        let expected: f64 = format!("{digits}e{}", ten - 3).parse().unwrap();
        prop_assert_eq!(value.parse::<f64>().unwrap(), expected);
    }

    #[test]
    fn no_value_makes_the_check_panic(value in "[0-9eE.+-]{1,12}|\\[[0-9,]{0,9}\\]", unit in "\\PC{0,20}") {
        let value = serde_json::from_str::<Box<serde_json::value::RawValue>>(&value);
        let Ok(value) = value else { return Ok(()) };
        let unit = serde_json::Value::from(unit).to_string();
        let wrapped = format!("{{\"value\":{},\"unit\":{unit}}}", value.get());
        for ty in ["\"Integer\"", "\"Float\"", "\"Temperature\"", "\"Vector3\"", "\"list[Angle]\""] {
            // Either is an answer: the check inside is that a value which passes is not changed by a second check.
            let _ = given(ty, &wrapped);
            let _ = given(ty, value.get());
        }
    }
}

#[test]
fn a_port_of_each_type_keeps_the_unit_that_it_declares() {
    assert_eq!(port("Float", "%").unit().unwrap().as_str(), "%");
    assert_eq!(given("{\"type\":\"Float\",\"unit\":\"%\"}", "{\"value\": 0.5, \"unit\": \"1\"}").unwrap(), "50.0");
}
