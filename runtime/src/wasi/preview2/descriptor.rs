//! Operations on paths. Each starts from a directory that the guest holds and stays in it.

use super::{
    Get,
    filesystem::Descriptor,
    functions,
    types::{DescriptorFlags, DescriptorStat, ErrorCode, MetadataHash, NewTimestamp, OpenFlags, PathFlags},
};
use crate::{
    tree::{At, Create, Last, OpenOptions, SetTimes, Tree, TreeError},
    wasi::WasiCtx,
};
use wasmtime::component::{LinkerInstance, Resource};

/// Adds to the interface that `filesystem::link` has begun.
pub(super) fn link<T: 'static>(types: &mut LinkerInstance<'_, T>, get: impl Get<T>) -> wasmtime::Result<()> {
    link_lookups(types, get)?;
    link_changes(types, get)
}

fn link_lookups<T: 'static>(types: &mut LinkerInstance<'_, T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { types, get,
        "[method]descriptor.open-at"(base: Resource<Descriptor>, path_flags: PathFlags, path: String, how: OpenFlags, flags: DescriptorFlags) -> Result<Resource<Descriptor>, ErrorCode> => |ctx| {
            let options = OpenOptions {
                create: match (how & OpenFlags::CREATE == OpenFlags::CREATE, how & OpenFlags::EXCLUSIVE == OpenFlags::EXCLUSIVE) {
                    (true, true) => Create::New,
                    (true, false) => Create::IfMissing,
                    (false, _) => Create::Never,
                },
                directory: how & OpenFlags::DIRECTORY == OpenFlags::DIRECTORY,
                truncate: how & OpenFlags::TRUNCATE == OpenFlags::TRUNCATE,
                write: flags & DescriptorFlags::WRITE == DescriptorFlags::WRITE,
                last: last(path_flags),
            };
            match ctx.on_path(&base, &path, |tree, at, now| tree.open(at, options, now))? {
                Ok(node) => Ok(Ok(ctx.handle(Descriptor { node, flags })?)),
                Err(code) => Ok(Err(code)),
            }
        };
        "[method]descriptor.stat-at"(base: Resource<Descriptor>, path_flags: PathFlags, path: String) -> Result<DescriptorStat, ErrorCode> =>
            |ctx| Ok(ctx.on_path(&base, &path, |tree, at, _| tree.stat(tree.resolve(at, last(path_flags))?))?.map(Into::into));
        "[method]descriptor.metadata-hash-at"(base: Resource<Descriptor>, path_flags: PathFlags, path: String) -> Result<MetadataHash, ErrorCode> =>
            |ctx| Ok(ctx.on_path(&base, &path, |tree, at, _| tree.stat(tree.resolve(at, last(path_flags))?))?.map(Into::into));
        "[method]descriptor.readlink-at"(base: Resource<Descriptor>, path: String) -> Result<String, ErrorCode> =>
            |ctx| ctx.on_path(&base, &path, |tree, at, _| tree.read_symlink(at).map(str::to_owned));
    }
    Ok(())
}

fn link_changes<T: 'static>(types: &mut LinkerInstance<'_, T>, get: impl Get<T>) -> wasmtime::Result<()> {
    functions! { types, get,
        "[method]descriptor.create-directory-at"(base: Resource<Descriptor>, path: String) -> Result<(), ErrorCode> =>
            |ctx| ctx.on_path(&base, &path, |tree, at, now| tree.create_directory(at, now));
        "[method]descriptor.remove-directory-at"(base: Resource<Descriptor>, path: String) -> Result<(), ErrorCode> =>
            |ctx| ctx.on_path(&base, &path, |tree, at, now| tree.remove_directory(at, now));
        "[method]descriptor.unlink-file-at"(base: Resource<Descriptor>, path: String) -> Result<(), ErrorCode> =>
            |ctx| ctx.on_path(&base, &path, |tree, at, now| tree.unlink(at, now));
        "[method]descriptor.symlink-at"(base: Resource<Descriptor>, target: String, path: String) -> Result<(), ErrorCode> =>
            |ctx| ctx.on_path(&base, &path, |tree, at, now| tree.create_symlink(&target, at, now));
        "[method]descriptor.set-times-at"(base: Resource<Descriptor>, path_flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp) -> Result<(), ErrorCode> =>
            |ctx| ctx.on_path(&base, &path, |tree, at, now| {
                let times = SetTimes { accessed: accessed.unix_nanos(now), modified: modified.unix_nanos(now) };
                let node = tree.resolve(at, last(path_flags))?;
                tree.set_times(node, times, now)
            });
        "[method]descriptor.rename-at"(base: Resource<Descriptor>, path: String, new_base: Resource<Descriptor>, new_path: String) -> Result<(), ErrorCode> => |ctx| {
            let new = At { base: ctx.resources.get(&new_base)?.node, path: &new_path };
            ctx.on_path(&base, &path, |tree, at, now| tree.rename(at, new, now))
        };
        "[method]descriptor.link-at"(base: Resource<Descriptor>, path_flags: PathFlags, path: String, new_base: Resource<Descriptor>, new_path: String) -> Result<(), ErrorCode> => |ctx| {
            let new = At { base: ctx.resources.get(&new_base)?.node, path: &new_path };
            ctx.on_path(&base, &path, |tree, at, now| tree.link(at, last(path_flags), new, now))
        };
    }
    Ok(())
}

fn last(flags: PathFlags) -> Last {
    if flags & PathFlags::SYMLINK_FOLLOW == PathFlags::SYMLINK_FOLLOW { Last::Follow } else { Last::FollowBeforeSlash }
}

impl WasiCtx {
    /// An operation on a path from an open directory, at the present time.
    fn on_path<V>(
        &mut self,
        base: &Resource<Descriptor>,
        path: &str,
        operation: impl FnOnce(&mut Tree, At<'_>, u64) -> Result<V, TreeError>,
    ) -> wasmtime::Result<Result<V, ErrorCode>> {
        let at = At { base: self.resources.get(base)?.node, path };
        let now = self.now();
        Ok(operation(&mut self.tree, at, now).map_err(ErrorCode::from))
    }
}
