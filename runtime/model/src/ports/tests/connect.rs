//! Whether ports fit together, and that what is said of them holds for their values.

use super::{port, raw, types::any_type};
use crate::ports::Compatibility::{Convertible, Exact, Incompatible};
use crate::ports::check::Checker;
use crate::ports::json::Path;
use crate::ports::number::Expected;
use crate::ports::schema::example;
use crate::ports::{Compatibility, Port, Side};
use crate::{Fault, NonFinite};
use proptest::prelude::*;
use serde_json::value::RawValue;

fn take(port: &Port, value: &RawValue, side: Side) -> Result<Box<RawValue>, Vec<Fault>> {
    let unit = port.unit();
    let mut checker = Checker::new(side, NonFinite::Reject);
    checker.value(Expected { ty: port.ty(), unit: unit.as_deref(), given: None }, value, Path::Root(""));
    checker.finish().map(|checked| checked.values)
}

/// "Length in mm" as a port.
fn end(text: &str) -> Port {
    let (text, optional) = text.strip_suffix('?').map_or((text, false), |text| (text, true));
    let (ty, unit) = text.split_once(" in ").filter(|_| !text.contains("struct")).unwrap_or((text, ""));
    let port = port(ty, unit);
    if optional { port.optional() } else { port }
}

/// Source, target, how they fit, and what the reason says.
const PAIRS: &[(&str, &str, Compatibility, &str)] = &[
    ("Length", "Length", Exact, "every Length in m is a Length in m"),
    ("Length in mm", "Length in m", Convertible, "converted from mm to m"),
    ("Length in mm", "Force", Incompatible, "a length is given, and a force is needed"),
    ("Pressure", "Stress", Convertible, "a pressure in Pa is taken as a stress"),
    ("Stress in MPa", "Pressure in bar", Convertible, "converted from MPa to bar"),
    ("Moment", "Energy", Incompatible, "although their units are the same"),
    ("Integer", "Numeric", Exact, "every Integer is a Numeric"),
    ("Float", "Numeric", Exact, "every Float"),
    ("Integer", "Float", Convertible, "floating-point"),
    ("Numeric", "Float", Convertible, "floating-point"),
    ("Numeric", "Integer", Incompatible, "may have a fraction"),
    ("Length", "Integer", Incompatible, "may have a fraction"),
    ("Float", "Length in mm", Convertible, "has no unit, and is taken in mm"),
    ("Length in mm", "Float", Convertible, "handed over in mm, without its unit"),
    ("Float in mm", "Length", Convertible, "converted from mm to m"),
    ("Float in m", "Length", Exact, "every Float in m"),
    ("Float in s", "Length", Incompatible, "a number in s is given, and a length in m is needed"),
    ("Float in rpm", "Frequency in Hz", Convertible, "converted from rpm to Hz"),
    ("Frequency in rpm", "Float in rpm", Exact, "every Frequency in rpm"),
    ("Float in rad/s", "Frequency", Incompatible, "a number in rad/s"),
    ("Length", "Float in s", Incompatible, "measure different things"),
    ("Integer in rpm", "Integer in rev/s", Incompatible, "may have a fraction"),
    ("Boolean", "Integer", Incompatible, "true or false is given, and a whole number is needed"),
    ("String", "literal[\"a\"]", Incompatible, "a string is given"),
    ("literal[\"a\"]", "literal[\"a\",\"b\"]", Exact, "every"),
    ("literal[\"a\",\"c\"]", "literal[\"a\",\"b\"]", Incompatible, "\"c\" may be given"),
    ("literal[\"a\"]", "String", Exact, "every"),
    ("literal[1,2]", "Integer", Exact, "every"),
    ("literal[1,2.5]", "Integer", Incompatible, "2.5 may be given"),
    ("literal[1]", "Length", Convertible, "1 becomes 1.0"),
    ("literal[true]", "Boolean", Exact, "every"),
    ("File[med]", "File[med,msh]", Exact, "every"),
    ("File[med,stl]", "File[med,msh]", Incompatible, "a file .stl may be given"),
    ("File", "File[med]", Incompatible, "any file may be given"),
    ("File[med]", "File", Exact, "every"),
    ("File[tar.gz]", "File[gz]", Exact, "every"),
    ("File", "String", Incompatible, "the name of a file"),
    ("Force3", "Vector3", Convertible, "without its unit"),
    ("Vector3", "Force3", Convertible, "taken in N"),
    ("Vector3 in kN", "Force3", Convertible, "converted from kN to N"),
    ("Force3", "Moment3", Incompatible, "a force is given, and a moment is needed"),
    ("Force3", "list[Force]", Exact, "every"),
    ("list[Force]", "Force3", Incompatible, "any length"),
    ("Matrix", "list[list[Float]]", Exact, "every"),
    ("list[list[Float]]", "Matrix", Incompatible, "may differ in length"),
    ("Matrix in kN/m", "Matrix in N/m", Convertible, "converted"),
    ("list[Length] in mm", "list[Length]", Convertible, "converted from mm to m"),
    ("list[Length]", "Length", Incompatible, "an array is given, and a length is needed"),
    ("list[Length]", "list[Time]", Incompatible, "a length is given"),
    ("dict[str,Length] in mm", "dict[str,Length]", Convertible, "converted"),
    ("dict[str,Length]", "Object", Exact, "every"),
    ("Object", "dict[str,Length]", Incompatible, "an object is given"),
    ("Object", "Object", Exact, "every"),
    ("Torsor", "Torsor", Exact, "every"),
    ("struct{d: Length in mm}", "struct{d: Length}", Convertible, "converted from mm to m"),
    ("struct{d: Length}", "struct{d: Length, n?: Integer}", Exact, "every"),
    ("struct{d: Length}", "struct{d: Length, n: Integer}", Incompatible, "needs a field \"n\""),
    ("struct{d: Length, n: Integer}", "struct{d: Length}", Incompatible, "a field \"n\" that the target does not know"),
    ("struct{d?: Length}", "struct{d: Length}", Incompatible, "d: the source may have no value"),
    ("struct{a: struct{b: Length}}", "struct{a: struct{b: Mass}}", Incompatible, "a: b: a length is given"),
    ("struct{a: Length in mm, b: Float}", "dict[str,Length]", Convertible, "converted from mm to m"),
    ("struct{a: Length}", "Object", Exact, "every"),
    ("list[struct{d: Length in mm}]", "list[struct{d: Float}]", Convertible, "without its unit"),
    ("Length?", "Length", Incompatible, "the source may have no value"),
    ("Length?", "Length?", Exact, "every"),
    ("Length", "Length?", Exact, "every"),
];

