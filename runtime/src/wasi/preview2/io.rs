//! Streams, timers and their errors.

use super::{
    Broken, Get, STREAM_BYTES_MAX, bounded, functions, interface, resource,
    types::{IoError, Pollable, StreamError},
};
use crate::{
    tree::NodeId,
    wasi::{SUBSCRIPTIONS_MAX, Stop, WasiCtx},
};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, WasmList};

pub(super) enum InputStream {
    Stdin,
    /// From an offset on; the node is held.
    File {
        node: NodeId,
        offset: u64,
    },
}

pub(super) enum OutputStream {
    Stdout,
    Stderr,
    /// From an offset on, or always at the end; the node is held.
    File {
        node: NodeId,
        offset: Option<u64>,
    },
}

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    let mut errors = interface(linker, "wasi:io/error")?;
    resource(&mut errors, "error", get, |_, _: IoError| ())?;
    functions! { errors, get,
        "[method]error.to-debug-string"(error: Resource<IoError>) -> String => |ctx| {
            Ok(format!("{:?}", ctx.resources.get(&error)?.0))
        };
    }
    link_poll(linker, get)?;
    let mut streams = interface(linker, "wasi:io/streams")?;
    link_input(&mut streams, get)?;
    link_output(&mut streams, get)
}

fn link_poll<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    let mut poll = interface(linker, "wasi:io/poll")?;
    resource(&mut poll, "pollable", get, |_, _: Pollable| ())?;
    functions! { poll, get,
        "[method]pollable.ready"(pollable: Resource<Pollable>) -> bool => |ctx| {
            Ok(ctx.resources.get(&pollable)?.0 <= ctx.clocks.monotonic_nanos())
        };
        "poll"(pollables: Vec<Resource<Pollable>>) -> Vec<u32> => |ctx| ctx.poll_all(&pollables);
    }
    poll.func_wrap("[method]pollable.block", move |mut store, (pollable,): (Resource<Pollable>,)| {
        let ctx = get(store.data_mut());
        ctx.count_call()?;
        ctx.poll_all(&[pollable]).map(|_| ())
    })
}

fn link_input<T: 'static>(streams: &mut LinkerInstance<'_, T>, get: impl Get<T>) -> wasmtime::Result<()> {
    resource(streams, "input-stream", get, |ctx, stream: InputStream| {
        if let InputStream::File { node, .. } = stream {
            ctx.tree.release(node).unwrap_or_default();
        }
    })?;
    functions! { streams, get,
        "[method]input-stream.read"(stream: Resource<InputStream>, length: u64) -> Result<Vec<u8>, StreamError> =>
            |ctx| ctx.read_stream(&stream, length);
        "[method]input-stream.blocking-read"(stream: Resource<InputStream>, length: u64) -> Result<Vec<u8>, StreamError> =>
            |ctx| ctx.read_stream(&stream, length);
        "[method]input-stream.skip"(stream: Resource<InputStream>, length: u64) -> Result<u64, StreamError> =>
            |ctx| Ok(ctx.read_stream(&stream, length)?.map(|bytes| bytes.len() as u64));
        "[method]input-stream.blocking-skip"(stream: Resource<InputStream>, length: u64) -> Result<u64, StreamError> =>
            |ctx| Ok(ctx.read_stream(&stream, length)?.map(|bytes| bytes.len() as u64));
        "[method]input-stream.subscribe"(_stream: Resource<InputStream>) -> Resource<Pollable> =>
            |ctx| ctx.handle(Pollable(0));
    }
    Ok(())
}

fn link_output<T: 'static>(streams: &mut LinkerInstance<'_, T>, get: impl Get<T>) -> wasmtime::Result<()> {
    resource(streams, "output-stream", get, |ctx, stream: OutputStream| {
        if let OutputStream::File { node, .. } = stream {
            ctx.tree.release(node).unwrap_or_default();
        }
    })?;
    for name in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        streams.func_wrap(name, move |mut store: StoreContextMut<'_, T>, (stream, contents)| {
            let bytes = bounded(&store, &contents as &WasmList<u8>)?;
            let ctx = get(store.data_mut());
            ctx.count_call()?;
            Ok((ctx.write_stream(&stream, &bytes)?,))
        })?;
    }
    functions! { streams, get,
        "[method]output-stream.check-write"(_stream: Resource<OutputStream>) -> Result<u64, StreamError> =>
            |_| Ok(Ok(STREAM_BYTES_MAX as u64));
        "[method]output-stream.flush"(_stream: Resource<OutputStream>) -> Result<(), StreamError> => |_| Ok(Ok(()));
        "[method]output-stream.blocking-flush"(_stream: Resource<OutputStream>) -> Result<(), StreamError> =>
            |_| Ok(Ok(()));
        "[method]output-stream.subscribe"(_stream: Resource<OutputStream>) -> Resource<Pollable> =>
            |ctx| ctx.handle(Pollable(0));
        "[method]output-stream.write-zeroes"(stream: Resource<OutputStream>, length: u64) -> Result<(), StreamError> =>
            |ctx| ctx.write_zeroes(&stream, length);
        "[method]output-stream.blocking-write-zeroes-and-flush"(stream: Resource<OutputStream>, length: u64) -> Result<(), StreamError> =>
            |ctx| ctx.write_zeroes(&stream, length);
        "[method]output-stream.splice"(stream: Resource<OutputStream>, from: Resource<InputStream>, length: u64) -> Result<u64, StreamError> =>
            |ctx| ctx.splice(&stream, &from, length);
        "[method]output-stream.blocking-splice"(stream: Resource<OutputStream>, from: Resource<InputStream>, length: u64) -> Result<u64, StreamError> =>
            |ctx| ctx.splice(&stream, &from, length);
    }
    Ok(())
}

