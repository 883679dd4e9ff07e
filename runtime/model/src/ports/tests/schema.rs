//! Schemas and the catalogue, as clients see them.

use super::{port, raw, read};
use crate::ports::{Kind, NamedUnit, PortType, SCHEMA_DIALECT, Side, Unit, catalogue, units_of};
use serde_json::{Value, json};

fn shown(value: &impl serde::Serialize) -> Value {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

#[test]
fn a_schema_is_enough_to_draw_a_form() {
    let inputs = r#"{
        "wall_thickness": {"type": "Length", "unit": "mm", "description": "of the plate", "validity": "wall_thickness > 0"},
        "n": {"type": "Integer", "default": 4},
        "grade": "literal[\"8.8\",\"10.9\"]",
        "mesh": {"type": "File[med]", "required": false}
    }"#;
    let signature = read(inputs, r#"{"s": {"type": "Stress", "unit": "MPa"}}"#, r#"["s < 100", "n > 0"]"#).unwrap();
    let schema = serde_json::to_string(&signature.schema(Side::Input)).unwrap();
    // Fields keep the order of their author.
    let places: Vec<_> =
        ["wall_thickness\":{", "\"n\":{", "\"grade\":{", "\"mesh\":{"].map(|name| schema.find(name).unwrap()).into();
    assert!(places.is_sorted(), "{schema}");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let units = json!(["mm", "m", "cm", "km", "µm", "in", "ft", "yd"]);
    let expected = json!({
        "$schema": SCHEMA_DIALECT,
        "type": "object",
        "x-validity": [{"expression": "n > 0", "on_violation": "refuse"}],
        "required": ["wall_thickness", "grade"],
        "additionalProperties": false,
        "properties": {
            "wall_thickness": {
                "title": "wall thickness",
                "description": "of the plate",
                "x-type": "Length",
                "unit": "mm",
                "x-units": units,
                "x-validity": [{"expression": "wall_thickness > 0", "on_violation": "refuse"}],
                "anyOf": [
                    {"type": "number"},
                    {
                        "type": "object",
                        "properties": {"value": {"type": "number"}, "unit": {"type": "string", "examples": units}},
                        "required": ["value", "unit"],
                        "additionalProperties": false,
                    },
                ],
                "examples": [12, {"value": 12, "unit": "mm"}],
            },
            "n": {
                "title": "n",
                "x-type": "Integer",
                "type": "integer",
                "minimum": -2147483647,
                "maximum": 2147483647,
                "default": 4,
                "examples": [4],
            },
            "grade": {"title": "grade", "x-type": "literal[\"8.8\",\"10.9\"]", "enum": ["8.8", "10.9"], "examples": ["8.8"]},
            "mesh": {"title": "mesh", "x-type": "File[med]", "type": "string", "x-extensions": ["med"], "examples": ["file.med"]},
        },
    });
    assert_eq!(schema, expected);
    let outputs = shown(&signature.schema(Side::Output));
    assert_eq!(outputs["properties"]["s"]["type"], "number");
    assert_eq!(outputs["properties"]["s"]["unit"], "MPa");
    assert_eq!(outputs["x-validity"], json!([{"expression": "s < 100", "on_violation": "refuse"}]));
}

#[test]
fn schemas_of_made_types_name_their_parts() {
    let rows = [
        ("list[Boolean]", "", json!({"type": "array", "items": {"type": "boolean"}})),
        ("dict[str,String]", "", json!({"type": "object", "additionalProperties": {"type": "string"}})),
        ("Vector3", "", json!({"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3})),
        ("Matrix", "", json!({"type": "array", "items": {"type": "array", "items": {"type": "number"}}})),
        ("Object", "", json!({"type": "object", "additionalProperties": true})),
    ];
    for (ty, unit, expected) in rows {
        let schema = shown(&port(ty, unit).schema(Side::Input));
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&schema[key], value, "{ty}");
        }
    }
    let torsor = shown(&port("Torsor", "").schema(Side::Input));
    assert_eq!(torsor["properties"]["moment"]["unit"], "N*m");
    assert_eq!(torsor["required"], json!(["force", "moment"]));
    let list = shown(&port("list[Length]", "mm").schema(Side::Input));
    assert_eq!(list["anyOf"][1]["properties"]["value"], json!({"type": "array", "items": {"type": "number"}}));
    assert_eq!(list["anyOf"][0]["items"]["anyOf"][0], json!({"type": "number"}));
    let custom = shown(&port("Float", "W/(m*K)").schema(Side::Input));
    assert_eq!((custom["unit"].as_str(), &custom["x-units"]), (Some("W/(m*K)"), &json!(["W/(m*K)"])));
    let inner = shown(&port("struct{d: Length in mm, n?: Integer}", "").schema(Side::Output));
    assert_eq!(
        inner["properties"]["d"],
        json!({"title": "d", "x-type": "Length", "unit": "mm", "x-units": ["mm", "m", "cm", "km", "µm", "in", "ft", "yd"], "type": "number", "examples": [12]})
    );
    assert_eq!(inner["required"], json!(["d"]));
}

#[test]
fn the_catalogue_holds_every_type_with_an_example_that_passes() {
    let types = catalogue();
    assert_eq!(types.len(), 12 + Kind::ALL.len() + 5);
    for entry in &types {
        let ty: PortType = entry.example_type.parse().unwrap();
        let example = entry.example.as_ref().unwrap_or_else(|| panic!("{}", entry.name));
        let signature = super::inputs(&format!("{{\"p\":{:?}}}", ty.to_string()));
        let checked = signature.check_inputs(&raw(&format!("{{\"p\":{}}}", example.get())), "");
        assert!(checked.is_ok(), "{}: {checked:?}", entry.name);
        assert!(!entry.description.is_empty() && entry.schema.is_some(), "{}", entry.name);
        assert_eq!(entry.inputs_only, entry.name == "Object");
    }
    let stress = shown(types.iter().find(|entry| entry.name == "Stress").unwrap());
    assert_eq!((stress["unit"].as_str(), stress["dimension"].as_str()), (Some("Pa"), Some("kg/(m*s^2)")));
    assert_eq!(stress["units"][1], json!({"symbol": "MPa", "name": "megapascal", "factor": 1e6, "offset": 0.0}));
}

#[test]
fn units_of_a_kind_have_names_and_each_can_be_sent() {
    for kind in Kind::ALL {
        let units = units_of(kind);
        let mut symbols: Vec<_> = units.iter().map(|unit| unit.symbol.as_str()).collect();
        assert!(symbols.starts_with(kind.usual_units()), "{kind}: {symbols:?}");
        for symbol in &symbols {
            assert!(kind.admit(symbol.parse::<Unit>().unwrap()).is_some(), "{kind}: {symbol}");
        }
        symbols.sort_unstable();
        symbols.dedup();
        assert_eq!(symbols.len(), units.len(), "{kind}");
    }
    let found = |kind, symbol: &str| units_of(kind).into_iter().find(|unit| unit.symbol == symbol).unwrap();
    let name = |kind, symbol| found(kind, symbol).name.unwrap();
    assert_eq!(name(Kind::Length, "in"), "inch");
    assert_eq!(name(Kind::Stress, "N/mm^2"), "newton per square millimeter");
    assert_eq!(name(Kind::Energy, "kWh"), "kilowatt hour");
    assert_eq!(name(Kind::Frequency, "rpm"), "revolution per minute");
    let fahrenheit =
        NamedUnit { symbol: "degF".into(), name: Some("degree Fahrenheit".into()), factor: 5.0 / 9.0, offset: 459.67 };
    assert_eq!(found(Kind::Temperature, "degF"), fahrenheit);
}
