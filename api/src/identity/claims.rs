//! What a token claims, and whether it is an access token for this server, now. Pure.

use super::{Person, token::Reason};
use crate::config::OidcSettings;
use mecapy_store::Role;
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// How far the issuer's clock may be ahead of ours, seconds. A token's end is kept to the second.
const LEEWAY_SECONDS: f64 = 30.0;
/// The longest subject, bytes (OpenID Connect Core 1.0, section 2).
const SUBJECT_BYTES_MAX: usize = 255;
/// So much of a name is shown, characters.
const NAME_CHARS_MAX: usize = 255;
/// Roles may be written with this in front, where a realm serves other applications too.
const ROLE_PREFIX: &str = "mecapy-";
/// Claims of ID tokens (the first four), logout tokens, and tokens that are bound to a key whose proof we don't check.
const CLAIMS_REFUSED: [&str; 6] = ["nonce", "at_hash", "c_hash", "s_hash", "events", "cnf"];

/// The claims that count.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claims {
    pub(super) subject: String,
    /// Who was given the token (`azp`, or `client_id`).
    pub(super) client: Option<String>,
    /// For people.
    pub(super) name: String,
    pub(super) person: Person,
    pub(super) expires_at: OffsetDateTime,
    /// The most powerful one that we know.
    pub(super) role: Option<Role>,
    pub(super) company: Option<String>,
}

impl Claims {
    /// Refuses what is not an access token for this server at `now`.
    pub(super) fn read(
        claims: &Map<String, Value>,
        settings: &OidcSettings,
        now: OffsetDateTime,
    ) -> Result<Self, Reason> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(settings.issuer.as_str()) {
            return Err("the issuer is another");
        }
        if !names(claims.get("aud"), &settings.audience) {
            return Err("the audience is another");
        }
        if CLAIMS_REFUSED.iter().any(|name| claims.contains_key(*name)) {
            return Err("it is an ID token, a logout token, or bound to a key");
        }
        // Keycloak writes what a token is: Bearer, ID, Refresh, Offline, Logout and others.
        if claims.contains_key("typ") && !text("typ").is_some_and(|kind| kind.eq_ignore_ascii_case("Bearer")) {
            return Err("it says that it is no access token");
        }
        let expires_at = check_times(claims, now)?;
        let subject = text("sub").filter(|subject| (1..=SUBJECT_BYTES_MAX).contains(&subject.len()));
        let subject = subject.ok_or("it has no subject")?;
        let azp = text("azp");
        let allowed = &settings.clients_allowed;
        if !allowed.is_empty() && !azp.is_some_and(|azp| allowed.iter().any(|client| client == azp)) {
            return Err("it was given to a client that is not allowed");
        }
        let client = azp.or(text("client_id"));
        let short = |name: &str| text(name).map(|text| text.chars().take(NAME_CHARS_MAX).collect());
        let person =
            Person { email: short("email"), given_name: short("given_name"), family_name: short("family_name") };
        let name = text("preferred_username").or(text("name")).or(client).unwrap_or(subject);
        Ok(Self {
            subject: subject.to_owned(),
            client: client.map(str::to_owned),
            name: name.chars().take(NAME_CHARS_MAX).collect(),
            person,
            expires_at,
            role: role(claims, &settings.role_client),
            company: company(claims.get(&settings.tenant_claim)),
        })
    }
}

/// Checks `exp`, `nbf` and `iat`; answers when the token ends.
fn check_times(claims: &Map<String, Value>, now: OffsetDateTime) -> Result<OffsetDateTime, Reason> {
    let now_seconds = now.unix_timestamp_nanos() as f64 / 1e9;
    let seconds = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().filter(|at| *at >= 0.0).map(Some).ok_or("a time is no number of seconds"),
    };
    let expires = seconds("exp")?.ok_or("it has no end")?;
    // A time that no calendar has is nobody's intention.
    let expires_at = OffsetDateTime::from_unix_timestamp(expires as i64).map_err(|_| "its end is out of range")?;
    if now_seconds >= expires {
        return Err("it has expired");
    }
    for name in ["nbf", "iat"] {
        if seconds(name)?.is_some_and(|at| at > now_seconds + LEEWAY_SECONDS) {
            return Err("it is not good yet");
        }
    }
    Ok(expires_at)
}

