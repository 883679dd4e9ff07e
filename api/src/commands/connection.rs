//! A client from the flags, and sending along what a computation needs.

use super::{
    computation::{Computation, ProgramFile, SentCode},
    refusal::Refusal,
    report::show_warnings,
    terminal::{Terminal, bytes},
};
use crate::{client::Client, config::ClientFlags};
use anyhow::{Context, Result};
use mecapy_model::{Code, UploadId};
use std::{collections::BTreeMap, fs, sync::Arc};

/// A client of the server that the flags name.
pub(crate) fn connect(flags: &ClientFlags) -> Result<Client> {
    let server = flags.server()?;
    Ok(Client::new(&server.url, server.token.as_ref())?)
}

/// What a request refers to, once it is on the server.
pub(crate) struct Sent {
    pub code: SentCode,
    pub files: BTreeMap<String, UploadId>,
}

/// Sends the module and the input files, with a progress bar.
pub(crate) async fn send_parts(client: &Client, computation: &Computation, terminal: &Terminal) -> Result<Sent> {
    let code = match &computation.program {
        ProgramFile::Python { source, entry } => {
            SentCode::Own(Code::Python { source: source.text.clone(), entry: entry.clone() })
        }
        ProgramFile::Wasm { bytes } => {
            SentCode::Own(Code::Wasm { module: send_module(client, bytes, terminal).await? })
        }
        ProgramFile::Compiled { language, source } => {
            SentCode::Own(Code::of_source(*language, source.text.clone(), None))
        }
        ProgramFile::Function(reference) => SentCode::Published { function: reference.to_string() },
    };
    let mut files = BTreeMap::new();
    if computation.files.is_empty() {
        return Ok(Sent { code, files });
    }
    let size = |path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bar = terminal.bytes_bar(computation.files.iter().map(|file| size(&file.path)).sum());
    for file in &computation.files {
        bar.set_message(file.name.as_str().to_owned());
        let counter = bar.clone();
        let sent = Arc::new(move |bytes| counter.inc(bytes));
        let upload = client.upload(&file.name, &file.path, sent).await;
        let id = upload
            .with_context(|| format!("sending {}", file.path.display()))
            .inspect_err(|_| bar.finish_and_clear())?;
        files.insert(file.name.as_str().to_owned(), id);
    }
    bar.finish_and_clear();
    Ok(Sent { code, files })
}

async fn send_module(client: &Client, wasm: &[u8], terminal: &Terminal) -> Result<mecapy_model::Digest> {
    let bar = terminal.spinner();
    bar.set_message(format!("sending the module ({}) and compiling it there", bytes(wasm.len() as u64)));
    let answer = client.upload_module(wasm.to_vec()).await;
    bar.finish_and_clear();
    let answer = answer.map_err(|error| Refusal::with_source(error, None))?;
    show_warnings(&answer.warnings, None, terminal);
    Ok(answer.module)
}
