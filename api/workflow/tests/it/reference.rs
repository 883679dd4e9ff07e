//! Random graphs, disturbed at random, against an interpreter that knows nothing of events: it walks the nodes in their
//! order and computes.

use crate::computed::{done, failed};
use crate::world::{Habits, World, check_log};
use mecapy_workflow::{Definition, RunState, Signal, Start, What, WorkOutcome};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const GRAPHS: u64 = 300;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Whether a node's attempt fails: by its name and element, for good or the first times.
fn fails(key: &str, index: Option<u64>, attempt: u32) -> bool {
    let mut dice = Dice(key.bytes().fold(index.unwrap_or(99), |sum, byte| sum * 31 + u64::from(byte)));
    match dice.roll(6) {
        0 => true,
        1 => attempt < 2,
        2 => attempt < 3,
        _ => false,
    }
}

/// All numbers in a value together.
fn sum(value: &Value) -> i64 {
    match value {
        Value::Number(number) => number.as_i64().unwrap(),
        Value::Array(items) => items.iter().map(sum).sum(),
        Value::Object(members) => members.values().map(sum).sum(),
        _ => 0,
    }
}

fn output(inputs: &Value) -> Value {
    let total = sum(inputs) % 1_000 + 1;
    json!({"v": total, "list": (0..total % 4).collect::<Vec<_>>()})
}

fn script(_: &str, start: &Start) -> WorkOutcome {
    if fails(&start.key, start.index.map(u64::from), start.attempt) {
        return failed("as the dice fell");
    }
    let What::Task(task) = &start.what else { panic!("no task") };
    done(output(&serde_json::from_str(task.inputs.get()).unwrap()), &[])
}

/// A random graph, as its definition.
fn graph(seed: u64) -> Value {
    let mut dice = Dice(seed);
    let count = 2 + dice.roll(9);
    let mut nodes: Vec<Value> = Vec::new();
    for number in 0..count {
        let mut inputs = Map::new();
        for needed in 0..number {
            if dice.roll(3) == 0 {
                let soft = if dice.roll(2) == 0 { "?" } else { "" };
                inputs.insert(format!("x{needed}"), json!({"from": format!("n{needed}{soft}.v")}));
            }
        }
        let mut node = json!({"key": format!("n{number}"), "code": {"language": "python", "source": ""}});
        if dice.roll(4) == 0 {
            // A mapped one is a list of lists, which is none to map over: these come from inputs of the run.
            let over = if dice.roll(2) == 0 { json!([3, 1, 2]) } else { json!("inputs.numbers") };
            node["map"] = json!({"over": over, "as": "x"});
            inputs.insert("x".to_owned(), json!({"expr": "x * 10 + index"}));
        }
        if number > 0 && dice.roll(4) == 0 {
            let needed = dice.roll(number);
            let mapped = nodes[needed as usize].get("map").is_some();
            let of = if mapped { format!("len(n{needed})") } else { format!("n{needed}.v") };
            node["when"] = json!(format!("{of} > {}", dice.roll(4)));
        }
        if number > 0 && dice.roll(5) == 0 {
            node["needs"] = json!([format!("n{}", dice.roll(number))]);
        }
        match dice.roll(6) {
            0 => {}
            1 | 2 => {
                node["on_error"] = json!("default");
                node["default"] = json!({"v": 7, "list": []});
            }
            _ => node["on_error"] = json!("skip"),
        }
        node["retry"] = json!({"max_attempts": 1 + dice.roll(3), "backoff_ms": dice.roll(50)});
        node["inputs"] = Value::Object(inputs);
        nodes.push(node);
    }
    let outputs: Map<_, _> = (0..count).map(|n| (format!("o{n}"), json!({"from": format!("n{n}.v")}))).collect();
    json!({"name": "graph", "inputs": {"numbers": {"type": "list[Integer]"}}, "nodes": nodes, "outputs": outputs})
}

