//! Webhook subscriptions at Shopify: registering, mending and deleting them.
//!
//! Shopify allows one subscription for each app, topic and address, and deletes one whose deliveries failed
//! eight times in a row. Registering is repeatable: what an earlier attempt left behind is found and taken over.

use trunnion_sdk::prelude::*;

use crate::graphql::{Mutation, Query, Repeat, not_understood};

const CREATE: Mutation = Mutation::new(
    include_str!("../documents/webhook_create.graphql"),
    "webhookSubscriptionCreate",
    Repeat::Harmless,
);
const UPDATE: Mutation = Mutation::new(
    include_str!("../documents/webhook_update.graphql"),
    "webhookSubscriptionUpdate",
    Repeat::Harmless,
);
const DELETE: Mutation = Mutation::new(
    include_str!("../documents/webhook_delete.graphql"),
    "webhookSubscriptionDelete",
    Repeat::Harmless,
);
const READ: Query = Query::new(include_str!("../documents/webhook.graphql"));
const BY_URI: Query = Query::new(include_str!("../documents/webhooks_by_uri.graphql"));

const JSON: &str = "JSON";

/// A registered subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    id: String,
}

/// Registers `uri` for `topic`, or takes over the subscription that is there already.
pub(crate) fn register(ctx: &Context, topic: &str, uri: &str) -> Result<Subscription> {
    let variables = json!({ "topic": topic, "webhook": { "uri": uri, "format": JSON } });
    let id = match CREATE.send(ctx, &variables) {
        Ok(payload) => payload.pointer("/webhookSubscription/id").and_then(Value::as_str).map(str::to_owned),
        Err(refusal @ Error::Conflict(_)) => Some(find(ctx, topic, uri)?.ok_or(refusal)?),
        Err(error) => return Err(error),
    };
    let id = id.ok_or_else(|| not_understood("names no webhook: `webhookSubscription.id` is missing"))?;
    Ok(Subscription { id })
}

fn find(ctx: &Context, topic: &str, uri: &str) -> Result<Option<String>> {
    let data = BY_URI.send(ctx, &json!({ "topics": [topic], "uri": uri }))?;
    let nodes = data.pointer("/webhookSubscriptions/nodes").and_then(Value::as_array).into_iter().flatten();
    let mut ours = nodes.filter(|node| node.get("uri").and_then(Value::as_str) == Some(uri));
    Ok(ours.find_map(|node| node.get("id")?.as_str()).map(str::to_owned))
}

/// Looks after a subscription: brings one back that delivers elsewhere or in another form, and reports one that
/// Shopify has deleted, which the host then registers anew.
pub(crate) fn mend(ctx: &Context, subscription: Subscription, uri: &str) -> Result<Health<Subscription>> {
    let data = READ.send(ctx, &json!({ "id": subscription.id }))?;
    let Some(found) = data.get("webhookSubscription").filter(|found| !found.is_null()) else {
        return Ok(Health::Gone(subscription));
    };
    let text = |name| found.get(name).and_then(Value::as_str);
    if text("uri") == Some(uri) && text("format") == Some(JSON) {
        return Ok(Health::Active(subscription));
    }
    let variables = json!({ "id": subscription.id, "webhook": { "uri": uri, "format": JSON } });
    match UPDATE.send(ctx, &variables) {
        Ok(_) => Ok(Health::Mended(subscription)),
        // Deleted since, or another subscription delivers there already: registering anew finds that one.
        Err(Error::NotFound(_) | Error::Conflict(_)) => Ok(Health::Gone(subscription)),
        Err(error) => Err(error),
    }
}

/// Deletes a subscription; one that is gone already is as good.
pub(crate) fn delete(ctx: &Context, subscription: &Subscription) -> Result<()> {
    match DELETE.send(ctx, &json!({ "id": subscription.id })) {
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
