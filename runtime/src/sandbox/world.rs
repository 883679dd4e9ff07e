//! The world `mecapy:task` as its host: progress, log and artifacts over the attempt's observer and file tree.

use super::{
    State,
    grants::{IN, OUT},
    world_types::{FileFault, Level},
};
use crate::{
    tree::{At, Create, HOST_READ_BYTES_MAX, Last, OpenOptions, Tree, TreeError},
    wasi::WasiCtx,
};
use mecapy_model::ArtifactName;
use wasmtime::component::{Linker, LinkerInstance, WasmList, WasmStr};
use wasmtime::{StoreContext, StoreContextMut};

/// The interfaces, without their version.
pub(crate) const INTERFACES: [&str; 4] =
    ["mecapy:task/artifact", "mecapy:task/log", "mecapy:task/progress", "mecapy:task/types"];

/// What they are linked as. Names of other releases of 0.1 find them too.
pub(crate) const VERSION: &str = "0.1.0";

/// Bytes of one message of the log.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

impl From<TreeError> for FileFault {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::NotFound | TreeError::Io => FileFault::NotFound,
            TreeError::NoSpace | TreeError::NoInode | TreeError::TooDeep | TreeError::TooBig => FileFault::TooLarge,
            // Something else stands where the file or a folder of it should be.
            _ => FileFault::InvalidName,
        }
    }
}

/// Defines the interfaces of the world.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    // It has types alone.
    interface(linker, "types")?;
    let mut progress = interface(linker, "progress")?;
    progress.func_wrap("report", |mut store: StoreContextMut<'_, State>, (fraction, message): (f64, WasmStr)| {
        let message = text(&store, &message)?;
        let state = called(&mut store)?;
        state.door.report(fraction, &message);
        Ok(())
    })?;
    let mut log = interface(linker, "log")?;
    log.func_wrap("write", |mut store: StoreContextMut<'_, State>, (level, message): (Level, WasmStr)| {
        let line = format!("{} {}\n", level.word(), text(&store, &message)?);
        called(&mut store)?.wasi.stderr_mut().write(line.as_bytes());
        Ok(())
    })?;
    log.func_wrap("warning", |mut store: StoreContextMut<'_, State>, (code, message): (WasmStr, WasmStr)| {
        let (code, message) = (text(&store, &code)?, text(&store, &message)?);
        called(&mut store)?.door.warn(&code, &message);
        Ok(())
    })?;
    link_artifact(&mut interface(linker, "artifact")?)
}

fn link_artifact(artifact: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    for (name, truncate) in [("write", true), ("append", false)] {
        artifact.func_wrap(
            name,
            move |mut store: StoreContextMut<'_, State>, (name, content): (WasmStr, WasmList<u8>)| {
                let name = text(&store, &name)?;
                // Before anything is copied.
                if content.len() as u64 > called(&mut store)?.wasi.tree().limits().bytes_max {
                    return Ok((Err(FileFault::TooLarge),));
                }
                let content = content.as_le_slice(StoreContext::from(&store)).to_vec();
                Ok((write(&mut store.data_mut().wasi, &name, &content, truncate),))
            },
        )?;
    }
    artifact.func_wrap("read", |mut store: StoreContextMut<'_, State>, (name, offset, length): (WasmStr, u64, u32)| {
        let name = text(&store, &name)?;
        Ok((read(called(&mut store)?.wasi.tree(), &name, offset, length),))
    })
}

fn interface<'l>(linker: &'l mut Linker<State>, name: &str) -> wasmtime::Result<LinkerInstance<'l, State>> {
    linker.instance(&format!("mecapy:task/{name}@{VERSION}"))
}

/// The beginning of a text that the guest passed.
fn text(store: &StoreContextMut<'_, State>, text: &WasmStr) -> wasmtime::Result<String> {
    let text = text.to_str(StoreContext::from(store))?;
    Ok(text.get(..text.floor_char_boundary(MESSAGE_BYTES_MAX)).unwrap_or_default().to_owned())
}

/// The state, for a call that is counted.
fn called<'s>(store: &'s mut StoreContextMut<'_, State>) -> wasmtime::Result<&'s mut State> {
    let state = store.data_mut();
    state.wasi.count_call()?;
    Ok(state)
}

