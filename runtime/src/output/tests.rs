//! Tests of the sink: what is kept, what is cut, what is made visible.

use super::*;
use std::{sync::Mutex, time::Duration};

fn written(writes: &[&[u8]], bytes_max: usize) -> Output {
    let mut sink = Sink::new(LogStream::Stdout, bytes_max);
    for bytes in writes {
        sink.write(bytes);
    }
    sink.finish()
}

#[test]
fn text_is_kept_and_made_harmless() {
    let rows: [(&[&[u8]], &str); 14] = [
        (&[b"plain\ttext\r\n"], "plain\ttext\r\n"),
        (&["été ∑ 🦀".as_bytes()], "été ∑ 🦀"),
        (&[b"\x1b[2J\x1b]0;title\x07"], "␛[2J␛]0;title␇"),
        (&[b"\0\x7f"], "␀␡"),
        (&["\u{9b}31m".as_bytes()], "␛[31m"),
        (&[b"a\xffb"], "a\u{fffd}b"),
        (&[b"\xed\xa0\x80"], "\u{fffd}\u{fffd}\u{fffd}"),
        (&[b"\xe2\x88", b"\x91!"], "∑!"),
        (&[b"\xf0", b"\x9f", b"\xa6", b"\x80"], "🦀"),
        (&[b"\xc2", b"\x9b"], "␛["),
        (&[b"\xe2\x88", b"x"], "\u{fffd}x"),
        (&[b"\xe2", b"\xe2\x88\x91"], "\u{fffd}∑"),
        (&[b"end \xe2\x88"], "end \u{fffd}"),
        (&[b"", b"", b""], ""),
    ];
    for (writes, expected) in rows {
        let output = written(writes, 1_000);
        assert_eq!((output.text.as_str(), output.truncated), (expected, false), "{writes:x?}");
    }
}

#[test]
fn splitting_a_text_anywhere_changes_nothing() {
    let bytes = "a\u{1b}b∑\u{85}c🦀\n".bytes().chain(*b"\xff\xe2\x28\xa1\xf0\x9f").collect::<Vec<u8>>();
    let whole = written(&[&bytes], 1_000);
    for at in 0..bytes.len() {
        for to in at..bytes.len() {
            assert_eq!(written(&[&bytes[..at], &bytes[at..to], &bytes[to..]], 1_000), whole, "cut at {at} and {to}");
        }
    }
    assert_eq!(whole.text, String::from_utf8_lossy(&bytes).replace('\u{1b}', "␛").replace('\u{85}', "␛E"));
}

#[test]
fn the_cap_holds_and_is_marked() {
    for (writes, bytes_max, expected, truncated) in [
        (vec![&b"12345"[..]], 5, "12345", false),
        (vec![b"123456"], 5, "12345", true),
        (vec![b"12345", b"6"], 5, "12345", true),
        (vec![b"12345", b""], 5, "12345", false),
        (vec!["12∑".as_bytes()], 4, "12", true),
        (vec!["12∑".as_bytes(), b"x"], 4, "12", true),
        (vec![b"1\x1b2"], 3, "1", true),
        (vec![b"x"], 0, "", true),
        (vec![b"1234", b"\xe2"], 5, "1234", true),
    ] {
        let output = written(&writes, bytes_max);
        assert_eq!((output.text.as_str(), output.truncated), (expected, truncated), "{writes:?}");
        assert_eq!(output.bytes_written, writes.iter().map(|bytes| bytes.len() as u64).sum::<u64>());
    }
}

#[test]
fn a_flood_costs_no_memory_beyond_the_cap() {
    let mut sink = Sink::new(LogStream::Stderr, 1 << 16);
    for _ in 0..10_000_000 {
        sink.write(b"x");
        sink.write(b"");
    }
    assert!(sink.text.capacity() <= 1 << 17);
    let output = sink.finish();
    assert_eq!((output.text.len(), output.truncated, output.bytes_written), (1 << 16, true, 10_000_000));
}

/// One write may be as long as the guest's memory, and no tick interrupts it.
#[test]
fn one_huge_write_takes_no_longer_than_its_cap() {
    for unit in ["x", "é", "\u{9b}", "\0"] {
        let huge = unit.repeat((64 << 20) / unit.len());
        let started = thread_cpu_time();
        for bytes_max in 0..16 {
            let mut sink = Sink::new(LogStream::Stdout, bytes_max).keeping_raw(bytes_max);
            sink.write(huge.as_bytes());
            assert_eq!((sink.raw(), sink.bytes_written()), (&huge.as_bytes()[..bytes_max], 64 << 20));
            let output = sink.finish();
            assert!(output.truncated && output.text.len() <= bytes_max, "{output:?}");
        }
        let took = thread_cpu_time() - started;
        assert!(took < Duration::from_millis(100), "{unit:?}: {took:?}");
    }
}

