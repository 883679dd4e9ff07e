//! The granted directories, and what an open file or directory can do by itself.

use super::{
    Get, bounded, descriptor, functions, interface,
    io::{InputStream, OutputStream},
    resource,
    types::{
        Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, IoError, MetadataHash,
        NewTimestamp,
    },
};
use crate::{
    tree::{HOST_READ_BYTES_MAX, Kind, NodeId, SetTimes, TreeError},
    wasi::WasiCtx,
};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, WasmList};

/// Entries of a directory before the first that has a name of its own: `.` and `..`, which 0.2 doesn't list.
const FIRST_NAMED: u64 = 2;

/// An open file or directory; the node is held.
#[derive(Clone, Copy)]
pub(super) struct Descriptor {
    pub(super) node: NodeId,
    pub(super) flags: DescriptorFlags,
}

/// A directory that is listed, and how far; the node is held.
#[derive(Clone, Copy)]
struct DirectoryEntryStream {
    node: NodeId,
    next: u64,
}

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    let mut preopens = interface(linker, "wasi:filesystem/preopens")?;
    functions! { preopens, get,
        "get-directories"() -> Vec<(Resource<Descriptor>, String)> => |ctx| ctx.granted_directories();
    }
    let mut types = interface(linker, "wasi:filesystem/types")?;
    resource(&mut types, "descriptor", get, |ctx, descriptor: Descriptor| {
        ctx.tree.release(descriptor.node).unwrap_or_default();
    })?;
    resource(&mut types, "directory-entry-stream", get, |ctx, stream: DirectoryEntryStream| {
        ctx.tree.release(stream.node).unwrap_or_default();
    })?;
    functions! { types, get,
        "filesystem-error-code"(error: Resource<IoError>) -> Option<ErrorCode> =>
            |ctx| Ok(Some(ctx.resources.get(&error)?.0));
        "[method]descriptor.read-directory"(descriptor: Resource<Descriptor>) -> Result<Resource<DirectoryEntryStream>, ErrorCode> =>
            |ctx| ctx.read_directory(&descriptor);
        "[method]directory-entry-stream.read-directory-entry"(stream: Resource<DirectoryEntryStream>) -> Result<Option<DirectoryEntry>, ErrorCode> =>
            |ctx| ctx.read_directory_entry(&stream);
    }
    link_streams(&mut types, get)?;
    link_content(&mut types, get)?;
    link_metadata(&mut types, get)?;
    descriptor::link(&mut types, get)
}

fn link_streams<T: 'static>(types: &mut LinkerInstance<'_, T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { types, get,
        "[method]descriptor.read-via-stream"(descriptor: Resource<Descriptor>, offset: u64) -> Result<Resource<InputStream>, ErrorCode> => |ctx| {
            match ctx.held_file(&descriptor, DescriptorFlags::READ)? {
                Ok(node) => Ok(Ok(ctx.handle(InputStream::File { node, offset })?)),
                Err(code) => Ok(Err(code)),
            }
        };
        "[method]descriptor.write-via-stream"(descriptor: Resource<Descriptor>, offset: u64) -> Result<Resource<OutputStream>, ErrorCode> =>
            |ctx| ctx.write_via_stream(&descriptor, Some(offset));
        "[method]descriptor.append-via-stream"(descriptor: Resource<Descriptor>) -> Result<Resource<OutputStream>, ErrorCode> =>
            |ctx| ctx.write_via_stream(&descriptor, None);
    }
    Ok(())
}

fn link_content<T: 'static>(types: &mut LinkerInstance<'_, T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { types, get,
        "[method]descriptor.read"(descriptor: Resource<Descriptor>, length: u64, offset: u64) -> Result<(Vec<u8>, bool), ErrorCode> =>
            |ctx| ctx.read_descriptor(&descriptor, length, offset);
        "[method]descriptor.set-size"(descriptor: Resource<Descriptor>, size: u64) -> Result<(), ErrorCode> => |ctx| {
            let (file, now) = (*ctx.resources.get(&descriptor)?, ctx.now());
            Ok(file.permits(DescriptorFlags::WRITE).and_then(|()| Ok(ctx.tree.set_size(file.node, size, now)?)))
        };
        "[method]descriptor.advise"(descriptor: Resource<Descriptor>, _offset: u64, _length: u64, _advice: Advice) -> Result<(), ErrorCode> =>
            |ctx| Ok(ctx.resources.get(&descriptor).map(|_| Ok(()))?);
        "[method]descriptor.sync"(descriptor: Resource<Descriptor>) -> Result<(), ErrorCode> =>
            |ctx| Ok(ctx.resources.get(&descriptor).map(|_| Ok(()))?);
        "[method]descriptor.sync-data"(descriptor: Resource<Descriptor>) -> Result<(), ErrorCode> =>
            |ctx| Ok(ctx.resources.get(&descriptor).map(|_| Ok(()))?);
    }
    types.func_wrap("[method]descriptor.write", move |mut store: StoreContextMut<'_, T>, (descriptor, contents, at)| {
        let bytes = bounded(&store, &contents as &WasmList<u8>)?;
        let ctx = get(store.data_mut());
        ctx.count_call()?;
        let (file, now): (Descriptor, _) = (*ctx.resources.get(&descriptor)?, ctx.now());
        let permitted = file.permits(DescriptorFlags::WRITE);
        let written: Result<u64, ErrorCode> =
            permitted.and_then(|()| Ok(ctx.tree.write_at(file.node, at, &bytes, now)? as u64));
        Ok((written,))
    })
}

