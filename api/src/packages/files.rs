//! The files of a package in memory, gathered under bounds, and the digest of what they are.

use super::name::FileName;
use mecapy_model::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};

/// What a package, or a wheel in it, may hold.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of the archive itself.
    pub archive_bytes_max: u64,
    /// Entries of the archive or the folder, folders and what is left out included.
    pub entries_max: usize,
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Bytes of all files together.
    pub files_bytes_max: u64,
    /// How much larger than the archive its files may be, once they exceed `RATIO_FREE_BYTES`.
    pub ratio_max: u64,
    /// Whether a file of this name is passed over: it belongs to the author's machine, not to the package.
    pub leaves_out: fn(&str) -> bool,
}

impl Bounds {
    /// A package.
    pub const PACKAGE: Bounds = Bounds {
        archive_bytes_max: 32 << 20,
        entries_max: 4_096,
        file_bytes_max: 16 << 20,
        files_bytes_max: 64 << 20,
        ratio_max: 100,
        leaves_out: belongs_to_the_machine,
    };
    /// One wheel of a package.
    pub const WHEEL: Bounds = Bounds { leaves_out: |_| false, ..Bounds::PACKAGE };
}

/// Up to this size the ratio of an archive to its files is not looked at: short texts of blanks compress well.
const RATIO_FREE_BYTES: u64 = 1 << 20;

/// Hidden files and folders, compiled Python, and what macOS adds to a zip.
fn belongs_to_the_machine(name: &str) -> bool {
    let is_machines = |part: &str| part.starts_with('.') || matches!(part, "__pycache__" | "__MACOSX");
    name.split('/').any(is_machines) || name.ends_with(".pyc")
}

/// Why files can't be a package, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub code: &'static str,
    pub message: String,
}

impl Refused {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Files by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<FileName, Vec<u8>>);

impl Files {
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Names and contents, in the order of the names' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&FileName, &[u8])> {
        self.0.iter().map(|(name, content)| (name, content.as_slice()))
    }

    pub fn names(&self) -> impl Iterator<Item = &FileName> {
        self.0.keys()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All contents together, bytes.
    pub fn bytes(&self) -> u64 {
        self.0.values().map(|content| content.len() as u64).sum()
    }

    /// SHA-256 over the sorted names, sizes and contents: equal for a folder and for any zip of the same files,
    /// whatever their times, modes, order or compression.
    pub fn digest(&self) -> Digest {
        let mut hasher = Sha256::new();
        hasher.update(b"mecapy package 1\n");
        for (name, content) in &self.0 {
            // Lengths come first, so no two lists of files give the same bytes.
            hasher.update((name.as_str().len() as u64).to_be_bytes());
            hasher.update(name.as_str().as_bytes());
            hasher.update((content.len() as u64).to_be_bytes());
            hasher.update(content);
        }
        Digest(hasher.finalize().into())
    }
}

/// Files while they are read: counts, and refuses what can't be side by side.
pub(super) struct Gathering {
    bounds: Bounds,
    files: Files,
    /// What each name is on a system that doesn't tell upper from lower case.
    folded: HashMap<String, Spelled>,
    entries: usize,
    bytes: u64,
    bytes_max: u64,
}

struct Spelled {
    name: String,
    is_file: bool,
}

impl Gathering {
    /// `archive_bytes` is the size of the archive that the files come from; none where they are a folder's.
    pub(super) fn new(bounds: Bounds, archive_bytes: Option<u64>) -> Self {
        let by_ratio = archive_bytes.map(|bytes| RATIO_FREE_BYTES.max(bytes.saturating_mul(bounds.ratio_max)));
        let bytes_max = by_ratio.map_or(bounds.files_bytes_max, |bytes| bytes.min(bounds.files_bytes_max));
        Self { bounds, files: Files::default(), folded: HashMap::new(), entries: 0, bytes: 0, bytes_max }
    }

    /// Counts an entry and checks its name; nothing where it is left out.
    pub(super) fn admit(&mut self, name: &str) -> Result<Option<FileName>, Refused> {
        self.entries += 1;
        if self.entries > self.bounds.entries_max {
            let max = self.bounds.entries_max;
            return Err(Refused::new(
                "too_many_files",
                format!("There are more than {max} files and folders. Leave out what the functions don't need."),
            ));
        }
        let name = FileName::parse(name).map_err(|invalid| Refused::new("invalid_file_name", invalid.to_string()))?;
        Ok((!(self.bounds.leaves_out)(name.as_str())).then_some(name))
    }

    /// How many bytes of the file `name` may be read: one more than it may have.
    pub(super) fn readable_bytes(&self) -> u64 {
        let left = self.bytes_max.saturating_sub(self.bytes);
        self.bounds.file_bytes_max.min(left).saturating_add(1)
    }

    /// Takes a file in.
    pub(super) fn put(&mut self, name: FileName, content: Vec<u8>) -> Result<(), Refused> {
        let size = content.len() as u64;
        if size > self.bounds.file_bytes_max {
            let max = self.bounds.file_bytes_max >> 20;
            return Err(Refused::new(
                "file_too_large",
                format!("{name} has more than {max} MiB. Send large data as an input file of the task."),
            ));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.bytes_max {
            return Err(self.too_large(&name));
        }
        self.claim(&name)?;
        self.files.0.insert(name, content);
        Ok(())
    }

    pub(super) fn finish(self) -> Files {
        self.files
    }

    fn too_large(&self, name: &FileName) -> Refused {
        let max = self.bounds.files_bytes_max;
        if self.bytes > max {
            let message = format!("All files together have more than {} MiB, counted up to {name}.", max >> 20);
            return Refused::new("files_too_large", message);
        }
        let ratio = self.bounds.ratio_max;
        let message = format!(
            "The files are more than {ratio} times as large as their archive, counted up to {name}: that is how archives are made that fill a disk."
        );
        Refused::new("archive_bomb", message)
    }

    /// Makes sure that no other name is the same, or is the same where upper and lower case are, for the file and for
    /// each folder above it.
    fn claim(&mut self, name: &FileName) -> Result<(), Refused> {
        let text = name.as_str();
        let folders = text.match_indices('/').filter_map(|(at, _)| text.get(..at)).map(|folder| (folder, false));
        for (spelled, is_file) in folders.chain([(text, true)]) {
            let now = Spelled { name: spelled.to_owned(), is_file };
            match self.folded.get(&spelled.to_lowercase()) {
                None => drop(self.folded.insert(spelled.to_lowercase(), now)),
                Some(before) if before.name == spelled && !before.is_file && !is_file => {}
                Some(before) => return Err(clash(before, &now)),
            }
        }
        Ok(())
    }
}

fn clash(before: &Spelled, now: &Spelled) -> Refused {
    let (one, other) = (&before.name, &now.name);
    let message = match (one == other, before.is_file == now.is_file) {
        (true, true) => format!("The file {one} is there twice."),
        (_, false) => format!("{one} and {other} can't both be there: one is a file and the other a folder."),
        (false, true) => format!(
            "{one} and {other} differ in upper and lower case alone, which Windows and macOS can't tell apart: rename one."
        ),
    };
    Refused::new("duplicate_file_name", message)
}
