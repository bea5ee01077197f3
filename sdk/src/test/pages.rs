//! Listings as the host reads them: page after page, with the cursor that the last one gave.

use serde_json::Value;

use crate::{
    connector::Connector,
    context::Context,
    error::{Error, Result},
    json,
};

/// Pages of one listing; one that always has more is broken.
const MOST_PAGES: usize = 1_000;

/// Every item of the listing that `ctx` names, over all its pages.
///
/// # Errors
/// The listing's own, and where it gives the same cursor twice running or does not end.
pub fn every_item(connector: &Connector, ctx: &Context, input: &str) -> Result<Vec<Value>> {
    let (mut every, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..MOST_PAGES {
        let page = connector.page(ctx, input, cursor.as_deref())?;
        for item in &page.items {
            every.push(
                json::read(item.as_bytes()).map_err(|error| Error::other("not-json", error.to_string()))?,
            );
        }
        match page.next {
            None => return Ok(every),
            next if next == cursor => break,
            next => cursor = next,
        }
    }
    let message = format!("listing `{}` does not come to its end; it stands at {cursor:?}", ctx.call().name);
    Err(Error::other("endless-listing", message))
}