/// What a node came to: an output, or nothing.
type Settled = Option<Value>;

/// What an attempt after another comes to; an error where the run fails.
fn attempts(node: &Value, index: Option<u64>, inputs: &Value) -> Result<Settled, ()> {
    let key = node["key"].as_str().unwrap();
    let tries = node["retry"]["max_attempts"].as_u64().unwrap() as u32;
    if (1..=tries).any(|attempt| !fails(key, index, attempt)) {
        return Ok(Some(output(inputs)));
    }
    given_up(node)
}

fn given_up(node: &Value) -> Result<Settled, ()> {
    match node.get("on_error").and_then(Value::as_str) {
        Some("default") => Ok(Some(node["default"].clone())),
        Some(_) => Ok(None),
        None => Err(()),
    }
}

/// `n3.v` or `n3?.v`: the value, nothing where the node gave none, or an error.
fn follow(reference: &str, settled: &[Settled]) -> Result<Option<Value>, ()> {
    let soft = reference.contains('?');
    let number: usize = reference[1..].chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
    let field = |value: &Value| match value {
        Value::Null if soft => Ok(Value::Null),
        Value::Null => Err(()),
        value => Ok(value["v"].clone()),
    };
    match &settled[number] {
        None if soft => Ok(Some(Value::Null)),
        None => Ok(None),
        Some(Value::Array(items)) => {
            items.iter().map(field).collect::<Result<_, _>>().map(|list| Some(Value::Array(list)))
        }
        Some(value) => field(value).map(Some),
    }
}

/// One node, with those before it settled; the error is the run's failure.
fn interpret(node: &Value, settled: &[Settled], numbers: &Value) -> Result<Settled, ()> {
    let inputs = node["inputs"].as_object().unwrap();
    let references = inputs.values().filter_map(|binding| binding.get("from")).map(|from| from.as_str().unwrap());
    let when = node.get("when").map(|when| when.as_str().unwrap());
    let hard = |reference: &str| !reference.contains('?') && settled[position(reference)].is_none();
    if references.clone().any(hard) || when.is_some_and(|when| settled[position(when)].is_none()) {
        return Ok(None);
    }
    if let Some(when) = when {
        let (left, right) = when.split_once(" > ").unwrap();
        let found = settled[position(when)].as_ref().unwrap();
        let left =
            if left.starts_with("len") { found.as_array().unwrap().len() as i64 } else { found["v"].as_i64().unwrap() };
        if left <= right.parse().unwrap() {
            return Ok(None);
        }
    }
    // An element that was passed over is null, and a null has no field: each element of the node fails by itself.
    let mut filled = Map::new();
    let mut undefined = false;
    for (name, binding) in inputs.iter().filter(|(name, _)| *name != "x") {
        match follow(binding["from"].as_str().unwrap(), settled) {
            Ok(value) => drop(filled.insert(name.clone(), value.unwrap())),
            Err(()) => undefined = true,
        }
    }
    let one = |index: Option<u64>, filled: &Map<String, Value>| match undefined {
        true => given_up(node),
        false => attempts(node, index, &Value::Object(filled.clone())),
    };
    let Some(map) = node.get("map") else { return one(None, &filled) };
    let items = if map["over"].is_array() { &map["over"] } else { numbers };
    let mut list = Vec::new();
    for (index, item) in items.as_array().unwrap().iter().enumerate() {
        filled.insert("x".to_owned(), json!(item.as_i64().unwrap() * 10 + index as i64));
        list.push(one(Some(index as u64), &filled)?.unwrap_or(Value::Null));
    }
    Ok(Some(Value::Array(list)))
}

