//! The task's own clocks, and randomness that follows from its seed.

use super::{
    Broken, Get, functions, interface,
    types::{Datetime, Pollable},
};
use crate::wasi::{RANDOM_CALL_BYTES_MAX, WasiCtx, clocks::RESOLUTION_NANOS};
use wasmtime::component::{Linker, Resource};

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    let mut monotonic = interface(linker, "wasi:clocks/monotonic-clock")?;
    functions! { monotonic, get,
        "now"() -> u64 => |ctx| Ok(ctx.clocks.monotonic_nanos());
        "resolution"() -> u64 => |_| Ok(RESOLUTION_NANOS);
        "subscribe-instant"(when: u64) -> Resource<Pollable> => |ctx| ctx.handle(Pollable(when));
        "subscribe-duration"(length: u64) -> Resource<Pollable> => |ctx| {
            let when = ctx.clocks.monotonic_nanos().saturating_add(length);
            ctx.handle(Pollable(when))
        };
    }
    let mut wall = interface(linker, "wasi:clocks/wall-clock")?;
    functions! { wall, get,
        "now"() -> Datetime => |ctx| {
            ctx.wall_clock_read = true;
            Ok(Datetime::of(ctx.now()))
        };
        "resolution"() -> Datetime => |_| Ok(Datetime::of(RESOLUTION_NANOS));
    }
    let mut random = interface(linker, "wasi:random/random")?;
    functions! { random, get,
        "get-random-bytes"(length: u64) -> Vec<u8> => |ctx| ctx.random_bytes(length);
        "get-random-u64"() -> u64 => |ctx| ctx.random_u64();
    }
    let mut insecure = interface(linker, "wasi:random/insecure")?;
    functions! { insecure, get,
        "get-insecure-random-bytes"(length: u64) -> Vec<u8> => |ctx| ctx.random_bytes(length);
        "get-insecure-random-u64"() -> u64 => |ctx| ctx.random_u64();
    }
    let mut seed = interface(linker, "wasi:random/insecure-seed")?;
    functions! { seed, get, "insecure-seed"() -> (u64, u64) => |ctx| Ok((ctx.random_u64()?, ctx.random_u64()?)); }
    Ok(())
}

impl WasiCtx {
    /// These interfaces have no way to refuse: a guest that asks for too much ends.
    fn random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let refuse = || Broken("it asked for more random bytes than it may");
        let length = usize::try_from(length).ok().filter(|length| *length <= RANDOM_CALL_BYTES_MAX as usize);
        let mut bytes = vec![0; length.ok_or_else(refuse)?];
        self.random.fill(&mut bytes).map_err(|_| refuse())?;
        Ok(bytes)
    }

    fn random_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes).map_err(|_| Broken("it asked for more random bytes than it may"))?;
        Ok(u64::from_le_bytes(bytes))
    }
}
