//! What the shops' connectors write: one workflow for each, run in the real host against the stateful fakes, whose state is
//! looked at afterwards.

use serde_json::{Value, json};
use trunnion_tests::{
    host::{Client, RunView},
    scenario::{Scenario, shopify::ShopifyScenario},
};

const EVENT: &str = "Everything";

/// Releases a workflow of these steps: id, action, input.
async fn everything(client: &Client, integration: &str, app: &str, steps: &[(&str, &str, Value)]) -> String {
    client.define_event(EVENT, "Does everything.", &json!({ "email": "ada@example.com" })).await.unwrap();
    let steps: Vec<_> = steps
        .iter()
        .map(|(id, action, input)| {
            json!({ "id": id, "type": "action", "app": app, "action": action, "input": input })
        })
        .collect();
    let definition = json!({ "name": EVENT, "trigger": { "type": "event", "event": EVENT }, "steps": steps });
    client.release_workflow(integration, &definition).await.unwrap()
}

/// The run of the workflow for an event.
async fn run(client: &Client, workflow: &str, user: &str) -> RunView {
    client.run_event(EVENT, user, &json!({ "email": "ada@example.com" })).await.unwrap().ok().unwrap();
    let run = client.runs_ended(workflow, user, 1).await.unwrap().remove(0);
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    run
}

