//! Whose access tokens are accepted: the settings of OpenID Connect, checked.

use super::{ConfigError, Layer};
use std::time::Duration;

/// The longest issuer, audience or name of a claim or client, bytes.
const TEXT_BYTES_MAX: usize = 1024;
/// Also the shortest time between two requests for the issuer's keys, whoever asks for them.
const REFRESH_SECONDS_MIN: u64 = 10;
const REFRESH_SECONDS_MAX: u64 = 86_400;

/// The issuer of access tokens, and what its tokens must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// As tokens write it: compared byte by byte.
    pub issuer: String,
    /// What `aud` must contain.
    pub audience: String,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The client in `resource_access` whose roles count beside those of the realm.
    pub role_client: String,
    /// What `azp` may be; empty: any client of the issuer.
    pub clients_allowed: Vec<String>,
    /// How often the issuer's keys are fetched again, so that revoked ones go.
    pub refresh_every: Duration,
}

/// `None` where no issuer is named.
pub(super) fn oidc(layer: &Layer) -> Result<Option<OidcSettings>, ConfigError> {
    let Some(issuer) = &layer.oidc_issuer else {
        let alone = [
            ("oidc-audience", layer.oidc_audience.clone()),
            ("oidc-tenant-claim", layer.oidc_tenant_claim.clone()),
            ("oidc-client", layer.oidc_client.clone()),
            ("oidc-clients-allowed", layer.oidc_clients_allowed.clone()),
            ("oidc-refresh-seconds", layer.oidc_refresh_seconds.map(|seconds| seconds.to_string())),
        ];
        return match alone.into_iter().find_map(|(setting, value)| value.map(|value| (setting, value))) {
            Some((setting, value)) => Err(bad(setting, &value, "oidc-issuer is needed with it")),
            None => Ok(None),
        };
    };
    check_issuer(issuer)?;
    let audience = match &layer.oidc_audience {
        Some(audience) => text("oidc-audience", audience)?,
        None => return Err(bad("oidc-audience", "", "the audience that tokens must name is needed with oidc-issuer")),
    };
    let or = |setting, value: &Option<String>, default: &str| match value {
        Some(value) => text(setting, value),
        None => Ok(default.to_owned()),
    };
    let refresh = layer.oidc_refresh_seconds.unwrap_or(600);
    if !(REFRESH_SECONDS_MIN..=REFRESH_SECONDS_MAX).contains(&refresh) {
        return Err(bad("oidc-refresh-seconds", &refresh.to_string(), "10 to 86400 are possible"));
    }
    Ok(Some(OidcSettings {
        tenant_claim: or("oidc-tenant-claim", &layer.oidc_tenant_claim, "company")?,
        role_client: or("oidc-client", &layer.oidc_client, &audience)?,
        clients_allowed: layer.oidc_clients_allowed.as_deref().map_or(Ok(Vec::new()), clients)?,
        refresh_every: Duration::from_secs(refresh),
        issuer: issuer.clone(),
        audience,
    }))
}

/// The clients of a list that was given. One without a name would let every client in, which nobody writes down a list
/// for.
fn clients(list: &str) -> Result<Vec<String>, ConfigError> {
    let names: Vec<String> =
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() {
        let needed = "one client at least is needed, as in console,machine (leave the setting out to allow any)";
        return Err(bad("oidc-clients-allowed", list, needed));
    }
    Ok(names)
}

/// Keys that come over plain HTTP are anybody's who sits on the way. On this machine, or under a name without dots as
/// containers of one network call one another, nobody does.
fn check_issuer(issuer: &str) -> Result<(), ConfigError> {
    let wrong = |needed| Err(bad("oidc-issuer", issuer, needed));
    let Some(url) = reqwest::Url::parse(issuer).ok().filter(|_| issuer.len() <= TEXT_BYTES_MAX) else {
        return wrong("a URL is needed, as the issuer's tokens write it");
    };
    let extra =
        url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some();
    let host = url.host_str().unwrap_or_default();
    let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let near = address.map_or(!host.contains('.'), |address| address.is_loopback());
    match url.scheme() {
        _ if extra || host.is_empty() => wrong("a URL without a user, a query and a fragment is needed"),
        "https" => Ok(()),
        "http" if near => Ok(()),
        _ => wrong("an https:// URL is needed (http:// is for this machine and for names without dots)"),
    }
}

fn text(setting: &'static str, value: &str) -> Result<String, ConfigError> {
    if value.is_empty() || value.len() > TEXT_BYTES_MAX {
        return Err(bad(setting, value, "a name of 1 to 1024 bytes is needed"));
    }
    Ok(value.to_owned())
}

fn bad(setting: &'static str, value: &str, needed: &'static str) -> ConfigError {
    ConfigError::Value { setting, value: value.to_owned(), needed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(issuer: &str) -> Layer {
        Layer { oidc_issuer: Some(issuer.to_owned()), oidc_audience: Some("mecapy-api".to_owned()), ..Layer::default() }
    }

    #[test]
    fn an_issuer_and_an_audience_are_enough() {
        assert_eq!(oidc(&Layer::default()).unwrap(), None);
        let settings = oidc(&layer("https://id.example.org/realms/mecapy")).unwrap().unwrap();
        assert_eq!((settings.tenant_claim.as_str(), settings.role_client.as_str()), ("company", "mecapy-api"));
        assert_eq!((settings.clients_allowed.len(), settings.refresh_every.as_secs()), (0, 600));
        let clients = Layer { oidc_clients_allowed: Some("console, machine,".to_owned()), ..layer("https://x") };
        assert_eq!(oidc(&clients).unwrap().unwrap().clients_allowed, ["console", "machine"]);
    }

    #[test]
    fn one_without_the_other_is_refused() {
        let alone = Layer { oidc_audience: Some("x".to_owned()), ..Layer::default() };
        assert!(oidc(&alone).unwrap_err().to_string().starts_with("oidc-audience"));
        let alone = Layer { oidc_refresh_seconds: Some(600), ..Layer::default() };
        assert!(oidc(&alone).unwrap_err().to_string().starts_with("oidc-refresh-seconds"));
        for list in ["", ",", " , ,"] {
            let nobody = Layer { oidc_clients_allowed: Some(list.to_owned()), ..layer("https://x") };
            assert!(oidc(&nobody).unwrap_err().to_string().starts_with("oidc-clients-allowed"), "{list:?}");
        }
        let without = Layer { oidc_audience: None, ..layer("https://x") };
        assert!(oidc(&without).unwrap_err().to_string().starts_with("oidc-audience"));
        for seconds in [0, 9, 86_401] {
            let often = Layer { oidc_refresh_seconds: Some(seconds), ..layer("https://x") };
            assert!(oidc(&often).unwrap_err().to_string().starts_with("oidc-refresh-seconds"));
        }
    }

    #[test]
    fn keys_never_come_over_an_open_network() {
        for good in
            ["https://id.example.org", "http://127.0.0.1:8080/realms/x", "http://[::1]:1/", "http://keycloak:8080/r"]
        {
            assert!(oidc(&layer(good)).is_ok(), "{good}");
        }
        let bad = [
            "",
            "id.example.org",
            "http://id.example.org",
            "http://192.168.1.2/",
            "ftp://x",
            "https://u:p@x/",
            "https://x/?a=b",
            "https://x/#f",
        ];
        for issuer in bad {
            assert!(oidc(&layer(issuer)).unwrap_err().to_string().starts_with("oidc-issuer"), "{issuer}");
        }
    }
}
