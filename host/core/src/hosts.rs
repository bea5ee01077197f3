//! Host patterns: which hosts a connector may send to.
//!
//! A pattern is an exact host (`api.bigcommerce.com`), a wildcard for one or more whole labels in front
//! (`*.bigcommerce.com`, which does not match `bigcommerce.com` itself), or has `{parameter}` labels filled
//! from the connection (`{shop}.myshopify.com`); a parameter may share its label with fixed text in front of
//! or behind it (`{dc}-api.example.com`). An optional `:port` limits the port; without one, 443 only.
//! Matching ignores case and one trailing dot.
//!
//! A pattern that is nothing but a parameter (`{hosts}`) allows the hosts that the connection names there, whole
//! ones: for a connector without a vendor, whose connections say where it may send.
//!
//! Invariants: any other pattern ends in two fixed labels, so that neither `*` nor a parameter's value can
//! ever choose the domain; a parameter's value stays inside its label; an IP address, in any of the
//! spellings that resolvers read, matches no pattern.

use std::{collections::BTreeMap, fmt, net::Ipv6Addr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::manifest::ParameterPattern;

const HTTPS: u16 = 443;

/// Which hosts and port a connector may send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// Whether one or more labels stand in front.
    wildcard: bool,
    labels: Vec<Label>,
    port: Option<u16>,
    /// The connection parameter that names whole hosts, where the pattern is nothing else.
    named_by: Option<String>,
}

/// One label of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Label {
    /// In lower case.
    Fixed(String),
    /// A connection parameter, with what shares its label.
    Parameter { before: String, name: String, after: String },
}

impl HostPattern {
    /// Reads a pattern; the error says what is wrong with it and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a host pattern is empty; write a host such as `api.example.com`".to_owned());
        }
        if text.contains("://") || text.contains('/') {
            return Err(format!(
                "`{text}` is not a host; leave the scheme and the path out, as in `api.example.com`"
            ));
        }
        if text.contains('@') {
            return Err(format!(
                "`{text}` carries user information; write the host alone, as in `api.example.com`"
            ));
        }
        if is_ip_address(text) {
            return Err(format!(
                "`{text}` is an IP address, which no connector may name; write the vendor's host name"
            ));
        }
        let (host, port) = split_port(text)?;
        if host.starts_with('{')
            && !host.contains('.')
            && let Label::Parameter { name, after, .. } = label_of(text, host)?
            && after.is_empty()
        {
            return Ok(Self { wildcard: false, labels: Vec::new(), port, named_by: Some(name) });
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let (wildcard, rest) = match host.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, host),
        };
        if host == "*" {
            return Err(
                "`*` would allow every host; name the vendor's domain, as in `*.example.com`".to_owned()
            );
        }
        let labels = rest.split('.').map(|label| label_of(text, label)).collect::<Result<Vec<_>, _>>()?;
        let fixed_tail = labels.iter().rev().take_while(|label| matches!(label, Label::Fixed(_))).count();
        let open = wildcard || fixed_tail < labels.len();
        if open && fixed_tail < 2 {
            return Err(format!(
                "`{text}` leaves the domain open; end it in at least two fixed labels, as in `*.example.com` or \
                 `{{shop}}.example.com`"
            ));
        }
        if labels.len() < 2 && !open {
            return Err(format!(
                "`{text}` is a single label; write the whole host name, as in `{text}.example.com`"
            ));
        }
        if is_ip_address(rest) {
            return Err(format!(
                "`{text}` is an IP address, which no connector may name; write the vendor's host name"
            ));
        }
        if text.len() > 253 {
            return Err(format!("`{text}` is longer than the 253 characters of a host name; shorten it"));
        }
        Ok(Self { wildcard, labels, port, named_by: None })
    }

    /// Whether a request to `host` on `port` (`None`: the scheme's own, 443) fits, with `parameters` of the
    /// connection filled in. A parameter that is missing or is not a host label fits nothing.
    #[must_use]
    pub fn matches(&self, host: &str, port: Option<u16>, parameters: &BTreeMap<String, String>) -> bool {
        if port.unwrap_or(HTTPS) != self.port.unwrap_or(HTTPS) || is_ip_address(host) {
            return false;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.len() > 253 || !host.split('.').all(is_label) {
            return false;
        }
        if let Some(name) = &self.named_by {
            let names = parameters.get(name).filter(|names| are_names(names));
            return names.is_some_and(|names| names.split(',').any(|name| name.eq_ignore_ascii_case(host)));
        }
        let mut given = host.rsplit('.');
        for label in self.labels.iter().rev() {
            match given.next() {
                Some(text) if label.matches(text, parameters) => {}
                _ => return false,
            }
        }
        self.wildcard == given.next().is_some()
    }

    /// The one host that the pattern stands for with these parameters of a connection, with its port where that is
    /// not 443; none where it stands for several.
    #[must_use]
    pub fn only_host(&self, parameters: &BTreeMap<String, String>) -> Option<String> {
        let host = match &self.named_by {
            Some(name) => parameters.get(name)?.clone(),
            None if self.wildcard => return None,
            None => {
                let labels = self.labels.iter().map(|label| match label {
                    Label::Fixed(text) => Some(text.clone()),
                    Label::Parameter { before, name, after } => {
                        Some(format!("{before}{}{after}", parameters.get(name)?))
                    }
                });
                labels.collect::<Option<Vec<_>>>()?.join(".")
            }
        };
        // Whatever is no host, or several, does not match.
        self.matches(&host, self.port, parameters).then(|| match self.port {
            Some(port) if port != HTTPS => format!("{host}:{port}"),
            _ => host,
        })
    }

    /// The connection parameters that the pattern names, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let inside = self.labels.iter().filter_map(|label| match label {
            Label::Parameter { name, .. } => Some(name.as_str()),
            Label::Fixed(_) => None,
        });
        inside.chain(self.named_by.as_deref())
    }

    /// Whether the pattern is nothing but a parameter, which names whole hosts.
    #[must_use]
    pub const fn is_parameter(&self) -> bool {
        self.named_by.is_some()
    }
}

