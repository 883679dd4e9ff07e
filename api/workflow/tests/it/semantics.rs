//! What follows from what: one small workflow for each rule.

use crate::computed::{done, failed};
use crate::world::{End, Fault, Habits, World, check_log};
use mecapy_model::{ErrorKind, RunId, TaskId, UploadId};
use mecapy_workflow::{
    Definition, Entry, Event, FileSource, Json, NodeView, Outcome, Output, Run, RunError, RunState, Signal, SkipReason,
    Start, Then, What, Work, WorkOutcome,
};
use serde_json::{Value, json};
use std::sync::Arc;

fn definition(nodes: &str, outputs: &str) -> Arc<Definition> {
    let nodes = nodes.replace("$py", r#""code": {"language": "python", "source": ""}"#);
    let inputs = r#"{"n": {"type": "Integer", "default": 1}, "list": {"type": "list[Integer]", "default": [1, 2, 3]}}"#;
    let text = format!(r#"{{"name": "w", "inputs": {inputs}, "nodes": [{nodes}], "outputs": {outputs}}}"#);
    Arc::new(Definition::parse(&text, &|_| None).unwrap_or_else(|faults| panic!("{faults:#?}")))
}

/// Nodes whose keys begin with `bad` fail, those with `big` give much, all others what they were given.
fn script(_: &str, start: &Start) -> WorkOutcome {
    let What::Task(task) = &start.what else { panic!("no task") };
    let inputs: Value = serde_json::from_str(task.inputs.get()).unwrap();
    match start.key.as_str() {
        key if key.starts_with("bad") => failed("bad"),
        key if key.starts_with("big") => done(json!({"text": "x".repeat(100_000), "v": 1}), &[]),
        key if key.starts_with("odd") && inputs["x"].as_i64().unwrap() % 2 == 0 => failed("even"),
        key if key.starts_with("mesh") => done(json!({}), &["plate.med", "log.txt"]),
        _ => given(&start.what),
    }
}

/// The inputs as the result, to the letter.
fn given(what: &What) -> WorkOutcome {
    let What::Task(task) = what else { panic!("no task") };
    WorkOutcome::Completed { output: Output::Value(task.inputs.clone()), artifacts: Vec::new() }
}

fn run_with(habits: Habits, nodes: &str, outputs: &str) -> (World, RunId) {
    let mut world = World::new(habits, [definition(nodes, outputs)]);
    let run = world.start("w", "{}");
    world.settle();
    check_log(&world.runs[&run]);
    (world, run)
}

fn end(nodes: &str, outputs: &str) -> End {
    let (world, run) = run_with(Habits::of(script), nodes, outputs);
    world.end(run)
}

fn outputs(nodes: &str, outputs: &str) -> String {
    let end = end(nodes, outputs);
    end.outputs.as_ref().unwrap_or_else(|| panic!("{end:?}")).get().to_owned()
}

fn node(run: &Run, key: &str) -> NodeView {
    run.view().nodes.into_iter().find(|node| node.key == key).unwrap()
}

#[test]
fn numbers_go_through_a_workflow_untouched() {
    let nodes = r#"{"key": "a", $py, "inputs": {"x": 1.50, "big": 123456789012345678901234567890, "in": {"deep": [{"from": "inputs.n"}, 1e5]}}},
        {"key": "b", $py, "inputs": {"x": {"from": "a.x"}, "whole": {"from": "a"}}}"#;
    let (world, _) = run_with(Habits::of(script), nodes, "{}");
    let inputs = world.tasks.values().map(|task| match &task.start.what {
        What::Task(task) => task.inputs.get().to_owned(),
        What::Run(_) => panic!("no task"),
    });
    let inputs = inputs.collect::<Vec<_>>();
    assert_eq!(inputs[0], r#"{"x":1.50,"big":123456789012345678901234567890,"in":{"deep":[1,1e5]}}"#);
}

#[test]
fn a_condition_that_is_false_skips_and_what_needs_the_output_is_skipped_too() {
    let nodes = r#"{"key": "a", $py, "inputs": {"v": 1}, "when": "inputs.n > 5"},
        {"key": "b", $py, "inputs": {"v": {"from": "a.v"}}},
        {"key": "c", $py, "inputs": {"v": {"from": "b?.v"}, "w": {"expr": "if(is_null(a?), 0, a.v)"}}, "needs": ["a"]},
        {"key": "d", $py, "inputs": {"v": {"expr": "if(is_null(a?), 0, a?.v)"}}, "needs": ["b"]}"#;
    let (world, run) =
        run_with(Habits::of(script), nodes, r#"{"a": {"from": "a.v"}, "b": {"from": "b?.v"}, "d": {"from": "d.v"}}"#);
    assert_eq!(world.end(run).outputs.unwrap().get(), r#"{"b":null,"d":0}"#);
    let run = world.fold(run);
    let states: Vec<_> = ["a", "b", "c", "d"].map(|key| node(&run, key)).map(|node| (node.state, node.skipped)).into();
    let needs = |key: &str| Some(SkipReason::Needs(key.to_owned()));
    // `c` names a.v without a question mark somewhere: that alone makes it need the output.
    assert_eq!(
        states,
        [("skipped", Some(SkipReason::When)), ("skipped", needs("a")), ("skipped", needs("a")), ("completed", None)]
    );
}

#[test]
fn a_failure_ends_the_run_and_stops_what_is_under_way() {
    let nodes = r#"{"key": "slow", $py}, {"key": "bad", $py}, {"key": "after", $py, "needs": ["bad"]}"#;
    let mut run = Run::begin(definition(nodes, "{}"), Json::parse("{}").unwrap(), 0, 0).0;
    let step = run.plan(&[], 0, &|_| None);
    let tasks = [TaskId::from_parts(1, &[0; 10]), TaskId::from_parts(2, &[0; 10])];
    for (start, task) in step.starts.iter().zip(tasks) {
        run.started(start, Work::Task(task), 0);
    }
    let outcome = WorkOutcome::Failed { kind: ErrorKind::Exception.into(), message: "boom".to_owned() };
    let step = run.plan(&[Signal::WorkEnded { work: Work::Task(tasks[1]), outcome }], 1, &|_| None);
    assert_eq!((step.cancels.as_slice(), step.starts.as_slice()), (&[Work::Task(tasks[0])][..], &[][..]));
    assert!(run.view().is_stopping && run.state() == RunState::Running);
    // It says so once, and after a log was folded once more.
    assert_eq!(run.plan(&[Signal::Tick], 2, &|_| None).cancels, []);
    let cancelled = Signal::WorkEnded { work: Work::Task(tasks[0]), outcome: WorkOutcome::Cancelled };
    let step = run.plan(&[cancelled], 3, &|_| None);
    assert_eq!(step.events.len(), 2);
    let view = run.view();
    let states: Vec<_> = view.nodes.iter().map(|node| node.state).collect();
    assert_eq!(states, ["cancelled", "failed", "cancelled"]);
    let error = view.error.unwrap();
    assert_eq!((view.state, error.key.as_deref(), error.message.as_str()), (RunState::Failed, Some("bad"), "boom"));
}

#[test]
fn a_failure_is_passed_over_or_replaced_where_the_node_says_so() {
    let skip = r#"{"key": "bad", $py, "on_error": "skip"}, {"key": "hard", $py, "inputs": {"v": {"from": "bad.v"}}},
        {"key": "soft", $py, "inputs": {"v": {"from": "bad?.v"}}}"#;
    assert_eq!(outputs(skip, r#"{"hard": {"from": "hard.v"}, "soft": {"from": "soft.v"}}"#), r#"{"soft":null}"#);
    let default = r#"{"key": "bad", $py, "on_error": "default", "default": {"v": 2.50}},
        {"key": "then", $py, "inputs": {"v": {"from": "bad.v"}}}"#;
    assert_eq!(outputs(default, r#"{"v": {"from": "then.v"}}"#), r#"{"v":2.50}"#);
    let elements = r#"{"key": "odd", $py, "map": {"over": "inputs.list", "as": "x"}, "inputs": {"x": {"from": "x"}}, "on_error": "$"}"#;
    let skip = elements.replace("\"$\"", "\"skip\"");
    assert_eq!(outputs(&skip, r#"{"x": {"from": "odd?.x"}}"#), r#"{"x":[1,null,3]}"#);
    let default = elements.replace("\"$\"", "\"default\", \"default\": {\"x\": 0}");
    assert_eq!(outputs(&default, r#"{"x": {"from": "odd.x"}}"#), r#"{"x":[1,0,3]}"#);
    let error = end(&elements.replace("\"$\"", "\"fail\""), "{}").error.unwrap();
    assert_eq!((error.key.as_deref(), error.index), (Some("odd"), Some(1)));
}

#[test]
fn what_has_no_value_fails_its_node_and_says_why() {
    let rows = [
        (
            r#"{"key": "a", $py, "inputs": {"v": {"expr": "1 / (inputs.n - 1)"}}}"#,
            "expression",
            "inputs.v: 1 / (inputs.n - 1): 1 is divided by zero",
        ),
        (
            r#"{"key": "a", $py}, {"key": "b", $py, "inputs": {"v": {"from": "a.v"}}}"#,
            "expression",
            "inputs.v: a.v: a has no field \"v\": it has nothing",
        ),
        (
            r#"{"key": "a", $py, "inputs": {"v": 1}}, {"key": "b", $py, "when": "a.v"}"#,
            "expression",
            "a.v: a condition is true or false, not the number 1",
        ),
        (
            r#"{"key": "a", $py, "inputs": {"v": 1}}, {"key": "b", $py, "map": {"over": "a.v"}}"#,
            "map",
            "a.v: a list is needed to map over, not the number 1",
        ),
        (
            r#"{"key": "a", $py, "map": {"over": "inputs.list", "width_max": 2}}"#,
            "map",
            "3 elements to map over, and 2 at most here",
        ),
        (
            r#"{"key": "mesh", $py}, {"key": "b", $py, "files": {"x": {"from": "mesh.artifacts/beam.med"}}}"#,
            "missing_file",
            "it left plate.med, log.txt",
        ),
        (r#"{"key": "a", "workflow": "w", "inputs": {}}"#, "too_deep", "workflows nest 8 deep at most"),
        (r#"{"key": "a", "workflow": "elsewhere"}"#, "invalid_input", "no workflow \"elsewhere\""),
    ];
    for (nodes, kind, message) in rows {
        let end = end(nodes, "{}");
        let mut error = end.error.unwrap_or_else(|| panic!("{nodes} completed"));
        // Of a run in itself, the innermost is the one that is too deep.
        if kind == "too_deep" {
            error.kind = mecapy_workflow::FlowError::TooDeep.into();
        }
        assert!(error.kind.as_str() == kind && error.message.contains(message), "{nodes}: {error:?}");
    }
    let error = end(r#"{"key": "a", $py}"#, r#"{"x": {"expr": "a.v + 1"}}"#).error.unwrap();
    assert_eq!(error.key, None);
    assert!(error.message.starts_with("outputs.x: a.v + 1: a has no field \"v\""), "{error:?}");
    let passed = r#"{"key": "a", $py, "map": {"over": "inputs.list", "width_max": 2}, "on_error": "skip"},
        {"key": "b", $py, "inputs": {"v": {"from": "a?"}}}"#;
    assert_eq!(outputs(passed, r#"{"v": {"from": "b.v"}}"#), r#"{"v":null}"#);
}

#[test]
fn a_map_over_nothing_has_an_empty_output_and_order_is_kept() {
    let nodes = r#"{"key": "none", $py, "map": {"over": []}}, {"key": "a", $py, "when": "inputs.n > 5"},
        {"key": "over", $py, "map": {"over": "a?.list"}}, {"key": "each", $py, "map": {"over": ["q", 2.0, null], "as": "x"},
         "inputs": {"x": {"from": "x"}, "at": {"from": "index"}, "of": {"expr": "len(inputs.list)"}}}"#;
    let expected =
        r#"{"none":[],"over":[],"each":[{"x":"q","at":0,"of":3},{"x":2.0,"at":1,"of":3},{"x":null,"at":2,"of":3}]}"#;
    let found = outputs(nodes, r#"{"none": {"from": "none"}, "over": {"from": "over"}, "each": {"from": "each"}}"#);
    assert_eq!(found.replace(' ', ""), expected);
}

#[test]
fn a_try_again_waits_longer_each_time_and_only_where_it_can_help() {
    let flaky: fn(&str, &Start) -> WorkOutcome = |_, start| match (start.key.as_str(), start.attempt) {
        ("wrong", _) => WorkOutcome::Failed { kind: ErrorKind::InvalidInput.into(), message: "no".to_owned() },
        ("slow", _) => WorkOutcome::Failed { kind: ErrorKind::Timeout.into(), message: "late".to_owned() },
        ("lost", 1) => WorkOutcome::Failed { kind: ErrorKind::WorkerLost.into(), message: "lost".to_owned() },
        (_, attempt) if attempt < 4 => failed("flaky"),
        _ => done(json!({}), &[]),
    };
    let retry = r#""retry": {"max_attempts": 4, "backoff_ms": 100, "backoff_factor": 3"#;
    let waits = |key: &str, on: &str| {
        let nodes = format!(r#"{{"key": "{key}", $py, {retry} {on}}}}}"#);
        let (world, run) = run_with(Habits::of(flaky), &nodes, "{}");
        let log = &world.runs[&run].log;
        let again = log.iter().filter_map(|entry| match &entry.event {
            Event::NodeEnded { outcome: Outcome::Failed { then: Then::Retry { at_ms }, .. }, .. } => {
                Some(at_ms - entry.at_ms)
            }
            _ => None,
        });
        (again.collect::<Vec<_>>(), world.end(run).state)
    };
    assert_eq!(waits("flaky", ""), (vec![100, 300, 900], RunState::Completed));
    assert_eq!(waits("flaky", r#", "on": ["timeout"]"#), (vec![], RunState::Failed));
    assert_eq!(waits("wrong", ""), (vec![], RunState::Failed));
    assert_eq!(waits("slow", r#", "on": ["timeout"]"#), (vec![100, 300, 900], RunState::Failed));
    // What the platform lost is tried again whatever the node lists.
    assert_eq!(waits("lost", r#", "on": ["timeout"]"#).0, [100]);
}

#[test]
fn a_node_that_takes_too_long_is_stopped_and_its_late_end_is_not_heard() {
    let nodes = r#"{"key": "a", $py, "timeout_ms": 1000, "retry": {"max_attempts": 2, "backoff_ms": 0}}"#;
    let mut run = Run::begin(definition(nodes, r#"{"v": {"from": "a.v"}}"#), Json::parse("{}").unwrap(), 0, 0).0;
    let [first, second] = [1, 2].map(|id| Work::Task(TaskId::from_parts(id, &[0; 10])));
    let step = run.plan(&[], 0, &|_| None);
    run.started(&step.starts[0], first, 10);
    assert_eq!(run.plan(&[], 11, &|_| None).wake_at_ms, Some(1_010));
    assert_eq!(run.plan(&[Signal::Tick], 1_009, &|_| None).events, []);
    let step = run.plan(&[Signal::Tick], 1_010, &|_| None);
    assert_eq!((step.cancels, step.starts.len(), step.starts[0].attempt), (vec![first], 1, 2));
    run.started(&step.starts[0], second, 1_010);
    let ended = |work, v: i32| {
        let output = Output::Value(Json::parse(format!("{{\"v\":{v}}}")).unwrap());
        Signal::WorkEnded { work, outcome: WorkOutcome::Completed { output, artifacts: Vec::new() } }
    };
    assert_eq!(run.plan(&[ended(first, 1)], 1_020, &|_| None).events, []);
    run.plan(&[ended(second, 2)], 1_030, &|_| None);
    assert_eq!(run.view().outputs.unwrap().get(), r#"{"v":2}"#);
}

#[test]
fn a_person_may_say_no_or_nothing() {
    let nodes = r#"{"key": "ask", "approval": {"message": "go?", "timeout_ms": 500}, "on_error": "skip"},
        {"key": "a", $py, "inputs": {"by": {"from": "ask.by"}}}, {"key": "b", $py, "inputs": {"yes": {"from": "ask?.approved"}}}"#;
    let shown = r#"{"a": {"from": "a.by"}, "b": {"from": "b.yes"}}"#;
    assert_eq!(outputs(nodes, shown), r#"{"a":"ada","b":true}"#);
    let no = |key: &str| Signal::Reject { key: key.to_owned(), by: "bob".to_owned(), comment: None };
    let (world, run) = run_with(Habits { answer: no, ..Habits::of(script) }, nodes, shown);
    assert_eq!(world.end(run).outputs.unwrap().get(), r#"{"b":null}"#);
    // Somebody speaks of another node: the time runs out.
    let elsewhere = |_: &str| Signal::Approve { key: "a".to_owned(), by: "eve".to_owned(), comment: None };
    let (world, run) = run_with(Habits { answer: elsewhere, ..Habits::of(script) }, nodes, shown);
    assert_eq!(world.end(run).outputs.unwrap().get(), r#"{"b":null}"#);
    let error = node(&world.fold(run), "ask").instance.unwrap().error.unwrap();
    assert_eq!(error.kind.as_str(), "timeout");
}

#[test]
fn who_approves_is_shown_what_it_is_about() {
    let nodes = r#"{"key": "a", $py, "inputs": {"v": 1.50}},
        {"key": "ask", "approval": {"message": "go?"}, "inputs": {"stress": {"from": "a.v"}, "limit": 2}}"#;
    let mut world = World::new(Habits::of(script), [definition(nodes, "{}")]);
    let run = world.start("w", "{}");
    world.advance(3);
    let folded = world.fold(run);
    assert!(folded.awaits_approval("ask"));
    assert_eq!(folded.asked_about("ask", &|_| None).unwrap().get(), r#"{"stress":1.50,"limit":2}"#);
    assert_eq!(node(&folded, "ask").message.as_deref(), Some("go?"));
    world.settle();
    assert!(world.fold(run).asked_about("ask", &|_| None).is_none());
}

#[test]
fn a_run_that_was_given_up_hears_nothing_and_can_be_restarted() {
    let mut run = Run::begin(definition(r#"{"key": "a", $py}"#, "{}"), Json::parse("{}").unwrap(), 0, 0).0;
    let [first, second] = [1, 2].map(|id| Work::Task(TaskId::from_parts(id, &[0; 10])));
    let step = run.plan(&[], 0, &|_| None);
    run.started(&step.starts[0], first, 0);
    let error = RunError { key: None, index: None, kind: ErrorKind::Executor.into(), message: "gone".to_owned() };
    let event = Event::Ended { state: RunState::Failed, outputs: None, error: Some(error) };
    run.apply(&Entry { at_ms: 1, event }).unwrap();
    let output = Output::Value(Json::parse("{}").unwrap());
    let ended = |work| {
        let outcome = WorkOutcome::Completed { output: output.clone(), artifacts: Vec::new() };
        Signal::WorkEnded { work, outcome }
    };
    assert_eq!(run.plan(&[ended(first)], 2, &|_| None).events, []);
    let step = run.plan(&[Signal::Restart, ended(first)], 3, &|_| None);
    assert_eq!((step.events.len(), step.starts[0].attempt), (1, 2));
    run.started(&step.starts[0], second, 3);
    run.plan(&[ended(first), ended(second)], 4, &|_| None);
    assert_eq!(run.state(), RunState::Completed);
}

#[test]
fn a_cancelled_run_stops_everything_wherever_it_is() {
    let nodes = r#"{"key": "a", $py}, {"key": "ask", "approval": {"message": "go?"}, "needs": ["a"]},
        {"key": "each", $py, "map": {"over": "inputs.list"}, "needs": ["ask"]}, {"key": "nested", "workflow": "inner", "needs": ["a"]}"#;
    let inner = r#"{"name": "inner", "nodes": [{"key": "x", "code": {"language": "python", "source": ""}}]}"#;
    let inner = Arc::new(Definition::parse(inner, &|_| None).unwrap());
    for fault in [None, Some(Fault::Before), Some(Fault::After), Some(Fault::Stale)] {
        for step in 0..12 {
            let mut world = World::new(Habits::of(script), [definition(nodes, "{}"), inner.clone()]);
            let run = world.start("w", "{}");
            world.advance(step);
            world.habits.fault = fault.map(|fault| (world.steps, fault));
            world.send(run, Signal::Cancel { by: Some("ada".to_owned()) });
            world.settle();
            let states: Vec<_> = world.runs.keys().map(|id| world.end(*id).state).collect();
            assert!(world.end(run).state == RunState::Cancelled || step > 8, "after {step}: {states:?}");
            world.runs.values().for_each(check_log);
            assert!(world.tasks.values().all(|task| task.outcome.is_some()));
        }
    }
}

#[test]
fn a_restart_keeps_what_has_completed() {
    let nodes = r#"{"key": "a", $py, "inputs": {"v": 1}},
        {"key": "odd", $py, "map": {"over": "inputs.list", "as": "x"}, "inputs": {"x": {"from": "x"}}, "needs": ["a", "uses"]},
        {"key": "bad_over", $py, "on_error": "skip", "needs": ["a"]}, {"key": "lone", $py, "inputs": {"v": {"from": "bad_over.v"}}},
        {"key": "bad_used", $py, "on_error": "default", "default": 5}, {"key": "uses", $py, "inputs": {"v": {"from": "bad_used"}}},
        {"key": "last", $py, "inputs": {"v": {"from": "odd.x"}}}"#;
    let (mut world, run) = run_with(
        Habits::of(script),
        nodes,
        r#"{"v": {"from": "last.v"}, "lone": {"from": "lone.v"}, "uses": {"from": "uses.v"}}"#,
    );
    assert_eq!(world.end(run).state, RunState::Failed);
    let executed = world.tasks.len();
    // What was at fault is mended meanwhile.
    world.habits.script = |_, start| match &start.what {
        what if !start.key.starts_with("bad") => given(what),
        _ => done(json!({"v": 9}), &[]),
    };
    world.send(run, Signal::Restart);
    world.send(run, Signal::Restart);
    world.settle();
    assert_eq!(world.end(run).outputs.unwrap().get(), r#"{"v":[1,2,3],"lone":9,"uses":5}"#);
    check_log(&world.runs[&run]);
    // The element that failed and the one that was stopped, the node that was passed over with the one behind it, and the last. Whoever used the
    // default has completed, and so it stays.
    let again: Vec<_> = world.tasks.values().skip(executed).map(|task| task.start.key.as_str()).collect();
    let mut keys = again.clone();
    keys.sort_unstable();
    assert_eq!(keys, ["bad_over", "last", "lone", "odd", "odd"]);
    let restarted = world.runs[&run].log.iter().find_map(|entry| match &entry.event {
        Event::Restarted { nodes } => Some(nodes.clone()),
        _ => None,
    });
    assert_eq!(restarted.unwrap(), ["odd", "bad_over", "lone", "last"]);
    let folded = world.fold(run);
    assert_eq!(folded.restart_refused(), Some("the run has completed: start another"));
    assert_eq!(folded.instances("odd", 1, 1).unwrap()[0].attempt, 2);
}

#[test]
fn retries_are_counted_anew_after_a_restart() {
    let nodes = r#"{"key": "bad", $py, "retry": {"max_attempts": 3, "backoff_ms": 5}}"#;
    let (mut world, run) = run_with(Habits::of(script), nodes, "{}");
    assert_eq!(world.tasks.len(), 3);
    world.send(run, Signal::Restart);
    world.settle();
    check_log(&world.runs[&run]);
    assert_eq!((world.tasks.len(), world.end(run).state), (6, RunState::Failed));
}

#[test]
fn what_is_too_large_for_the_log_is_loaded_when_it_is_needed() {
    let nodes = r#"{"key": "big", $py}, {"key": "a", $py, "inputs": {"v": {"from": "big.v"}}},
        {"key": "big_each", $py, "map": {"over": "inputs.list"}}, {"key": "b", $py, "inputs": {"v": {"from": "big_each.v"}}}"#;
    let (world, run) = run_with(
        Habits::of(script),
        nodes,
        r#"{"a": {"from": "a.v"}, "b": {"from": "b.v"}, "n": {"expr": "len(big.text)"}}"#,
    );
    assert_eq!(world.end(run).outputs.unwrap().get(), r#"{"a":1,"b":[1,1,1],"n":100000}"#);
    let text = serde_json::to_string(&world.runs[&run].log).unwrap();
    assert!(text.len() < 5_000, "{}", text.len());
    let nodes = r#"{"key": "big_each", $py, "map": {"over": "inputs.list"}}, {"key": "b", $py,
        "inputs": {"v": {"expr": "if(inputs.n > 0, inputs.list, 0)"}, "w": {"from": "big_each"}}}"#;
    assert_eq!(end(nodes, "{}").state, RunState::Completed);
}

#[test]
fn files_go_from_task_to_task_with_the_request() {
    let nodes = r#"{"key": "mesh", $py}, {"key": "each_mesh", $py}, {"key": "meshes", $py, "map": {"over": [1, 2]}},
        {"key": "a", $py, "seed": 5, "lane": "default", "limits": {"cpus": 1}, "files": {"m.med": {"from": "mesh.artifacts/plate.med"},
         "n.med": {"from": "meshes[1].artifacts/plate.med"}, "none": {"from": "mesh?.artifacts/none"},
         "u": "01890000-0000-7000-8000-000000000000"}}"#;
    let (world, _) = run_with(Habits::of(script), nodes, "{}");
    let task = world.tasks.values().find(|task| task.start.key == "a").unwrap();
    let What::Task(asked) = &task.start.what else { panic!("no task") };
    let source = |key: &str, index: Option<u32>| {
        let found = world.tasks.iter().find(|(_, task)| task.start.key == key && task.start.index == index);
        FileSource::Artifact { task: *found.unwrap().0, name: "plate.med".to_owned() }
    };
    let names: Vec<_> = asked.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["m.med", "n.med", "u"]);
    assert_eq!((&asked.files[0].1, &asked.files[1].1), (&source("mesh", None), &source("meshes", Some(1))));
    let id = UploadId::from_parts(7, &[1; 10]);
    let body = asked.request(|_, source| matches!(source, FileSource::Artifact { .. }).then_some(id));
    let body: Value = serde_json::from_str(&body).unwrap();
    let expected = json!({"name": "w / a", "code": {"language": "python", "source": ""}, "inputs": {}, "lane": "default",
        "limits": {"cpus": 1}, "seed": 5,
        "files": {"m.med": id.to_string(), "n.med": id.to_string(), "u": "01890000-0000-7000-8000-000000000000"}});
    assert_eq!(body, expected);
}

#[test]
fn a_log_of_another_definition_is_refused() {
    let (world, run) = run_with(Habits::of(script), r#"{"key": "a", $py}"#, "{}");
    let log = &world.runs[&run].log;
    let other = definition(r#"{"key": "b", $py}"#, "{}");
    assert_eq!(
        Run::fold(other.clone(), log.clone()).unwrap_err().to_string().split(',').next(),
        Some("the log names \"a\"")
    );
    assert!(Run::fold(other, []).is_err());
    // An end that stands there twice is not counted twice.
    let mut twice = log.clone();
    twice.insert(3, log[2].clone());
    assert!(Run::fold(world.runs[&run].definition.clone(), twice).is_err());
}
