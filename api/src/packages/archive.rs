//! Zip archives: read under bounds into memory, and written always the same.
//!
//! Nothing is unpacked to a disk, and what a member claims about itself (sizes, a name in two places) is checked, not
//! believed. Archives inside an archive are files like any other.

use super::files::{Bounds, Files, Gathering, Refused};
use std::io::{Cursor, Read, Write};
use zip::{
    CompressionMethod, ZipArchive, ZipWriter,
    read::{ArchiveOffset, Config, ZipFile},
    result::{ZipError, ZipResult},
    write::SimpleFileOptions,
};

/// What each entry of an archive's directory begins with.
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";
/// An archive that holds more of them is not opened: the reader keeps some hundred bytes for each. Those of archives
/// that are files inside count too, so there may be more than a package has entries.
const ENTRY_SIGNATURES_MAX: usize = 65_536;

/// The part of a Unix mode that says what kind of file it is, and its values for files and folders.
const MODE_KIND: u32 = 0o170_000;
const MODE_FILE: u32 = 0o100_000;
const MODE_FOLDER: u32 = 0o040_000;

/// Reads all files of `archive`. Its memory stays below the archive's bounds, whatever the archive claims.
///
/// # Errors
/// What isn't a zip, is damaged, encrypted, or out of `bounds`; links and other special files; names that are
/// absolute, leave the folder, are not UTF-8, appear twice, or differ in letter case alone.
pub fn read_zip(archive: &[u8], bounds: Bounds) -> Result<Files, Refused> {
    let bytes = archive.len() as u64;
    if bytes > bounds.archive_bytes_max {
        let max = bounds.archive_bytes_max >> 20;
        return Err(Refused::new("archive_too_large", format!("The archive has more than {max} MiB.")));
    }
    if !archive.starts_with(b"PK") {
        let message = "This is not a zip archive: zip the folder that mecapy.yml is in.";
        return Err(Refused::new("not_a_zip", message));
    }
    let signatures = archive.windows(ENTRY_SIGNATURE.len()).filter(|bytes| *bytes == ENTRY_SIGNATURE).count();
    if signatures > ENTRY_SIGNATURES_MAX {
        return Err(too_many(signatures, bounds));
    }
    // An archive that begins somewhere inside the file is one that two readers understand in two ways.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, Cursor::new(archive)).map_err(|error| damaged(&error))?;
    if archive.len() > bounds.entries_max {
        return Err(too_many(archive.len(), bounds));
    }
    if archive.has_duplicate_names() {
        return Err(Refused::new("duplicate_file_name", "The archive holds two files of the same name."));
    }
    archive.validate_header_consistency().map_err(|error| damaged(&error))?;
    let mut gathering = Gathering::new(bounds, Some(bytes));
    for index in 0..archive.len() {
        read_member(archive.by_index(index).map_err(|error| damaged(&error))?, &mut gathering)?;
    }
    Ok(gathering.finish())
}

fn too_many(found: usize, bounds: Bounds) -> Refused {
    let max = bounds.entries_max;
    let message = format!("The archive has {found} entries; {max} are allowed. Leave out what isn't needed.");
    Refused::new("too_many_files", message)
}

fn read_member<R: Read>(mut member: ZipFile<'_, R>, gathering: &mut Gathering) -> Result<(), Refused> {
    let Ok(raw) = std::str::from_utf8(member.name_raw()) else {
        let shown = String::from_utf8_lossy(member.name_raw()).chars().take(64).collect::<String>();
        let message = format!("The name {shown:?} is not UTF-8: pack the files with a tool that writes UTF-8 names.");
        return Err(Refused::new("invalid_file_name", message));
    };
    let folder = raw.strip_suffix('/');
    let Some(name) = gathering.admit(folder.unwrap_or(raw))? else { return Ok(()) };
    let kind = member.unix_mode().map_or(0, |mode| mode & MODE_KIND);
    if !matches!(kind, 0 | MODE_FILE | MODE_FOLDER) || member.is_symlink() {
        let message = format!("{name} is a link or a special file: put the file itself in its place.");
        return Err(Refused::new("not_a_file", message));
    }
    if folder.is_some() {
        return Ok(());
    }
    let max = gathering.readable_bytes();
    let mut content = Vec::new();
    let read = member.by_ref().take(max).read_to_end(&mut content);
    read.map_err(|error| {
        let message =
            format!("{name} can't be unpacked: {error}. Pack it with the method deflate, without a password.");
        Refused::new("archive_damaged", message)
    })?;
    gathering.put(name, content)
}

fn damaged(error: &ZipError) -> Refused {
    let advice = match error {
        ZipError::UnsupportedArchive(_) => "Pack the files anew, with the method deflate and without a password.",
        _ => "Pack the files anew.",
    };
    let mut what = error.to_string();
    what.truncate(what.char_indices().nth(200).map_or(what.len(), |(at, _)| at));
    Refused::new("archive_damaged", format!("The zip archive can't be read ({what}). {advice}"))
}

/// A zip archive of `files`: the same bytes for the same files.
///
/// # Errors
/// The archive would be larger than a zip can be, which [`Bounds`] don't allow.
pub fn write_zip(files: &Files) -> ZipResult<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    for (name, content) in files.iter() {
        writer.start_file(name.as_str(), options)?;
        writer.write_all(content)?;
    }
    Ok(writer.finish()?.into_inner())
}
