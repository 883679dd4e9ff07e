//! The realm in `deploy/keycloak`. Keycloak itself is not at hand: its realm must at least say, in the form that Keycloak
//! documents, what the server asks of its tokens.

use anyhow::{Context, Result, ensure};
use mecapy_tests::repository_root;
use serde_json::{Value, json};
use std::collections::BTreeSet;

struct Realm(Value);

impl Realm {
    fn read() -> Result<Self> {
        let text = std::fs::read_to_string(repository_root().join("deploy/keycloak/realm.json"))?;
        Ok(Self(serde_json::from_str(&text)?))
    }

    fn at(&self, pointer: &str) -> Result<&Value> {
        at(&self.0, pointer)
    }

    fn client(&self, id: &str) -> Result<&Value> {
        named(self.at("/clients")?, "clientId", id)
    }

    /// The settings of a client scope's mapper.
    fn mapper(&self, scope: &str, kind: &str) -> Result<&Value> {
        let scope = named(self.at("/clientScopes")?, "name", scope)?;
        at(named(at(scope, "/protocolMappers")?, "protocolMapper", kind)?, "/config")
    }
}

fn at<'a>(value: &'a Value, pointer: &str) -> Result<&'a Value> {
    value.pointer(pointer).with_context(|| format!("nothing at {pointer}"))
}

/// The item of a list whose `key` is `name`.
fn named<'a>(list: &'a Value, key: &str, name: &str) -> Result<&'a Value> {
    let found = list.as_array().and_then(|items| items.iter().find(|item| item.get(key) == Some(&json!(name))));
    found.with_context(|| format!("there is no {name}"))
}

/// Refuses an object that lacks one of `fields`.
fn has(value: &Value, fields: Value) -> Result<()> {
    for (name, expected) in fields.as_object().context("no object")? {
        ensure!(value.get(name) == Some(expected), "{name} is not {expected} in {value}");
    }
    Ok(())
}

#[test]
fn tokens_of_the_realm_say_what_the_server_asks_for() -> Result<()> {
    let realm = Realm::read()?;
    has(&realm.0, json!({"realm": "mecapy", "defaultSignatureAlgorithm": "RS256", "accessTokenLifespan": 300}))?;
    // An ID token that named the API would be taken for an access token.
    let audience =
        json!({"included.client.audience": "mecapy-api", "access.token.claim": "true", "id.token.claim": "false"});
    has(realm.mapper("mecapy", "oidc-audience-mapper")?, audience)?;
    let company = json!({"user.attribute": "company", "claim.name": "company", "access.token.claim": "true"});
    has(realm.mapper("mecapy", "oidc-usermodel-attribute-mapper")?, company)?;
    let roles = json!({"claim.name": "resource_access.${client_id}.roles", "multivalued": "true", "access.token.claim": "true"});
    has(realm.mapper("roles", "oidc-usermodel-client-role-mapper")?, roles)?;
    has(realm.mapper("basic", "oidc-sub-mapper")?, json!({"access.token.claim": "true"}))?;
    let roles = realm.at("/roles/client/mecapy-api")?.as_array().context("no roles")?;
    let roles: BTreeSet<_> = roles.iter().filter_map(|role| role.get("name")?.as_str()).collect();
    ensure!(roles == ["admin", "author", "engineer", "viewer"].into(), "{roles:?}");
    Ok(())
}

#[test]
fn clients_of_the_realm_have_the_scopes_and_no_other_way_in() -> Result<()> {
    let realm = Realm::read()?;
    has(realm.client("mecapy-api")?, json!({"bearerOnly": true, "publicClient": false}))?;
    let (console, machine) = (realm.client("mecapy-console")?, realm.client("mecapy-machine")?);
    has(console, json!({"publicClient": true, "standardFlowEnabled": true, "serviceAccountsEnabled": false}))?;
    has(at(console, "/attributes")?, json!({"pkce.code.challenge.method": "S256"}))?;
    has(machine, json!({"publicClient": false, "standardFlowEnabled": false, "serviceAccountsEnabled": true}))?;
    ensure!(machine.get("secret").is_none(), "a secret that everybody can read");
    for client in [console, machine] {
        has(
            client,
            json!({"implicitFlowEnabled": false, "directAccessGrantsEnabled": false, "fullScopeAllowed": false}),
        )?;
        let used = at(client, "/defaultClientScopes")?.as_array().context("no list")?;
        for needed in ["basic", "roles", "mecapy"] {
            ensure!(used.contains(&json!(needed)), "{needed}");
        }
        // Keycloak adds none of its own to a realm that names some.
        for scope in used.iter().filter_map(Value::as_str) {
            named(realm.at("/clientScopes")?, "name", scope)?;
        }
        // Without full scope, roles that are not listed here are in no token of the client.
        let id = at(client, "/clientId")?.as_str().unwrap_or_default();
        named(realm.at("/clientScopeMappings/mecapy-api")?, "client", id)?;
    }
    let user = named(realm.at("/users")?, "serviceAccountClientId", "mecapy-machine")?;
    ensure!(at(user, "/attributes/company")? == &json!(["default"]), "{user}");
    ensure!(at(user, "/clientRoles/mecapy-api")? == &json!(["engineer"]), "{user}");
    Ok(())
}

#[test]
fn people_can_neither_guess_their_way_in_nor_change_company() -> Result<()> {
    let realm = Realm::read()?;
    has(&realm.0, json!({"bruteForceProtected": true, "registrationAllowed": false, "editUsernameAllowed": false}))?;
    has(&realm.0, json!({"revokeRefreshToken": true, "sslRequired": "external"}))?;
    let profile = "/components/org.keycloak.userprofile.UserProfileProvider/0/config/kc.user.profile.config/0";
    let profile: Value = serde_json::from_str(realm.at(profile)?.as_str().context("no text")?)?;
    // Whoever could change the own company could read another's data.
    has(at(named(at(&profile, "/attributes")?, "name", "company")?, "/permissions")?, json!({"edit": ["admin"]}))?;
    ensure!(profile.get("unmanagedAttributePolicy").is_none(), "attributes that nobody named can be set");
    Ok(())
}