#[tokio::test]
async fn orders_customers_products_and_stock_of_a_shop_are_written() {
    let scenario = ShopifyScenario::start().await.unwrap();
    let line = json!({ "title": "Gear", "sku": "G-1", "quantity": 2, "price": { "amount": "12.50" } });
    let order = json!({ "email": "{{ trigger.email }}", "currency": "EUR", "line_items": [line] });
    let (id, second) = ("{{ steps.order.id }}", "{{ steps.second.id }}");
    let stock = json!([{ "inventory_item_id": 11, "location_id": 1, "quantity": 5 }]);
    let steps = [
        ("customer", "upsert_customer", json!({ "email": "{{ trigger.email }}", "first_name": "Ada" })),
        ("again", "upsert_customer", json!({ "email": "{{ trigger.email }}", "note": "Knows engines" })),
        ("product", "upsert_product", json!({ "handle": "gear", "title": "Gear", "status": "DRAFT" })),
        ("renamed", "upsert_product", json!({ "id": "{{ steps.product.id }}", "title": "Gear wheel" })),
        ("order", "create_order", order.clone()),
        ("update", "update_order", json!({ "id": id, "note": "Fragile", "tags": ["gift"] })),
        ("tag", "add_tags", json!({ "id": id, "tags": ["vip", "late"] })),
        ("untag", "remove_tags", json!({ "id": id, "tags": ["late"] })),
        ("tagged", "add_tags", json!({ "id": "{{ steps.customer.id }}", "tags": ["maker"] })),
        (
            "ship",
            "create_fulfillment",
            json!({ "order_id": id, "tracking_number": "1Z", "tracking_company": "UPS" }),
        ),
        (
            "refund",
            "refund_order",
            json!({ "order_id": id, "note": "Broken",
            "refund_line_items": [{ "line_item_id": 1, "quantity": 1 }] }),
        ),
        ("stock", "set_inventory", json!({ "quantities": stock })),
        ("second", "create_order", order),
        (
            "cancel",
            "cancel_order",
            json!({ "order_id": second, "reason": "CUSTOMER", "restock": true, "refund": true }),
        ),
        ("read", "get_order", json!({ "order_id": id })),
        (
            "known",
            "get_by_ids",
            json!({ "ids": ["{{ steps.customer.id }}", "{{ steps.product.id }}", second] }),
        ),
    ];
    let integration = &scenario.catalogue.integration;
    let workflow = everything(&scenario.client, integration, "shopify", &steps).await;
    let ada = scenario.shopkeeper("ada").await.unwrap();
    let run = run(&scenario.client, &workflow, &ada.user).await;

    let shopify = &scenario.shopify;
    let orders = shopify.orders(&ada.shop);
    let [order, cancelled] = orders.as_slice() else { panic!("two orders: {orders:?}") };
    assert_eq!(order.changes["note"], "Fragile");
    assert_eq!(order.changes["tags"], json!(["gift", "vip"]));
    let parcel = &order.changes["fulfillments"][0]["trackingInfo"][0];
    assert_eq!((&parcel["number"], &parcel["company"]), (&json!("1Z"), &json!("UPS")));
    assert_eq!(order.changes["refunds"][0]["note"], "Broken");
    assert!(cancelled.changes.contains_key("cancelledAt") && !order.changes.contains_key("cancelledAt"));
    let customers = shopify.things(&ada.shop, "Customer");
    let [customer] = customers.as_slice() else { panic!("one customer: {customers:?}") };
    assert_eq!(
        (&customer["firstName"], &customer["note"], &customer["tags"]),
        (&json!("Ada"), &json!("Knows engines"), &json!(["maker"]))
    );
    let products = shopify.things(&ada.shop, "Product");
    let [product] = products.as_slice() else { panic!("one product: {products:?}") };
    assert_eq!((&product["title"], &product["handle"]), (&json!("Gear wheel"), &json!("gear")));
    let level = shopify.stock(&ada.shop, "gid://shopify/InventoryItem/11", "gid://shopify/Location/1");
    assert_eq!(level, Some(5));

    let output = |step: &str| run.step(step).unwrap()["output"].clone();
    let read = output("read");
    assert_eq!((&read["note"], &read["fulfillment_status"]), (&json!("Fragile"), &json!("FULFILLED")));
    assert_eq!(output("cancel")["cancelled"], true);
    assert_eq!(output("known")["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(output("stock")["changes"][0]["delta"], 5);
}

#[tokio::test]
async fn orders_customers_products_and_stock_of_a_store_are_written() {
    let scenario = Scenario::start().await.unwrap();
    let address = json!({ "first_name": "Ada", "last_name": "L", "street_1": "12 St James's Square", "city": "London",
        "zip": "SW1Y 4JH", "country_iso2": "GB", "email": "{{ trigger.email }}" });
    let order = json!({ "products": [{ "product_id": "{{ steps.product.id }}", "quantity": 2 }],
        "billing_address": address });
    let id = "{{ steps.order.id }}";
    let person = |more: Value| {
        let mut person = json!({ "email": "{{ trigger.email }}", "first_name": "Ada", "last_name": "L" });
        person.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        person
    };
    let items = json!([{ "item_type": "PRODUCT", "item_id": 1, "quantity": 1, "reason": "Broken" }]);
    let steps = [
        ("customer", "upsert_customer", person(json!({}))),
        ("again", "upsert_customer", person(json!({ "notes": "Knows engines" }))),
        ("product", "upsert_product", json!({ "sku": "G-1", "name": "Gear", "price": 12.5 })),
        ("cheaper", "upsert_product", json!({ "sku": "G-1", "price": 10.5 })),
        (
            "stock",
            "set_inventory",
            json!({ "items": [{ "location_id": 1, "sku": "G-1", "quantity": 5 }], "reason": "Counted" }),
        ),
        ("order", "create_order", order.clone()),
        ("update", "update_order", json!({ "order_id": id, "staff_notes": "Fragile" })),
        (
            "ship",
            "create_shipment",
            json!({ "order_id": id, "tracking_number": "1Z", "tracking_carrier": "ups" }),
        ),
        ("refund", "refund_order", json!({ "order_id": id, "items": items })),
        ("second", "create_order", order),
        ("cancel", "update_order_status", json!({ "order_id": "{{ steps.second.id }}", "status_id": 5 })),
        ("read", "get_order", json!({ "order_id": id })),
        ("list", "list_orders", json!({ "status_id": 5 })),
    ];
    let integration = &scenario.catalogue.integration;
    let workflow = everything(&scenario.client, integration, "bigcommerce", &steps).await;
    let ada = scenario.merchant("ada").await.unwrap();
    let run = run(&scenario.client, &workflow, &ada.user).await;

    let output = |step: &str| run.step(step).unwrap()["output"].clone();
    let (id, second) = (output("order")["id"].as_u64().unwrap(), output("second")["id"].as_u64().unwrap());
    let store = scenario.bigcommerce.store(&ada.store).unwrap();
    let order = scenario.bigcommerce.order(&ada.store, id).unwrap();
    assert_eq!(
        (&order["staff_notes"], &order["status_id"]),
        (&json!("Fragile"), &json!(14)),
        "refunded in part"
    );
    assert_eq!(order["billing_address"]["city"], "London", "{order}");
    let [shipment] = store.shipments(id) else { panic!("one shipment: {:?}", store.shipments(id)) };
    assert_eq!((&shipment["tracking_number"], &shipment["items"][0]["quantity"]), (&json!("1Z"), &json!(2)));
    let [refund] = store.refunds(id) else { panic!("one refund: {:?}", store.refunds(id)) };
    assert_eq!(refund["payments"][0], json!({ "provider_id": "custom", "amount": 20.5, "offline": true }));
    assert!(
        refund["items"][0]["reason"].as_str().unwrap().starts_with("Broken ["),
        "it bears the step's key"
    );
    assert_eq!(scenario.bigcommerce.status_of(&ada.store, second), Some(5));
    let customers: Vec<_> = store.customers().collect();
    assert_eq!((customers.len(), &customers[0]["notes"]), (1, &json!("Knows engines")), "{customers:?}");
    let products: Vec<_> = store.products().collect();
    assert_eq!((products.len(), &products[0]["price"]), (1, &json!(10.5)), "{products:?}");
    assert_eq!(store.stock(1, "G-1"), Some(5));
    assert_eq!(output("read")["id"], id);
    assert_eq!(output("list")["items"].as_array().unwrap().len(), 1);
}
