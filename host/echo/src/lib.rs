//! The connector that `trunnion bench call` measures, in the sandbox and natively: its one action does what most
//! do, which is to read its input, send it to the vendor, and make its output of the answer.

use trunnion_sdk::{auth::Account, prelude::*};

/// Where the vendor is.
pub const URL: &str = "https://api.echo.example/echo";

/// The action.
pub const ACTION: &str = "send_order";

/// An order, of as many lines as the measurement asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// Whose it is.
    pub customer: String,
    /// What is ordered.
    pub lines: Vec<Line>,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The stock keeping unit.
    pub sku: String,
    /// What it is called.
    pub title: String,
    /// How many.
    pub quantity: u32,
}

impl Order {
    /// An order whose JSON has about `bytes` bytes.
    #[must_use]
    pub fn of_about(bytes: usize) -> Self {
        const LINE: usize = 64;
        let line =
            |number| Line { sku: format!("SKU-{number:05}"), title: "A mug \"Harbour\"".into(), quantity: 2 };
        let lines = (0..(bytes / LINE).saturating_sub(1).max(1)).map(line).collect();
        Self { id: 820_982, customer: "Ann Example, Torstr. 1, Berlin".into(), lines }
    }
}

fn send_order(ctx: &Context, order: Order) -> Result<Order> {
    ctx.http().post(URL).auth_connection().json(&order)?.send()?.json()
}

fn check(_: &Context) -> Result<Account> {
    Ok(Account::new("bench", "Bench"))
}

trunnion_sdk::connector! {
    id: "echo",
    title: "Echo",
    help: "Sends back what it is given; `trunnion bench call` measures with it.",
    hosts: ["api.echo.example"],
    connection: Connection::new().scheme(
        Scheme::fields("key", "API key")
            .field("api_key", "API key", "There is none to be found: this vendor is the bench.")
            .header("X-Api-Key", secret("api_key")),
    ),
    check: check,
    actions: [Action::new(ACTION, "Send an order", send_order).safe_to_repeat().sample(
        r#"{"id":1,"customer":"Ann","lines":[{"sku":"A","title":"Mug","quantity":1}]}"#,
        r#"{"id":1,"customer":"Ann","lines":[{"sku":"A","title":"Mug","quantity":1}]}"#,
    )],
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost, assert_sound};

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        assert_sound(&connector());
    }

    #[test]
    fn an_order_comes_back_as_it_was() {
        let host = FakeHost::new();
        host.http().on("POST", URL, |request| Answer::json(200, &request.json()));
        let order = Order::of_about(4_000);
        assert_eq!(send_order(&host.context(), order.clone()).unwrap(), order);
    }

    #[test]
    fn an_order_is_about_as_long_as_asked() {
        for bytes in [400, 4_000, 32_000] {
            let length = serde_json::to_string(&Order::of_about(bytes)).unwrap().len();
            assert!(length.abs_diff(bytes) < bytes / 8, "{length} bytes instead of {bytes}");
        }
    }
}
