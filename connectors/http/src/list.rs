//! Lists: where the items of a page are, and where the next page is.

use trunnion_sdk::{http::Response, prelude::*};

use crate::request::{At, built};

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct List {
    #[serde(flatten)]
    at: At,
    /// Where the items are in the answer, as a JSON pointer such as `/data`; the whole answer where it is empty.
    #[serde(default)]
    items: String,
    /// Where the next page is.
    #[serde(default)]
    paging: Paging,
}

/// Where the next page is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "by")]
enum Paging {
    /// There is one page.
    #[default]
    None,
    /// The header `Link` with `rel="next"`.
    LinkHeader,
    /// A URL in the answer.
    Link {
        /// A JSON pointer to it.
        at: String,
    },
    /// A cursor in the answer, which goes into a query parameter.
    Cursor {
        /// A JSON pointer to it.
        at: String,
        /// The query parameter.
        parameter: String,
    },
    /// A page's number in a query parameter, until a page is empty.
    Page {
        /// The query parameter.
        parameter: String,
        /// The first page's number.
        #[serde(default = "one")]
        first: u64,
    },
    /// The number of items before the page in a query parameter, until a page is empty.
    Offset {
        /// The query parameter.
        parameter: String,
    },
}

const fn one() -> u64 {
    1
}

/// Where a page is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// At this URL, which has everything in it.
    Url(String),
    /// With this value of the paging's query parameter.
    Value(String),
}

/// One page.
pub(crate) fn list(ctx: &Context, input: List, cursor: Option<Place>) -> Result<Listing<Value, Place>> {
    let List { mut at, items, paging } = input;
    let mut value = None;
    match cursor {
        // A link has all parameters in it.
        Some(Place::Url(url)) => {
            at.url = url;
            at.query.clear();
        }
        Some(Place::Value(text)) => value = Some(text),
        None => value = first(&paging),
    }
    if let (Some(value), Some(parameter)) = (&value, parameter(&paging)) {
        at.query.insert(parameter.to_owned(), json!(value));
    }
    let answer = built(ctx, "GET", &at)?.send()?;
    let body: Value = answer.json()?;
    let found = body.pointer(&items).and_then(Value::as_array).cloned();
    let found = found.ok_or_else(|| {
        let where_to =
            if items.is_empty() { "as the whole answer".to_owned() } else { format!("at `{items}`") };
        Error::invalid_input("/items", format!("there is no list {where_to}; correct the JSON pointer"))
    })?;
    let next = next(&paging, &answer, &body, (value.as_deref(), found.len()), &at.url);
    Ok(Listing { items: found, next })
}

fn first(paging: &Paging) -> Option<String> {
    match paging {
        Paging::Page { first, .. } => Some(first.to_string()),
        Paging::Offset { .. } => Some("0".to_owned()),
        Paging::None | Paging::LinkHeader | Paging::Link { .. } | Paging::Cursor { .. } => None,
    }
}

fn parameter(paging: &Paging) -> Option<&str> {
    match paging {
        Paging::Cursor { parameter, .. } | Paging::Page { parameter, .. } | Paging::Offset { parameter } => {
            Some(parameter)
        }
        Paging::None | Paging::LinkHeader | Paging::Link { .. } => None,
    }
}

fn next(
    paging: &Paging,
    answer: &Response,
    body: &Value,
    (value, count): (Option<&str>, usize),
    url: &str,
) -> Option<Place> {
    let number = || value?.parse::<u64>().ok();
    match paging {
        Paging::None => None,
        Paging::LinkHeader => {
            let links = answer.headers.iter().filter(|(name, _)| name == "link");
            let link = links.filter_map(|(_, value)| next_link(value)).next()?;
            Some(Place::Url(absolute(link, url)))
        }
        Paging::Link { at } => {
            let link = body.pointer(at)?.as_str().filter(|link| !link.is_empty())?;
            Some(Place::Url(absolute(link, url)))
        }
        Paging::Cursor { at, .. } => match body.pointer(at)? {
            Value::String(cursor) if !cursor.is_empty() => Some(Place::Value(cursor.clone())),
            Value::Number(cursor) => Some(Place::Value(cursor.to_string())),
            _ => None,
        },
        Paging::Page { .. } if count > 0 => Some(Place::Value((number()? + 1).to_string())),
        Paging::Offset { .. } if count > 0 => {
            Some(Place::Value((number()? + u64::try_from(count).ok()?).to_string()))
        }
        Paging::Page { .. } | Paging::Offset { .. } => None,
    }
}

