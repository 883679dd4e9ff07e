//! What the kernel lets this process have: the machine's memory, and what its control group (version 2) allows.

use std::{fs, path::Path};

/// Memory that is assumed where neither the machine nor a control group says, bytes.
const MEMORY_BYTES_ASSUMED: u64 = 4 << 30;
/// Where control groups (version 2) are shown.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// What the control group of the process allows, as far as it says.
#[derive(Debug, Default)]
pub(crate) struct ControlGroup {
    /// Bytes.
    pub memory_max: Option<u64>,
    /// Processor time, in cores.
    pub cores: Option<f64>,
    pub processes_max: Option<u64>,
}

impl ControlGroup {
    pub(crate) fn of_process() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(&own, Path::new(CONTROL_GROUPS))
    }

    /// `own` is what the kernel says of the process, and `mount` is where groups are shown.
    fn of(own: &str, mount: &Path) -> Self {
        let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").trim_start_matches('/');
        let mut folder = mount.join(path);
        if !folder.exists() {
            // In a container the path can be the host's, while the mount shows the container's own group.
            folder = mount.to_owned();
        }
        let mut group = Self::default();
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(mount)) {
            group.tighten(folder);
        }
        group
    }

    /// A group is bound by what holds for every group above it.
    fn tighten(&mut self, folder: &Path) {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let least = |known: Option<u64>, text: String| known.into_iter().chain(text.trim().parse().ok()).min();
        self.memory_max = least(self.memory_max, read("memory.max"));
        self.processes_max = least(self.processes_max, read("pids.max"));
        if let Some(cores) = cores_of(&read("cpu.max")) {
            self.cores = Some(self.cores.map_or(cores, |known| known.min(cores)));
        }
    }
}

/// Memory that this process may use: the machine's, or less where its control group has less.
pub(crate) fn memory_bytes() -> u64 {
    least_memory(physical_bytes(), &ControlGroup::of_process())
}

fn least_memory(physical: Option<u64>, group: &ControlGroup) -> u64 {
    physical.into_iter().chain(group.memory_max).min().unwrap_or(MEMORY_BYTES_ASSUMED)
}

fn physical_bytes() -> Option<u64> {
    // SAFETY: both calls only read a number.
    let (pages, page_bytes) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    Some(u64::try_from(pages).ok()?.saturating_mul(u64::try_from(page_bytes).ok()?))
}

/// `quota period`, or `max period`.
fn cores_of(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mount with a group of 512 MiB, and one in it that has half a core.
    fn mount() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("mecapy.slice/inner");
        fs::create_dir_all(&inner).unwrap();
        for (folder, name, text) in [
            (inner.parent().unwrap(), "memory.max", "536870912\n"),
            (inner.parent().unwrap(), "cpu.max", "max 100000\n"),
            (&inner, "memory.max", "max\n"),
            (&inner, "cpu.max", "50000 100000\n"),
            (&inner, "pids.max", "100\n"),
            (top.path(), "pids.max", "7000\n"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        top
    }

    #[test]
    fn the_tightest_group_counts() {
        let mount = mount();
        let group = ControlGroup::of("1:cpu:/else\n0::/mecapy.slice/inner\n", mount.path());
        assert_eq!((group.memory_max, group.cores, group.processes_max), (Some(512 << 20), Some(0.5), Some(100)));
    }

    #[test]
    fn a_path_that_the_mount_does_not_show_means_the_mount_itself() {
        let mount = mount();
        for own in ["0::/docker/0123", "1:memory:/old", ""] {
            let group = ControlGroup::of(own, mount.path());
            assert_eq!((group.memory_max, group.cores, group.processes_max), (None, None, Some(7000)), "{own:?}");
        }
    }

    #[test]
    fn memory_is_the_machines_or_the_groups_whichever_is_less() {
        let group = |memory_max| ControlGroup { memory_max, ..ControlGroup::default() };
        assert_eq!(least_memory(Some(8 << 30), &group(Some(2 << 30))), 2 << 30);
        assert_eq!(least_memory(Some(8 << 30), &group(Some(64 << 30))), 8 << 30);
        assert_eq!(least_memory(Some(8 << 30), &group(None)), 8 << 30);
        assert_eq!(least_memory(None, &group(None)), MEMORY_BYTES_ASSUMED);
        assert!(memory_bytes() > 0);
    }
}
