//! Calls of published functions: by preview and by task, with inputs that are checked, in units, and results that are.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Server, call, fixture_path, manifest, merge, zip_of, zip_of_folder};
use serde_json::{Value, json};

/// What comes back as it was sent, in the units of the ports.
const ECHO: &str = "  echo:
    handler: calc:echo
    inputs:
      length: {type: Length, default: 1}
      width: {type: Length, unit: mm, default: 1}
      temperature: {type: Temperature, default: 300}
      count: {type: Integer, default: 1}
      ratio: {type: Float, default: 1}
      loads: {type: 'list[Force]', default: []}
      grade: {type: 'literal[\"8.8\", \"10.9\"]', default: '8.8'}
      a:
        type: {b: {type: {c: {type: Force, unit: N}}}}
        required: false
  needs:
    handler: calc:echo
    inputs:
      F: {type: Force, unit: kN, description: Axial force}
";
const ECHO_SOURCE: &str = "def echo(**inputs):\n    return inputs\n";

/// A round rod, valid in a range that is told before the run or after it.
const ROD: &str = "  rod:
    handler: calc:rod
    validity:
      - {expression: stress <= 400, on_violation: flag}
      - {expression: F <= 1000 * d, on_violation: flag}
    inputs:
      F: {type: Force, unit: N}
      d:
        type: Length
        unit: mm
        validity: {expression: d >= 3, on_violation: refuse}
    outputs:
      stress: {type: Stress, unit: MPa, validity: stress <= 1000}
";
const ROD_SOURCE: &str = "def rod(F, d):\n    return {'stress': F / d**2}\n";

/// Results that are none, and what else a function may do.
const ODD: &str = "  odd:
    handler: calc:odd
    inputs: {kind: String}
    outputs: {x: Float}
  bare:
    handler: calc:bare
    outputs: {result: 'list[Integer]'}
  free:
    handler: calc:bare
";
const ODD_SOURCE: &str = "\
from deep import fail

def bare():
    return {3, 1, 2}

def odd(kind):
    if kind == 'set': return {1.5, 2.5}
    if kind == 'set inside': return {'x': {1.5, 2.5}}
    if kind == 'nan': return {'x': float('nan')}
    if kind == 'text': return {'x': '1.5'}
    if kind == 'more': return {'x': 1.5, 'y': 2}
    if kind == 'less': return {}
    if kind == 'nothing': return None
    if kind == 'function': return {'x': odd}
    if kind == 'print':
        for _ in range(16): print('x' * (1 << 20))
    if kind == 'raise':
        fail(3)
    return {'x': 1}
";
const DEEP_SOURCE: &str = "def fail(d):\n    raise ValueError(f'd = {d} is too thin')\n";

