//! Expressions as their authors write them: what they give, what they refuse, and what is known of them beforehand.

use super::*;
use crate::Json;
use mecapy_model::ports::{Port, Signature, SignatureParts};
use serde_json::value::RawValue;

/// `a` is the node 0, `m` the mapped node 1, `gone` the skipped node 2, `it` the element.
fn root(name: &str) -> Option<Root> {
    match name {
        "inputs" => Some(Root::Inputs),
        "a" => Some(Root::Node(0)),
        "m" => Some(Root::Node(1)),
        "gone" => Some(Root::Node(2)),
        "it" => Some(Root::Item),
        "index" => Some(Root::Index),
        _ => None,
    }
}

const A: &str = r#"{"f": 1.10, "n": 3, "big": 123456789012345678901234567890, "s": "steel", "ok": true, "z": null,
    "list": [1, 2.50, 3], "rows": [{"x": 1}, {"x": 2}], "o": {"p q": 7}, "huge": 1e400}"#;

fn found(root: Root) -> Found<'static> {
    let json = |text: &str| Found::Value(Json::parse(text).unwrap());
    match root {
        Root::Inputs => json(r#"{"F": 1000, "d": 12.50}"#),
        Root::Node(0) => json(A),
        Root::Node(1) => Found::Elements {
            len: 3,
            get: Box::new(|index| match index {
                1 => Found::Absent,
                index => Found::Value(Json::parse(format!(r#"{{"x": {index}.0}}"#)).unwrap()),
            }),
        },
        Root::Node(_) => Found::Absent,
        Root::Item => json("8"),
        Root::Index => json("2"),
    }
}

fn read(text: &str) -> Result<Expr, String> {
    let names = Names { find: &root, known: "inputs, a, m" };
    parse(text, &names).map_err(|error| error.to_string())
}

fn value(text: &str) -> Result<String, String> {
    match evaluate(&read(text)?.node, &found) {
        Ok(value) => Ok(value.into_json().get().to_owned()),
        Err(Undefined::Because(message)) => Err(message),
        Err(Undefined::Missing) => Err("missing".to_owned()),
    }
}

/// Expressions and their values.
const VALUES: &[(&str, &str)] = &[
    // What nothing computes with keeps its digits.
    ("a.f", "1.10"),
    ("a.big", "123456789012345678901234567890"),
    ("if(a.ok, a.f, 0)", "1.10"),
    ("max(a.list)", "3"),
    ("min(a.f, 2)", "1.10"),
    ("max(a.list[1], 0)", "2.50"),
    ("abs(a.f)", "1.10"),
    ("1.500", "1.500"),
    ("a.list", "[1, 2.50, 3]"),
    // Whole numbers stay whole and exact, everything else is a double.
    ("a.big + 1", "123456789012345678901234567891"),
    ("2 + 3 * 4", "14"),
    ("6 / 2", "3.0"),
    ("0.1 + 0.2", "0.30000000000000004"),
    ("2 ^ 3 ^ 2", "512"),
    ("-2 ^ 2", "-4"),
    ("2 ^ -1", "0.5"),
    ("(1 - 2) - 3", "-4"),
    ("1 - (2 - 3)", "2"),
    ("8 / 2 / 2", "2.0"),
    ("-a.n", "-3"),
    ("sqrt(a.n + 1)", "2.0"),
    ("round(2.5)", "2"),
    ("round(-3.5)", "-4"),
    ("round(2.675, 2)", "2.67"),
    ("round(7)", "7"),
    ("len(a.list)", "3"),
    ("len(a.s)", "5"),
    ("len(a.o)", "1"),
    ("sum(a.list)", "6.5"),
    ("sum(a.rows.x)", "3"),
    ("mean(a.rows.x)", "1.5"),
    // Truths.
    ("0 < a.n <= 3", "true"),
    ("0 < a.n < 3", "false"),
    ("a.s == 'steel' and not (a.n != 3)", "true"),
    ("a.s == \"wood\" or a.ok", "true"),
    ("a.n == 3.0", "true"),
    ("a.z == null", "true"),
    ("a.n != null", "true"),
    ("is_null(a.z)", "true"),
    ("is_null(a.n)", "false"),
    // Only what is needed is looked at.
    ("false and 1 / 0 > 1", "false"),
    ("true or gone.x", "true"),
    ("if(is_null(gone?), 0, gone.x)", "0"),
    // References.
    ("inputs.F * 2", "2000"),
    ("inputs", r#"{"F": 1000, "d": 12.50}"#),
    ("it + index", "10"),
    ("a.rows[1].x", "2"),
    ("a.rows[index - 1].x", "2"),
    ("a.list[4 / 2]", "3"),
    ("a.o['p q']", "7"),
    ("a.rows.x", "[1,2]"),
    ("m", r#"[{"x": 0.0},null,{"x": 2.0}]"#),
    ("m?.x", "[0.0,null,2.0]"),
    ("m[2].x", "2.0"),
    ("m[index].x", "2.0"),
    ("m[1]?.x", "null"),
    ("m[7]?", "null"),
    ("gone?.x.y", "null"),
    ("a.q?", "null"),
    ("a.q?.r", "null"),
    ("a.z?.r", "null"),
];

#[test]
fn expressions_have_the_values_that_their_authors_expect() {
    for (text, expected) in VALUES {
        assert_eq!(value(text).as_deref(), Ok(*expected), "{text}");
    }
}

#[test]
fn what_has_no_value_says_what_was_found() {
    let rows = [
        ("1 / 0", "1 is divided by zero"),
        ("a.n / (a.n - 3)", "3 is divided by zero"),
        ("sqrt(-1)", "-1 has no square root"),
        ("(-8) ^ 0.5", "-8 has no power of 0.5"),
        ("0 ^ -1", "0 has no power of -1"),
        ("1e300 * 1e300", "the product is beyond the largest number"),
        ("a.huge + 1", "1e400 is beyond what a number can be computed with"),
        ("a.z + 1", "needs a number, not null"),
        ("a.s * 2", "needs a number, not a string"),
        ("a.s < 2", "a string and the number 2 can't be compared with <"),
        ("a.list == a.list", "a list and a list can't be compared with =="),
        ("a.n and true", "needs true or false, not the number 3"),
        ("not a.s", "needs true or false, not a string"),
        ("a.q", "a has no field \"q\": it has f, n, big"),
        ("a.o.x.y", "a.o has no field \"x\": it has p q"),
        ("a.n.x", "a.n is a number, and has no field \"x\""),
        ("a.z.x", "a.z is null, and has no field \"x\""),
        ("a.n[0]", "a.n is a number, and no list to take an element of"),
        ("a.list[3]", "has 3 elements, counted from 0, and none at 3"),
        ("a.list[-1]", "none at -1"),
        ("a.list[0.5]", "an index is a whole number, not the number 0.5"),
        ("m[3].x", "m has 3 elements, counted from 0, and none at 3"),
        ("m[1].x", "m has no output, since it was skipped: write m?"),
        ("m.x", "m has no output, since it was skipped: write m?"),
        ("gone.x", "gone has no output, since it was skipped: write gone?"),
        ("sum(m?.x)", "needs a number, not null"),
        ("mean(a.list[0])", "needs a list, not the number 1"),
        ("len(a.n)", "needs a list, a text or an object, not the number 3"),
        ("round(1.5, 99)", "\"round\" keeps 0 to 15 digits, not 99"),
        ("min(a.rows)", "\"min\" needs a number, not an object"),
    ];
    for (text, expected) in rows {
        let error = value(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    let long = format!("1{}", "+1".repeat(EXPR_BYTES_MAX / 2));
    let deep = format!("{}1{}", "(".repeat(200), ")".repeat(200));
    let signs = format!("{}1", "-".repeat(500));
    let powers = format!("2{}", "^2".repeat(300));
    let rows = [
        ("", "a value is needed here, not the end (character 1 of \"\")"),
        ("1 +", "a value is needed here, not the end (character 4"),
        ("1 2", "\"2\" is not expected here (character 3"),
        ("(1", "\")\" is needed here, not the end"),
        ("b.x", "there is no \"b\": there are inputs, a, m (character 1"),
        ("open('x')", "there is no function \"open\": there are abs, min"),
        ("if(1, 2)", "if takes 3 arguments, not 2"),
        ("len()", "len takes 1 arguments, not 0"),
        ("a.", "a field is needed here, not the end"),
        ("a.1", "a field is needed here"),
        ("2x", "a sign is missing after 2"),
        ("012", "is no number as JSON writes it"),
        ("1e999", "is no number as JSON writes it"),
        ("a = 1", "two values are compared with =="),
        ("a && b", "'&' has no meaning here: write and"),
        ("!a", "has no meaning here: write not"),
        ("'text", "does not end"),
        ("a; b", "';' has no meaning here"),
        ("é", "'é' has no meaning here"),
        ("a.x = \u{202e}", "two values"),
        (&long, "2000 bytes at most"),
        (&deep, "nests 24 levels deep at most"),
        (&signs, "nests 24 levels deep at most"),
        (&powers, "nests 24 levels deep at most"),
    ];
    for (text, expected) in rows {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    // A chain is flat, however long it is.
    let chain = format!("1{}", "+1".repeat(900));
    assert_eq!(value(&chain).as_deref(), Ok("901"));
}

fn types(root: Root) -> Type {
    let signature = r#"{"F": {"type": "Force", "unit": "kN"}, "G": "Force", "A": {"type": "Area", "unit": "mm^2"},
        "d": {"type": "Length", "unit": "mm"}, "n": "Integer", "k": "Float", "ok": "Boolean", "s": "String",
        "T": {"type": "Temperature", "unit": "degC"}, "list": {"type": "list[Length]", "unit": "mm"},
        "loads": {"type": {"x": {"type": "Force", "unit": "N"}}}, "v": "Force3", "o": "dict[str,Float]",
        "maybe": {"type": "Length", "required": false}}"#;
    let inputs = RawValue::from_string(signature.to_owned()).unwrap();
    let parts = SignatureParts { inputs: Some(&inputs), ..SignatureParts::default() };
    let signature = Signature::read(parts, "").unwrap();
    let all = Type::of(Port::new(mecapy_model::ports::PortType::Struct(signature.inputs().clone()), None).unwrap());
    match root {
        Root::Inputs => all,
        Root::Node(1) => all.list(),
        Root::Index => Type::Number { whole: true, measure: types::Measure::Plain },
        _ => Type::Any,
    }
}

fn type_of(text: &str) -> Result<String, String> {
    let ty = check(&read(text).unwrap().node, &types)?;
    Ok(match ty.port() {
        Some(port) => match port.unit().filter(|unit| unit.as_str() != "1") {
            Some(unit) => format!("{} in {unit}", port.ty()),
            None => port.ty().to_string(),
        },
        None if ty.has_lost_unit() => "lost".to_owned(),
        None => ty.described(),
    })
}

#[test]
fn types_and_units_are_followed_through_an_expression() {
    let rows = [
        ("inputs.F", "Force in kN"),
        ("inputs.F * 2", "Numeric in kN"),
        ("inputs.n * 2", "Integer"),
        ("inputs.n / 2", "Numeric"),
        ("inputs.G / inputs.A", "Numeric in N/mm^2"),
        ("inputs.d ^ 2", "Numeric in mm^2"),
        ("inputs.d * inputs.d / inputs.d", "Numeric in mm"),
        ("inputs.d / inputs.d", "Numeric"),
        ("inputs.d ^ inputs.n", "lost"),
        ("sqrt(inputs.A)", "lost"),
        ("sqrt(inputs.k)", "Numeric"),
        ("inputs.d * a.x", "lost"),
        ("a.x * inputs.d", "lost"),
        ("a.x * 2", "a value"),
        ("inputs.T - inputs.T", "lost"),
        ("inputs.T * 2", "lost"),
        ("inputs.T", "Temperature in degC"),
        ("inputs.F > 3 and inputs.ok", "Boolean"),
        ("inputs.list[0]", "Length in mm"),
        ("max(inputs.list)", "Numeric in mm"),
        ("mean(inputs.v)", "Numeric in N"),
        ("len(inputs.list)", "Integer"),
        ("round(inputs.d)", "Integer in mm"),
        ("inputs.loads.x", "Force in N"),
        ("inputs.o.anything", "Float"),
        ("m.d", "list[Length] in mm"),
        ("m[index].loads.x", "Force in N"),
        ("m.loads.x", "list[Force] in N"),
        ("if(inputs.ok, inputs.d, 0)", "Numeric in mm"),
        ("a.b[3].c", "a value"),
        ("'x'", "String"),
    ];
    for (text, expected) in rows {
        assert_eq!(type_of(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn an_expression_that_cannot_be_right_is_refused_beforehand() {
    let rows = [
        ("inputs.F + inputs.G", "a number in kN and one in N can't be added"),
        ("inputs.F < inputs.d", "a number in kN and one in mm can't be compared"),
        ("max(inputs.F, inputs.G)", "can't be compared"),
        ("inputs.s + 1", "a number is needed, not a text"),
        ("inputs.s < 'b'", "a text and a text can't be compared with <"),
        ("inputs.s == 1", "a text and a number can't be compared with =="),
        ("not inputs.d", "true or false is needed, not a number in mm: compare it"),
        ("inputs.ok and inputs.n", "true or false is needed, not a number"),
        ("inputs.x", "inputs has no field \"x\": there are F, G"),
        ("inputs.d.x", "inputs.d is a number in mm, and has no field \"x\""),
        ("inputs.d[0]", "inputs.d is a number in mm, and no list"),
        ("m.x", "m has no field \"x\""),
        ("sum(inputs.d)", "a list is needed, not a number in mm"),
        ("len(inputs.n)", "a list, a text or an object is needed, not a number"),
        ("2 ^ inputs.d", "an exponent is a plain number, not one in mm"),
        ("null + 1", "a number is needed, not null"),
        ("if(inputs.n, 1, 2)", "true or false is needed"),
        ("if(inputs.ok, inputs.F, inputs.G)", "can't be chosen from"),
    ];
    for (text, expected) in rows {
        let error = type_of(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn all_that_is_missing_is_looked_up_at_once() {
    let asked = std::cell::RefCell::new(Vec::new());
    let found = |_: Root| Found::Elements {
        len: 3,
        get: Box::new(|index| {
            asked.borrow_mut().push(index);
            Found::Missing
        }),
    };
    let expr = read("sum(m.x)").unwrap();
    assert_eq!(evaluate(&expr.node, &found).unwrap_err(), Undefined::Missing);
    assert_eq!(*asked.borrow(), [0, 1, 2]);
}

/// Whatever is written, it is an expression or a fault, and has a value or a reason.
#[test]
fn no_text_makes_it_panic() {
    use proptest::prelude::*;
    let word = prop_oneof![
        Just("a.n"),
        Just("a.z?"),
        Just("m.x"),
        Just("gone?"),
        Just("it"),
        Just("index"),
        Just("+"),
        Just("-"),
        Just("*"),
        Just("/"),
        Just("^"),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just(","),
        Just("<"),
        Just("=="),
        Just("and"),
        Just("or"),
        Just("not"),
        Just("if("),
        Just("max("),
        Just("round("),
        Just("1e308"),
        Just("0"),
        Just("7"),
        Just("170141183460469231731687303715884105727"),
        Just("'x'"),
        Just("null"),
        Just("true"),
    ];
    let texts = prop_oneof![proptest::collection::vec(word, 0..20).prop_map(|words| words.join(" ")), any::<String>()];
    proptest!(ProptestConfig::with_cases(4_000), |(text in texts)| {
        if let Ok(expr) = read(&text) {
            let _ = check(&expr.node, &types);
            let _ = evaluate(&expr.node, &found);
        }
    });
}
