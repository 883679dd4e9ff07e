//! What the client commands are told: which server, with what credentials, and whether colours are welcome.

use super::{ConfigError, Layer, Settings};
use crate::client::{Token, is_local};
use std::{
    ffi::OsString,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
};

/// The key that a server's first start writes into its data folder.
const ADMIN_KEY_FILE: &str = "admin.key";
/// A token file that is longer is no token file, bytes.
const TOKEN_FILE_BYTES_MAX: u64 = 64 << 10;

/// Which server, and with what credentials.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ConnectionFlags {
    /// The server's address [default: where `mecapy serve` would listen here, http://127.0.0.1:8000 as a rule]
    #[arg(long, env = "MECAPY_API_URL", value_name = "URL")]
    pub url: Option<String>,
    /// API key or access token; other users of this machine can see it here: prefer --token-file or MECAPY_TOKEN
    /// [env: MECAPY_TOKEN]
    // The parser would count the variable as a flag, and refuse it beside --token-file.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    pub token: Option<String>,
    /// Read the token from this file [env: MECAPY_TOKEN_FILE] [default: admin.key in the data folder, for a server
    /// on this machine]
    #[arg(long, value_name = "FILE")]
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
    /// Find that server by the settings in this file [default: mecapy.toml, where it exists]
    #[arg(long, env = "MECAPY_CONFIG", value_name = "FILE", help_heading = "Server")]
    pub config: Option<PathBuf>,
}

/// The server that a command talks to, and what it shows there.
#[derive(Debug)]
pub(crate) struct Server {
    pub url: String,
    pub token: Option<Token>,
}

/// What the environment says of credentials; a flag hides all of it.
#[derive(Debug, Default)]
struct TokenVariables {
    token: Option<String>,
    token_file: Option<PathBuf>,
}

impl TokenVariables {
    fn read() -> Self {
        Self {
            token: variable("MECAPY_TOKEN").map(|token| token.to_string_lossy().into_owned()),
            token_file: variable("MECAPY_TOKEN_FILE").map(PathBuf::from),
        }
    }
}

impl ClientFlags {
    /// Where a server that was started here, with the same file and environment, would be found.
    pub(crate) fn server(&self) -> Result<Server, ConfigError> {
        let listen = variable("MECAPY_LISTEN").map(|listen| listen.to_string_lossy().into_owned());
        let (config, data_dir) = (self.config.clone(), self.data_dir.clone());
        let layer = Layer { config, data_dir, listen, ..Layer::default() };
        self.connection.server_with(&TokenVariables::read(), || Settings::local_server(layer))
    }
}

impl ConnectionFlags {
    /// The server that was named, else the one that would listen at `listen` and keep its data in `data_dir`.
    pub(crate) fn server(&self, data_dir: &Path, listen: SocketAddr) -> Result<Server, ConfigError> {
        self.server_with(&TokenVariables::read(), || Ok((data_dir.to_owned(), listen)))
    }

    /// `local` answers the data folder and the address of this machine's server; it is asked only where the flags and
    /// variables leave something out.
    fn server_with(
        &self,
        variables: &TokenVariables,
        local: impl FnOnce() -> Result<(PathBuf, SocketAddr), ConfigError>,
    ) -> Result<Server, ConfigError> {
        let named = match (&self.token, &self.token_file) {
            (None, None) => (&variables.token, &variables.token_file),
            flags => flags,
        };
        let named = match named {
            (Some(token), _) => Some(Token::new(token)),
            (None, Some(path)) => Some(read_token(path)?),
            (None, None) => None,
        };
        match (&self.url, named) {
            (Some(url), Some(token)) => Ok(Server { url: url.clone(), token }),
            (None, Some(token)) => Ok(Server { url: url_of(local()?.1)?, token }),
            (url, None) => {
                let (data_dir, listen) = local()?;
                let (url, here) = match url {
                    Some(url) => (url.clone(), is_local(url)),
                    None => (url_of(listen)?, true),
                };
                let admin_key = data_dir.join(ADMIN_KEY_FILE);
                // The key of this machine's server is sent to this machine alone.
                let token = if here && admin_key.exists() { read_token(&admin_key)? } else { None };
                Ok(Server { url, token })
            }
        }
    }
}

/// The URL of a server of this machine that listens there.
fn url_of(listen: SocketAddr) -> Result<String, ConfigError> {
    let ip: IpAddr = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // Credentials are sent there, and a file in the working folder may be anybody's: it can't lead to elsewhere.
    if !ip.is_loopback() && UdpSocket::bind((ip, 0)).is_err() {
        return Err(ConfigError::NotHere { listen });
    }
    Ok(format!("http://{}", SocketAddr::new(ip, listen.port())))
}

/// A variable of the environment that says something.
#[expect(clippy::disallowed_methods, reason = "the environment is read in this folder")]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether the user's environment allows colours: `NO_COLOR` is not set, and the terminal is not a dumb one.
pub(crate) fn colours_allowed() -> bool {
    variable("NO_COLOR").is_none() && variable("TERM").is_none_or(|term| term != "dumb")
}

