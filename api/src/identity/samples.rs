//! A key set and tokens of its keys, for tests. The private keys are gone.

use serde_json::{Value, json};

/// Issuer, audience and more as in the tests of `claims`; good from Unix second 1800000000 on, for 300 seconds. Made
/// with RS256, PS256 and ES256.
pub(super) const TOKENS: [&str; 3] = [RS, PS, ES];

const RS: &str = "\
    eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUvcmVhbG1zL21lY2Fw\
    eSIsImF1ZCI6Im1lY2FweS1hcGkiLCJzdWIiOiJmM2EwIiwidHlwIjoiQmVhcmVyIiwiYXpwIjoibWVjYXB5LWNvbnNvbGUiLCJpYXQi\
    OjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMDMwMCwicmVhbG1fYWNjZXNzIjp7InJvbGVzIjpbImVuZ2luZWVyIl19LCJjb21wYW55Ijoi\
    YWNtZSIsInByZWZlcnJlZF91c2VybmFtZSI6ImFkYSJ9.CYfirnFf9dya0I8ZMQjoXD6hABQaCPtCVu67p5UyaEedHy5MVj73qU8IS5c\
    uQKzIuTvpYE2J_JqB0Oh7BHBgEDnQfPD9UKr9cQ9p3Os4560bay6F1r5X-f382z5TTXUEdVvlYzFq2_s8Z2s0-sJBxeoTAptzcvyVLHm\
    KZVTd45mc2TurAmNubsd129WDd84OJ2aITL0VjiJE_a7KO0ttSPNOfCn6buGGelIRpNoWKaPdVHDQINaGwGoehBDskoeabFaNH7R7eNV\
    ug8jOzi32nI9AVa5hogB3QuuV0DJKkzw_hywwcDsZqiqxULCom3f0YX-E8yU9qR_S2npMQKoe7A";
const PS: &str = "\
    eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InBzIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUvcmVhbG1zL21lY2Fw\
    eSIsImF1ZCI6Im1lY2FweS1hcGkiLCJzdWIiOiJmM2EwIiwidHlwIjoiQmVhcmVyIiwiYXpwIjoibWVjYXB5LWNvbnNvbGUiLCJpYXQi\
    OjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMDMwMCwicmVhbG1fYWNjZXNzIjp7InJvbGVzIjpbImVuZ2luZWVyIl19LCJjb21wYW55Ijoi\
    YWNtZSIsInByZWZlcnJlZF91c2VybmFtZSI6ImFkYSJ9.TjG0rLgWelBIHtT3OzN2mEWkLbtYC9e7VUFiAIhUUqCHhNAmrhP8lhu5Ql_\
    raEpURTHQR2gHoTrgwsHXytP8uljCxpoBkv4iT7lPkZCL13itvL6-OhrPigGBBdP6wdrKgL1hXC5TLmKr051vbCOe1-UKMPMZBSx67tu\
    kRe9UZyXAYc8Nkh2mgpV_F54rHhdC7IDiTrvmZ9FJKfZ-npXQJw0Lj8axF4YgUOohz4pO6qpjTnmBCYfHt9DkpAWr5-qx5LIWmmK35yd\
    iU-2xdM2TirJQlL1ZHD_XeWxbH-IdlD79Cdh67Jr-bUULsRhTVX76eITbWvSBYFlyrit7_3AHMw";
const ES: &str = "\
    eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVzIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUvcmVhbG1zL21lY2Fw\
    eSIsImF1ZCI6Im1lY2FweS1hcGkiLCJzdWIiOiJmM2EwIiwidHlwIjoiQmVhcmVyIiwiYXpwIjoibWVjYXB5LWNvbnNvbGUiLCJpYXQi\
    OjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMDMwMCwicmVhbG1fYWNjZXNzIjp7InJvbGVzIjpbImVuZ2luZWVyIl19LCJjb21wYW55Ijoi\
    YWNtZSIsInByZWZlcnJlZF91c2VybmFtZSI6ImFkYSJ9.XxSFcpaoGiAjrqk0GgT4r0Ei3l84RCqO5da0kQIztKXfjnUPGddlXVbfH3Q\
    wuxWYEDpiIqWPscwdj39ef5DGMQ";
const RS_N: &str = "\
    o1om0_SfSAxE585KVfEeRWM-8ZtUPvSP1l1zs9epmxuCW6gMl29OiOpxg3DzV0epY-lQSOR6JV--sop0-9Q8QdnlS9iMzG3dmUN7A00h\
    c0m8WXkgZQW1VGmv0Tdt7eo-I8ByAwgre92tAOzPLMX_E9kWA5EPVv6EnFoEIXUPdQhBofdNrzzBzUChqE5le3er_L33XC7njojd6-Xu\
    9P7vUmMseHCV-0kjkoiEsFHthsSOxIn6CPfCJVjXIGJ-zKUkF8sWVh4_cFfeZqyZ_SBo-IY1dblOnMTXXE-OFiP-G1lVK4zMN1DuToQT\
    yCTEdsgCU3sCLs6I0ZuHvLRF-jC-hw";
const PS_N: &str = "\
    p1Hx8R6fbKm7I3T72dBeMCLQhBj2BPD_QlQOdQYO2yTBJOzLCx5nWt9Hd2jhTptASCVSXxhSYidnyDcy2lIcWxkjb2kdsircbWBU5XhP\
    RN4_uJYs9fbwqkxdMsjS3M1e7h4QHvj_unhiIKk54w_T6vFcgs5FvC69QikYgTFo2byKYLKk_GoerS3ctXbcqLGqwPhzN9XDDC6vVJ59\
    AJO3_PeaW5UZeBFZl8RXSQtxjIbL6HJeu6N6l2aVK85yMmtha7hHUclPLvEOXcnipWOlknAF21i3Pkq9wfxm8fZ0WvqKDrSbe_YnotN8\
    rjoyExqXymofKn7AYm4XxRVVQt1OSQ";
const ES_X: &str = "i9jv26M8olIpcggzbO_3-f66ji6u8Pf-MYnqkIzVHjs";
const ES_Y: &str = "waYFsW9rpya7cGzYPM2WFNIb25JfNcGvY5GnpRmV9PI";

/// The public keys, as an issuer shows them.
pub(super) fn keys() -> Value {
    json!({"keys": [
        {"kty": "RSA", "kid": "rs", "alg": "RS256", "use": "sig", "n": RS_N, "e": "AQAB"},
        {"kty": "RSA", "kid": "ps", "alg": "PS256", "n": PS_N, "e": "AQAB"},
        {"kty": "EC", "kid": "es", "crv": "P-256", "x": ES_X, "y": ES_Y},
    ]})
}
