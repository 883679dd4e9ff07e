//! `#[derive(Deserialize, Ports)]` and the signature that `main` makes of it.

use mecapy_task::{Ports, internal};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

#[derive(Deserialize, Ports)]
#[expect(dead_code, reason = "only the ports are looked at")]
struct Input {
    /// Nominal diameter:
    /// "d" of the standard.
    #[port(type = "Length", unit = "mm", validity = "diameter > 0")]
    diameter: f64,
    #[port(unit = "N")]
    forces: Vec<f64>,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default = "ten", alias = "number", bound(deserialize = ""))]
    count: u16,
    name: Option<String>,
    table: BTreeMap<String, Vec<[f64; 2]>>,
    loads: Vec<Load>,
    named: HashMap<String, Load>,
    #[serde(skip)]
    cache: Vec<std::time::Instant>,
    more: serde_json::Value,
    path: std::path::PathBuf,
    load: Box<Load>,
    share: Share,
}

#[derive(Deserialize, Ports)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    ThroughBolt,
    #[serde(rename = "say \"tapped\"")]
    Tapped,
}

#[derive(Deserialize, Ports)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only the ports are looked at")]
struct Load {
    #[serde(default)]
    is_active: bool,
    #[port(type = "Length", unit = "mm")]
    length: f64,
}

#[derive(Deserialize, Ports)]
#[expect(dead_code, reason = "only the ports are looked at")]
struct Share(f32);

fn ten() -> u16 {
    10
}

fn json_of(signature: &internal::Signature) -> Value {
    // Long enough for this file: what is beyond a text's own length stays zero.
    let text = internal::write::<4096>(signature);
    let (text, rest) = text.split_at(internal::length(signature));
    assert!(rest.iter().all(|byte| *byte == 0));
    serde_json::from_slice(text).unwrap_or_default()
}

#[test]
fn a_signature_tells_names_types_units_and_comments() {
    let signature = internal::Signature {
        name: "joint",
        description: "A bolted joint:\t\\ \"tight\".",
        inputs: Input::TYPE,
        outputs: BTreeMap::<String, f64>::TYPE,
    };
    let load = json!({
        "isActive": {"type": "Boolean", "required": false},
        "length": {"type": "Length", "unit": "mm"},
    });
    assert_eq!(
        json_of(&signature),
        json!({
            "name": "joint",
            "description": "A bolted joint: \\ \"tight\".",
            "inputs": {
                "diameter": {
                    "type": "Length",
                    "unit": "mm",
                    "description": "Nominal diameter: \"d\" of the standard.",
                    "validity": "diameter > 0",
                },
                "forces": {"type": "list[Float]", "unit": "N"},
                "type": {"type": r#"literal["through-bolt","say "tapped""]"#},
                "count": {"type": "Integer", "required": false},
                "name": {"type": "String", "required": false},
                "table": {"type": "dict[str,list[list[Float]]]"},
                "loads": {"type": "list[struct{isActive?: Boolean, length: Length in mm}]"},
                "named": {"type": "dict[str,struct{isActive?: Boolean, length: Length in mm}]"},
                "more": {"type": "Object"},
                "path": {"type": "File"},
                "load": {"type": load},
                "share": {"type": "Float"},
            },
            "outputs": {},
        })
    );
}