/// The socket of the Docker engine that the user's environment names, or the usual one.
pub(crate) fn docker_socket() -> PathBuf {
    let host = variable("DOCKER_HOST").and_then(|host| host.into_string().ok());
    let named = host.as_deref().and_then(|host| host.strip_prefix("unix://"));
    PathBuf::from(named.unwrap_or("/var/run/docker.sock"))
}

fn read_token(path: &Path) -> Result<Option<Token>, ConfigError> {
    let read = || {
        if std::fs::metadata(path)?.len() > TOKEN_FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large for a token"));
        }
        std::fs::read_to_string(path)
    };
    match read() {
        Ok(text) => Ok(Token::new(&text)),
        Err(error) => Err(ConfigError::TokenFile { path: path.to_owned(), error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);

    fn with(flags: &ConnectionFlags, variables: &TokenVariables, data_dir: &Path) -> Result<Server, ConfigError> {
        flags.server_with(variables, || Ok((data_dir.to_owned(), LISTEN)))
    }

    /// What a token is, as only a request would show it.
    fn is_token(server: &Server, token: &str) -> bool {
        server.token == Token::new(token)
    }

    #[test]
    fn the_local_key_goes_to_this_machine_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(ADMIN_KEY_FILE), "key\n").unwrap();
        let none = TokenVariables::default();
        let at = |url: Option<&str>, data_dir: &Path| {
            let flags = ConnectionFlags { url: url.map(str::to_owned), ..ConnectionFlags::default() };
            with(&flags, &none, data_dir).unwrap()
        };
        assert!(is_token(&at(None, folder.path()), "key"));
        assert!(is_token(&at(Some("http://localhost:9"), folder.path()), "key"));
        assert!(at(Some("https://mecapy.example.org"), folder.path()).token.is_none());
        assert!(at(None, Path::new("/nonexistent")).token.is_none());
    }

    #[test]
    fn who_names_server_and_token_needs_no_file() {
        let flags = ConnectionFlags { url: Some("http://localhost:9".to_owned()), ..ConnectionFlags::default() };
        let variables = TokenVariables { token: Some("key".to_owned()), token_file: None };
        let not_asked = || Err(ConfigError::NoCacheDir);
        assert!(is_token(&flags.server_with(&variables, not_asked).unwrap(), "key"));
        assert!(flags.server_with(&TokenVariables::default(), not_asked).is_err());
        assert!(ConnectionFlags::default().server_with(&variables, not_asked).is_err());
    }

    #[test]
    fn a_token_file_that_was_named_must_be_readable() {
        let flags = ConnectionFlags { token_file: Some("/nonexistent/token".into()), ..ConnectionFlags::default() };
        assert!(with(&flags, &TokenVariables::default(), Path::new(".")).is_err());
    }

    #[test]
    fn a_flag_hides_what_the_environment_says_of_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "from-file\n").unwrap();
        let variables = TokenVariables { token: Some("from-variable".to_owned()), token_file: Some("/x".into()) };
        let nothing = ConnectionFlags::default();
        assert!(is_token(&with(&nothing, &variables, folder.path()).unwrap(), "from-variable"));
        let file = ConnectionFlags { token_file: Some(path.clone()), ..ConnectionFlags::default() };
        assert!(is_token(&with(&file, &variables, folder.path()).unwrap(), "from-file"));
        let token = ConnectionFlags { token: Some("from-flag".to_owned()), ..ConnectionFlags::default() };
        assert!(is_token(&with(&token, &variables, folder.path()).unwrap(), "from-flag"));
        let variables = TokenVariables { token: None, token_file: Some(path) };
        assert!(is_token(&with(&nothing, &variables, folder.path()).unwrap(), "from-file"));
    }

    #[test]
    fn a_server_is_looked_for_where_it_listens_on_this_machine() {
        for (listen, url) in [
            ("127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("0.0.0.0:9000", "http://127.0.0.1:9000"),
            ("[::]:80", "http://[::1]:80"),
        ] {
            assert_eq!(url_of(listen.parse().unwrap()).unwrap(), url);
        }
        // An address that documents use, and no machine has.
        assert!(matches!(url_of("203.0.113.7:80".parse().unwrap()), Err(ConfigError::NotHere { .. })));
    }

    #[test]
    fn a_client_reads_the_file_that_its_server_reads() {
        let folder = tempfile::tempdir().unwrap();
        let (data_dir, config) = (folder.path().join("data"), folder.path().join("mecapy.toml"));
        std::fs::create_dir(&data_dir).unwrap();
        std::fs::write(data_dir.join(ADMIN_KEY_FILE), "key").unwrap();
        std::fs::write(&config, format!("listen = \"127.0.0.1:9001\"\ndata_dir = {data_dir:?}\n")).unwrap();
        let layer = Layer { config: Some(config), ..Layer::default() };
        let (found, listen) = Settings::local_server(layer).unwrap();
        let none = TokenVariables::default();
        let server = ConnectionFlags::default().server_with(&none, || Ok((found, listen))).unwrap();
        assert_eq!(server.url, "http://127.0.0.1:9001");
        assert!(is_token(&server, "key"));
    }
}
