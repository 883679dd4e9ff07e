//! Requests for batches: what is read, and what is said of what can't be.

use super::InvalidItems;
use super::asked::{Asked, Source, read};
use crate::json::Faults;
use mecapy_model::{Isolation, Kernels, Lane, OnItemError};

const CODE: &str = r#""code":{"language":"python","source":""}"#;

fn asked(fields: &str) -> Result<Asked, Vec<(String, String)>> {
    let text = format!("{{{CODE},{fields}}}");
    let mut faults = Faults::default();
    let asked = read(&text, 7, &mut faults);
    let faults: Vec<_> = faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.code)).collect();
    if faults.is_empty() { Ok(asked.unwrap()) } else { Err(faults) }
}

fn inputs(asked: &Asked) -> Vec<String> {
    let mut all = Vec::new();
    asked.source.as_ref().unwrap().each(|index, inputs| {
        assert_eq!(all.len(), index as usize);
        all.push(inputs.to_owned());
        true
    });
    all
}

#[test]
fn the_whole_of_the_contracts_batch_is_read() {
    let text = r#""name":"M12","items":[{"inputs":{"d": 8.0}},{"inputs":{"d":10,"steel":"10.9"}}],"inputs":{"steel":"8.8"},
        "isolation":"batch","on_error":"stop","lane":"long_running","limits":{"timeout_ms":2000},"priority":7,
        "labels":{"project":"A320"},"seed":42,"non_finite":"null","kernels":"wasm","invalid_items":"record",
        "study":"01890a5d-ac96-774b-bcce-b302099a8057","files":{"a.csv":"01890a5d-ac96-774b-bcce-b302099a8057"}"#;
    let asked = asked(text).unwrap();
    assert_eq!((asked.name.as_deref(), asked.seed, asked.priority), (Some("M12"), 42, 7));
    assert_eq!((asked.isolation, asked.on_error), (Isolation::Batch, OnItemError::Stop));
    assert_eq!((asked.lane, asked.limits.unwrap().timeout_ms), (Lane::LongRunning, 2_000));
    assert_eq!((asked.invalid_items, asked.kernels), (InvalidItems::Record, Kernels::Wasm));
    assert!(asked.study.is_some());
    assert_eq!(inputs(&asked), [r#"{"d":8.0,"steel":"8.8"}"#, r#"{"d":10,"steel":"10.9"}"#]);
}

#[test]
fn items_keep_their_text_and_are_cut_into_chunks() {
    let items: Vec<_> = (0..1000).map(|n| format!(r#"{{"inputs":{{ "x" : {n}.10 }}}}"#)).collect();
    let asked = asked(&format!(r#""items":[{}]"#, items.join(" , "))).unwrap();
    let Some(Source::Items { chunks, total }) = &asked.source else { panic!() };
    assert_eq!((*total, chunks.len()), (1000, 1000_usize.div_ceil(mecapy_store::chunk_items(1000) as usize)));
    let all = inputs(&asked);
    assert_eq!((all.len(), &*all[999]), (1000, r#"{ "x" : 999.10 }"#));
}

#[test]
fn a_sweep_takes_constants_and_the_seed_of_the_batch() {
    let one = asked(r#""sweep":{"d":[8,10]},"inputs":{"F":1e3}"#).unwrap();
    assert_eq!(inputs(&one), [r#"{"d":8,"F":1e3}"#, r#"{"d":10,"F":1e3}"#]);
    let random = r#""mode":"random","samples":3,"sweep":{"x":{"random":{"distribution":"uniform","low":0,"high":1}}}"#;
    let chosen = inputs(&asked(random).unwrap());
    assert_eq!(chosen, inputs(&asked(&format!(r#"{random},"seed":7"#)).unwrap()));
    assert_ne!(chosen, inputs(&asked(&format!(r#"{random},"seed":8"#)).unwrap()));
}

#[test]
fn every_fault_is_pointed_at() {
    let items = r#""items":[{"inputs":{}}]"#;
    let rows: [(String, &str, &str); 25] = [
        (r#""name":"x""#.to_owned(), "/items", "required"),
        (r#""items":[{"inputs":{}}],"sweep":{"d":[1]}"#.to_owned(), "/sweep", "conflict"),
        (r#""items":[]"#.to_owned(), "/items", "required"),
        (r#""items":{"inputs":{}}"#.to_owned(), "/items", "wrong_type"),
        (r#""items":[{"inputs":{}},{"inputs":[1]}]"#.to_owned(), "/items/1/inputs", "wrong_type"),
        (r#""items":[{"inputs":{}},{}]"#.to_owned(), "/items/1/inputs", "required"),
        (r#""items":[{"inputs":{}},{"inputs":{},"seed":1}]"#.to_owned(), "/items/1/seed", "unknown_field"),
        (r#""items":[{"inputs":{}},7]"#.to_owned(), "/items/1", "wrong_type"),
        (format!(r#"{items},"mode":"grid""#), "/mode", "conflict"),
        (format!(r#"{items},"samples":3"#), "/samples", "conflict"),
        (format!(r#"{items},"inputs":3"#), "/inputs", "wrong_type"),
        (format!(r#"{items},"lane":"high_priority""#), "/lane", "not_applicable"),
        (format!(r#"{items},"lane":"fast""#), "/lane", "unknown_value"),
        (format!(r#"{items},"isolation":"none""#), "/isolation", "unknown_value"),
        (format!(r#"{items},"on_error":"retry""#), "/on_error", "unknown_value"),
        (format!(r#"{items},"invalid_items":"skip""#), "/invalid_items", "unknown_value"),
        (format!(r#"{items},"kernels":"gpu""#), "/kernels", "unknown_value"),
        (format!(r#"{items},"priority":10"#), "/priority", "out_of_range"),
        (format!(r#"{items},"study":"x""#), "/study", "unknown_study"),
        (format!(r#"{items},"limits":{{"timeout_ms":0}}"#), "/limits/timeout_ms", "out_of_range"),
        (format!(r#"{items},"run_at":"2026-12-01T00:00:00Z""#), "/run_at", "unknown_field"),
        (r#""sweep":{"F":{"from":0,"to":1,"count":1}}"#.to_owned(), "/sweep/F/count", "out_of_range"),
        (r#""sweep":{"d":[1]},"inputs":{"d":1}"#.to_owned(), "/inputs/d", "conflict"),
        (r#""sweep":{"d":[1]},"inputs":[1]"#.to_owned(), "/inputs", "wrong_type"),
        (r#""sweep":{"d":{"from":0,"to":1,"count":1000000000}}"#.to_owned(), "/sweep", "too_many"),
    ];
    for (fields, pointer, code) in rows {
        assert_eq!(asked(&fields).unwrap_err(), [(pointer.to_owned(), code.to_owned())], "{fields}");
    }
    let recorded = asked(r#""items":[{"inputs":[1]}],"invalid_items":"record""#).unwrap();
    assert_eq!(inputs(&recorded), ["[1]"]);
}

#[test]
fn a_solver_is_sent_elsewhere() {
    let mut faults = Faults::default();
    read(r#"{"code":{"solver":"calculix"},"sweep":{"d":[1]}}"#, 1, &mut faults);
    let found = faults.into_vec();
    assert_eq!((&*found[0].pointer, &*found[0].code), ("/code/solver", "not_available"));
    assert!(found[0].message.contains("workflow"), "{}", found[0].message);
}

#[test]
fn a_hundred_thousand_items_are_read_and_one_more_is_not() {
    let item = r#"{"inputs":{"d":1}}"#;
    let text = |count: usize| format!(r#""items":[{}]"#, vec![item; count].join(","));
    assert_eq!(asked(&text(100_000)).unwrap().source.unwrap().total(), 100_000);
    assert_eq!(asked(&text(100_001)).unwrap_err(), [("/items".to_owned(), "too_many".to_owned())]);
}