impl WasiCtx {
    /// Waits until at least one has happened; says which have.
    fn poll_all(&self, pollables: &[Resource<Pollable>]) -> wasmtime::Result<Vec<u32>> {
        if pollables.is_empty() || pollables.len() > SUBSCRIPTIONS_MAX as usize {
            return Err(Broken("it polled no handle, or too many").into());
        }
        let times: Vec<u64> =
            pollables.iter().map(|one| self.resources.get(one).map(|pollable| pollable.0)).collect::<Result<_, _>>()?;
        let earliest = times.iter().copied().min().unwrap_or(0);
        if earliest > self.clocks.monotonic_nanos() {
            self.wait(earliest).map_err(|stop| match stop {
                Stop::End(error) => error,
                Stop::Errno(_) => Broken("it can't wait").into(),
            })?;
        }
        let now = self.clocks.monotonic_nanos();
        Ok((0..).zip(times).filter(|(_, time)| *time <= now).map(|(index, _)| index).collect())
    }

    /// At most [`STREAM_BYTES_MAX`] bytes; a stream at its end is closed.
    fn read_stream(
        &mut self,
        stream: &Resource<InputStream>,
        length: u64,
    ) -> wasmtime::Result<Result<Vec<u8>, StreamError>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(STREAM_BYTES_MAX);
        let InputStream::File { node, offset } = self.resources.get_mut(stream)? else {
            return Ok(self.read_all_of_stdin(length));
        };
        let mut bytes = vec![0; length];
        match self.tree.read_at(*node, *offset, &mut bytes) {
            Ok(0) if length > 0 => Ok(Err(StreamError::Closed)),
            Ok(read) => {
                *offset = offset.saturating_add(read as u64);
                bytes.truncate(read);
                Ok(Ok(bytes))
            }
            Err(error) => Ok(Err(self.failed(error)?)),
        }
    }

    fn read_all_of_stdin(&mut self, length: usize) -> Result<Vec<u8>, StreamError> {
        let rest = self.stdin.bytes.get(self.stdin.position..).unwrap_or_default();
        if rest.is_empty() {
            return Err(StreamError::Closed);
        }
        let bytes = rest.get(..length).unwrap_or(rest).to_vec();
        self.stdin.position += bytes.len();
        Ok(bytes)
    }

    fn write_stream(
        &mut self,
        stream: &Resource<OutputStream>,
        bytes: &[u8],
    ) -> wasmtime::Result<Result<(), StreamError>> {
        let now = self.now();
        let (node, offset) = match self.resources.get_mut(stream)? {
            OutputStream::Stdout => {
                self.stdout.write(bytes);
                return Ok(Ok(()));
            }
            OutputStream::Stderr => {
                self.stderr.write(bytes);
                return Ok(Ok(()));
            }
            OutputStream::File { node, offset } => (*node, offset),
        };
        let at = match offset {
            Some(at) => Ok(*at),
            None => self.tree.stat(node).map(|stat| stat.bytes),
        };
        // Bytes that didn't fit are an error too: the guest was told that there was room for all of them.
        let written = at.and_then(|at| match self.tree.write_at(node, at, bytes, now)? {
            written if written < bytes.len() => Err(crate::tree::TreeError::NoSpace),
            written => Ok(at.saturating_add(written as u64)),
        });
        match written {
            Ok(end) => {
                *offset = offset.map(|_| end);
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(self.failed(error)?)),
        }
    }

    fn write_zeroes(
        &mut self,
        stream: &Resource<OutputStream>,
        length: u64,
    ) -> wasmtime::Result<Result<(), StreamError>> {
        match usize::try_from(length) {
            Ok(length) if length <= STREAM_BYTES_MAX => self.write_stream(stream, &vec![0; length]),
            _ => Err(Broken("it wrote more at once than the stream has room for").into()),
        }
    }

    fn splice(
        &mut self,
        stream: &Resource<OutputStream>,
        from: &Resource<InputStream>,
        length: u64,
    ) -> wasmtime::Result<Result<u64, StreamError>> {
        let bytes = match self.read_stream(from, length)? {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        Ok(self.write_stream(stream, &bytes)?.map(|()| bytes.len() as u64))
    }
}
