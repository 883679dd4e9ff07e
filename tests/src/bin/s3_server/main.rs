//! An S3 server over a folder, with signature checks, for tests: `s3_server --root FOLDER --port PORT
//! --access-key-id ID --secret-access-key SECRET`. It prints `listening on http://…` and serves until it is killed.

mod checked;
mod strict;

use anyhow::{Context, Result, bail};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use std::{net::Ipv4Addr, path::PathBuf};
use strict::Strict;
use tokio::net::TcpListener;

#[derive(Default)]
struct Options {
    root: PathBuf,
    /// 0 for any that is free.
    port: u16,
    access_key_id: String,
    secret_access_key: String,
}

fn main() -> Result<()> {
    let options = options()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(options))
}

fn options() -> Result<Options> {
    let (mut options, mut arguments) = (Options::default(), std::env::args().skip(1));
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} has no value"))?;
        match name.as_str() {
            "--root" => options.root = value.into(),
            "--port" => options.port = value.parse()?,
            "--access-key-id" => options.access_key_id = value,
            "--secret-access-key" => options.secret_access_key = value,
            _ => bail!("{name} is not an option"),
        }
    }
    if options.access_key_id.is_empty() || options.secret_access_key.is_empty() {
        bail!("--access-key-id and --secret-access-key are needed: nobody is served unsigned");
    }
    Ok(options)
}

async fn serve(options: Options) -> Result<()> {
    let mut service = S3ServiceBuilder::new(Strict::over(&options.root)?);
    service.set_auth(SimpleAuth::from_single(options.access_key_id, options.secret_access_key));
    let service = service.build();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            // A client may break its connection off at any time.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
