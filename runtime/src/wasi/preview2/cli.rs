//! Arguments, environment, standard streams, and the end of the program. There is no terminal.

use super::{
    Get, functions, interface,
    io::{InputStream, OutputStream},
    resource,
};
use crate::wasi::Exit;
use wasmtime::component::{Linker, Resource};

/// A terminal, of which no guest ever has one.
struct TerminalInput;
struct TerminalOutput;

pub(super) fn link<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    let mut environment = interface(linker, "wasi:cli/environment")?;
    functions! { environment, get,
        "get-environment"() -> Vec<(String, String)> => |ctx| {
            let pairs = ctx.env.iter().filter_map(|pair| pair.split_once('='));
            Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        };
        "get-arguments"() -> Vec<String> => |ctx| Ok(ctx.args.iter().map(|text| text.to_string()).collect());
        "initial-cwd"() -> Option<String> => |_| Ok(None);
    }
    let mut exit = interface(linker, "wasi:cli/exit")?;
    exit.func_wrap("exit", move |mut store, (status,): (Result<(), ()>,)| {
        get(store.data_mut()).count_call()?;
        Err::<(), _>(wasmtime::Error::new(Exit(i32::from(status.is_err()))))
    })?;
    let mut stdin = interface(linker, "wasi:cli/stdin")?;
    functions! { stdin, get, "get-stdin"() -> Resource<InputStream> => |ctx| ctx.handle(InputStream::Stdin); }
    let mut stdout = interface(linker, "wasi:cli/stdout")?;
    functions! { stdout, get, "get-stdout"() -> Resource<OutputStream> => |ctx| ctx.handle(OutputStream::Stdout); }
    let mut stderr = interface(linker, "wasi:cli/stderr")?;
    functions! { stderr, get, "get-stderr"() -> Resource<OutputStream> => |ctx| ctx.handle(OutputStream::Stderr); }
    link_terminals(linker, get)
}

fn link_terminals<T: 'static>(linker: &mut Linker<T>, get: impl Get<T>) -> wasmtime::Result<()> {
    resource(&mut interface(linker, "wasi:cli/terminal-input")?, "terminal-input", get, |_, _: TerminalInput| ())?;
    resource(&mut interface(linker, "wasi:cli/terminal-output")?, "terminal-output", get, |_, _: TerminalOutput| ())?;
    let mut stdin = interface(linker, "wasi:cli/terminal-stdin")?;
    functions! { stdin, get, "get-terminal-stdin"() -> Option<Resource<TerminalInput>> => |_| Ok(None); }
    let mut stdout = interface(linker, "wasi:cli/terminal-stdout")?;
    functions! { stdout, get, "get-terminal-stdout"() -> Option<Resource<TerminalOutput>> => |_| Ok(None); }
    let mut stderr = interface(linker, "wasi:cli/terminal-stderr")?;
    functions! { stderr, get, "get-terminal-stderr"() -> Option<Resource<TerminalOutput>> => |_| Ok(None); }
    Ok(())
}