/// Whether a claim is `wanted`, or a list of texts with it.
fn names(claim: Option<&Value>, wanted: &str) -> bool {
    match claim {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Array(items)) => items.iter().all(Value::is_string) && items.iter().any(|item| item == wanted),
        _ => false,
    }
}

/// The most powerful role in `realm_access.roles` and `resource_access[client].roles`.
fn role(claims: &Map<String, Value>, client: &str) -> Option<Role> {
    let realm = claims.get("realm_access");
    let resource = claims.get("resource_access").and_then(|clients| clients.get(client));
    let roles = |access: Option<&Value>| access.and_then(|access| access.get("roles")?.as_array().cloned());
    let held: Vec<_> = [realm, resource].into_iter().filter_map(roles).flatten().collect();
    let named = |role: Role| held.iter().filter_map(Value::as_str).any(|text| is_role(text, role));
    Role::ALL.into_iter().find(|role| named(*role))
}

fn is_role(text: &str, role: Role) -> bool {
    text.strip_prefix(ROLE_PREFIX).unwrap_or(text) == role.as_str()
}

/// The tenant's name: a text, or a list of exactly one, which may be a top group as Keycloak writes it (`/acme`).
fn company(claim: Option<&Value>) -> Option<String> {
    let name = match claim? {
        Value::String(name) => name.as_str(),
        Value::Array(items) => match items.as_slice() {
            [Value::String(name)] => name.strip_prefix('/').unwrap_or(name),
            _ => return None,
        },
        _ => return None,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    const NOW: i64 = 1_800_000_000;

    fn settings() -> OidcSettings {
        OidcSettings {
            issuer: "https://id.example/realms/mecapy".to_owned(),
            audience: "mecapy-api".to_owned(),
            tenant_claim: "company".to_owned(),
            role_client: "mecapy-api".to_owned(),
            clients_allowed: Vec::new(),
            refresh_every: Duration::from_secs(600),
        }
    }

    /// An access token as Keycloak makes it, with `more` laid over it; null takes a claim away.
    fn read_with(settings: &OidcSettings, more: Value) -> Result<Claims, Reason> {
        let mut claims = json!({
            "iss": settings.issuer, "aud": ["mecapy-api", "account"], "sub": "f3a0", "typ": "Bearer", "azp": "mecapy-console",
            "exp": NOW + 300, "iat": NOW, "jti": "x", "sid": "s", "acr": "1", "scope": "openid profile",
            "realm_access": {"roles": ["offline_access", "engineer"]},
            "resource_access": {"account": {"roles": ["admin"]}, "mecapy-api": {"roles": ["viewer"]}},
            "preferred_username": "ada", "name": "Ada L.", "given_name": "Ada", "email": 7, "company": "acme",
        });
        let fields = claims.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        fields.retain(|_, value| !value.is_null());
        Claims::read(fields, settings, OffsetDateTime::from_unix_timestamp(NOW).unwrap())
    }

    fn read(more: Value) -> Result<Claims, Reason> {
        read_with(&settings(), more)
    }

    #[test]
    fn an_access_token_of_keycloak_is_understood() {
        let claims = read(json!({})).unwrap();
        let expected = Claims {
            subject: "f3a0".to_owned(),
            client: Some("mecapy-console".to_owned()),
            name: "ada".to_owned(),
            person: Person { given_name: Some("Ada".to_owned()), ..Person::default() },
            expires_at: OffsetDateTime::from_unix_timestamp(NOW + 300).unwrap(),
            role: Some(Role::Engineer),
            company: Some("acme".to_owned()),
        };
        assert_eq!(claims, expected);
    }

    #[test]
    fn security_25_claims_that_are_not_for_this_server_or_not_for_now_are_refused() {
        let refused = [
            json!({"iss": null}),
            json!({"iss": "https://id.example/realms/mecapy/"}),
            json!({"iss": "https://id.example/realms/other"}),
            json!({"iss": ["https://id.example/realms/mecapy"]}),
            json!({"aud": null}),
            json!({"aud": "account"}),
            json!({"aud": "mecapy-api2"}),
            json!({"aud": ["MECAPY-API"]}),
            json!({"aud": ["mecapy-api", 7]}),
            json!({"aud": {"mecapy-api": true}}),
            json!({"exp": null}),
            json!({"exp": NOW}),
            json!({"exp": NOW - 1}),
            json!({"exp": "1900000000"}),
            json!({"exp": 1e300}),
            json!({"exp": -1}),
            json!({"nbf": NOW + 31}),
            json!({"nbf": "0"}),
            json!({"iat": NOW + 31}),
            json!({"iat": 1e300}),
            json!({"iat": true}),
            json!({"sub": null}),
            json!({"sub": ""}),
            json!({"sub": 7}),
            json!({"sub": "s".repeat(256)}),
            json!({"typ": "ID"}),
            json!({"typ": "Refresh"}),
            json!({"typ": "Offline"}),
            json!({"typ": "DPoP"}),
            json!({"typ": ["Bearer"]}),
            json!({"nonce": "n"}),
            json!({"at_hash": "h"}),
            json!({"events": {}}),
            json!({"cnf": {"jkt": "k"}}),
        ];
        for more in refused {
            assert!(read(more.clone()).is_err(), "{more}");
        }
        for more in [
            json!({"nbf": NOW + 30}),
            json!({"iat": NOW as f64 + 29.5}),
            json!({"exp": NOW as f64 + 0.5}),
            json!({"typ": null}),
        ] {
            assert!(read(more.clone()).is_ok(), "{more}");
        }
    }

    #[test]
    fn security_25_a_client_counts_only_where_it_is_allowed() {
        let settings = OidcSettings { clients_allowed: vec!["mecapy-console".to_owned()], ..settings() };
        assert!(read_with(&settings, json!({})).is_ok());
        for azp in [json!("other"), json!(null), json!(["mecapy-console"])] {
            assert!(read_with(&settings, json!({"azp": azp, "client_id": "mecapy-console"})).is_err(), "{azp}");
        }
    }

    #[test]
    fn the_most_powerful_role_wins_and_nobody_elses_counts() {
        let access = |realm: Value, resource: Value| json!({"realm_access": realm, "resource_access": resource});
        let roles = |roles: Value| json!({"roles": roles});
        let rows = [
            (access(roles(json!(["viewer", "author", "engineer"])), json!({})), Some(Role::Author)),
            (access(roles(json!(["mecapy-admin"])), json!({})), Some(Role::Admin)),
            (access(json!(null), json!({"mecapy-api": roles(json!(["mecapy-viewer"]))})), Some(Role::Viewer)),
            (access(json!(null), json!({"account": roles(json!(["admin"]))})), None),
            (access(roles(json!(["Admin", "mecapy-mecapy-admin", "", 7, null])), json!(["mecapy-api"])), None),
            (access(roles(json!("admin")), json!({"mecapy-api": "admin"})), None),
            (access(json!(["admin"]), json!("admin")), None),
            (access(json!(null), json!(null)), None),
        ];
        for (more, role) in rows {
            assert_eq!(read(more.clone()).unwrap().role, role, "{more}");
        }
    }

    #[test]
    fn a_tenant_is_one_text() {
        let rows = [
            (json!("acme"), Some("acme")),
            (json!(["acme"]), Some("acme")),
            (json!(["/acme"]), Some("acme")),
            (json!(["acme", "other"]), None),
            (json!([]), None),
            (json!(""), None),
            (json!(["/"]), None),
            (json!(7), None),
            (json!({"name": "acme"}), None),
            (json!(null), None),
        ];
        for (claim, expected) in rows {
            assert_eq!(read(json!({"company": claim})).unwrap().company.as_deref(), expected, "{claim}");
        }
    }

    #[test]
    fn a_name_is_found_for_people_and_machines() {
        let name = |more: Value| read(more).unwrap().name;
        assert_eq!(name(json!({"preferred_username": null})), "Ada L.");
        assert_eq!(name(json!({"preferred_username": null, "name": null})), "mecapy-console");
        let machine = json!({"preferred_username": null, "name": null, "azp": null, "client_id": "m"});
        assert_eq!((name(machine.clone()), read(machine).unwrap().client), ("m".to_owned(), Some("m".to_owned())));
        assert_eq!(name(json!({"preferred_username": "é".repeat(300)})).chars().count(), NAME_CHARS_MAX);
    }
}
