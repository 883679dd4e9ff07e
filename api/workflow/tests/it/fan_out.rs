//! Wide runs: a thousand elements, what each costs, and the bounds.

use crate::computed::script;
use crate::fixtures::{definition, definitions};
use crate::world::{Habits, World};
use mecapy_model::TaskId;
use mecapy_workflow::{Json, Output, Run, RunState, Signal, What, Work, WorkOutcome};
use std::time::{Duration, Instant};

/// For each element that ends, from its signal to the next step; the target is a thousand nodes in 3 s, of which the
/// planner may use a tenth. Machines that build something else meanwhile are slow: the best of several runs counts.
const PER_ELEMENT_MAX: Duration = Duration::from_micros(50);
const WIDTH: u32 = 1_000;

fn ended(task: TaskId, output: &str) -> Signal {
    let output = Output::Value(Json::parse(output).unwrap());
    Signal::WorkEnded { work: Work::Task(task), outcome: WorkOutcome::Completed { output, artifacts: Vec::new() } }
}

/// The whole run with one signal to each plan: the time of each step in the planner alone, and the outputs.
fn one_by_one(width: u32) -> (Vec<Duration>, Json) {
    let inputs = Json::parse(format!(r#"{{"count":{width}}}"#)).unwrap();
    let (mut run, _) = Run::begin(definition("fan_out"), inputs, 0, 0);
    let mut next = 0;
    let mut id = || {
        next += 1;
        TaskId::from_parts(next, &[0; 10])
    };
    let mut spent = Vec::new();
    let (mut waiting, mut signals) = (Vec::new(), Vec::new());
    // What is too large for the log.
    let mut list = None;
    loop {
        let began = Instant::now();
        let mut step = run.plan(&signals, 1, &|_| None);
        if !step.missing.is_empty() {
            step = run.plan(&[], 1, &|_| list.clone());
        }
        let made: Vec<_> = step.starts.into_iter().map(|start| (id(), start)).collect();
        for (task, start) in &made {
            run.started(start, Work::Task(*task), 1);
        }
        spent.push(began.elapsed());
        waiting.extend(made);
        let Some((task, start)) = waiting.pop() else { break };
        let What::Task(asked) = &start.what else { panic!("no task") };
        let output = match start.key.as_str() {
            "span" => format!(r#"{{"values":[{}]}}"#, (0..width).map(|n| n.to_string()).collect::<Vec<_>>().join(",")),
            "double" => {
                let x: u64 = asked.inputs.get().trim_start_matches(r#"{"x":"#).trim_end_matches('}').parse().unwrap();
                format!(r#"{{"y":{}}}"#, 2 * x)
            }
            _ => format!(r#"{{"sum":{}}}"#, asked.inputs.bytes()),
        };
        signals = vec![ended(task, &output)];
        if start.key == "span" {
            list = Some(Json::parse(output).unwrap());
        }
    }
    assert_eq!(run.state(), RunState::Completed);
    (spent, run.view().outputs.unwrap())
}

#[test]
fn an_element_that_ends_costs_a_few_microseconds() {
    let best: Duration = (0..5).map(|_| one_by_one(WIDTH).0.iter().sum()).min().unwrap();
    println!("{WIDTH} elements: {best:?} in the planner");
    assert!(best < PER_ELEMENT_MAX * WIDTH, "{best:?} for {WIDTH} elements");
}

#[test]
fn a_wide_run_costs_in_proportion() {
    let (_, outputs) = one_by_one(10_000);
    assert!(outputs.get().contains(r#""checked":99990000"#), "{outputs}");
    // A step is interrupted now and then; most are not.
    let usual = |width| {
        let mut steps = one_by_one(width).0;
        steps.sort();
        steps[steps.len() / 2]
    };
    let (narrow, wide) = (usual(1_000), usual(10_000));
    assert!(
        wide < narrow * 5 + PER_ELEMENT_MAX / 2,
        "a step takes {narrow:?} among 1000 elements, {wide:?} among 10000"
    );
}

#[test]
fn a_thousand_elements_come_in_order_whatever_order_they_end_in() {
    for seed in [0, 1, 2] {
        let mut world = World::new(Habits { seed, repeats: seed == 2, ..Habits::of(script) }, definitions());
        let run = world.start("fan_out", r#"{"count": 300}"#);
        world.settle();
        let view = world.fold(run).view();
        assert_eq!(view.outputs.unwrap().get(), r#"{"sum":89700.0,"checked":89700.0}"#);
        let elements = world.fold(run).instances("double", 0, 1_000).unwrap();
        let outputs: Vec<_> = elements.into_iter().map(|element| element.output.unwrap().get().to_owned()).collect();
        let expected: Vec<_> = (0..300).map(|n| format!(r#"{{"y":{}.0}}"#, 2 * n)).collect();
        assert_eq!(outputs, expected);
    }
}

#[test]
fn no_more_run_at_a_time_than_may() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/workflows/fan_out.json"));
    let text = text.unwrap().replacen("{", r#"{"limits": {"parallel_max": 7},"#, 1);
    let definition = mecapy_workflow::Definition::parse(&text, &|_| None).unwrap();
    let inputs = Json::parse(r#"{"count":50}"#).unwrap();
    let (mut run, _) = Run::begin(std::sync::Arc::new(definition), inputs, 0, 0);
    let mut waiting = std::collections::VecDeque::new();
    let mut signals = Vec::new();
    let (mut next, mut most) = (0, 0);
    loop {
        let step = run.plan(&signals, 1, &|_| None);
        for start in step.starts {
            next += 1;
            let task = TaskId::from_parts(next, &[0; 10]);
            run.started(&start, Work::Task(task), 1);
            waiting.push_back((task, start));
        }
        most = most.max(waiting.len());
        let Some((task, start)) = waiting.pop_front() else { break };
        let WorkOutcome::Completed { output: Output::Value(output), .. } = script("fan_out", &start) else { panic!() };
        signals = vec![ended(task, output.get())];
    }
    assert_eq!((run.state(), most, next), (RunState::Completed, 7, 52));
}
