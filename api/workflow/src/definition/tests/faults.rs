//! Definitions with one fault each: its pointer, its code, and a part of its message.

/// Nodes, and the fault that they have.
pub(super) type Row = (&'static str, &'static str, &'static str, &'static str);

/// What leads from node to node, and names.
pub(super) const GRAPH: &[Row] = &[
    (
        r#"{"key": "a", $py, "inputs": {"x": {"from": "b.x"}}}"#,
        "/nodes/0/inputs/x/from",
        "unknown_reference",
        "there is no \"b\": there are inputs, a",
    ),
    (r#"{"key": "a", $py, "inputs": {"x": {"from": "a.x"}}}"#, "/nodes/0", "cycle", "\"a\" needs its own output"),
    (r#"{"key": "a", $py, "needs": ["a"]}"#, "/nodes/0", "cycle", "itself"),
    (r#"{"key": "a", $py, "needs": ["z"]}"#, "/nodes/0/needs/0", "unknown_reference", "no node \"z\""),
    (
        r#"{"key": "a", $py, "needs": ["c"]}, {"key": "b", $py, "when": "a.ok"}, {"key": "c", $py, "inputs": {"x": {"deep": {"expr": "b.n + 1"}}}}, {"key": "d", $py, "needs": ["c"]}"#,
        "/nodes/0",
        "cycle",
        "a → c → b → a",
    ),
    (
        r#"{"key": "a", $py, "inputs": {"x": {"expr": "item + 1"}}}"#,
        "/nodes/0/inputs/x/expr",
        "unknown_reference",
        "no \"item\"",
    ),
    (r#"{"key": "a", $py, "map": {"over": "item"}}"#, "/nodes/0/map/over", "unknown_reference", "no \"item\""),
    (r#"{"key": "a-b", $py}"#, "/nodes/0/key", "invalid_name", "letters"),
    (r#"{"key": "null", $py}"#, "/nodes/0/key", "invalid_name", "a word of the expression language"),
    (r#"{"key": "", $py}"#, "/nodes/0/key", "invalid_name", "letters"),
    (r#"{"key": "a", $py}, {"key": "a", $py}"#, "/nodes/1/key", "duplicate", "two nodes \"a\""),
    (
        r#"{"key": "a", $py, "map": {"over": "inputs.cases", "as": "a"}}"#,
        "/nodes/0/map/as",
        "duplicate",
        "a name of its own",
    ),
    (r#"{$py}"#, "/nodes/0/key", "required", "needed"),
    (r#"{"key": "a", "key": "b", $py}"#, "/nodes/0/key", "duplicate", "twice"),
    (r#"{"key": "a", $py, "inputs": {"x": {"y": 1, "y": 2}}}"#, "/nodes/0/inputs/x/y", "duplicate", "twice"),
];

/// Fields of a node.
pub(super) const FIELDS: &[Row] = &[
    (r#"{"key": "a", $py, "retries": 3}"#, "/nodes/0/retries", "unknown_field", "there are key, code"),
    (r#"{"key": "a"}"#, "/nodes/0", "kind", "one of"),
    (r#"{"key": "a", $py, "workflow": "x"}"#, "/nodes/0", "kind", "one of"),
    (r#"{"key": "a", "code": {}}"#, "/nodes/0/code", "invalid", "one of \"language\""),
    (r#"{"key": "a", "approval": {"message": ""}}"#, "/nodes/0/approval/message", "required", "1 to 4000 bytes"),
    (
        r#"{"key": "a", "approval": {"message": "x"}, "map": {"over": [1]}}"#,
        "/nodes/0/map",
        "unknown_field",
        "there are key, approval",
    ),
    (r#"{"key": "a", "workflow": "w", "files": {}}"#, "/nodes/0/files", "unknown_field", "no field"),
    (r#"{"key": "a", $py, "retry": {"max_attempts": 99}}"#, "/nodes/0/retry/max_attempts", "out_of_range", "1 to 10"),
    (
        r#"{"key": "a", $py, "retry": {"backoff_factor": 0.5}}"#,
        "/nodes/0/retry/backoff_factor",
        "out_of_range",
        "1 to 10",
    ),
    (r#"{"key": "a", $py, "retry": {"on": ["boom"]}}"#, "/nodes/0/retry/on/0", "unknown_value", "a kind of error"),
    (
        r#"{"key": "a", $py, "on_error": "ignore"}"#,
        "/nodes/0/on_error",
        "unknown_value",
        "\"fail\", \"skip\", \"default\"",
    ),
    (r#"{"key": "a", $py, "on_error": "default"}"#, "/nodes/0/default", "required", "the value that is taken"),
    (r#"{"key": "a", $py, "default": 1}"#, "/nodes/0/default", "contradiction", "alone"),
    (r#"{"key": "a", $py, "lane": "fast"}"#, "/nodes/0/lane", "unknown_value", "\"default\""),
    (r#"{"key": "a", $py, "priority": 10}"#, "/nodes/0/priority", "out_of_range", "0 to 9"),
    (r#"{"key": "a", $py, "seed": -1}"#, "/nodes/0/seed", "out_of_range", "not -1"),
    (r#"{"key": "a", $py, "cache": true}"#, "/nodes/0/cache", "wrong_type", "a string"),
    (r#"{"key": "a", $py, "limits": {"memory": 5}}"#, "/nodes/0/limits", "invalid", "unknown field `memory`"),
    (r#"{"key": "a", $py, "timeout_ms": 0}"#, "/nodes/0/timeout_ms", "out_of_range", "from 1"),
];

/// Bindings, expressions and maps.
pub(super) const BINDINGS: &[Row] = &[
    (
        r#"{"key": "a", $py, "inputs": {"x": {"from": "1 + 1"}}}"#,
        "/nodes/0/inputs/x/from",
        "invalid_reference",
        "as {\"expr\"",
    ),
    (r#"{"key": "a", $py, "inputs": {"x": {"from": 3}}}"#, "/nodes/0/inputs/x/from", "wrong_type", "a string"),
    (
        r#"{"key": "a", $py, "inputs": {"x": {"from": "inputs.F", "expr": "1"}}}"#,
        "/nodes/0/inputs/x",
        "contradiction",
        "not both",
    ),
    (
        r#"{"key": "a", $py, "inputs": {"x": {"expr": "1 +"}}}"#,
        "/nodes/0/inputs/x/expr",
        "invalid_expression",
        "character 4",
    ),
    (
        r#"{"key": "a", $py, "inputs": {"x": {"expr": "inputs.G"}}}"#,
        "/nodes/0/inputs/x",
        "wrong_type",
        "no field \"G\": there are F, d",
    ),
    (
        r#"{"key": "a", $py, "inputs": {"x": {"from": "inputs.F", "unit": "N"}}}"#,
        "/nodes/0/inputs/x",
        "unit_not_allowed",
        "only a typed input",
    ),
    (
        r#"{"key": "a", $py, "inputs": {"x": {"from": "inputs.F", "unit": "furlong"}}}"#,
        "/nodes/0/inputs/x/unit",
        "unknown_unit",
        "furlong",
    ),
    (
        r#"{"key": "a", $py, "when": "inputs.F"}"#,
        "/nodes/0/when",
        "wrong_type",
        "a condition is true or false, and this is a number in kN",
    ),
    (
        r#"{"key": "a", $py, "when": "inputs.F > inputs.d"}"#,
        "/nodes/0/when",
        "wrong_type",
        "a number in kN and one in mm can't be compared",
    ),
    (r#"{"key": "a", $py, "when": true}"#, "/nodes/0/when", "wrong_type", "a string"),
    (
        r#"{"key": "a", $py, "map": {"over": "inputs.F"}}"#,
        "/nodes/0/map/over",
        "wrong_type",
        "inputs.F: a list is needed, not a number in kN",
    ),
    (r#"{"key": "a", $py, "map": {"over": 3}}"#, "/nodes/0/map/over", "wrong_type", "a reference to a list"),
    (
        r#"{"key": "a", $py, "map": {"over": [1, 2], "width_max": 1}}"#,
        "/nodes/0/map/over",
        "too_many",
        "1 elements at most",
    ),
    (
        r#"{"key": "a", $py, "map": {"over": [], "width_max": 20000}}"#,
        "/nodes/0/map/width_max",
        "out_of_range",
        "1 to 10000",
    ),
];

/// Types and units of a function.
pub(super) const PORTS: &[Row] = &[
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": 1, "e": 1}}"#,
        "/nodes/0/inputs/e",
        "unknown_field",
        "no input \"e\"",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": 1, "e": {"from": "inputs.F"}}}"#,
        "/nodes/0/inputs/e",
        "unknown_field",
        "there are F, d, n",
    ),
    (r#"{"key": "a", $fn, "inputs": {"F": 1}}"#, "/nodes/0/inputs/d", "required", "a length in mm"),
    (r#"{"key": "a", $fn, "inputs": {"F": -1, "d": 1}}"#, "/nodes/0/inputs/F", "outside_validity", "F > 0"),
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": 1, "size": "M9"}}"#,
        "/nodes/0/inputs/size",
        "unknown_value",
        "\"M8\"",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": {"from": "inputs.d"}, "d": 1}}"#,
        "/nodes/0/inputs/F",
        "incompatible",
        "inputs.d: a length is given, and a force is needed",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": {"from": "inputs.file"}}}"#,
        "/nodes/0/inputs/d",
        "incompatible",
        "a string is given",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": {"from": "inputs.d"}, "n": {"expr": "inputs.n / 2"}}}"#,
        "/nodes/0/inputs/n",
        "incompatible",
        "a whole one is needed",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": {"expr": "inputs.F > 1"}, "d": 1}}"#,
        "/nodes/0/inputs/F",
        "incompatible",
        "true or false is given",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": {"expr": "inputs.F * inputs.F"}, "d": 1}}"#,
        "/nodes/0/inputs/F",
        "incompatible",
        "kN^2",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": {"expr": "sqrt(inputs.F * inputs.F)"}, "d": 1}}"#,
        "/nodes/0/inputs/F",
        "unknown_unit",
        "say it with \"unit\"",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": {"from": "inputs.F", "unit": "N"}, "d": 1}}"#,
        "/nodes/0/inputs/F",
        "contradiction",
        "inputs.F is in kN",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": {"from": "b.x", "unit": "mm"}, "d": 1}}, {"key": "b", $py}"#,
        "/nodes/0/inputs/F",
        "wrong_dimension",
        "mm measures",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": {"value": {"from": "inputs.F"}, "unit": "N"}, "d": 1}}"#,
        "/nodes/0/inputs/F",
        "unit_not_allowed",
        "takes its unit along",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": {"expr": "null"}, "d": 1}}"#,
        "/nodes/0/inputs/F",
        "incompatible",
        "null is given",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": 1, "loads": {"axial": {"from": "inputs.d"}}}}"#,
        "/nodes/0/inputs/loads",
        "incompatible",
        "a force is needed",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": 1, "holes": [{"from": "inputs.F"}]}}"#,
        "/nodes/0/inputs/holes",
        "incompatible",
        "a length is needed",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": 1}}, {"key": "b", $fn, "inputs": {"F": {"from": "a.stress"}, "d": 1}}"#,
        "/nodes/1/inputs/F",
        "incompatible",
        "a stress is given",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": 1}}, {"key": "b", $fn, "inputs": {"F": {"from": "a.strss"}, "d": 1}}"#,
        "/nodes/1/inputs/F",
        "wrong_type",
        "a has no field \"strss\": there are stress, ok, areas",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": {"from": "inputs.F"}, "d": {"from": "inputs.k?"}}}"#,
        "/nodes/0/inputs/d",
        "incompatible",
        "may have no value",
    ),
    (
        r#"{"key": "a", $fn, "inputs": {"F": 1, "d": 1}, "on_error": "default", "default": {"stress": "x", "ok": true, "areas": []}}"#,
        "/nodes/0/default/stress",
        "wrong_type",
        "a stress",
    ),
    (
        r#"{"key": "a", "workflow": "sub", "inputs": {"p": {"from": "inputs.d"}}}"#,
        "/nodes/0/inputs/p",
        "incompatible",
        "a pressure is needed",
    ),
    (r#"{"key": "a", "workflow": "sub"}"#, "/nodes/0/inputs/p", "required", "bar"),
];

/// Input files.
pub(super) const FILES: &[Row] = &[
    (
        r#"{"key": "a", $py, "files": {"../x": "01890000-0000-7000-8000-000000000000"}}"#,
        "/nodes/0/files/..~1x",
        "invalid_name",
        "file name",
    ),
    (r#"{"key": "a", $py, "files": {"x": "mesh"}}"#, "/nodes/0/files/x", "unknown_upload", "POST /v1/uploads"),
    (
        r#"{"key": "a", $py, "files": {"x": {"from": "b.artifacts/../x"}}}, {"key": "b", $py}"#,
        "/nodes/0/files/x/from",
        "invalid_name",
        "file name",
    ),
    (
        r#"{"key": "a", $py, "files": {"x": {"from": "c.artifacts/x"}}}"#,
        "/nodes/0/files/x/from",
        "unknown_reference",
        "no \"c\"",
    ),
    (
        r#"{"key": "a", $py, "files": {"x": {"from": "inputs.artifacts/x"}}}"#,
        "/nodes/0/files/x/from",
        "invalid_reference",
        "left by nodes",
    ),
    (
        r#"{"key": "a", $py, "files": {"x": {"from": "b.artifacts/x"}}}, {"key": "b", $py, "map": {"over": [1]}}"#,
        "/nodes/0/files/x/from",
        "invalid_reference",
        "b[0].artifacts",
    ),
    (
        r#"{"key": "a", $py, "files": {"x": {"from": "b[0].artifacts/x"}}}, {"key": "b", $py}"#,
        "/nodes/0/files/x/from",
        "invalid_reference",
        "is not mapped",
    ),
    (
        r#"{"key": "a", $py, "files": {"x": {"from": "b.artifacts/x"}}}, {"key": "b", "workflow": "w"}"#,
        "/nodes/0/files/x/from",
        "invalid_reference",
        "leaves no files",
    ),
    (
        r#"{"key": "a", $py, "files": {"x": {"from": "inputs.F"}}}"#,
        "/nodes/0/files/x/from",
        "wrong_type",
        "a number in kN",
    ),
];