/// The target with `rel="next"` of a `Link` header.
fn next_link(header: &str) -> Option<&str> {
    header.split('<').skip(1).find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let parameters = parameters.split(';').map(str::trim);
        let mut relations =
            parameters.filter_map(|parameter| parameter.trim_end_matches([',', ' ']).strip_prefix("rel="));
        let is_next = |relation: &str| relation.trim_matches('"').split(' ').any(|one| one == "next");
        relations.any(is_next).then_some(target)
    })
}

/// A link as a URL: one that begins with `/` is at the host it came from.
fn absolute(link: &str, from: &str) -> String {
    if !link.starts_with('/') {
        return link.to_owned();
    }
    let host = from.strip_prefix("https://").unwrap_or(from).split('/').next().unwrap_or_default();
    format!("https://{host}{link}")
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost, Seen, every_item};

    use super::*;
    use crate::connector;

    const URL: &str = "https://api.example.com/orders";

    /// Three pages of two orders, the last of one.
    fn page(number: u64) -> Vec<Value> {
        (number * 2..(number * 2 + 2).min(5)).map(|id| json!({"id": id})).collect()
    }

    fn listed(paging: Value, answer: impl Fn(&Seen) -> Answer + 'static) -> Result<Vec<Value>> {
        let host = FakeHost::new().with_parameter("hosts", "api.example.com");
        host.http().on("GET", URL, answer);
        let input = json!({"url": URL, "query": {"limit": 2}, "items": "/data", "paging": paging});
        every_item(&connector(), &host.calling("list"), &input.to_string())
    }

    fn asked(seen: &Seen, name: &str) -> u64 {
        let found =
            seen.query().split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))?.parse().ok());
        found.unwrap_or_default()
    }

    #[test]
    fn every_way_of_paging_comes_to_the_end() {
        let orders: Vec<Value> = (0..5).map(|id| json!({"id": id})).collect();
        let of = |number: u64| json!({"data": page(number)});
        let link = |number: u64| {
            format!("<{URL}?page={number}>; rel=\"prev\", </orders?page={}>; rel=\"next\"", number + 1)
        };
        let by_header = listed(json!({"by": "link_header"}), move |seen| {
            let number = asked(seen, "page");
            let answer = Answer::json(200, &of(number));
            if number < 2 { answer.header("Link", &link(number)) } else { answer }
        });
        assert_eq!(by_header.unwrap(), orders);
        let by_link = listed(json!({"by": "link", "at": "/paging/next"}), move |seen| {
            let number = asked(seen, "page");
            let next = (number < 2).then(|| format!("{URL}?page={}", number + 1));
            Answer::json(200, &json!({"data": page(number), "paging": {"next": next}}))
        });
        assert_eq!(by_link.unwrap(), orders);
        let by_cursor = listed(json!({"by": "cursor", "at": "/after", "parameter": "after"}), move |seen| {
            assert_eq!(asked(seen, "limit"), 2, "{}", seen.query());
            let number = asked(seen, "after");
            let after = (number < 2).then(|| number + 1);
            Answer::json(200, &json!({"data": page(number), "after": after}))
        });
        assert_eq!(by_cursor.unwrap(), orders);
        let by_page = listed(json!({"by": "page", "parameter": "page"}), move |seen| {
            let number = asked(seen, "page") - 1;
            Answer::json(200, &json!({"data": if number < 3 { page(number) } else { Vec::new() }}))
        });
        assert_eq!(by_page.unwrap(), orders);
        let by_offset = listed(json!({"by": "offset", "parameter": "skip"}), move |seen| {
            let skip = asked(seen, "skip");
            let items: Vec<_> = (skip..(skip + 2).min(5)).map(|id| json!({"id": id})).collect();
            Answer::json(200, &json!({"data": items}))
        });
        assert_eq!(by_offset.unwrap(), orders);
        assert_eq!(listed(json!({"by": "none"}), move |_| Answer::json(200, &of(0))).unwrap(), page(0));
    }

    #[test]
    fn an_answer_without_the_list_names_the_pointer() {
        let error = listed(json!({"by": "none"}), |_| Answer::json(200, &json!({"items": []}))).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidInput { field, message } if field == "/items" && message.contains("`/data`")),
            "{error}"
        );
    }
}
