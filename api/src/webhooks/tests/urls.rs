//! Every form of URL that could lead inside.

use super::{scripted, strict};
use crate::webhooks::guard::{Guard, Refused, URL_BYTES_MAX};
use mecapy_model::TenantId;
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::nil());

#[test]
fn security_30_addresses_in_every_spelling_are_refused() {
    let spellings = [
        // IPv4: dotted, short, decimal, octal, hexadecimal, mixed, with a dot at the end, percent-encoded.
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0177.0.0.1",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "0x7F.0x0.0.1",
        "127.0.0.1.",
        "2130706433.",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "0",
        "0.0.0.0",
        "0x0",
        // In digits and dots of other alphabets.
        "１２７.０.０.１",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "127．0．0．1",
        "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
        "２１３０７０６４３３",
        // Private, shared, and where clouds keep credentials.
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        // IPv6: itself, and IPv4 inside.
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:53aa::1]",
    ];
    for host in spellings {
        for url in [format!("https://{host}/hook"), format!("https://{host}:8443/"), format!("HTTPS:\\\\{host}\\x")] {
            assert_eq!(strict().check_url(&url), Err(Refused::Address), "{url}");
        }
    }
}

#[test]
fn security_30_urls_that_hide_where_they_lead_are_refused() {
    let long = format!("https://example.com/{}", "x".repeat(URL_BYTES_MAX));
    let grows = format!("https://example.com/{}", "é".repeat(URL_BYTES_MAX / 3));
    let rows = [
        ("", Refused::Malformed),
        ("example.com/hook", Refused::Malformed),
        ("//example.com/hook", Refused::Malformed),
        ("https://", Refused::Malformed),
        ("https://256.256.256.256/", Refused::Malformed),
        ("https://1.2.3.4.5/", Refused::Malformed),
        ("https://0x7f.0.0.0x100/", Refused::Malformed),
        ("https://[fe80::1%25eth0]/", Refused::Malformed),
        ("https://[fe80::1%eth0]/", Refused::Malformed),
        ("https://[::1", Refused::Malformed),
        ("https://exa mple.com/", Refused::Malformed),
        (" https://example.com/", Refused::Malformed),
        ("https://example.com/\n", Refused::Malformed),
        ("https://exam\tple.com/", Refused::Malformed),
        ("https://example.com/\0", Refused::Malformed),
        ("https://example.com:99999/", Refused::Malformed),
        ("http://example.com/", Refused::Scheme),
        ("ftp://example.com/", Refused::Scheme),
        ("file:///etc/passwd", Refused::Scheme),
        ("gopher://127.0.0.1:6379/_x", Refused::Scheme),
        ("data:text/plain,x", Refused::Scheme),
        ("unix:/run/docker.sock", Refused::Scheme),
        ("https://user@example.com/", Refused::Credentials),
        ("https://user:secret@example.com/", Refused::Credentials),
        ("https://:secret@example.com/", Refused::Credentials),
        ("https://example.com@127.0.0.1/", Refused::Credentials),
        ("https://127.0.0.1:80@example.com/", Refused::Credentials),
        ("https://example.com/#fragment", Refused::Fragment),
        ("https://example.com#@127.0.0.1/", Refused::Fragment),
        ("https://127.0.0.1\\@example.com/", Refused::Address),
        ("https://example.com:22/", Refused::Port),
        ("https://example.com:25/", Refused::Port),
        ("https://example.com:0/", Refused::Port),
        ("https://example.com:6667/", Refused::Port),
        (&long, Refused::TooLong),
        (&grows, Refused::TooLong),
    ];
    for (url, expected) in rows {
        assert_eq!(strict().check_url(url), Err(expected), "{url:?}");
    }
}

#[test]
fn urls_of_public_hosts_are_taken_and_normalised() {
    let rows = [
        ("https://example.com/hook?token=a%20b", "https://example.com/hook?token=a%20b"),
        ("HTTPS://Example.COM:443", "https://example.com/"),
        ("https://example.com:8443/a/../b", "https://example.com:8443/b"),
        ("https://münchen.example/", "https://xn--mnchen-3ya.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://0x08080808/", "https://8.8.8.8/"),
        ("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"),
        ("https://example.com\\@127.0.0.1/", "https://example.com/@127.0.0.1/"),
    ];
    for (url, normal) in rows {
        assert_eq!(strict().check_url(url).unwrap().as_str(), normal, "{url}");
    }
}

#[test]
fn plain_http_and_inner_networks_are_the_operators_to_allow() {
    let (lookup, _) = scripted(&[&["10.1.0.9"]]);
    let guard = Guard::with_lookup("10.1.0.0/16,127.0.0.1".parse().unwrap(), true, lookup);
    for url in ["http://10.1.2.3:8080/", "http://127.0.0.1:9000/", "https://[::ffff:10.1.2.3]/", "http://example.com/"]
    {
        assert!(guard.check_url(url).is_ok(), "{url}");
    }
    for url in ["http://10.2.0.1/", "http://127.0.0.2/", "http://[::1]/", "http://169.254.169.254/"] {
        assert_eq!(guard.check_url(url), Err(Refused::Address), "{url}");
    }
    assert_eq!(guard.check_url("http://10.1.2.3:22/"), Err(Refused::Port));
}

#[tokio::test]
async fn security_30_a_name_that_leads_inside_is_refused_when_it_is_registered() {
    let mixed: [&[&str]; 8] = [
        &["127.0.0.1"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["::1"],
        &["::ffff:192.168.0.1"],
        &["8.8.8.8", "127.0.0.1"],
        &["2606:4700:4700::1111", "8.8.8.8", "fd00::1"],
        &[],
    ];
    for answer in mixed {
        let guard = Guard::with_lookup("".parse().unwrap(), false, scripted(&[answer]).0);
        assert_eq!(guard.admit(TENANT, "https://inside.example/").await, Err(Refused::Address), "{answer:?}");
    }
    // A name that doesn't exist is told apart from none of them.
    assert_eq!(strict().admit(TENANT, "https://inside.example/").await, Err(Refused::Address));
    let guard = Guard::with_lookup("".parse().unwrap(), false, scripted(&[&["8.8.8.8", "2001:4860::8888"]]).0);
    assert_eq!(guard.admit(TENANT, "https://outside.example").await.unwrap().as_str(), "https://outside.example/");
}

#[tokio::test]
async fn security_30_this_machine_by_its_names_is_refused() {
    let guard = Guard::new("".parse().unwrap(), false);
    for url in ["https://localhost/", "https://LOCALHOST:8000/", "https://localhost./"] {
        assert_eq!(guard.admit(TENANT, url).await, Err(Refused::Address), "{url}");
    }
}

#[tokio::test]
async fn a_name_server_that_says_nothing_is_not_waited_for() {
    let lookup = std::sync::Arc::new(|_, _| -> crate::webhooks::lookup::Pending { Box::pin(std::future::pending()) });
    let guard = Guard::with_lookup("".parse().unwrap(), false, lookup);
    let started = tokio::time::Instant::now();
    assert_eq!(guard.admit(TENANT, "https://silent.example/").await, Err(Refused::Address));
    assert!(started.elapsed() < std::time::Duration::from_secs(6));
}

#[tokio::test]
async fn a_host_that_can_not_be_looked_up_yet_is_not_refused_for_good() {
    assert_eq!(Guard::busy().admit(TENANT, "https://busy.example/").await, Err(Refused::Busy));
}