/// Whatever else the machine does is not counted.
fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills a structure of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Looking at no more than can fit changes neither the text nor whether it is marked as cut.
#[test]
fn what_is_not_looked_at_would_not_have_fitted() {
    let bytes =
        [&b"a\x1b\xff"[..], "∑\u{9b}🦀".as_bytes(), b"\xf0\x9f\xa6", b"\xe2\x88".repeat(10).as_slice()].concat();
    let whole = written(&[&bytes], 1_000);
    assert!(!whole.truncated && whole.text.len() >= bytes.len());
    for bytes_max in 0..=whole.text.len() {
        let one_write = written(&[&bytes], bytes_max);
        let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(one_write, written(&one_by_one, bytes_max), "a cap of {bytes_max}");
        assert_eq!(one_write.truncated, bytes_max < whole.text.len());
        assert!(whole.text.starts_with(&one_write.text));
    }
}

#[test]
fn raw_bytes_are_kept_as_they_came_up_to_their_own_cap() {
    let mut sink = Sink::new(LogStream::Stdout, 4).keeping_raw(7);
    for bytes in [&b"\x1b\xff"[..], b"", b"\x7f\xc2\x85", b"12345"] {
        sink.write(bytes);
    }
    assert_eq!((sink.raw(), sink.text()), (&b"\x1b\xff\x7f\xc2\x8512"[..], "␛"));
    assert_eq!(
        sink.finish(),
        Output { text: "␛".to_owned(), truncated: true, bytes_written: 10, told: Told::default() }
    );
    assert!(Sink::new(LogStream::Stdout, 4).raw().is_empty());
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn log(&self, stream: LogStream, text: &str) {
        assert_eq!(stream, LogStream::Stdout);
        self.0.lock().unwrap().push(text.to_owned());
    }

    fn progress(&self, _: mecapy_model::Progress) {}
}

#[test]
fn the_observer_hears_lines_and_long_lines_in_parts() {
    let heard = Arc::new(Heard::default());
    let mut sink = Sink::new(LogStream::Stdout, 100_000).with_observer(Arc::clone(&heard) as Arc<dyn Observer>);
    for bytes in [&b"one"[..], b" line\ntwo\nth", b"ree"] {
        sink.write(bytes);
    }
    assert_eq!(*heard.0.lock().unwrap(), ["one line\ntwo\n"]);
    sink.write("é".repeat(5_000).as_bytes());
    let text = sink.finish().text;
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard.concat(), text);
    assert!(heard.iter().all(|piece| piece.len() <= LIVE_CHUNK_BYTES_MAX), "a piece is too long");
}

/// A program's own words for the platform: progress is heard at once, also beyond the cap of the text.
#[test]
fn what_is_told_is_heard_and_not_kept_as_text() {
    #[derive(Default)]
    struct Followed(Mutex<Vec<(f64, Option<String>)>>);
    impl Observer for Followed {
        fn log(&self, _: LogStream, text: &str) {
            assert!(!text.contains("mecapy: "), "{text}");
        }

        fn progress(&self, told: mecapy_model::Progress) {
            self.0.lock().unwrap().push((told.fraction, told.message));
        }
    }
    let followed = Arc::new(Followed::default());
    let observer = Arc::clone(&followed) as Arc<dyn Observer>;
    let mut sink = Sink::new(LogStream::Stderr, 8).with_observer(observer).hearing();
    for bytes in
        [&b"12345\n"[..], b"mecapy: progress 0.1\nmecapy: progress 0.2 two\n", b"678901\n", b"mecapy: progress 2\n"]
    {
        sink.write(bytes);
    }
    assert_eq!(*followed.0.lock().unwrap(), [(0.2, Some("two".to_owned())), (1.0, None)]);
    sink.write(b"mecapy: error exception it broke\nmecapy: warning w text\n");
    assert_eq!(sink.told_error().unwrap().message, "it broke");
    let output = sink.finish();
    assert_eq!((output.text.as_str(), output.truncated), ("12345\n67", true));
    assert_eq!(output.told.warnings.len(), 1);
}