impl Label {
    fn matches(&self, text: &str, parameters: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Fixed(fixed) => fixed.eq_ignore_ascii_case(text),
            Self::Parameter { before, name, after } => parameters
                .get(name)
                .filter(|value| ParameterPattern::HostLabel.fits(value))
                .is_some_and(|value| format!("{before}{value}{after}").eq_ignore_ascii_case(text)),
        }
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Ok((text, None));
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok((host, Some(number))),
        _ => Err(format!(
            "`{port}` in `{text}` is not a port; write a number from 1 to 65535 or leave it out for 443"
        )),
    }
}

fn label_of(pattern: &str, label: &str) -> Result<Label, String> {
    if label == "*" {
        return Err(format!("`{pattern}` has `*` inside; it may only stand in front, as in `*.example.com`"));
    }
    if let Some((before, rest)) = label.split_once('{') {
        let Some((name, after)) = rest.split_once('}') else {
            return Err(format!("`{pattern}` opens `{{` without `}}`; write a parameter as `{{shop}}`"));
        };
        let named = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !named {
            return Err(format!(
                "`{{{name}}}` in `{pattern}` names no parameter; write its name, as in `{{shop}}`"
            ));
        }
        let joined = format!("{before}x{after}");
        if !is_label(&joined) {
            return Err(format!(
                "`{label}` in `{pattern}` is not a host label; beside one parameter use letters, digits and hyphens"
            ));
        }
        let (before, after) = (before.to_ascii_lowercase(), after.to_ascii_lowercase());
        return Ok(Label::Parameter { before, name: name.to_owned(), after });
    }
    if is_label(label) {
        return Ok(Label::Fixed(label.to_ascii_lowercase()));
    }
    let what = if label.is_empty() {
        "an empty label".to_owned()
    } else {
        format!("`{label}`, which is not a host label")
    };
    Err(format!(
        "`{pattern}` has {what}; use letters, digits and inner hyphens between dots (an international name in its `xn--` form)"
    ))
}

/// A label as hosts have them; `_` is seen in front of some vendors' hosts.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether a resolver would read `host` as an address: every IPv6 spelling, and IPv4 in the spellings that
/// `inet_aton` reads (`127.1`, `0x7f.1`, `2130706433`, `017700000001`). A top-level label that is numeric is
/// never a name (WHATWG URL), so that nothing of the kind slips through.
fn is_ip_address(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.starts_with('[') || Ipv6Addr::from_str(host).is_ok() {
        return true;
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Top-level labels that no public host has: names of local networks, and those reserved for other uses.
const NOT_PUBLIC: [&str; 8] = ["localhost", "local", "internal", "lan", "home", "corp", "onion", "arpa"];

/// Most names of one parameter.
const MOST_NAMES: usize = 20;

/// Whether a text is whole host names with commas between them, each of at least two labels and none of a local network.
#[must_use]
pub(crate) fn are_names(text: &str) -> bool {
    let is_name = |name: &str| {
        let last = name.rsplit('.').next().unwrap_or(name);
        name.len() <= 253
            && name.contains('.')
            && name.split('.').all(is_label)
            && !is_ip_address(name)
            && !NOT_PUBLIC.iter().any(|local| local.eq_ignore_ascii_case(last))
    };
    text.split(',').count() <= MOST_NAMES && text.split(',').all(is_name)
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.named_by {
            write!(f, "{{{name}}}")?;
        }
        if self.wildcard {
            f.write_str("*.")?;
        }
        for (index, label) in self.labels.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            match label {
                Label::Fixed(text) => f.write_str(text)?,
                Label::Parameter { before, name, after } => write!(f, "{before}{{{name}}}{after}")?,
            }
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
