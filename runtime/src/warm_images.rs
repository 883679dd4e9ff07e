//! Warm images in memory: made once for each key, bounded in number and bytes, and dropped by least recent use.
//!
//! Knows nothing of what a key means; a caller names with it everything that decides what an image holds.

use crate::PythonImage;
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// Images of packages by key. One that is dropped lives on for as long as a run uses it.
pub struct WarmImages<E> {
    cache: Cache<PythonImage, E>,
}

/// What is kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmStatus {
    pub images: usize,
    /// Memory of the kept images that is theirs alone, and their package's files.
    pub bytes: usize,
    pub making: usize,
}

impl<E> WarmImages<E> {
    /// At most so many images of so many bytes together. Each image has up to 8 idle sandboxes of some 60 memory
    /// mappings; all images together stay below 24 576, so that some 40 images are as many as are quick to start from.
    pub fn new(bytes_max: usize, images_max: usize) -> Self {
        Self { cache: Cache::new(bytes_max, images_max) }
    }

    /// The image where it is in memory; never waits for one that is being made.
    pub fn get(&self, key: &str) -> Option<Arc<PythonImage>> {
        self.cache.get(key)
    }

    /// The image, made by `make` where it is not in memory, which also says how many bytes the package's files have. Who
    /// asks for one that is being made waits, and gets the same image or the same error; an error is not kept. So what
    /// cancels `make` cancels it for all. Blocks.
    pub fn get_or_make(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<(PythonImage, usize), E>,
    ) -> Result<Arc<PythonImage>, Arc<E>> {
        self.cache.get_or_make(key, || {
            make().map(|(image, file_bytes)| {
                let bytes = image.memory.own_bytes().saturating_add(file_bytes);
                (image, bytes)
            })
        })
    }

    /// Drops an image; one that is being made is made to its end.
    pub fn forget(&self, key: &str) {
        self.cache.forget(key);
    }

    pub fn status(&self) -> WarmStatus {
        let state = self.cache.lock();
        WarmStatus { images: state.kept.len(), bytes: state.bytes, making: state.making.len() }
    }
}

struct Cache<V, E> {
    bytes_max: usize,
    count_max: usize,
    state: Mutex<State<V, E>>,
}

struct State<V, E> {
    kept: HashMap<String, Kept<V>>,
    bytes: usize,
    /// Rises with each use.
    clock: u64,
    making: HashMap<String, Arc<Making<V, E>>>,
}

struct Kept<V> {
    value: Arc<V>,
    bytes: usize,
    used: u64,
}

type Made<V, E> = Result<Arc<V>, Arc<E>>;

/// Where those wait who want what is being made.
struct Making<V, E> {
    ended: Mutex<Ended<V, E>>,
    changed: Condvar,
}

enum Ended<V, E> {
    NotYet,
    Made(Made<V, E>),
    /// It panicked: who waited tries for itself.
    Panicked,
}

impl<V, E> Cache<V, E> {
    fn new(bytes_max: usize, count_max: usize) -> Self {
        let state = State { kept: HashMap::new(), bytes: 0, clock: 0, making: HashMap::new() };
        Self { bytes_max, count_max, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<V, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &str) -> Option<Arc<V>> {
        self.lock().touch(key)
    }

    fn get_or_make(&self, key: &str, make: impl FnOnce() -> Result<(V, usize), E>) -> Made<V, E> {
        let making = loop {
            let mut state = self.lock();
            if let Some(value) = state.touch(key) {
                return Ok(value);
            }
            match state.making.get(key).cloned() {
                Some(others) => {
                    drop(state);
                    if let Some(made) = others.wait() {
                        return made;
                    }
                }
                None => {
                    let making = Arc::new(Making { ended: Mutex::new(Ended::NotYet), changed: Condvar::new() });
                    state.making.insert(key.to_owned(), Arc::clone(&making));
                    break making;
                }
            }
        };
        match catch_unwind(AssertUnwindSafe(make)) {
            Ok(made) => {
                let bytes = made.as_ref().map_or(0, |(_, bytes)| *bytes);
                let made = made.map(|(value, _)| Arc::new(value)).map_err(Arc::new);
                self.end(key, made.as_ref().ok().map(|value| (Arc::clone(value), bytes)));
                making.tell(Ended::Made(made.clone()));
                made
            }
            Err(panic) => {
                self.end(key, None);
                making.tell(Ended::Panicked);
                resume_unwind(panic)
            }
        }
    }

    /// Nobody makes it any more; keeps what was made.
    fn end(&self, key: &str, made: Option<(Arc<V>, usize)>) {
        let mut state = self.lock();
        state.making.remove(key);
        let Some((value, bytes)) = made else { return };
        let dropped = state.keep(key, value, bytes, (self.bytes_max, self.count_max));
        drop(state);
        // Unmapping takes a while, in which others need not wait.
        drop(dropped);
    }

    fn forget(&self, key: &str) {
        let dropped = self.lock().remove(key);
        drop(dropped);
    }
}

impl<V, E> State<V, E> {
    /// What is kept under the key, used now.
    fn touch(&mut self, key: &str) -> Option<Arc<V>> {
        let kept = self.kept.get_mut(key)?;
        self.clock += 1;
        kept.used = self.clock;
        Some(Arc::clone(&kept.value))
    }

    /// Keeps a value, and answers those that had to make room. What alone is more than may be kept is not kept.
    fn keep(&mut self, key: &str, value: Arc<V>, bytes: usize, (bytes_max, count_max): (usize, usize)) -> Vec<Arc<V>> {
        let mut dropped: Vec<_> = self.remove(key).into_iter().collect();
        if bytes > bytes_max || count_max == 0 {
            return dropped;
        }
        while self.bytes > bytes_max - bytes || self.kept.len() >= count_max {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest.and_then(|key| self.remove(&key)) else { break };
            dropped.push(oldest);
        }
        self.clock += 1;
        self.bytes += bytes;
        self.kept.insert(key.to_owned(), Kept { value, bytes, used: self.clock });
        dropped
    }

    fn remove(&mut self, key: &str) -> Option<Arc<V>> {
        let kept = self.kept.remove(key)?;
        self.bytes -= kept.bytes;
        Some(kept.value)
    }
}

impl<V, E> Making<V, E> {
    /// What was made; `None` where it panicked.
    fn wait(&self) -> Option<Made<V, E>> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*ended {
                Ended::NotYet => ended = self.changed.wait(ended).unwrap_or_else(PoisonError::into_inner),
                Ended::Made(made) => return Some(made.clone()),
                Ended::Panicked => return None,
            }
        }
    }

    fn tell(&self, end: Ended<V, E>) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = end;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