fn position(reference: &str) -> usize {
    let digits = reference.trim_start_matches("len(").trim_start_matches('n');
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// The run's outputs, or nothing where it fails.
fn interpret_all(graph: &Value, numbers: &Value) -> Option<Value> {
    let mut settled = Vec::new();
    let mut is_failed = false;
    for node in graph["nodes"].as_array().unwrap() {
        match interpret(node, &settled, numbers) {
            Ok(end) => settled.push(end),
            // Others may or may not come to their end meanwhile.
            Err(()) => return None,
        }
    }
    let mut outputs = Map::new();
    for (name, binding) in graph["outputs"].as_object().unwrap() {
        match follow(binding["from"].as_str().unwrap(), &settled) {
            Ok(Some(value)) => drop(outputs.insert(name.clone(), value)),
            Ok(None) => {}
            Err(()) => is_failed = true,
        }
    }
    (!is_failed).then_some(Value::Object(outputs))
}

#[test]
fn random_graphs_come_to_what_a_naive_interpreter_says() {
    let (mut completed, mut broken) = (0, 0);
    for seed in 1..=GRAPHS {
        let graph = graph(seed);
        let text = graph.to_string();
        let definition = Definition::parse(&text, &|_| None).unwrap_or_else(|faults| panic!("{text}: {faults:#?}"));
        let definition = Arc::new(definition);
        let numbers = json!([5, 0, 2, 8]);
        let expected = interpret_all(&graph, &numbers);
        for disturbance in 0..6 {
            let seed = if disturbance == 0 { 0 } else { seed * 8 + disturbance };
            let habits = Habits { seed, repeats: disturbance % 2 == 0, stores: disturbance == 3, ..Habits::of(script) };
            let mut world = World::new(habits, [definition.clone()]);
            let run = world.start("graph", &json!({"numbers": numbers}).to_string());
            world.settle();
            let end = world.end(run);
            check_log(&world.runs[&run]);
            let outputs = end.outputs.as_ref().map(|outputs| serde_json::from_str::<Value>(outputs.get()).unwrap());
            assert_eq!(outputs, expected, "{text} with {seed}: {end:?}");
            let state = if expected.is_some() { RunState::Completed } else { RunState::Failed };
            assert_eq!(end.state, state, "{text}");
        }
        *(if expected.is_some() { &mut completed } else { &mut broken }) += 1;
    }
    // Both ends are met often.
    assert!(completed > GRAPHS / 10 && broken > GRAPHS / 10, "{completed} completed, {broken} failed");
}

/// Nothing fails.
fn sound(_: &str, start: &Start) -> WorkOutcome {
    let What::Task(task) = &start.what else { panic!("no task") };
    done(output(&serde_json::from_str(task.inputs.get()).unwrap()), &[])
}

#[test]
fn a_run_that_is_cancelled_anywhere_and_restarted_comes_to_the_same() {
    let inputs = json!({"numbers": [5, 0, 2, 8]}).to_string();
    for seed in 1..=GRAPHS / 2 {
        let definition = Arc::new(Definition::parse(&graph(seed).to_string(), &|_| None).unwrap());
        let whole = |habits: Habits, cancel_after: Option<usize>| {
            let mut world = World::new(habits, [definition.clone()]);
            let run = world.start("graph", &inputs);
            for after in cancel_after.into_iter().chain(cancel_after) {
                world.advance(after);
                world.send(run, Signal::Cancel { by: None });
                world.settle();
                world.send(run, Signal::Restart);
            }
            world.settle();
            check_log(&world.runs[&run]);
            let completed =
                world.tasks.values().filter(|task| matches!(task.outcome, Some(WorkOutcome::Completed { .. })));
            (world.end(run), completed.count())
        };
        let expected = whole(Habits::of(sound), None);
        for after in [0, 1, 3, 6, 10, 15] {
            let habits = Habits { seed: seed * 16 + after as u64, repeats: after % 2 == 0, ..Habits::of(sound) };
            let (end, completed) = whole(habits, Some(after));
            assert_eq!(end, expected.0, "{} cancelled after {after}", graph(seed));
            assert_eq!(completed, expected.1, "{} cancelled after {after}", graph(seed));
        }
    }
}
