//! The port for a server, or the server that is there already.

use super::check::{Check, reasons};
use crate::{
    client::{Client, ClientError},
    config::{ConnectionFlags, Settings},
};
use std::{io, net::TcpListener};

pub(super) async fn checks(settings: &Settings, flags: &ConnectionFlags) -> Vec<Check> {
    let server = match flags.server(&settings.data_dir, settings.listen) {
        Ok(server) => server,
        Err(error) => return vec![Check::fail("server", reasons(&error), "mend it, or name another with the flags")],
    };
    let client = match Client::new(&server.url, server.token.as_ref()) {
        Ok(client) => client,
        Err(error) => return vec![Check::fail("server", reasons(&error), "write it as http://host:port")],
    };
    let given = server.token.is_some();
    match client.server().await {
        Ok(answer) => {
            let found = format!("{} {} answers at {}", answer.name, answer.version, client.base_url());
            vec![Check::ok("server", found), ready(&client).await, credentials(&client, given).await]
        }
        Err(ClientError::Unreachable { .. } | ClientError::TimedOut { .. }) => {
            let found = format!("none answers at {}", client.base_url());
            vec![Check::info("server", found), port(settings)]
        }
        Err(error) => {
            let advice = "another program may be listening there: choose another port with --listen";
            vec![Check::warn("server", reasons(&error), advice)]
        }
    }
}

async fn ready(client: &Client) -> Check {
    match client.ready().await {
        Ok(()) => Check::ok("readiness", "the server is ready for work"),
        Err(error) => Check::warn("readiness", reasons(&error), "it may be starting: look at its log"),
    }
}

async fn credentials(client: &Client, given: bool) -> Check {
    const NAME: &str = "credentials";
    match client.me().await {
        Ok(_) => Check::ok(NAME, "accepted"),
        Err(ClientError::Refused(problem)) if problem.status == 401 => {
            let found = if given { "the server does not accept this token" } else { "no token was given" };
            Check::fail(NAME, found, "set MECAPY_TOKEN, --token-file, or --data-dir to the server's folder")
        }
        Err(error) => Check::warn(NAME, reasons(&error), "look at the server's log"),
    }
}

fn port(settings: &Settings) -> Check {
    const NAME: &str = "port";
    match TcpListener::bind(settings.listen) {
        Ok(_) => Check::ok(NAME, format!("{} is free for `mecapy serve`", settings.listen)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Check::warn(NAME, format!("{} is taken", settings.listen), "choose another with --listen")
        }
        Err(error) => Check::fail(NAME, format!("{}: {error}", settings.listen), "choose another with --listen"),
    }
}
