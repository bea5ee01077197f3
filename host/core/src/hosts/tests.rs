//! What host patterns take, refuse and match.

use proptest::prelude::*;

use super::*;

fn parameters(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_patterns_match() {
    let shop = parameters(&[("shop", "Acme-1"), ("dc", "us21"), ("evil", "a.evil.com"), ("ip", "127")]);
    let table: [(&str, &str, Option<u16>, bool); 38] = [
        ("api.example.com", "api.example.com", None, true),
        ("api.example.com", "API.Example.COM.", None, true),
        ("API.example.com.", "api.example.com", None, true),
        ("api.example.com", "api.example.com", Some(443), true),
        ("api.example.com", "api.example.com", Some(8443), false),
        ("api.example.com", "api.example.com", Some(80), false),
        ("api.example.com", "evil-api.example.com", None, false),
        ("api.example.com", "x.api.example.com", None, false),
        ("api.example.com", "api.example.com.evil.com", None, false),
        ("api.example.com", "api.example.com..", None, false),
        ("api.example.com", "", None, false),
        ("api.example.com:8443", "api.example.com", Some(8443), true),
        ("api.example.com:8443", "api.example.com", None, false),
        ("api.example.com:443", "api.example.com", None, true),
        ("*.example.com", "a.example.com", None, true),
        ("*.example.com", "a.b.example.com", None, true),
        ("*.example.com", "example.com", None, false),
        ("*.example.com", ".example.com", None, false),
        ("*.example.com", "aexample.com", None, false),
        ("*.example.com", "a b.example.com", None, false),
        ("*.example.com", "a@b.example.com", None, false),
        ("*.example.com", "a/b.example.com", None, false),
        ("*.api.example.com", "x.example.com", None, false),
        ("{shop}.example.com", "acme-1.example.com", None, true),
        ("{shop}.example.com", "other.example.com", None, false),
        ("{shop}.example.com", "x.acme-1.example.com", None, false),
        ("{missing}.example.com", "missing.example.com", None, false),
        ("{missing}.example.com", ".example.com", None, false),
        ("{evil}.example.com", "a.evil.com.example.com", None, false),
        ("{evil}.example.com", "a.evil.com", None, false),
        ("{dc}.api.example.com", "us21.api.example.com", None, true),
        ("{dc}-api.example.com", "us21-api.example.com", None, true),
        ("api-{dc}.example.com", "api-us21.example.com", None, true),
        ("*.{shop}.example.com", "x.acme-1.example.com", None, true),
        ("*.{shop}.example.com", "acme-1.example.com", None, false),
        ("a.{ip}.0.0.example", "a.127.0.0.example", None, true),
        ("*.example.com", "127.0.0.1", None, false),
        ("*.example.com", "[::1]", None, false),
    ];
    for (pattern, host, port, expected) in table {
        let parsed = HostPattern::parse(pattern).unwrap_or_else(|message| panic!("{pattern}: {message}"));
        assert_eq!(parsed.matches(host, port, &shop), expected, "{pattern} against {host} {port:?}");
    }
}

#[test]
fn what_patterns_are_refused_and_why() {
    let table = [
        ("", "empty"),
        ("*", "every host"),
        ("*.", "every host"),
        ("*.com", "leaves the domain open"),
        ("*.{shop}", "leaves the domain open"),
        ("{shop}.com", "leaves the domain open"),
        ("api.{domain}", "leaves the domain open"),
        ("api.{domain}.com", "leaves the domain open"),
        ("api.*.com", "only stand in front"),
        ("*api.example.com", "not a host label"),
        ("a*.example.com", "not a host label"),
        ("*.*.example.com", "only stand in front"),
        ("com", "single label"),
        ("localhost", "single label"),
        ("https://api.example.com", "scheme"),
        ("api.example.com/v1", "path"),
        ("user@api.example.com", "user information"),
        ("api..example.com", "empty label"),
        ("-api.example.com", "not a host label"),
        ("bücher.example.com", "xn--"),
        ("api.example.com:0", "not a port"),
        ("api.example.com:65536", "not a port"),
        ("api.example.com:", "not a port"),
        ("api.example.com:+443", "not a port"),
        ("{shop.example.com", "without `}`"),
        ("{}.example.com", "names no parameter"),
        ("{a}{b}.example.com", "not a host label"),
        ("{a b}.example.com", "names no parameter"),
        ("127.0.0.1", "IP address"),
        ("127.0.0.1:443", "IP address"),
        ("127.1", "IP address"),
        ("2130706433", "IP address"),
        ("0x7f.1", "IP address"),
        ("a.0x7f000001", "IP address"),
        ("[::1]", "IP address"),
        ("::1", "IP address"),
        ("[::ffff:127.0.0.1]:443", "IP address"),
        ("api.example.com\r\n", "not a host label"),
    ];
    for (pattern, reason) in table {
        let message = HostPattern::parse(pattern).expect_err(pattern);
        assert!(message.contains(reason), "{pattern}: {message}");
        assert!(message.contains(pattern.trim_end_matches('.')), "{pattern}: {message}");
    }
}

#[test]
fn parameters_are_named_in_order_and_text_survives_json() {
    let pattern = HostPattern::parse("*.{dc}-x.{Shop}.Example.com:8443").unwrap();
    assert_eq!(pattern.parameters().collect::<Vec<_>>(), ["dc", "Shop"]);
    let json = serde_json::to_string(&pattern).unwrap();
    assert_eq!(json, "\"*.{dc}-x.{Shop}.example.com:8443\"");
    assert_eq!(serde_json::from_str::<HostPattern>(&json).unwrap(), pattern);
    assert!(serde_json::from_str::<HostPattern>("\"*\"").unwrap_err().to_string().contains("every host"));
}

proptest! {
    #[test]
    fn nothing_makes_parsing_or_matching_panic(pattern in "\\PC{0,40}|[*a-z0-9.{}:_-]{0,30}", host in "\\PC{0,40}|[a-z0-9.:_\\[\\]-]{0,30}") {
        if let Ok(parsed) = HostPattern::parse(&pattern) {
            let matches = parsed.matches(&host, None, &parameters(&[("a", "b")]));
            prop_assert!(!matches || !is_ip_address(&host));
            prop_assert_eq!(HostPattern::parse(&parsed.to_string()), Ok(parsed));
        }
    }

    #[test]
    fn no_value_of_a_parameter_leaves_the_domain(value in "\\PC{0,20}|[a-z0-9.@/#?:-]{0,20}", host in "[a-z0-9.-]{1,20}") {
        let pattern = HostPattern::parse("{shop}.example.com").unwrap();
        let values = parameters(&[("shop", value.as_str())]);
        let direct = format!("{value}.example.com");
        for host in [host.as_str(), value.as_str(), direct.as_str()] {
            if pattern.matches(host, None, &values) {
                let label = host.to_ascii_lowercase();
                let label = label.trim_end_matches('.').strip_suffix(".example.com").map(str::to_owned);
                prop_assert_eq!(label, Some(value.to_ascii_lowercase()));
                prop_assert!(ParameterPattern::HostLabel.fits(&value));
            }
        }
    }

    #[test]
    fn a_wildcard_matches_exactly_the_hosts_below(labels in prop::collection::vec("[a-z0-9]{1,8}", 0..4), domain in "[a-z]{2,8}\\.(com|io)") {
        let pattern = HostPattern::parse(&format!("*.{domain}")).unwrap();
        let mut host = labels.join(".");
        if !labels.is_empty() { host.push('.'); }
        host.push_str(&domain);
        prop_assert_eq!(pattern.matches(&host, None, &BTreeMap::new()), !labels.is_empty());
        let joined = format!("x{host}");
        prop_assert_eq!(pattern.matches(&joined, None, &BTreeMap::new()), !labels.is_empty());
        let behind = format!("{host}.evil.net");
        prop_assert!(!pattern.matches(&behind, None, &BTreeMap::new()));
    }

    #[test]
    fn no_address_in_any_spelling_matches(a in any::<u32>(), wide in any::<u128>()) {
        let spellings = [
            std::net::Ipv4Addr::from(a).to_string(), a.to_string(), format!("0x{a:x}"), format!("0{a:o}"),
            format!("{}.{}", a >> 24, a & 0x00ff_ffff), std::net::Ipv6Addr::from(wide).to_string(),
            format!("[{}]", std::net::Ipv6Addr::from(wide)), format!("{}.", std::net::Ipv4Addr::from(a)),
        ];
        for host in spellings {
            prop_assert!(is_ip_address(&host), "{}", host);
            prop_assert!(HostPattern::parse(&host).is_err(), "{}", host);
            prop_assert!(!HostPattern::parse("*.example.com").unwrap().matches(&host, None, &BTreeMap::new()));
        }
    }
}

#[test]
fn a_pattern_that_is_a_parameter_allows_the_hosts_it_names_and_no_others() {
    let pattern = HostPattern::parse("{hosts}").unwrap();
    assert!(pattern.is_parameter());
    assert_eq!(
        (pattern.to_string().as_str(), pattern.parameters().collect::<Vec<_>>()),
        ("{hosts}", vec!["hosts"])
    );
    let matches =
        |names: &str, host: &str, port| pattern.matches(host, port, &parameters(&[("hosts", names)]));
    assert!(matches("api.example.com,Files.example.com", "files.EXAMPLE.com.", None));
    assert!(matches("api.example.com", "api.example.com", Some(443)));
    for (names, host, port) in [
        ("api.example.com", "evil.com", None),
        ("api.example.com", "x.api.example.com", None),
        ("api.example.com", "api.example.com", Some(8443)),
        ("api.example.com", "", None),
        ("", "", None),
        ("127.0.0.1", "127.0.0.1", None),
        ("api.example.com,127.0.0.1", "api.example.com", None),
    ] {
        assert!(!matches(names, host, port), "{names} {host}");
    }
    assert!(!pattern.matches("hosts", None, &parameters(&[])));
    for refused in [
        "localhost",
        "single",
        "db.local",
        "vault.INTERNAL",
        "10.0.0.1",
        "0x7f.1",
        "[::1]",
        "*.example.com",
        "a..b",
        "a.example.com/x",
        "a.example.com:8443",
        "a.example.com, b.example.com",
        "user@a.example.com",
        ",a.example.com",
    ] {
        assert!(!are_names(refused), "{refused}");
    }
    assert!(
        are_names(&vec!["a.example.com"; 20].join(",")) && !are_names(&vec!["a.example.com"; 21].join(","))
    );
    assert!(
        HostPattern::parse("{a}.{b}").is_err()
            && HostPattern::parse("{a}.com").is_err()
            && HostPattern::parse("*.{a}").is_err()
    );
}
