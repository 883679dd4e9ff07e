//! Texts of types: each is read and written again, and what is none is refused with what to do.

use super::{port, ty};
use crate::ports::{Kind, PortType, TYPE_BYTES_MAX};
use proptest::prelude::*;

#[test]
fn every_type_is_read_and_written_again() {
    let plain =
        ["Numeric", "Integer", "Float", "Boolean", "String", "Vector3", "Force3", "Moment3", "Torsor", "Matrix"];
    for text in plain.into_iter().chain(Kind::ALL.map(Kind::as_str)).chain(["File", "Object"]) {
        assert_eq!(ty(text).to_string(), text);
    }
    let rows = [
        ("File[med]", "File[med]"),
        ("File[.MED, \"msh\", tar.gz]", "File[med,msh,tar.gz]"),
        ("list[Length]", "list[Length]"),
        (" list[ list[ dict[str, Force] ] ] ", "list[list[dict[str,Force]]]"),
        ("literal[\"a\",\"b\"]", "literal[\"a\",\"b\"]"),
        ("literal[steel, S235 JR, 1.50, true]", "literal[\"steel\",\"S235 JR\",1.50,true]"),
        ("literal[\"a,]\\\"b\\u00e9\"]", "literal[\"a,]\\\"b\\u00e9\"]"),
        ("struct{d:Length,n?:Integer}", "struct{d: Length, n?: Integer}"),
        (
            "struct{ d: Length in mm, p: struct{q: list[Stress] in N/mm², r?: Float in W/(m²·K)} }",
            "struct{d: Length in mm, p: struct{q: list[Stress] in N/mm^2, r?: Float in W/(m^2*K)}}",
        ),
    ];
    for (text, written) in rows {
        assert_eq!(ty(text).to_string(), written);
        assert_eq!(ty(written), ty(text));
    }
}

#[test]
fn what_is_no_type_is_refused_with_what_to_do() {
    let long = format!("literal[{}]", vec!["\"x\""; TYPE_BYTES_MAX].join(","));
    let many = format!("literal[{}]", vec!["1"; 300].join(","));
    // Short enough, but not with the spaces that it would be written with.
    let fields: Vec<_> = (0..230).map(|index| format!("{index:x>29}:File")).collect();
    let grows = format!("struct{{{}}}", fields.join(","));
    assert!(grows.len() < TYPE_BYTES_MAX);
    let deep = format!("{}Float{}", "list[".repeat(17), "]".repeat(17));
    let bomb = "list[".repeat(1_600);
    let struct_bomb = "struct{a:".repeat(800);
    let rows = [
        ("", "a type is needed where the type ends"),
        ("Lenght", "there is no type \"Lenght\": use Numeric"),
        ("length", "did you mean Length?"),
        ("int", "did you mean Integer?"),
        ("Torque", "did you mean Moment?"),
        ("List[Length]", "did you mean list[T]?"),
        ("list", "[ is needed where the type ends"),
        ("list[]", "a type is needed where \"]\" begins"),
        ("list[Length", "] is needed where the type ends"),
        ("list[Length]]", "the end is needed where \"]\" begins"),
        ("dict[int,Length]", "keys are strings"),
        ("dict[str]", ", is needed"),
        ("File[]", "a file's extension"),
        ("File[a/b]", ", or ] is needed"),
        ("File[..]", "a file's extension"),
        ("literal[]", "a string in double quotes"),
        ("literal[\"a]", "a string in double quotes"),
        ("literal[null]", "a string in double quotes"),
        ("literal[[1]]", "a string in double quotes"),
        ("literal[01]", "a string in double quotes"),
        ("literal[\"\\ud800\"]", "a string in double quotes"),
        ("struct{}", "a field's name"),
        ("struct{1a: Float}", "a field's name"),
        ("struct{a: Float, a: Float}", "\"a\" appears twice"),
        ("struct{a: Length in bar}", "the field \"a\": bar measures a pressure"),
        ("struct{a: String in mm}", "the field \"a\": String has no unit of its own"),
        ("struct{a: Length in furlong}", "no unit \"furlong\""),
        (&long, "8192 bytes"),
        (&grows, "8192 bytes"),
        (&many, "256"),
        (&deep, "deeper than 16"),
        (&bomb, "deeper than 16"),
        (&struct_bomb, "deeper than 16"),
    ];
    for (text, needed) in rows {
        let error = text.parse::<PortType>().map(|ty| ty.to_string()).unwrap_err().to_string();
        assert!(error.contains(needed), "{text:.80?}: {error}");
    }
}

#[test]
fn a_port_has_its_own_unit_or_that_of_its_quantity() {
    let rows = [
        ("Length", "", Some("m")),
        ("Length", "mm", Some("mm")),
        ("list[list[Stress]]", "", Some("Pa")),
        ("dict[str,Stress]", "MPa", Some("MPa")),
        ("Force3", "", Some("N")),
        ("Moment3", "kN*m", Some("kN*m")),
        ("Vector3", "", Some("1")),
        ("Vector3", "m/s", Some("m/s")),
        ("Float", "W/(m*K)", Some("W/(m*K)")),
        ("Integer", "rpm", Some("rpm")),
        ("Frequency", "rpm", Some("rpm")),
        ("Torsor", "", None),
        ("String", "", None),
        ("list[File]", "", None),
    ];
    for (text, unit, expected) in rows {
        assert_eq!(port(text, unit).unit().as_deref().map(|unit| unit.as_str()), expected, "{text} {unit}");
    }
}

/// Types of any shape, a few levels deep.
pub(super) fn any_type() -> impl Strategy<Value = String> {
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
    let plain =
        ["Numeric", "Integer", "Float", "Boolean", "String", "Vector3", "Force3", "Moment3", "Torsor", "Matrix"];
    let more =
        ["File", "File[med]", "File[med,msh]", "literal[\"a\"]", "literal[\"a\",\"b\"]", "literal[1,2.5]", "Object"];
    let leaves: Vec<_> = kinds.into_iter().chain(plain.into_iter().chain(more).map(str::to_owned)).collect();
    prop::sample::select(leaves).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|ty| format!("list[{ty}]")),
            inner.clone().prop_map(|ty| format!("dict[str,{ty}]")),
            prop::collection::vec((inner, any::<bool>()), 1..4).prop_map(|parts| {
                let field = |(index, (ty, required)): (usize, (String, bool))| {
                    format!("f{index}{}: {ty}", if required { "" } else { "?" })
                };
                let fields: Vec<_> = parts.into_iter().enumerate().map(field).collect();
                format!("struct{{{}}}", fields.join(", "))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn types_of_any_shape_come_back(text in any_type()) {
        let read = ty(&text);
        let written = read.to_string();
        prop_assert_eq!(ty(&written).to_string(), written);
        prop_assert_eq!(ty(&text), read);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,60}|[a-zA-Z\\[\\]{}:,?\" 0-9.-]{0,80}") {
        if let Ok(read) = text.parse::<PortType>() {
            prop_assert_eq!(ty(&read.to_string()), read);
        }
    }
}
