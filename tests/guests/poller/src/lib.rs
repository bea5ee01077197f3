//! A guest that polls: the listing of an eventually consistent vendor by time of change, page by page.
//!
//! Three triggers, one that begins with yesterday, one from now on, and one from now on that is asked all the time and
//! never looks back further than it declares; an action, for what goes the other way. The form
//! of its cursors follows its major version: 1 and 2 read what 1 wrote, 3 reads only its own.

use std::time::Duration;

use trunnion_sdk::{auth::Account, prelude::*};

const HOST: &str = "https://api.poller.example";
/// Items of a page.
const LIMIT: usize = 10;
const DAY_MS: u64 = 86_400_000;

const FORMAT: u32 = match option_env!("TRUNNION_CONNECTOR_VERSION") {
    Some(version) => match version.as_bytes().first() {
        Some(b'2') => 2,
        Some(b'3') => 3,
        _ => 1,
    },
    None => 1,
};
const READS: &[u32] = match FORMAT {
    2 => &[1, 2],
    3 => &[3],
    _ => &[1],
};
const EVERY_HOUR: Polling = Polling::every(Duration::from_secs(3600))
    .at_least(Duration::from_secs(1))
    .overlap(Duration::from_secs(600))
    .recheck(Duration::from_secs(6 * 3600), Duration::from_secs(12 * 3600))
    .cursor_format(FORMAT, READS);
const EVERY_SECOND: Polling = Polling::every(Duration::from_secs(1))
    .overlap(Duration::from_secs(90))
    .without_recheck()
    .cursor_format(FORMAT, READS);

/// An item at the vendor.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Item {
    id: u64,
    version: u64,
    updated_ms: u64,
    name: String,
}

#[derive(Debug)]
struct ItemChanged;

impl Poll for ItemChanged {
    type Data = Item;
    type Cursor = Since;
    const POLLING: Polling = EVERY_HOUR;

    fn start(ctx: &Context) -> Result<Since> {
        Ok(Since::from_ms(ctx.polling_since_ms().saturating_sub(DAY_MS)))
    }

    fn poll(ctx: &Context, cursor: Since) -> Result<Page<Item, Since>> {
        page(ctx, cursor, &Self::POLLING)
    }

    fn upgrade(_: u32, cursor: Value) -> Result<Since> {
        serde_json::from_value(cursor)
            .map_err(|error| Error::other("cursor-not-understood", error.to_string()))
    }
}

#[derive(Debug)]
struct ItemFromNow;

impl Poll for ItemFromNow {
    type Data = Item;
    type Cursor = Since;
    const POLLING: Polling = EVERY_HOUR;

    fn start(ctx: &Context) -> Result<Since> {
        Ok(Since::now(ctx))
    }

    fn poll(ctx: &Context, cursor: Since) -> Result<Page<Item, Since>> {
        page(ctx, cursor, &Self::POLLING)
    }
}

#[derive(Debug)]
struct ItemSoon;

impl Poll for ItemSoon {
    type Data = Item;
    type Cursor = Since;
    const POLLING: Polling = EVERY_SECOND;

    fn start(ctx: &Context) -> Result<Since> {
        Ok(Since::now(ctx))
    }

    fn poll(ctx: &Context, cursor: Since) -> Result<Page<Item, Since>> {
        page(ctx, cursor, &Self::POLLING)
    }
}

#[expect(clippy::panic, reason = "an item that breaks the connector is what some tests are about")]
fn page(ctx: &Context, cursor: Since, polling: &Polling) -> Result<Page<Item, Since>> {
    let window = cursor.window(ctx, polling);
    let request = ctx
        .http()
        .get(format!("{HOST}/items"))
        .auth_connection()
        .query("updated_since", &window.since_ms().to_string())
        .query("page", &window.page().to_string())
        .query("limit", &LIMIT.to_string());
    let items: Vec<Item> = request.send()?.json()?;
    let more = items.len() == LIMIT;
    let change = |item: Item| {
        if item.name == "poison" {
            panic!("item {} breaks this version", item.id);
        }
        let (id, version, at) = (item.id, item.version, item.updated_ms);
        Occurrence::of_record(format!("item/{id}"), version, item).at_ms(Some(at))
    };
    Ok(window.answer(items.into_iter().map(change).collect(), more))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct NewItem {
    name: String,
}

/// Makes an item.
fn put_item(ctx: &Context, input: NewItem) -> Result<Item> {
    ctx.http().post(format!("{HOST}/items")).auth_connection().json(&input)?.repeatable().send()?.json()
}

fn check(ctx: &Context) -> Result<Account> {
    #[derive(Deserialize)]
    struct Me {
        id: String,
    }
    let me: Me = ctx.http().get(format!("{HOST}/me")).auth_connection().send()?.json()?;
    Ok(Account::new(me.id, "Poller"))
}

const ITEM: &str = r#"{"id":7,"version":1,"updated_ms":1700000000000,"name":"Lamp"}"#;

trunnion_sdk::connector! {
    id: "poller",
    title: "Poller",
    hosts: ["api.poller.example"],
    connection: Connection::new().scheme(
        Scheme::fields("key", "Key").field("api_key", "Key", "Anything").header("x-api-key", secret("api_key")),
    ),
    check: check,
    triggers: [
        Trigger::poll::<ItemChanged>("item_changed", "Item changed").sample(ITEM),
        Trigger::poll::<ItemFromNow>("item_from_now", "Item changed from now on").sample(ITEM),
        Trigger::poll::<ItemSoon>("item_soon", "Item changed just now").sample(ITEM),
    ],
    actions: [Action::new("put_item", "Make an item", put_item).safe_to_repeat().sample(r#"{"name":"Lamp"}"#, ITEM)],
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost, Polls, assert_sound};

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        assert_sound(&connector());
    }

    #[test]
    fn rounds_bring_each_version_once() {
        let host = FakeHost::new();
        let now = host.context().now_ms();
        host.http().on("GET", "https://api.poller.example/items", move |_| {
            Answer::json(200, &json!([{"id": 1, "version": 3, "updated_ms": now - 5, "name": "Lamp"}]))
        });
        let connector = connector();
        let mut polls = Polls::new(&connector, &host, "item_changed");
        let ids: Vec<_> = polls.round().unwrap().into_iter().map(|item| item.id).collect();
        assert_eq!(ids, ["item/1@3"]);
        assert!(polls.round().unwrap().is_empty());
        assert!(polls.look_back(Duration::from_secs(3600)).unwrap().is_empty());
    }
}