fn link_metadata<T: 'static>(types: &mut LinkerInstance<'_, T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { types, get,
        "[method]descriptor.get-flags"(descriptor: Resource<Descriptor>) -> Result<DescriptorFlags, ErrorCode> =>
            |ctx| Ok(Ok(ctx.resources.get(&descriptor)?.flags));
        "[method]descriptor.get-type"(descriptor: Resource<Descriptor>) -> Result<DescriptorType, ErrorCode> => |ctx| {
            let node = ctx.resources.get(&descriptor)?.node;
            Ok(ctx.tree.kind(node).map(DescriptorType::from).map_err(ErrorCode::from))
        };
        "[method]descriptor.stat"(descriptor: Resource<Descriptor>) -> Result<DescriptorStat, ErrorCode> => |ctx| {
            let node = ctx.resources.get(&descriptor)?.node;
            Ok(ctx.tree.stat(node).map(DescriptorStat::from).map_err(ErrorCode::from))
        };
        "[method]descriptor.metadata-hash"(descriptor: Resource<Descriptor>) -> Result<MetadataHash, ErrorCode> => |ctx| {
            let node = ctx.resources.get(&descriptor)?.node;
            Ok(ctx.tree.stat(node).map(MetadataHash::from).map_err(ErrorCode::from))
        };
        "[method]descriptor.set-times"(descriptor: Resource<Descriptor>, accessed: NewTimestamp, modified: NewTimestamp) -> Result<(), ErrorCode> => |ctx| {
            let (node, now) = (ctx.resources.get(&descriptor)?.node, ctx.now());
            let times = SetTimes { accessed: accessed.unix_nanos(now), modified: modified.unix_nanos(now) };
            Ok(ctx.tree.set_times(node, times, now).map_err(ErrorCode::from))
        };
        "[method]descriptor.is-same-object"(one: Resource<Descriptor>, other: Resource<Descriptor>) -> bool =>
            |ctx| Ok(ctx.resources.get(&one)?.node == ctx.resources.get(&other)?.node);
    }
    Ok(())
}

impl Descriptor {
    /// A file that was not opened for it can be neither read nor written.
    fn permits(&self, flag: DescriptorFlags) -> Result<(), ErrorCode> {
        if self.flags & flag == flag { Ok(()) } else { Err(ErrorCode::BadDescriptor) }
    }
}

impl WasiCtx {
    fn granted_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut granted = Vec::with_capacity(self.preopens.len());
        for path in self.preopens.clone() {
            // It is there: the context was not built without it.
            let node = self.tree.locate(&path)?;
            self.tree.hold(node)?;
            let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
            granted.push((self.handle(Descriptor { node, flags })?, path.to_string()));
        }
        Ok(granted)
    }

    /// The node of an open file, held once more.
    fn held_file(
        &mut self,
        descriptor: &Resource<Descriptor>,
        flag: DescriptorFlags,
    ) -> wasmtime::Result<Result<NodeId, ErrorCode>> {
        let file = *self.resources.get(descriptor)?;
        let tree = &mut self.tree;
        let held = file.permits(flag).and_then(|()| match tree.kind(file.node)? {
            Kind::Directory => Err(ErrorCode::IsDirectory),
            Kind::File | Kind::Symlink => Ok(tree.hold(file.node)?),
        });
        Ok(held.map(|()| file.node))
    }

    fn write_via_stream(
        &mut self,
        descriptor: &Resource<Descriptor>,
        offset: Option<u64>,
    ) -> wasmtime::Result<Result<Resource<OutputStream>, ErrorCode>> {
        match self.held_file(descriptor, DescriptorFlags::WRITE)? {
            Ok(node) => Ok(Ok(self.handle(OutputStream::File { node, offset })?)),
            Err(code) => Ok(Err(code)),
        }
    }

    /// At most [`HOST_READ_BYTES_MAX`] bytes, and whether the file ends there.
    fn read_descriptor(
        &mut self,
        descriptor: &Resource<Descriptor>,
        length: u64,
        offset: u64,
    ) -> wasmtime::Result<Result<(Vec<u8>, bool), ErrorCode>> {
        let file = *self.resources.get(descriptor)?;
        let tree = &self.tree;
        Ok(file.permits(DescriptorFlags::READ).and_then(|()| {
            let left = tree.stat(file.node)?.bytes.saturating_sub(offset);
            let wanted = usize::try_from(length.min(left)).unwrap_or(usize::MAX).min(HOST_READ_BYTES_MAX);
            let mut bytes = vec![0; wanted];
            let read = tree.read_at(file.node, offset, &mut bytes)?;
            bytes.truncate(read);
            Ok((bytes, read as u64 == left))
        }))
    }

    fn read_directory(
        &mut self,
        descriptor: &Resource<Descriptor>,
    ) -> wasmtime::Result<Result<Resource<DirectoryEntryStream>, ErrorCode>> {
        let node = self.resources.get(descriptor)?.node;
        let held = self.tree.kind(node).and_then(|kind| match kind {
            Kind::Directory => self.tree.hold(node),
            Kind::File | Kind::Symlink => Err(TreeError::NotDirectory),
        });
        match held {
            Ok(()) => Ok(Ok(self.handle(DirectoryEntryStream { node, next: FIRST_NAMED })?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn read_directory_entry(
        &mut self,
        stream: &Resource<DirectoryEntryStream>,
    ) -> wasmtime::Result<Result<Option<DirectoryEntry>, ErrorCode>> {
        let position = self.resources.get_mut(stream)?;
        let mut entries = match self.tree.entries(position.node, position.next) {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(Ok(entries.next().map(|entry| {
            position.next = entry.next;
            DirectoryEntry { kind: entry.kind.into(), name: entry.name.to_owned() }
        })))
    }
}
