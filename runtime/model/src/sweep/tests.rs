//! Sweeps: every kind of axis and mode, exact values, and what is said of those that can't be.

use super::sample::{Distribution, Stream};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn items(text: &str) -> Vec<String> {
    let sweep = Sweep::parse(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
    (0..u32::try_from(sweep.total()).unwrap()).map(|index| sweep.item(index)).collect()
}

/// The values of one input over all items, as they are written.
fn values(axis: &str) -> Vec<String> {
    let items = items(&format!(r#"{{"sweep":{{"x":{axis}}}}}"#));
    items.iter().map(|item| item.strip_prefix(r#"{"x":"#).unwrap().strip_suffix('}').unwrap().to_owned()).collect()
}

fn doubles(text: &str) -> Vec<f64> {
    // By the standard library: its doubles are the nearest ones.
    let parsed = |item: &String| item.rsplit(':').next()?.trim_end_matches('}').parse().ok();
    items(text).iter().map(|item| parsed(item).unwrap()).collect()
}

#[test]
fn a_grid_takes_each_with_each_and_the_last_axis_is_the_fastest() {
    let found = items(r#"{"sweep":{"d":[8,10],"F":{"from":0,"to":10,"step":5}},"inputs":{"steel":"8.8"}}"#);
    let expected = [
        r#"{"d":8,"F":0,"steel":"8.8"}"#,
        r#"{"d":8,"F":5,"steel":"8.8"}"#,
        r#"{"d":8,"F":10,"steel":"8.8"}"#,
        r#"{"d":10,"F":0,"steel":"8.8"}"#,
        r#"{"d":10,"F":5,"steel":"8.8"}"#,
        r#"{"d":10,"F":10,"steel":"8.8"}"#,
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_zip_takes_what_stands_side_by_side() {
    let found = items(r#"{"mode":"zip","sweep":{"a":["x",{"y":[1.10]}],"b":{"from":1,"to":2,"count":2}}}"#);
    assert_eq!(found, [r#"{"a":"x","b":1.0}"#, r#"{"a":{"y":[1.10]},"b":2.0}"#]);
}

#[test]
fn values_are_those_that_were_meant() {
    let rows: [(&str, &[&str]); 12] = [
        (r#"[1.10, 1e3, "a", null, 12345678901234567890]"#, &["1.10", "1e3", r#""a""#, "null", "12345678901234567890"]),
        (r#"{"from":0,"to":1,"count":5}"#, &["0.0", "0.25", "0.5", "0.75", "1.0"]),
        (r#"{"from":0.1,"to":0.7,"count":2}"#, &["0.1", "0.7"]),
        (r#"{"from":1,"to":-1,"count":3,"scale":"linear"}"#, &["1.0", "0.0", "-1.0"]),
        (r#"{"from":0,"to":0.5,"step":0.1}"#, &["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
        (r#"{"from":0,"to":10,"step":4}"#, &["0", "4", "8"]),
        (r#"{"from":10,"to":-10,"step":-10}"#, &["10", "0", "-10"]),
        (r#"{"from":3,"to":3,"step":1}"#, &["3"]),
        (r#"{"from":0,"to":2e3,"step":1e3}"#, &["0.0", "1000.0", "2000.0"]),
        (r#"{"from":2,"to":3,"step":0.5}"#, &["2.0", "2.5", "3.0"]),
        (r#"{"from":1,"to":1000,"count":4,"scale":"log"}"#, &["1.0", "10.0", "100.0", "1000.0"]),
        (r#"{"from":-1.7e308,"to":1.7e308,"count":3}"#, &["-1.7e+308", "0.0", "1.7e+308"]),
    ];
    for (axis, expected) in rows {
        assert_eq!(values(axis), expected, "{axis}");
    }
    let tenths: Vec<_> = values(r#"{"from":0,"to":1,"count":11}"#);
    assert_eq!(tenths, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]);
    let forces = values(r#"{"from": 0, "to": 5e4, "count": 50}"#);
    assert_eq!((forces.len(), &*forces[1], &*forces[49]), (50, "1020.4081632653061", "50000.0"));
}

#[test]
fn random_values_follow_from_the_seed_and_the_name() {
    let text = |seed: u64, more: &str| {
        format!(
            r#"{{"mode":"random","samples":1000,"seed":{seed},"sweep":{{{more}"x":{{"random":{{"distribution":"uniform","low":2,"high":4}}}}}}}}"#
        )
    };
    let drawn = doubles(&text(7, ""));
    assert_eq!(drawn, doubles(&text(7, r#""other":[1,2],"#)));
    assert_ne!(drawn, doubles(&text(8, "")));
    assert!(drawn.iter().all(|x| (2.0..=4.0).contains(x)));
    let mean = drawn.iter().sum::<f64>() / 1000.0;
    assert!((mean - 3.0).abs() < 0.06, "{mean}");
    let chosen = items(&text(7, r#""a":[1,2,3],"#));
    let kinds: BTreeSet<_> = chosen.iter().map(|item| item.split(',').next().unwrap()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [r#"{"a":1"#, r#"{"a":2"#, r#"{"a":3"#]);
}

#[test]
fn a_latin_hypercube_has_one_value_in_each_part() {
    for samples in [1, 2, 3, 10, 97, 1000] {
        let text = format!(
            r#"{{"mode":"lhs","samples":{samples},"seed":3,"sweep":{{"x":{{"random":{{"distribution":"uniform","low":0,"high":{samples}}}}}}}}}"#
        );
        let parts: BTreeSet<_> = doubles(&text).iter().map(|x| *x as u32).collect();
        assert_eq!(parts, (0..samples).collect(), "{samples}");
    }
    let found = items(r#"{"mode":"lhs","samples":6,"seed":3,"sweep":{"x":[1,2,3]}}"#);
    for value in 1..=3 {
        assert_eq!(found.iter().filter(|item| **item == format!("{{\"x\":{value}}}")).count(), 2, "{found:?}");
    }
}

#[test]
fn the_generator_is_splitmix64_and_the_quantile_that_of_as_241() {
    // The reference values are those of the published C code with the seed 1234567, and of Python's statistics.
    let stream = Stream::with_key(1_234_567);
    let numbers: Vec<_> = (0..3).map(|place| stream.number(place)).collect();
    assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    let normal = Distribution::Normal { mean: 0.0, std: 1.0 };
    let rows = [
        (1e-15, -7.941345326170997),
        (1e-9, -5.9978070150076865),
        (0.001, -3.090232306167813),
        (0.025, -1.9599639845400538),
        (0.2, -0.8416212335729142),
        (0.5, 0.0),
        (0.7, 0.5244005127080407),
        (0.975, 1.9599639845400536),
        (0.9999999, 5.199337582290661),
    ];
    for (p, expected) in rows {
        let found = normal.quantile(p);
        assert!((found - expected).abs() <= 1e-14 * expected.abs(), "{p}: {found} and {expected}");
    }
}

#[test]
fn a_lognormal_input_has_the_mean_and_deviation_that_were_asked_for() {
    let text = r#"{"mode":"lhs","samples":20000,"seed":1,"sweep":{"x":{"random":{"distribution":"lognormal","mean":235,"std":20}}}}"#;
    let drawn = doubles(text);
    let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
    let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
    assert!((mean - 235.0).abs() < 0.05 && (variance.sqrt() - 20.0).abs() < 0.1, "{mean} {}", variance.sqrt());
}

#[test]
fn a_sweep_is_made_again_from_its_own_text() {
    let rows = [
        r#"{"sweep":{"d":[8, 1.10],"a/\"b":{"from":0,"to":1,"count":7}},"inputs":{"n":null,"t":[1, 2]}}"#,
        r#"{"mode":"zip","sweep":{"d":[1,2]}}"#,
        r#"{"mode":"random","samples":9,"seed":12,"sweep":{"x":{"random":{"distribution":"normal","mean":1,"std":0.1}}}}"#,
    ];
    for text in rows {
        let sweep = Sweep::parse(text).unwrap();
        let again = Sweep::parse(&sweep.to_json()).unwrap();
        assert_eq!((sweep.total(), sweep.to_json()), (again.total(), again.to_json()));
        assert!((0..sweep.total() as u32).all(|index| sweep.item(index) == again.item(index)));
    }
}

#[test]
fn every_fault_is_pointed_at() {
    let range = |fields: &str| format!(r#"{{"sweep":{{"x":{{{fields}}}}}}}"#);
    let random = |fields: &str| format!(r#"{{"mode":"lhs","samples":2,"sweep":{{"x":{{"random":{{{fields}}}}}}}}}"#);
    let rows = [
        ("[]".to_owned(), "", "wrong_type"),
        ("{".to_owned(), "", "malformed"),
        ("{}".to_owned(), "/sweep", "required"),
        (r#"{"sweep":{}}"#.to_owned(), "/sweep", "required"),
        (r#"{"sweep":{"x":[1]},"colour":1}"#.to_owned(), "/colour", "unknown_field"),
        (r#"{"sweep":{"x":3}}"#.to_owned(), "/sweep/x", "wrong_type"),
        (r#"{"sweep":{"x":[]}}"#.to_owned(), "/sweep/x", "required"),
        (r#"{"sweep":{"x":[1],"x":[2]}}"#.to_owned(), "/sweep/x", "duplicate_key"),
        (r#"{"sweep":{"x":[1]},"inputs":{"x":1}}"#.to_owned(), "/inputs/x", "conflict"),
        (r#"{"sweep":{"x":[1]},"inputs":3}"#.to_owned(), "/inputs", "wrong_type"),
        (r#"{"sweep":{"x":[1]},"mode":"all"}"#.to_owned(), "/mode", "unknown_value"),
        (r#"{"sweep":{"x":[1]},"samples":3}"#.to_owned(), "/samples", "conflict"),
        (r#"{"sweep":{"x":[1]},"mode":"lhs"}"#.to_owned(), "/samples", "required"),
        (r#"{"sweep":{"x":[1]},"mode":"lhs","samples":null}"#.to_owned(), "/samples", "required"),
        (r#"{"sweep":{"x":[1]},"mode":"lhs","samples":100001}"#.to_owned(), "/samples", "out_of_range"),
        (r#"{"sweep":{"x":[1]},"seed":-1}"#.to_owned(), "/seed", "out_of_range"),
        (r#"{"mode":"zip","sweep":{"x":[1],"y":[1,2]}}"#.to_owned(), "/sweep/y", "unequal_lengths"),
        (range(r#""from":0,"to":1"#), "/sweep/x", "required"),
        (range(r#""from":0,"to":1,"count":3,"step":1"#), "/sweep/x", "required"),
        (range(r#""from":0,"to":1,"count":1"#), "/sweep/x/count", "out_of_range"),
        (range(r#""from":0,"to":1,"count":2.5"#), "/sweep/x/count", "out_of_range"),
        (range(r#""from":"0","to":1,"count":2"#), "/sweep/x/from", "wrong_type"),
        (range(r#""to":1,"count":2"#), "/sweep/x/from", "required"),
        (range(r#""from":0,"to":1e999,"count":2"#), "/sweep/x/to", "out_of_range"),
        (range(r#""from":0,"to":1,"count":2,"scale":"log""#), "/sweep/x/from", "out_of_range"),
        (range(r#""from":0,"to":1,"count":2,"scale":"cubic""#), "/sweep/x/scale", "unknown_value"),
        (range(r#""from":1,"to":2,"step":1,"scale":"log""#), "/sweep/x/scale", "conflict"),
        (range(r#""from":0,"to":1,"step":0"#), "/sweep/x/step", "out_of_range"),
        (range(r#""from":0,"to":1,"step":-1"#), "/sweep/x/step", "out_of_range"),
        (range(r#""from":0,"to":1e300,"step":1e-300"#), "/sweep/x/step", "out_of_range"),
        (range(r#""from":0,"to":1,"count":2,"by":1"#), "/sweep/x/by", "unknown_field"),
        (range(r#""random":{"distribution":"uniform","low":0,"high":1}"#), "/sweep/x/random", "conflict"),
        (random(""), "/sweep/x/random/distribution", "required"),
        (random(r#""distribution":"weibull""#), "/sweep/x/random/distribution", "unknown_value"),
        (random(r#""distribution":"uniform","low":1,"high":1"#), "/sweep/x/random/high", "out_of_range"),
        (random(r#""distribution":"normal","mean":1,"std":0"#), "/sweep/x/random/std", "out_of_range"),
        (random(r#""distribution":"lognormal","mean":-1,"std":1"#), "/sweep/x/random/mean", "out_of_range"),
        (random(r#""distribution":"normal","mean":1,"std":1,"low":0"#), "/sweep/x/random/low", "unknown_field"),
    ];
    for (text, pointer, code) in rows {
        let found = Sweep::parse(&text).map(|sweep| sweep.total()).unwrap_err();
        let found: Vec<_> = found.iter().map(|fault| (&*fault.pointer, &*fault.code)).collect();
        assert_eq!(found, [(pointer, code)], "{text}");
    }
}

/// Security list 36: a sweep that would make 10⁹ items is refused before anything is made, and the product is named.
#[test]
fn a_sweep_without_measure_is_refused_with_its_product() {
    let text = r#"{"sweep":{"a":{"from":0,"to":1,"count":1000},"b":{"from":0,"to":1,"count":1000},"c":{"from":1,"to":1000,"step":1}}}"#;
    let faults = Sweep::parse(text).map(|sweep| sweep.total()).unwrap_err();
    assert_eq!((&*faults[0].pointer, &*faults[0].code), ("/sweep", "too_many"));
    assert!(faults[0].message.starts_with("1000 × 1000 × 1000 = 1000000000 items"), "{}", faults[0].message);
    for axis in [r#"{"from":0,"to":1,"count":18446744073709551615}"#, r#"{"from":0,"to":1e20,"step":1e-5}"#] {
        for mode in ["grid", "zip"] {
            let text = format!(r#"{{"mode":"{mode}","sweep":{{"a":{axis}}}}}"#);
            assert_eq!(Sweep::parse(&text).map(|sweep| sweep.total()).unwrap_err()[0].code, "too_many", "{text}");
        }
    }
    let at_the_bound = r#"{"sweep":{"a":{"from":1,"to":100000,"step":1}}}"#;
    let sweep = Sweep::parse(at_the_bound).unwrap();
    assert_eq!((sweep.total(), &*sweep.item(99_999)), (100_000, r#"{"a":100000}"#));
}

proptest! {
    #[test]
    fn a_range_stays_between_its_ends_and_never_turns(from in -1e9f64..1e9, to in -1e9f64..1e9, count in 2u32..300) {
        let text = format!(r#"{{"sweep":{{"x":{{"from":{from:?},"to":{to:?},"count":{count}}}}}}}"#);
        let found = doubles(&text);
        prop_assert_eq!((found.len(), found[0], found[found.len() - 1]), (count as usize, from, to));
        let turns = found.windows(2).any(|pair| (pair[1] - pair[0]) * (to - from) < 0.0);
        prop_assert!(!turns, "{:?}", found);
    }

    #[test]
    fn whatever_the_text_is_there_is_a_sweep_or_a_fault(text in r#"\{"sweep":\{"x":(\[1\]|\{("(from|to|step|count|scale|random)":("log"|-?[0-9]{1,3}|null|\{\}),?){0,4}\})\},"(mode|seed|samples|inputs)":("lhs"|"zip"|[0-9]{1,6}|\{"x":1\}|null)\}"#) {
        match Sweep::parse(&text) {
            Ok(sweep) => prop_assert!((1..=u64::from(ITEMS_MAX)).contains(&sweep.total())),
            Err(faults) => prop_assert!(!faults.is_empty(), "{text}"),
        }
    }

    #[test]
    fn each_place_of_a_hypercube_is_taken_once(seed in any::<u64>(), total in 1u32..2000) {
        let stream = Stream::new(seed, "x");
        let taken: BTreeSet<_> = (0..total).map(|index| stream.permuted(index, total)).collect();
        prop_assert_eq!(taken.len(), total as usize);
    }
}