#[tokio::test]
async fn the_fixture_publishes_and_gives_the_values_of_its_own_test_cases() -> Result<()> {
    let server = Server::start().await?;
    let folder = fixture_path("packages/bolted-joint")?;
    let published = server.publish(zip_of_folder(&folder)?, "").await?.expect(201)?;
    ensure!(published.str_at("/reference")? == "default/bolted-joint@1.2.0", "{}", published.text());
    let tests = published.at("/tests")?;
    ensure!((&tests["total"], &tests["passed"], &tests["failed"]) == (&json!(24), &json!(24), &json!(0)), "{tests}");
    ensure!(published.at("/functions")?.as_array().map(Vec::len) == Some(9), "{}", published.text());
    let kept = server.get("/v1/packages/default/bolted-joint/versions/1.2.0").await?.expect(200)?;
    ensure!(kept.at("/tests")? == tests && kept.at("/digest")? == published.at("/digest")?, "{}", kept.text());

    let upload = server.upload("load_cases.csv", std::fs::read(folder.join("tests/load_cases.csv"))?).await?;
    let joint = json!({
        "size": "M12", "strength_class": "8.8", "clamp_length": 40, "outer_diameter": 45, "shank_length": 20,
        "pressure_limit": 760, "loads": {"axial_max": 15000, "axial_min": 2000, "transverse": 1000},
    });
    let rows = [
        ("thread", json!({"size": "M12"}), "/stress_area", 84.2665, 1e-4),
        (
            "bolt_resilience",
            json!({"size": "M12", "clamp_length": 40, "shank_length": 20}),
            "/result",
            2.991_839e-6,
            3e-12,
        ),
        (
            "member_resilience",
            json!({"size": "M12", "clamp_length": 40, "outer_diameter": 45}),
            "/result",
            6.6743e-7,
            7e-12,
        ),
        (
            "load_factor",
            json!({"bolt_resilience": 2.991_839e-6, "member_resilience": 6.6743e-7}),
            "/result",
            0.091_197_2,
            1e-7,
        ),
        ("preload", json!({"size": "M10", "strength_class": "8.8"}), "/result", 29603.0, 1.0),
        ("torque", json!({"size": "M10", "preload": 29603}), "/result", 48.463, 1e-3),
        (
            "residual_clamp_load",
            json!({"preload": 43109.5, "axial": 15000, "load_factor": 0.091_197_2, "embedding_loss": 3006.06}),
            "/result",
            10305.34,
            0.05,
        ),
        ("verify", joint, "/safeties/yield", 1.14998, 3e-5),
        ("envelope", json!({"cases": "load_cases.csv"}), "/loads/axial_max", 15000.0, 0.0),
    ];
    for (function, inputs, pointer, expected, tolerance) in rows {
        let mut body = call(&format!("default/bolted-joint@1.2.0#{function}"), inputs);
        if function == "envelope" {
            merge(&mut body, json!({"files": {"load_cases.csv": upload}}));
        }
        let [preview, task] = server.both(&body).await.with_context(|| function.to_owned())?;
        let found = preview.clone().expect_completed()?.f64_at(&format!("/result{pointer}"))?;
        ensure!((found - expected).abs() <= tolerance, "{function}: {found}, not {expected}");
        ensure!(task.expect_completed()?.at("/result")? == preview.at("/result")?, "{function}: {}", preview.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_function_is_shown_with_all_that_a_form_needs() -> Result<()> {
    let server = Server::start().await?;
    server.publish(zip_of_folder(&fixture_path("packages/bolted-joint")?)?, "").await?.expect(201)?;
    server.publish_calc("echoes@0.1.0", ECHO, ECHO_SOURCE).await?;
    let shown = server.get("/v1/functions/default/bolted-joint/verify").await?.expect(200)?;
    for (pointer, expected) in [
        ("/reference", json!("default/bolted-joint@1.2.0#verify")),
        ("/handler", json!("joint.verification:verify")),
        ("/yanked_at", Value::Null),
        ("/inputs/$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("/inputs/type", json!("object")),
        ("/inputs/properties/clamp_length/unit", json!("mm")),
        ("/inputs/properties/clamp_length/x-units/0", json!("mm")),
        ("/inputs/properties/clamp_length/x-type", json!("Length")),
        ("/inputs/properties/clamp_length/description", json!("lK, from head to nut")),
        ("/inputs/properties/shank_length/default", json!(0.0)),
        ("/inputs/additionalProperties", json!(false)),
        ("/outputs/properties/torque/unit", json!("N*m")),
        ("/outputs/properties/is_safe/type", json!("boolean")),
    ] {
        let found = shown.at(pointer)?;
        ensure!(found == expected, "{pointer} is {found}, not {expected}");
    }
    let required = shown.at("/inputs/required")?;
    let needed = ["size", "strength_class", "clamp_length", "outer_diameter", "loads", "pressure_limit"];
    ensure!(required == json!(needed), "{required}");
    ensure!(shown.at("/inputs/properties/clamp_length/x-validity")?.to_string().contains("clamp_length > 0"));
    // Of a side that the manifest doesn't declare nothing is known.
    ensure!(server.get("/v1/functions/default/echoes/needs").await?.expect(200)?.at("/outputs")?.is_null());
    let same = server.get("/v1/functions/default/bolted-joint/verify?version=1.2.0").await?.expect(200)?;
    ensure!(same.text() == shown.text());
    for path in ["bolted-joint/verifi", "bolted-joint/verify?version=1.2.1", "bolted/verify", "Bolted/verify"] {
        server.get(&format!("/v1/functions/default/{path}")).await?.expect_problem(404)?;
    }
    server.get("/v1/functions/default/bolted-joint/verify?version=1.2").await?.expect_fault("/version")?;

    let all = server.get("/v1/functions").await?.expect(200)?.at("/functions")?;
    ensure!(all.as_array().map(Vec::len) == Some(11), "{all}");
    let page = server.get("/v1/functions?limit=1").await?.expect(200)?;
    ensure!(page.at("/functions")?.as_array().map(Vec::len) == Some(9), "{}", page.text());
    let rest = server.get(&format!("/v1/functions?limit=1&cursor={}", page.str_at("/next_cursor")?)).await?;
    ensure!(
        rest.str_at("/functions/0/reference")? == "default/echoes@0.1.0#echo" && rest.at("/next_cursor")?.is_null()
    );
    let found = server.get("/v1/functions?q=echo").await?.expect(200)?.at("/functions")?;
    ensure!(found.as_array().map(Vec::len) == Some(2), "{found}");
    let types = server.get("/v1/types").await?.expect(200)?.at("/types")?;
    let length = types.as_array().into_iter().flatten().find(|entry| entry["name"] == "Length").context("no Length")?;
    ensure!(length["unit"] == "m", "{length}");
    Ok(())
}

#[tokio::test]
async fn units_are_converted_exactly() -> Result<()> {
    let server = Server::start().await?;
    server.publish_calc("echoes@0.1.0", ECHO, ECHO_SOURCE).await?;
    let rows = [
        (json!({"length": {"value": 12, "unit": "mm"}}), "/length", json!(0.012)),
        // 3 * 0.0254 is 0.07619999999999999 in doubles.
        (json!({"length": {"value": 3, "unit": "in"}}), "/length", json!(0.0762)),
        (json!({"length": 12}), "/length", json!(12.0)),
        (json!({"width": {"value": 0.1, "unit": "m"}}), "/width", json!(100.0)),
        (json!({"width": {"value": 1, "unit": "ft"}}), "/width", json!(304.8)),
        (json!({"temperature": {"value": 25.3, "unit": "degC"}}), "/temperature", json!(298.45)),
        (json!({"loads": {"value": [1, 2.5], "unit": "kN"}}), "/loads", json!([1000.0, 2500.0])),
        (json!({"loads": [1, {"value": 1, "unit": "kN"}]}), "/loads", json!([1.0, 1000.0])),
        (json!({"a": {"b": {"c": {"value": 15, "unit": "kN"}}}}), "/a/b/c", json!(15000.0)),
        (json!({"count": 2_147_483_647}), "/count", json!(2_147_483_647)),
        (json!({"count": 3.0}), "/count", json!(3)),
        // A whole number for a Float is none to the guest, whose arrays of those have 32 bits.
        (json!({"ratio": 4_000_000_000_u64}), "/ratio", json!(4e9)),
    ];
    for (inputs, pointer, expected) in rows {
        let body = call("default/echoes#echo", inputs.clone());
        for answer in server.both(&body).await.with_context(|| inputs.to_string())? {
            let found = answer.expect_completed()?.at(&format!("/result{pointer}"))?;
            ensure!(found == expected, "{inputs}: {found}, not {expected}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn inputs_that_do_not_fit_are_refused_at_their_place() -> Result<()> {
    let server = Server::start().await?;
    server.publish_calc("echoes@0.1.0", ECHO, ECHO_SOURCE).await?;
    let deep = |value: Value| json!({"a": {"b": {"c": value}}});
    let rows = [
        (json!({"length": {"value": 12, "unit": "kN"}}), "/inputs/length/unit", "wrong_dimension", "length in m"),
        (json!({"length": {"value": 12, "unit": "mmm"}}), "/inputs/length/unit", "unknown_unit", "mm"),
        (json!({"length": {"value": 12}}), "/inputs/length/unit", "required", "use one of m, mm"),
        (json!({"count": {"value": 12, "unit": "mm"}}), "/inputs/count/unit", "wrong_dimension", "leave the unit out"),
        (json!({"loads": {"value": [1], "unit": "mm"}}), "/inputs/loads/unit", "wrong_dimension", "mm"),
        (json!({"count": 2_147_483_648_u64}), "/inputs/count", "out_of_range", "32 bits"),
        (json!({"count": -2_147_483_648_i64}), "/inputs/count", "out_of_range", "32 bits"),
        (json!({"count": 3e9}), "/inputs/count", "out_of_range", "Float"),
        (json!({"count": 1.5}), "/inputs/count", "not_whole", "1.5"),
        (json!({"count": true}), "/inputs/count", "wrong_type", "not true"),
        (json!({"ratio": "NaN"}), "/inputs/ratio", "not_finite", "finite"),
        (json!({"ratio": "-inf"}), "/inputs/ratio", "not_finite", "finite"),
        (json!({"length": {"value": "NaN", "unit": "mm"}}), "/inputs/length/value", "not_finite", "finite"),
        (json!({"ratio": "1.5"}), "/inputs/ratio", "wrong_type", "send 1.5 without quotes"),
        (json!({"grade": "9.9"}), "/inputs/grade", "unknown_value", "10.9"),
        (json!({"LENGTH": 1}), "/inputs/LENGTH", "unknown_field", "did you mean \"length\"?"),
        (json!({"lenght": 1}), "/inputs/lenght", "unknown_field", "there are length, width"),
        (json!({"x/y~z": 1}), "/inputs/x~1y~0z", "unknown_field", "there is no input"),
        (deep(json!("12 kN")), "/inputs/a/b/c", "wrong_type", "send {\"value\": 12, \"unit\": \"kN\"}"),
        (deep(json!([1])), "/inputs/a/b/c", "wrong_type", "not an array"),
        (deep(json!({"value": 1, "unit": "s"})), "/inputs/a/b/c/unit", "wrong_dimension", "a force in N"),
        (json!({"a": {"b": {"d": 1}}}), "/inputs/a/b/d", "unknown_field", "c"),
        (json!({"a": {"b": {}}}), "/inputs/a/b/c", "required", "N"),
        (json!({"loads": [1, "x"]}), "/inputs/loads/1", "wrong_type", "not a string"),
    ];
    for (inputs, pointer, code, words) in rows {
        let body = call("default/echoes#echo", inputs.clone());
        for path in ["/v1/preview", "/v1/tasks"] {
            let fault = server.post(path, &body).await?.expect_fault_code(pointer, code);
            let message = fault.with_context(|| inputs.to_string())?["message"].to_string();
            ensure!(message.replace("\\\"", "\"").contains(words), "{inputs}: {message} does not say {words:?}");
        }
    }
    let missing =
        server.preview(&call("default/echoes#needs", json!({}))).await?.expect_fault_code("/inputs/F", "required")?;
    ensure!(missing["message"].to_string().contains("kN") && missing["message"].to_string().contains("Axial force"));
    let many = json!({"length": "x", "count": 1.5, "nothing": 1, "a": {"b": 1}});
    let answer = server.preview(&call("default/echoes#echo", many)).await?.expect_problem(422)?;
    for pointer in ["/inputs/length", "/inputs/count", "/inputs/nothing", "/inputs/a/b"] {
        answer.clone().expect_fault(pointer)?;
    }
    let text = r#"{"code": {"function": "default/echoes#echo"}, "inputs": {"ratio": NaN}}"#;
    server.post_text("/v1/preview", text).await?.expect_problem(400)?;
    let text = r#"{"code": {"function": "default/echoes#echo"}, "inputs": {"ratio": 1e400}}"#;
    server.post_text("/v1/preview", text).await?.expect_fault_code("/inputs/ratio", "out_of_range")?;
    server.preview(&call("default/echoes#echo", json!([]))).await?.expect_fault("/inputs")?;
    let tasks = server.get("/v1/tasks").await?.at("/tasks")?;
    ensure!(tasks == json!([]), "a refused call left a task: {tasks}");
    Ok(())
}

#[tokio::test]
async fn what_a_function_is_valid_for_is_checked_before_the_run_and_after_it() -> Result<()> {
    let server = Server::start().await?;
    server.publish_calc("rods@1.0.0", ROD, ROD_SOURCE).await?;
    let rod = |force: f64, d: f64| call("default/rods#rod", json!({"F": force, "d": d}));
    let flagged = |warnings: Value, words: &str| {
        let of =
            |warning: &Value| warning["code"] == "outside_validity" && warning["message"].to_string().contains(words);
        warnings.as_array().is_some_and(|warnings| warnings.len() == 1 && warnings.iter().any(of))
    };
    for path in ["/v1/preview", "/v1/tasks"] {
        let thin = server.post(path, &rod(1.0, 2.0)).await?.expect_fault_code("/inputs/d", "outside_validity")?;
        ensure!(thin["message"].to_string().contains("d >= 3"), "{thin}");
    }
    // Before the run, told only: 5000 N on 4 mm is 312.5 MPa.
    let accepted = server.post("/v1/tasks", &rod(5000.0, 4.0)).await?.expect(202)?;
    ensure!(flagged(accepted.at("/warnings")?, "F"), "{}", accepted.text());
    let id = accepted.str_at("/id")?;
    server.result(&id).await?.expect_result(&json!({"stress": 312.5}))?;
    ensure!(flagged(server.task(&id).await?.at("/warnings")?, "F"), "{}", server.task(&id).await?.text());
    // And after it: 800 MPa.
    let preview = server.preview(&rod(8_000_000.0, 100.0)).await?.expect_completed()?;
    let warnings = preview.at("/warnings")?;
    let told: Vec<_> = warnings.as_array().into_iter().flatten().map(|warning| &warning["code"]).collect();
    ensure!(told == ["outside_validity", "outside_validity"], "{warnings}");
    let id = server.submit(&rod(8_000_000.0, 100.0)).await?;
    server.result(&id).await?.expect_completed()?;
    ensure!(server.task(&id).await?.at("/warnings")? == warnings, "{warnings}");
    let fine = server.preview(&rod(1000.0, 10.0)).await?.expect_result(&json!({"stress": 10.0}))?;
    ensure!(fine.at("/warnings")? == json!([]), "{}", fine.text());
    // After the run, refused: 2222 MPa is no result of this function.
    for answer in server.both(&rod(200_000_000.0, 300.0)).await? {
        let message = answer.expect_error_kind("invalid_output")?.str_at("/error/message")?;
        ensure!(message.contains("/stress") && message.contains("stress <= 1000"), "{message}");
    }
    Ok(())
}

#[tokio::test]
async fn results_that_are_none_and_functions_that_raise_are_told() -> Result<()> {
    let server = Server::start().await?;
    let manifest = manifest("odds@1.0.0", ODD);
    let files = [("mecapy.yml", manifest.as_str()), ("calc.py", ODD_SOURCE), ("deep.py", DEEP_SOURCE)];
    let files = files.map(|(name, text)| (name, text.as_bytes()));
    server.publish(zip_of(&files)?, "").await?.expect(201)?;
    // A set is an array, in order.
    for function in ["bare", "free"] {
        for answer in server.both(&call(&format!("default/odds#{function}"), json!({}))).await? {
            answer.expect_result(&json!({"result": [1, 2, 3]}))?;
        }
    }
    let odd = |kind: &str| call("default/odds#odd", json!({"kind": kind}));
    for (kind, words) in [
        ("set", "the output \"x\" is needed"),
        ("set inside", "/x: a number is needed here, not an array"),
        ("nan", "result.x is NaN"),
        ("text", "/x: a number is needed here, not a string"),
        ("more", "there is no output \"y\""),
        ("less", "the output \"x\" is needed"),
        ("nothing", "the output \"x\" is needed"),
        ("function", "result.x is a function"),
    ] {
        for answer in server.both(&odd(kind)).await? {
            let message = answer.expect_error_kind("invalid_output").with_context(|| kind.to_owned())?;
            let message = message.str_at("/error/message")?;
            ensure!(message.contains(words), "{kind}: {message} does not say {words:?}");
        }
    }
    let mut nan = odd("nan");
    merge(&mut nan, json!({"non_finite": "null"}));
    for answer in server.both(&nan).await? {
        answer.expect_result(&json!({"x": null}))?;
    }
    let printed = server.preview(&odd("print")).await?.expect_result(&json!({"x": 1}))?;
    ensure!(
        printed.at("/stdout_truncated")? == json!(true) && printed.bytes.len() < 4 << 20,
        "{}",
        printed.bytes.len()
    );
    let id = server.submit(&odd("print")).await?;
    server.result(&id).await?.expect_result(&json!({"x": 1}))?;
    for answer in server.both(&odd("raise")).await? {
        check_traceback(&answer.expect_error_kind("exception")?)?;
    }
    server.probe().await?;
    Ok(())
}

/// The package's own lines by the package's own names, and nothing of what is around them.
fn check_traceback(answer: &Answer) -> Result<()> {
    let message = answer.str_at("/error/message")?;
    ensure!(message == "ValueError: d = 3 is too thin (deep.py, line 2)", "{message}");
    ensure!(answer.at("/error/line")? == json!(2), "{}", answer.text());
    let traceback = answer.str_at("/error/traceback")?;
    for words in
        ["File \"calc.py\", line 18, in odd\n    fail(3)", "File \"deep.py\", line 2, in fail\n    raise ValueError"]
    {
        ensure!(traceback.contains(words), "{words:?} is missing in {traceback}");
    }
    ensure!(traceback.matches("File \"").count() == 2, "{traceback}");
    for platform in ["mecapy", "/usr/", "task.py", "runner", "<string>"] {
        ensure!(!traceback.contains(platform), "{platform} is told: {traceback}");
    }
    Ok(())
}
