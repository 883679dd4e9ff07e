// The OpenID Connect provider that the tests run against: `oidc-provider`, shaped as a Keycloak realm.
//
// It prints one line of JSON, {"issuer", "control"}, once it answers, and ends when its standard input does. At
// `control`, on another port of the loopback interface, tests change what it does and sign whatever they like with its
// keys. Clients, their companies and roles are named by the test that starts it: argument 1, as JSON.

import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const REALM = "/realms/mecapy";
const AUDIENCE = "mecapy-api";
/** What a client that names no resource gets a token for. */
const RESOURCE = "urn:mecapy:api";

const clients = JSON.parse(process.argv[2] ?? "[]");
const state = {
  /** Signing keys, newest first; those that are `shown` stand in the key set. */
  keys: [],
  /** How the provider answers: "up", "refuse", "hang" or "fail". */
  mode: "up",
  /** Requests by path, since the start. */
  counts: {},
  /** Fields that are laid over the discovery document. */
  discovery: {},
  provider: null,
  issuer: "",
};

function newKey(kid) {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { kid, privateKey, publicKey, shown: true };
}

function addKey() {
  state.keys.unshift(newKey(`key-${state.keys.length + 1}`));
}

function jwk({ kid, privateKey }) {
  return { ...privateKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" };
}

/** Roles and company of a client, where Keycloak's mappers put them. */
function claimsOf(clientId) {
  const { company, realm_roles = [], client_roles = [] } = clients.find((client) => client.client_id === clientId) ?? {};
  return {
    azp: clientId,
    typ: "Bearer",
    preferred_username: `service-account-${clientId}`,
    realm_access: { roles: ["offline_access", ...realm_roles] },
    resource_access: { [AUDIENCE]: { roles: client_roles } },
    ...(company === undefined ? {} : { company }),
  };
}

function provider() {
  return new Provider(state.issuer, {
    clients: clients.map(({ client_id, client_secret }) => ({
      client_id,
      client_secret,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    })),
    jwks: { keys: state.keys.filter((key) => key.shown).map(jwk) },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        getResourceServerInfo: () => ({
          audience: AUDIENCE,
          scope: "",
          accessTokenFormat: "jwt",
          accessTokenTTL: 300,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    // Keycloak's paths.
    routes: { jwks: "/protocol/openid-connect/certs", token: "/protocol/openid-connect/token" },
    extraTokenClaims: (_, token) => claimsOf(token.clientId),
  });
}

/** The realm as it is now: new keys and routes begin with the next request. */
function rebuild() {
  state.provider = provider().callback();
}

const realm = createServer((request, response) => {
  const path = request.url.split("?")[0];
  state.counts[path] = (state.counts[path] ?? 0) + 1;
  if (state.mode === "hang") return;
  if (state.mode === "fail" || !request.url.startsWith(REALM)) {
    response.writeHead(state.mode === "fail" ? 500 : 404).end();
    return;
  }
  if (path.endsWith("/.well-known/openid-configuration") && Object.keys(state.discovery).length > 0) {
    const jwks_uri = `${state.issuer}/protocol/openid-connect/certs`;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ issuer: state.issuer, jwks_uri, ...state.discovery }));
    return;
  }
  request.originalUrl = request.url;
  request.url = request.url.slice(REALM.length);
  state.provider(request, response);
});

/** `fields` laid over `usual`; null takes one away. */
function laid(usual, fields) {
  return Object.fromEntries(Object.entries({ ...usual, ...fields }).filter(([, value]) => value !== null));
}

/**
 * Signs any header and claims: objects that are laid over those of a good token, or the text that shall stand there.
 * `times` sets claims to seconds from now. `key` is an index into the keys, "hmac" (with the newest public key as the
 * secret) or "foreign" (a key that the provider never had).
 */
function token({ header = {}, claims = {}, times = {}, key = 0 }) {
  const { kid, publicKey } = state.keys[key] ?? state.keys[0];
  const now = Math.floor(Date.now() / 1000);
  const after = Object.fromEntries(Object.entries(times).map(([name, seconds]) => [name, now + seconds]));
  const client = clients[0]?.client_id;
  const usual = { iss: state.issuer, aud: AUDIENCE, sub: client, iat: now, exp: now + 300, ...claimsOf(client), ...after };
  const encoded = (part, usual) => {
    const text = typeof part === "string" ? part : JSON.stringify(laid(usual, part));
    return Buffer.from(text).toString("base64url");
  };
  const signed = `${encoded(header, { alg: "RS256", typ: "JWT", kid })}.${encoded(claims, usual)}`;
  let signature;
  if (key === "hmac") {
    const secret = publicKey.export({ type: "spki", format: "pem" });
    signature = createHmac("sha256", secret).update(signed).digest();
  } else {
    const { privateKey } = key === "foreign" ? newKey("foreign") : state.keys[key];
    signature = sign("sha256", Buffer.from(signed), privateKey);
  }
  return { token: `${signed}.${signature.toString("base64url")}` };
}

const controls = {
  "/token": token,
  "/counts": () => state.counts,
  "/mode": async ({ mode }) => {
    state.mode = mode;
    if (mode === "refuse") {
      await new Promise((closed) => {
        realm.close(closed);
        realm.closeAllConnections();
      });
    } else if (!realm.listening) {
      await listen(realm, Number(new URL(state.issuer).port));
    }
    return {};
  },
  "/discovery": (fields) => {
    state.discovery = fields;
    return {};
  },
  /** A new key signs from now on; earlier ones stay in the key set unless `forget` says otherwise. */
  "/rotate": ({ forget = false }) => {
    if (forget) state.keys.forEach((key) => (key.shown = false));
    addKey();
    rebuild();
    return { kid: state.keys[0].kid };
  },
};

const control = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  try {
    const answer = await controls[request.url](JSON.parse(body || "{}"));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer));
  } catch (error) {
    response.writeHead(500).end(String(error.stack));
  }
});

function listen(server, port) {
  return new Promise((listening) => server.listen(port, "127.0.0.1", () => listening(server.address().port)));
}

state.issuer = `http://127.0.0.1:${await listen(realm, 0)}${REALM}`;
addKey();
rebuild();
const controlPort = await listen(control, 0);
console.log(JSON.stringify({ issuer: state.issuer, control: `http://127.0.0.1:${controlPort}` }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