#[test]
fn pairs_of_ports_fit_as_their_values_do() {
    for (source, target, compatibility, needed) in PAIRS {
        let connection = end(source).connect(&end(target));
        assert_eq!(connection.compatibility, *compatibility, "{source} -> {target}: {}", connection.reason);
        assert!(connection.reason.contains(*needed), "{source} -> {target}: {}", connection.reason);
    }
}

#[test]
fn a_value_arrives_as_the_target_counts_it() {
    let rows = [
        ("Length in mm", "12.5", "Length", "0.0125"),
        ("Length in mm", "12.50", "Float", "12.50"),
        ("Float", "3", "Length in mm", "3.0"),
        ("Frequency in rpm", "60.0", "Frequency", "1.0"),
        ("Frequency in rpm", "60.0", "Float in rpm", "60.0"),
        ("list[Length] in in", "[1.0,2.0]", "list[Length] in mm", "[25.4,50.8]"),
        (
            "Torsor",
            r#"{"force":[1.0,0.0,0.0],"moment":[0.0,0.0,0.0]}"#,
            "Torsor",
            r#"{"force":[1.0,0.0,0.0],"moment":[0.0,0.0,0.0]}"#,
        ),
        (
            "struct{d: Length in mm, k: Float, p: list[struct{F: Force in kN}]}",
            r#"{"d":1.0,"k":2.0,"p":[{"F":3.0}]}"#,
            "struct{d: Length, k: Length in mm, p: list[struct{F: Float}]}",
            r#"{"d":0.001,"k":2.0,"p":[{"F":3.0}]}"#,
        ),
        ("struct{d: Length in mm}", r#"{"d":1.0}"#, "Object", r#"{"d":1.0}"#),
        ("struct{a: Length in mm}", r#"{"a":1.0}"#, "dict[str,Length]", r#"{"a":0.001}"#),
        (
            "dict[str,struct{a: Length in mm}]",
            r#"{"x":{"a":1.0}}"#,
            "dict[str,struct{a: Length in cm}]",
            r#"{"x":{"a":0.1}}"#,
        ),
        ("Matrix in kN/m", "[[1.0,2.0]]", "list[list[Float]] in N/m", "[[1000.0,2000.0]]"),
    ];
    for (source, value, target, expected) in rows {
        let (source, target) = (end(source), end(target));
        let handed = source.hand_over(&raw(value), &target);
        let taken =
            take(&target, &handed, Side::Input).unwrap_or_else(|faults| panic!("{value} as {handed}: {faults:?}"));
        assert_eq!(taken.get(), expected, "{value} -> {}", target.ty());
    }
    let shown = end("Length in mm").with_unit(&raw("12.50"));
    assert_eq!(shown.get(), r#"{"value":12.50,"unit":"mm"}"#);
}

/// Ports of any type, some with a unit of another size.
fn any_port() -> impl Strategy<Value = Port> {
    let scaled = [
        "Length in mm",
        "Float in mm",
        "Float in %",
        "Stress in psi",
        "list[Length] in ft",
        "Vector3 in kN",
        "Integer in rpm",
        "Temperature in degF",
        "Frequency in rpm",
    ];
    prop_oneof![3 => any_type(), 1 => prop::sample::select(scaled.to_vec()).prop_map(str::to_owned)]
        .prop_map(|text| end(&text))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_is_said_to_fit_passes_the_check(source in any_port(), target in any_port()) {
        let value = take(&source, &example(source.ty()).unwrap(), Side::Input).unwrap();
        for target in [&source, &target] {
            let connection = source.connect(target);
            let handed = source.hand_over(&value, target);
            let taken = take(target, &handed, Side::Input);
            match connection.compatibility {
                Compatibility::Exact => {
                    let taken = taken.unwrap();
                    prop_assert_eq!(taken.get(), value.get(), "{}", connection.reason);
                }
                Compatibility::Convertible => prop_assert!(taken.is_ok(), "{}: {:?}", connection.reason, taken),
                Compatibility::Incompatible => {}
            }
        }
        prop_assert_eq!(source.connect(&source).compatibility, Compatibility::Exact);
    }

    #[test]
    fn units_beside_a_value_change_nothing(source in any_port()) {
        let value = take(&source, &example(source.ty()).unwrap(), Side::Input).unwrap();
        let again = take(&source, &source.with_unit(&value), Side::Input).unwrap();
        prop_assert_eq!(again.get(), value.get());
    }
}
