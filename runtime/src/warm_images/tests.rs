//! Tests of the cache with numbers in place of images.

use super::*;
use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const CALLERS: usize = 8;

type Numbers = Cache<u32, String>;

fn make(cache: &Numbers, key: &str, value: u32, bytes: usize) -> Arc<u32> {
    cache.get_or_make(key, || Ok((value, bytes))).unwrap()
}

fn kept(cache: &Numbers) -> Vec<String> {
    let mut keys: Vec<String> = cache.lock().kept.keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn the_least_recently_used_make_room() {
    let cache = Numbers::new(100, 3);
    for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
        make(&cache, key, value, 30);
    }
    assert_eq!(cache.get("a").as_deref(), Some(&1));
    // A fourth: b was used least recently. Then one that needs two places.
    make(&cache, "d", 4, 10);
    assert_eq!(kept(&cache), ["a", "c", "d"]);
    make(&cache, "e", 5, 70);
    assert_eq!((kept(&cache), cache.lock().bytes), (vec!["d".into(), "e".into()], 80));
    // What is kept is not made again.
    assert_eq!(*make(&cache, "d", 99, 10), 4);
    cache.forget("d");
    assert_eq!((kept(&cache), cache.lock().bytes), (vec!["e".into()], 70));
    assert_eq!(*make(&cache, "d", 99, 10), 99);
}

#[test]
fn what_is_too_large_is_made_and_not_kept() {
    let cache = Numbers::new(100, 3);
    make(&cache, "small", 1, 100);
    assert_eq!(*make(&cache, "large", 2, 101), 2);
    assert_eq!(kept(&cache), ["small"]);
    let nothing = Numbers::new(100, 0);
    assert_eq!(*make(&nothing, "a", 3, 0), 3);
    assert!(kept(&nothing).is_empty());
}

#[test]
fn one_that_is_dropped_lives_on_where_it_is_used() {
    let cache = Numbers::new(10, 1);
    let used = make(&cache, "a", 1, 10);
    make(&cache, "b", 2, 10);
    assert_eq!((cache.get("a"), *used, Arc::strong_count(&used)), (None, 1, 1));
}

#[test]
fn callers_at_once_make_it_once_and_share_what_came_of_it() {
    for fails in [false, true] {
        let (cache, barrier, made) = (Numbers::new(100, 3), Barrier::new(CALLERS), AtomicUsize::new(0));
        let answers: Vec<_> = thread::scope(|scope| {
            let call = || {
                barrier.wait();
                cache.get_or_make("a", || {
                    let count = made.fetch_add(1, Ordering::SeqCst) as u32;
                    // The others come meanwhile.
                    thread::sleep(Duration::from_millis(100));
                    if fails { Err(format!("no {count}")) } else { Ok((count, 1)) }
                })
            };
            let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
        let expected = if fails { Err(Arc::new("no 0".to_owned())) } else { Ok(Arc::new(0)) };
        assert!(answers.iter().all(|answer| *answer == expected), "{answers:?}");
        assert!(cache.lock().making.is_empty());
        // A failure is not kept.
        assert_eq!(kept(&cache).is_empty(), fails);
        assert_eq!(*make(&cache, "a", 7, 1), if fails { 7 } else { 0 });
    }
}

#[test]
fn a_panic_ends_its_caller_alone() {
    let (cache, barrier) = (Numbers::new(100, 3), Barrier::new(2));
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            cache.get_or_make("a", || {
                barrier.wait();
                thread::sleep(Duration::from_millis(100));
                panic!("for the test")
            })
        });
        barrier.wait();
        assert_eq!(*make(&cache, "a", 5, 1), 5);
        assert!(first.join().is_err());
    });
}

#[test]
fn other_keys_do_not_wait() {
    let (cache, barrier) = (Numbers::new(100, 3), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            cache.get_or_make("slow", || {
                barrier.wait();
                barrier.wait();
                Ok((1, 1))
            })
        });
        barrier.wait();
        assert_eq!(cache.get("slow"), None);
        assert_eq!(*make(&cache, "fast", 2, 1), 2);
        barrier.wait();
    });
    assert_eq!(kept(&cache), ["fast", "slow"]);
}
