//! Generated failures: every run of the fixtures, disturbed at every place, ends as the undisturbed one does.

use crate::computed::script;
use crate::fixtures::{Case, cases, definitions};
use crate::world::{End, Fault, Habits, World, check_log};
use mecapy_model::RunId;
use mecapy_workflow::{Definition, Event};
use std::sync::Arc;

/// Runs of a thousand nodes are disturbed elsewhere.
fn small_cases() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| case.workflow != "fan_out")
}

fn run(case: &Case, known: &[Arc<Definition>], habits: Habits) -> (World, RunId) {
    let mut world = World::new(case.answers(habits), known.iter().cloned());
    let id = world.start(case.workflow, &case.inputs);
    world.settle();
    world.runs.values().for_each(check_log);
    (world, id)
}

/// The end without what depends on which of several failures came first.
fn ensure_same(found: &End, expected: &End, what: &str) {
    assert_eq!((found.state, &found.outputs), (expected.state, &expected.outputs), "{what}");
    let kind = |end: &End| end.error.as_ref().map(|error| (error.key.clone(), error.kind));
    assert_eq!(kind(found), kind(expected), "{what}");
}

#[test]
fn a_crash_before_or_after_each_step_changes_nothing() {
    let known = definitions();
    for case in small_cases() {
        let (world, id) = run(&case, &known, Habits::of(script));
        let (expected, tasks) = (world.end(id), world.tasks.len());
        for step in 0..world.steps {
            for fault in [Fault::Before, Fault::After, Fault::Stale] {
                let what = format!("{}: step {step} {fault:?}", case.name());
                let (world, id) = run(&case, &known, Habits { fault: Some((step, fault)), ..Habits::of(script) });
                ensure_same(&world.end(id), &expected, &what);
                assert_eq!(world.tasks.len(), tasks, "{what}");
            }
        }
    }
}

#[test]
fn signals_that_come_twice_and_leases_that_are_lost_change_nothing() {
    let known = definitions();
    for case in small_cases() {
        let (world, id) = run(&case, &known, Habits::of(script));
        let (expected, tasks) = (world.end(id), world.tasks.len());
        let repeats = Habits { repeats: true, ..Habits::of(script) };
        let losses = Habits { loses_leases: true, ..Habits::of(script) };
        let loads = Habits { stores: true, ..Habits::of(script) };
        for habits in [repeats, losses, loads] {
            let (world, id) = run(&case, &known, habits);
            ensure_same(&world.end(id), &expected, &case.name());
            assert_eq!(world.tasks.len(), tasks, "{}", case.name());
        }
    }
}

#[test]
fn all_signals_once_more_after_the_end_change_nothing() {
    let known = definitions();
    for case in small_cases() {
        let (mut world, id) = run(&case, &known, Habits::of(script));
        let ids: Vec<_> = world.runs.keys().copied().collect();
        let logs: Vec<_> = world.runs.values().map(|run| run.log.clone()).collect();
        for id in ids {
            world.runs[&id].sent.clone().into_iter().for_each(|signal| world.send(id, signal));
        }
        world.settle();
        let after: Vec<_> = world.runs.values().map(|run| run.log.clone()).collect();
        assert_eq!(after, logs, "{} {id}", case.name());
    }
}

/// From every prefix of a log, with every signal delivered anew, the run comes to the same end; what the prefix says
/// has completed is not begun again.
#[test]
fn every_prefix_of_a_log_is_a_state_to_go_on_from() {
    let known = definitions();
    for case in small_cases() {
        let (world, id) = run(&case, &known, Habits::of(script));
        let (expected, len) = (world.end(id), world.runs[&id].log.len());
        for cut in 1..len {
            let (mut world, id) = run(&case, &known, Habits::of(script));
            let started = |world: &World| {
                let begins =
                    world.runs[&id].log.iter().filter(|entry| matches!(entry.event, Event::NodeStarted { .. }));
                begins.count()
            };
            let begins = started(&world);
            world.cut(id, cut);
            world.settle();
            ensure_same(&world.end(id), &expected, &format!("{} cut at {cut}", case.name()));
            // A failure that is heard of earlier lets less begin.
            let begun = started(&world);
            let same = if expected.error.is_some() { begun <= begins } else { begun == begins };
            assert!(same, "{} cut at {cut}: {begun} and not {begins}", case.name());
            world.runs.values().for_each(check_log);
        }
    }
}

#[test]
fn any_order_with_faults_and_repeats_ends_alike() {
    let known = definitions();
    for case in small_cases() {
        let (world, id) = run(&case, &known, Habits::of(script));
        let expected = world.end(id);
        for seed in 1..=40 {
            let habits = Habits { seed, repeats: seed % 2 == 0, stores: seed % 3 == 0, ..Habits::of(script) };
            let habits = Habits { loses_leases: seed % 5 == 0, ..habits };
            let (world, id) = run(&case, &known, habits);
            ensure_same(&world.end(id), &expected, &format!("{} with seed {seed}", case.name()));
        }
    }
}
