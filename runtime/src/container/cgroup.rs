//! An attempt's control group: it outlives the container, so that what was used can be read after the end.

use super::engine::Facts;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

const ROOT: &str = "/sys/fs/cgroup";
/// The group that holds one of each owner, which holds one of each of its attempts.
const PARENT: &str = "mecapy";

/// Where an engine that leaves the groups' folders to us puts an attempt.
#[derive(Debug, Clone)]
pub(super) struct CgroupFolder {
    owner: String,
    key: String,
}

/// What a control group counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) cpu_ms: f64,
    /// Page cache of files included, as the limit counts it.
    pub(super) memory_peak_bytes: u64,
}

impl CgroupFolder {
    /// `None` where systemd owns the groups.
    pub(super) fn of(facts: &Facts, owner: &str, key: &str) -> Option<Self> {
        (facts.cgroup_driver == "cgroupfs").then(|| Self { owner: owner.to_owned(), key: key.to_owned() })
    }

    /// The engine's name for it.
    pub(super) fn parent(&self) -> String {
        format!("/{PARENT}/{}/{}", self.owner, self.key)
    }

    /// `None` where its files are not to be read here: in another cgroup namespace, or on an old kernel.
    pub(super) fn counted(&self) -> Option<Counted> {
        let read = |controller: &str, file: &str| {
            let group = Path::new(ROOT).join(controller).join(PARENT).join(&self.owner).join(&self.key);
            fs::read_to_string(group.join(file)).ok()
        };
        // Version 1 has a tree for each controller, version 2 one for all, with the kernel's memory.peak from 5.19.
        if let Some(peak) = read("memory", "memory.max_usage_in_bytes") {
            let cpu_ns: f64 = read("cpuacct", "cpuacct.usage")?.trim().parse().ok()?;
            return Some(Counted { cpu_ms: cpu_ns / 1e6, memory_peak_bytes: peak.trim().parse().ok()? });
        }
        let memory_peak_bytes = read("", "memory.peak")?.trim().parse().ok()?;
        let stat = read("", "cpu.stat")?;
        let cpu_us: f64 = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?.trim().parse().ok()?;
        Some(Counted { cpu_ms: cpu_us / 1e3, memory_peak_bytes })
    }

    /// Removes the empty groups. One that still holds a process stays, and the janitor comes again.
    pub(super) fn remove(&self) {
        for parent in parents(&self.owner) {
            match fs::remove_dir(parent.join(&self.key)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(key = self.key, %error, "container.cgroup_not_removed");
                }
                _ => {}
            }
        }
    }

    /// All of an owner's attempts that have a group on this machine.
    pub(super) fn found(owner: &str) -> Vec<Self> {
        let entries = parents(owner).into_iter().filter_map(|parent| fs::read_dir(parent).ok()).flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let keys: BTreeSet<_> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        keys.into_iter().map(|key| Self { owner: owner.to_owned(), key }).collect()
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

/// An owner's group in each tree.
fn parents(owner: &str) -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let trees = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let groups = std::iter::once(root.to_owned()).chain(trees).map(|tree| tree.join(PARENT).join(owner));
    groups.filter(|path| path.is_dir()).collect()
}