fn write(wasi: &mut WasiCtx, name: &str, content: &[u8], truncate: bool) -> Result<(), FileFault> {
    ArtifactName::parse(name).map_err(|_| FileFault::InvalidName)?;
    let now = wasi.now();
    let tree = wasi.tree_mut();
    let base = tree.locate(OUT)?;
    for (end, _) in name.match_indices('/') {
        let folder = name.get(..end).unwrap_or_default();
        match tree.create_directory(At { base, path: folder }, now) {
            Ok(()) | Err(TreeError::Exists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // A file is written whole or not at all.
    let replaced = tree.resolve(At { base, path: name }, Last::Keep).and_then(|node| tree.stat(node));
    let replaced = if truncate { replaced.map_or(0, |stat| stat.bytes) } else { 0 };
    let room = tree.limits().bytes_max.saturating_sub(tree.bytes_used()).saturating_add(replaced);
    if content.len() as u64 > room {
        return Err(FileFault::TooLarge);
    }
    let options = OpenOptions {
        create: Create::IfMissing,
        directory: false,
        truncate,
        write: true,
        last: Last::FollowBeforeSlash,
    };
    let node = tree.open(At { base, path: name }, options, now)?;
    let end = tree.stat(node).map(|stat| stat.bytes);
    let written = end.and_then(|end| tree.write_at(node, end, content, now));
    tree.release(node)?;
    written?;
    Ok(())
}

fn read(tree: &Tree, name: &str, offset: u64, length: u32) -> Result<Vec<u8>, FileFault> {
    ArtifactName::parse(name).map_err(|_| FileFault::InvalidName)?;
    let node = tree.locate(&format!("{IN}/{name}"))?;
    let left = tree.stat(node)?.bytes.saturating_sub(offset);
    let wanted = usize::try_from(left.min(u64::from(length))).unwrap_or(usize::MAX).min(HOST_READ_BYTES_MAX);
    let mut bytes = vec![0; wanted];
    let read = tree.read_at(node, offset, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileContent, add_folders, tree::TreeLimits};

    fn context() -> WasiCtx {
        let mut tree = Tree::new(TreeLimits { bytes_max: 10, ..TreeLimits::default() });
        add_folders(&mut tree).unwrap();
        tree.add_file("/work/in/mesh/a.txt", FileContent::Bytes(b"nodes".as_slice().into())).unwrap();
        WasiCtx::builder().tree(tree).build().unwrap()
    }

    fn left(wasi: &WasiCtx) -> Vec<(String, String)> {
        let files = wasi.tree().files_under(OUT).unwrap().map(|file| file.unwrap());
        files.map(|(name, bytes)| (name, String::from_utf8_lossy(bytes).into_owned())).collect()
    }

    #[test]
    fn artifacts_are_written_whole_and_appended_to() {
        let mut wasi = context();
        assert_eq!(write(&mut wasi, "a/b.txt", b"123456", true), Ok(()));
        assert_eq!(write(&mut wasi, "a/b.txt", b"12", true), Ok(()));
        assert_eq!(write(&mut wasi, "a/b.txt", b"345", false), Ok(()));
        assert_eq!(write(&mut wasi, "c.txt", b"", false), Ok(()));
        let expected = [("a/b.txt", "12345"), ("c.txt", "")];
        assert_eq!(left(&wasi), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(write(&mut wasi, "c.txt", b"123456", true), Err(FileFault::TooLarge));
        assert_eq!(write(&mut wasi, "a/b.txt", b"1234567890", true), Ok(()));
        assert_eq!(write(&mut wasi, "c.txt", b"1", false), Err(FileFault::TooLarge));
        assert_eq!(left(&wasi).len(), 2);
    }

    #[test]
    fn names_stay_in_their_folder() {
        let mut wasi = context();
        let long = "x".repeat(300);
        for name in ["", "/etc/passwd", "../in/a", "a/../b", ".", "a//b", "a/", long.as_str()] {
            assert_eq!(write(&mut wasi, name, b"x", true), Err(FileFault::InvalidName), "{name}");
            assert_eq!(read(wasi.tree(), name, 0, 1), Err(FileFault::InvalidName), "{name}");
        }
        write(&mut wasi, "a", b"x", true).unwrap();
        assert_eq!(write(&mut wasi, "a/b", b"x", true), Err(FileFault::InvalidName));
    }

    #[test]
    fn files_that_were_sent_are_read_in_parts() {
        let wasi = context();
        let rows = [(0, 100, "nodes"), (1, 2, "od"), (4, 9, "s"), (5, 1, ""), (u64::MAX, u32::MAX, "")];
        for (offset, length, expected) in rows {
            assert_eq!(read(wasi.tree(), "mesh/a.txt", offset, length).unwrap(), expected.as_bytes());
        }
        assert_eq!(read(wasi.tree(), "mesh/b.txt", 0, 1), Err(FileFault::NotFound));
        assert_eq!(read(wasi.tree(), "mesh", 0, 1), Err(FileFault::InvalidName));
    }
}
