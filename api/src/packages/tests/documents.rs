//! YAML: what is read, what is refused, and what it may cost.

use super::super::yaml::read;
use std::time::{Duration, Instant};

fn json(text: &str) -> String {
    read(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error:?}")).to_json()
}

#[test]
fn values_are_those_of_the_core_schema_and_numbers_keep_their_text() {
    for (text, expected) in [
        ("", "null"),
        ("# nothing", "null"),
        ("\u{feff}a: 1", r#"{"a":1}"#),
        ("a: 1.50", r#"{"a":1.50}"#),
        (
            "[+5, -5, .5, 5., 1e5, 1.5E-3, -0.0, 0, 12345678901234567890.10]",
            "[5,-5,0.5,5.0,1e5,1.5e-3,-0.0,0,12345678901234567890.10]",
        ),
        (
            "[1.2.3, 1_000, 12:30, e5, ., 1e, +-5, 0x, --5]",
            r#"["1.2.3","1_000","12:30","e5",".","1e","+-5","0x","--5"]"#,
        ),
        ("[yes, No, on, true, False]", r#"["yes","No","on",true,false]"#),
        ("[~, null, '', \"~\", 'true', !!str 1.0]", r#"[null,null,"","~","true","1.0"]"#),
        ("a: &x {b: [1, 2]}\nc: *x", r#"{"a":{"b":[1,2]},"c":{"b":[1,2]}}"#),
        ("a: |\n  two\n  lines\nb: >\n  one\n  line\n", r#"{"a":"two\nlines\n","b":"one line\n"}"#),
        ("1: a\ntrue: b\n", r#"{"1":"a","true":"b"}"#),
        ("é: 'Δσ 😀'", r#"{"é":"Δσ 😀"}"#),
        ("{\"a\": [1, {\"b\": null}], \"c\": \"\\u00e9\\n\"}", r#"{"a":[1,{"b":null}],"c":"é\n"}"#),
    ] {
        assert_eq!(json(text), expected, "{text:?}");
    }
}

#[test]
fn lines_are_those_of_the_values() {
    let node = read(b"a: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\n").unwrap();
    let [a, b] = node.map().unwrap() else { panic!() };
    let items = b.value.list().unwrap();
    let d = &items[1].map().unwrap()[1];
    assert_eq!([a.line, b.line, items[0].line, items[1].line, d.line, d.value.line], [1, 2, 3, 4, 5, 5]);
}

#[test]
fn what_is_ambiguous_or_unsafe_is_refused_with_its_line() {
    for (text, line, words) in [
        ("a: 1\na: 2", 2, "twice"),
        ("a: 007", 1, "leading zeros"),
        ("a: 0x1F", 1, "decimal"),
        ("a: [1,\n .nan]", 2, "no NaN"),
        ("a: -.inf", 1, "no infinity"),
        ("x: &x {a: 1}\ny: {<<: *x}", 2, "merge key"),
        ("a: !!python/object:os.system x", 1, "tag"),
        ("a: !custom {b: 1}", 1, "tag"),
        ("a: !!float 1", 1, "tag"),
        ("? [a]\n: b", 1, "key"),
        ("? {a: b}\n: b", 1, "key"),
        ("x: &x a\n*x : b", 2, "alias"),
        ("a: &x [*x]", 1, "inside"),
        ("a: *nothing", 1, "as YAML"),
        ("---\na: 1\n---\nb: 2", 3, "second document"),
        ("a: [1, 2", 1, "as YAML"),
        ("a: 'x", 1, "as YAML"),
        (": a", 1, "empty key"),
    ] {
        let error = read(text.as_bytes()).expect_err(text);
        assert!(error.message.contains(words), "{text:?}: {error:?}");
        assert!(error.line >= line && error.line <= line + 1, "{text:?}: {error:?}");
    }
    assert!(read(b"a: \xff").unwrap_err().message.contains("UTF-8"));
}

/// Documents that are small and cost much where nobody counts.
#[test]
fn bombs_are_refused_soon() {
    let laughs = |levels: usize| {
        let levels = (1..levels).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(",")));
        format!("l0: &l0 [lol,lol,lol,lol,lol,lol,lol,lol,lol,lol]\n{}", levels.collect::<String>())
    };
    let long = "x".repeat(1 << 10);
    let rows: Vec<(&str, String)> = vec![
        ("laughs", laughs(9)),
        ("flat laughs", format!("a: &a \"{long}\"\nb: [{}]", "*a,".repeat(20_000))),
        ("nested anchors", format!("{}x{}", (0..31).map(|n| format!("&a{n} [")).collect::<String>(), "]".repeat(31))),
        ("deep flow", "[".repeat(500_000)),
        ("deep mappings", "{a: ".repeat(250_000)),
        ("deep block", "- ".repeat(500_000)),
        ("deep keys", "? ".repeat(500_000)),
        ("deep lines", (0..1_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        ("anchors", (0..50_000).map(|n| format!("- &a{n} x\n")).collect()),
        ("too large", "a".repeat(2 << 20)),
        ("many keys", (0..60_000).map(|n| format!("k{n}: 1\n")).collect()),
        ("quotes", format!("a: \"{}", "\\\n".repeat(250_000))),
        ("comments", "#\n".repeat(500_000)),
        ("colons", "a:".repeat(500_000)),
        ("tags", "!a ".repeat(300_000)),
        ("directives", "%YAML 1.2\n".repeat(100_000)),
    ];
    for (name, text) in rows {
        let before = Instant::now();
        let read = read(text.as_bytes());
        let took = before.elapsed();
        assert!(took < Duration::from_secs(4), "{name} took {took:?}");
        println!("{name}: {took:?} {}", read.err().map_or("read".to_owned(), |error| error.message));
    }
    assert!(read(laughs(9).as_bytes()).unwrap_err().message.contains("aliases"));
    assert!(read(laughs(3).as_bytes()).is_ok());
    assert!(read("[".repeat(100).as_bytes()).unwrap_err().message.contains("deeper than 32"));
}
