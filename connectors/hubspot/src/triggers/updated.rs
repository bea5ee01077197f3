//! Records by time of change, found by searching.
//!
//! A search gives 10,000 results at most, however one pages: so a round never pages. Each page asks for what changed since
//! the latest change seen. Where a whole page has the very same time (an import), it goes on by id through that moment
//! alone, and then behind it. Several pages may show a record again; the host drops those by id and version.

use std::{marker::PhantomData, time::Duration};

use trunnion_sdk::prelude::*;

use crate::{
    object::{Kind, Names, Record},
    search::{Filter, FilterGroup, Operator, PAGE, Search, search},
};

/// The property by which one moment's records are told apart.
const ID: &str = "hs_object_id";

/// Searches lag behind by moments, in busy accounts by minutes.
const OVERLAP: Duration = Duration::from_secs(300);

/// A position: how far finished rounds have seen, and where the one under way stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Nothing earlier is asked for.
    from_ms: u64,
    /// The latest change that finished rounds have seen.
    seen_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    round: Option<Round>,
}

/// A round under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Round {
    /// What changed then or later is asked for.
    since_ms: u64,
    /// The latest change it has seen.
    highest_ms: u64,
    /// Only what changed at that very moment, behind this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<u64>,
}

/// Records of a kind that were made or changed.
#[derive(Debug)]
pub(crate) struct Updated<K>(PhantomData<K>);

impl<K: Kind> Poll for Updated<K> {
    type Data = Record;
    type Cursor = Position;
    const POLLING: Polling = Polling::every(Duration::from_secs(300))
        .overlap(OVERLAP)
        .recheck(Duration::from_secs(3600), Duration::from_secs(6 * 3600));

    fn start(ctx: &Context) -> Result<Position> {
        let from_ms = ctx.polling_since_ms();
        Ok(Position { from_ms, seen_ms: from_ms, round: None })
    }

    fn poll(ctx: &Context, cursor: Position) -> Result<Page<Record, Position>> {
        let back = ctx.look_back().unwrap_or_default().max(OVERLAP);
        page(ctx, K::NAMES, (cursor, u64::try_from(back.as_millis()).unwrap_or(u64::MAX)))
    }
}

fn page(
    ctx: &Context,
    names: &Names,
    (position, back_ms): (Position, u64),
) -> Result<Page<Record, Position>> {
    let Position { from_ms, seen_ms, round } = position;
    let round = round.unwrap_or_else(|| Round {
        since_ms: seen_ms.saturating_sub(back_ms).max(from_ms),
        highest_ms: seen_ms,
        behind: None,
    });
    let found = search(ctx, names, &request(names, &round))?.results;
    let full = found.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let latest = found.iter().filter_map(|record| record.modified_ms(names)).max().unwrap_or(0);
    let highest_ms = round.highest_ms.max(latest);
    let ids = found.iter().filter_map(|record| record.id().parse().ok());
    let next = match (full, round.behind) {
        // The moment is through; what follows it is next.
        (false, Some(_)) => Some(Round { since_ms: round.since_ms + 1, highest_ms, behind: None }),
        (false, None) => None,
        (true, Some(_)) => Some(Round { highest_ms, behind: ids.max(), ..round }),
        (true, None) if latest > round.since_ms => Some(Round { since_ms: latest, highest_ms, behind: None }),
        // A page of one moment is in no order of ids: it begins anew, by id.
        (true, None) => Some(Round { highest_ms, behind: Some(0), ..round }),
    };
    let occurrences = found
        .into_iter()
        .map(|record| {
            let at = record.modified_ms(names);
            let name = format!("{}/{}", names.singular, record.id());
            Occurrence::of_record(name, at.unwrap_or_default(), record).at_ms(at)
        })
        .collect();
    Ok(match next {
        Some(round) => Page::and_more(occurrences, Position { from_ms, seen_ms, round: Some(round) }),
        None => {
            // A time that lies ahead of the clock would hide everything until then.
            let seen_ms = seen_ms.max(highest_ms.min(ctx.now_ms()));
            Page::last(occurrences, Position { from_ms, seen_ms, round: None })
        }
    })
}

fn request(names: &Names, round: &Round) -> Search {
    let (filters, sort) = match round.behind {
        None => (vec![Filter::new(names.modified, Operator::Gte, round.since_ms)], names.modified),
        Some(id) => (
            vec![
                Filter::new(names.modified, Operator::Eq, round.since_ms),
                Filter::new(ID, Operator::Gt, id),
            ],
            ID,
        ),
    };
    Search {
        filter_groups: vec![FilterGroup { filters }],
        sorts: vec![sort.to_owned()],
        properties: names.properties.iter().map(|name| (*name).to_owned()).collect(),
        limit: PAGE,
        ..Search::default()
    }
}

#[cfg(test)]
mod tests;
