//! Which pages of a range are private to this process: the kernel's `PAGEMAP_SCAN` (Linux 6.7 and later).

use std::{fs::File, io, os::fd::AsRawFd};

const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;
/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = 0xC060_6610;
/// Regions that one call reports; a scan calls as often as needed.
const REGIONS_PER_CALL: usize = 512;

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
#[derive(Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_length: u64,
    pages_max: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of `linux/fs.h`: `[start, end)` in addresses.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) end: u64,
    categories: u64,
}

/// What a scan does after a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    GoOn,
    /// Nothing more needs to be found.
    Stop,
}

/// This process's page map, where the kernel can scan it.
#[derive(Debug)]
pub(super) struct Pagemap {
    pub(super) file: File,
}

impl Pagemap {
    /// `None` where the kernel has no `PAGEMAP_SCAN`.
    pub(super) fn open() -> Option<Self> {
        let pagemap = Self { file: File::open("/proc/self/pagemap").ok()? };
        let probe = [0_u8; super::PAGE_BYTES * 2];
        let start = (probe.as_ptr() as usize).next_multiple_of(super::PAGE_BYTES);
        pagemap.scan_private(start, start + super::PAGE_BYTES, |_, _| Ok(Scan::GoOn)).ok().map(|()| pagemap)
    }

    /// Calls `found(start, end)` for each run of private pages in `[start, end)`: anonymous pages that hold data,
    /// resident or swapped out. Pages still shared with the mapped file, and holes, are not reported. An error of
    /// `found` ends the scan.
    pub(super) fn scan_private(
        &self,
        start: usize,
        end: usize,
        mut found: impl FnMut(usize, usize) -> io::Result<Scan>,
    ) -> io::Result<()> {
        let mut regions = [Region::default(); REGIONS_PER_CALL];
        let mut at = start as u64;
        while at < end as u64 {
            let mut argument = ScanArgument {
                size: size_of::<ScanArgument>() as u64,
                start: at,
                end: end as u64,
                regions: regions.as_mut_ptr() as u64,
                regions_length: REGIONS_PER_CALL as u64,
                category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                return_mask: 0,
                ..ScanArgument::default()
            };
            // SAFETY: the argument is a valid `pm_scan_arg`, and `regions` outlives the call that fills it.
            let count = unsafe { libc::ioctl(self.file.as_raw_fd(), PAGEMAP_SCAN as _, &mut argument) };
            if count < 0 {
                return Err(io::Error::last_os_error());
            }
            for region in regions.iter().take(count as usize) {
                if found(region.start as usize, region.end as usize)? == Scan::Stop {
                    return Ok(());
                }
            }
            if argument.walk_end <= at {
                return Err(io::Error::other("the page map scan made no progress"));
            }
            at = argument.walk_end;
        }
        Ok(())
    }
}
