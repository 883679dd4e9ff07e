//! The kernel, the processor and the memory, as the process may use them.

use super::check::Check;
use crate::{commands::terminal::bytes, config::ControlGroup};
use std::{fs, thread};

/// Below this there is no room for an interpreter beside a few sandboxes, bytes.
const MEMORY_BYTES_MIN: u64 = 1 << 30;
/// Below this the limit of one default task is a large share, bytes.
const MEMORY_BYTES_COMFORTABLE: u64 = 4 << 30;
/// Mappings that one process should be allowed: each live sandbox has several.
const MAP_COUNT_MIN: u64 = 65_530;

pub(super) fn checks() -> Vec<Check> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let number = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    vec![
        kernel(release.trim(), mecapy_runtime::scans_pages()),
        cores(thread::available_parallelism().map_or(1, usize::from)),
        memory(&meminfo),
        control_group(&ControlGroup::of_process()),
        mappings(number("/proc/sys/vm/max_map_count"), number("/proc/sys/vm/overcommit_memory")),
    ]
}

fn kernel(release: &str, scans_pages: bool) -> Check {
    if scans_pages {
        return Check::ok("kernel", format!("Linux {release}; it scans memory pages (PAGEMAP_SCAN)"));
    }
    Check::warn(
        "kernel",
        format!("Linux {release}; it can't scan memory pages (PAGEMAP_SCAN), so each run is several times slower"),
        "use Linux 6.7 or later, and let the process read /proc/self/pagemap",
    )
}

fn cores(cores: usize) -> Check {
    match cores {
        1 => Check::warn("cores", "1", "previews and tasks share it: 2 or more keep previews fast under load"),
        cores => Check::ok("cores", cores),
    }
}

fn memory(meminfo: &str) -> Check {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    };
    let (Some(total), Some(available)) = (field("MemTotal"), field("MemAvailable")) else {
        return Check::warn("memory", "/proc/meminfo can't be read", "mount /proc");
    };
    let finding = format!("{} available of {}", bytes(available), bytes(total));
    match available {
        less if less < MEMORY_BYTES_MIN => Check::fail("memory", finding, "free some: 1 GiB is the least"),
        less if less < MEMORY_BYTES_COMFORTABLE => {
            Check::warn("memory", finding, "a default task may ask for 1 GiB: 4 GiB leave room for several")
        }
        _ => Check::ok("memory", finding),
    }
}

fn control_group(group: &ControlGroup) -> Check {
    let mut limits = Vec::new();
    limits.extend(group.memory_max.map(|max| format!("memory {}", bytes(max))));
    limits.extend(group.cores.map(|cores| format!("{cores:.1} cores")));
    limits.extend(group.processes_max.map(|max| format!("{max} processes and threads")));
    if limits.is_empty() {
        return Check::ok("control group", "sets no limit");
    }
    let finding = limits.join(", ");
    if group.memory_max.is_some_and(|max| max < MEMORY_BYTES_MIN) {
        return Check::fail("control group", finding, "raise its memory limit: 1 GiB is the least");
    }
    if group.cores.is_some_and(|cores| cores < 1.0) {
        return Check::warn("control group", finding, "less than one core makes previews stutter: raise its CPU quota");
    }
    Check::info("control group", finding)
}

fn mappings(maps_max: Option<u64>, overcommit: Option<u64>) -> Check {
    const NAME: &str = "address space";
    match (maps_max, overcommit) {
        (Some(maps_max), _) if maps_max < MAP_COUNT_MIN => Check::warn(
            NAME,
            format!("a process may have {maps_max} mappings only"),
            format!("sysctl vm.max_map_count={MAP_COUNT_MIN}"),
        ),
        (_, Some(2)) => Check::warn(
            NAME,
            "the kernel never overcommits, and sandboxes reserve more address space than they use",
            "sysctl vm.overcommit_memory=0",
        ),
        _ => Check::ok(NAME, "sandboxes can reserve what they need"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Status, *};

    #[test]
    fn memory_is_judged_by_what_is_available() {
        let rows = [("8388608", Status::Ok), ("2097152", Status::Warn), ("102400", Status::Fail)];
        for (available, status) in rows {
            let check = memory(&format!("MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable:  {available} kB\n"));
            assert_eq!(check.status, status, "{}", check.finding);
        }
        assert_eq!(memory("").status, Status::Warn);
    }

    #[test]
    fn a_group_with_too_little_memory_must_be_mended() {
        let group = ControlGroup { memory_max: Some(512 << 20), cores: Some(0.5), processes_max: None };
        let check = control_group(&group);
        assert_eq!((check.status, check.finding.as_str()), (Status::Fail, "memory 512 MiB, 0.5 cores"));
        assert_eq!(control_group(&ControlGroup::default()).status, Status::Ok);
    }

    #[test]
    fn what_slows_or_stops_sandboxes_comes_with_advice() {
        for check in [kernel("5.10.0", false), cores(1), mappings(Some(1_000), Some(0)), mappings(None, Some(2))] {
            assert_eq!(check.status, Status::Warn);
            assert!(check.advice.is_some());
        }
        assert_eq!(mappings(Some(1 << 20), Some(1)).status, Status::Ok);
    }
}
