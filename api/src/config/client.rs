//! What the client commands are told: which server, with what credentials, and whether colours are welcome.

use crate::client::{Token, is_local};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The server that is asked where nothing else is said.
const URL_DEFAULT: &str = "http://127.0.0.1:8000";
/// The key that a server's first start writes into its data folder.
const ADMIN_KEY_FILE: &str = "admin.key";
/// A token file that is longer is no token file, bytes.
const TOKEN_FILE_BYTES_MAX: u64 = 64 << 10;

/// Which server, and with what credentials.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ConnectionFlags {
    /// The server's address [default: http://127.0.0.1:8000]
    #[arg(long, env = "MECAPY_API_URL", value_name = "URL")]
    pub url: Option<String>,
    /// API key or access token; other users of this machine can see it here: prefer --token-file or MECAPY_TOKEN
    #[arg(long, env = "MECAPY_TOKEN", hide_env_values = true, value_name = "TOKEN", conflicts_with = "token_file")]
    pub token: Option<String>,
    /// Read the token from this file [default: admin.key in the data folder, for a server on this machine]
    #[arg(long, env = "MECAPY_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// The same for commands that know no other place.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ClientFlags {
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// Where a server on this machine keeps its data, for its key [default: ./mecapy-data]
    #[arg(long, env = "MECAPY_DATA_DIR", value_name = "DIR", help_heading = "Server")]
    pub data_dir: Option<PathBuf>,
}

/// The token could not be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read the token file {}", path.display())]
pub(crate) struct TokenFileError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl ClientFlags {
    /// Where the server's data would be, for its key.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new("mecapy-data"))
    }
}

impl ConnectionFlags {
    pub(crate) fn url(&self) -> &str {
        self.url.as_deref().unwrap_or(URL_DEFAULT)
    }

    /// The token that was given; else the admin key in `data_dir`, which is sent to this machine alone.
    pub(crate) fn token(&self, data_dir: &Path) -> Result<Option<Token>, TokenFileError> {
        if let Some(token) = &self.token {
            return Ok(Token::new(token));
        }
        if let Some(path) = &self.token_file {
            return read_token(path).map_err(|source| TokenFileError { path: path.clone(), source });
        }
        let path = data_dir.join(ADMIN_KEY_FILE);
        if !is_local(self.url()) || !path.exists() {
            return Ok(None);
        }
        read_token(&path).map_err(|source| TokenFileError { path, source })
    }
}

/// Whether the user's environment allows colours: `NO_COLOR` is not set, and the terminal is not a dumb one.
#[expect(clippy::disallowed_methods, reason = "the environment is read in this folder")]
pub(crate) fn colours_allowed() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The socket of the Docker engine that the user's environment names, or the usual one.
#[expect(clippy::disallowed_methods, reason = "the environment is read in this folder")]
pub(crate) fn docker_socket() -> PathBuf {
    let host = std::env::var_os("DOCKER_HOST").and_then(|host| host.into_string().ok());
    let named = host.as_deref().and_then(|host| host.strip_prefix("unix://"));
    PathBuf::from(named.unwrap_or("/var/run/docker.sock"))
}

fn read_token(path: &Path) -> io::Result<Option<Token>> {
    if std::fs::metadata(path)?.len() > TOKEN_FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large for a token"));
    }
    Ok(Token::new(&std::fs::read_to_string(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_key_goes_to_this_machine_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(ADMIN_KEY_FILE), "key\n").unwrap();
        let at = |url: &str| ConnectionFlags { url: Some(url.to_owned()), ..ConnectionFlags::default() };
        assert!(ConnectionFlags::default().token(folder.path()).unwrap().is_some());
        assert!(at("http://localhost:9").token(folder.path()).unwrap().is_some());
        assert!(at("https://mecapy.example.org").token(folder.path()).unwrap().is_none());
        assert!(ConnectionFlags::default().token(Path::new("/nonexistent")).unwrap().is_none());
    }

    #[test]
    fn a_token_file_that_was_named_must_be_readable() {
        let flags = ConnectionFlags { token_file: Some("/nonexistent/token".into()), ..ConnectionFlags::default() };
        assert!(flags.token(Path::new(".")).is_err());
    }
}
