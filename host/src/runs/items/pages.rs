//! A loop over a vendor's list, page by page: each page is a small run of its own, which reads the page and then does what
//! is done for its items.
//!
//! Invariants: a page is durable, with its items and the cursor behind it, before anything is done for them, so a page is
//! never read a second time into another one; the record of a page that is done goes in the commit that stores the next
//! one, which takes over its counts. So what is kept is one page, and those that failed.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use trunnion_core::{
    clock::Timestamp,
    machine::{Event, Outcome, RunState, Status},
    payload::{Part, Payload},
    records::{LogLine, PageMark},
    release::CompiledKind,
};

use super::{
    Acted, Driven, Spent, Start, narrow, parked,
    told::{MOST_NAMED, Told},
};
use crate::{
    error::{Error, Result},
    runs::{
        act::Place,
        execute::{Executor, push_line},
    },
};

/// How long one turn goes on from page to page before others have theirs.
const TURN: Duration = Duration::from_secs(2);

/// Pages with failed items after which no further one is read: they are kept until they are done.
const MOST_FAILED_PAGES: usize = 50;

impl Executor {
    /// Goes on with a vendor's list as far as it goes now. Boxed, since a page's items may have lists of their own.
    pub(in crate::runs) fn pages<'a>(
        &'a self,
        place: Place<'a>,
        step: usize,
        started_at: Timestamp,
        log: &'a mut Vec<LogLine>,
    ) -> BoxFuture<'a, Result<Acted>> {
        Box::pin(self.every_page(place, step, started_at, log))
    }

    async fn every_page(
        &self,
        place: Place<'_>,
        step: usize,
        started_at: Timestamp,
        log: &mut Vec<LogLine>,
    ) -> Result<Acted> {
        let (Some(compiled), Some(rule)) = (place.program.steps.get(step), place.program.rules.get(step))
        else {
            return Err(Error::Internal(format!("step {step} is not there")));
        };
        let CompiledKind::Pages { body } = &compiled.kind else {
            return Err(Error::Internal(format!("step `{}` has no pages", compiled.id)));
        };
        let path = format!("{}{}", place.path, compiled.id);
        let mut known = self.known(&place, &path).await?;
        let mut kept: Vec<Driven> = Vec::new();
        let mut next = Some((0, PageMark::default(), Spent::new()));
        loop {
            let start = match (known.pop_first(), next.take()) {
                (Some((index, (page, version))), _) => {
                    let mark = page.page.clone();
                    Start {
                        index,
                        item: place.item,
                        group: None,
                        page: mark,
                        known: Some((page, version)),
                        spent: Spent::new(),
                    }
                }
                (None, Some((index, mark, spent))) => {
                    Start { index, item: place.item, group: None, page: Some(mark), known: None, spent }
                }
                (None, None) => break,
            };
            let mut page = self.item(place, body, &path, start).await?;
            if page.is_cancelled() {
                // The run is to end here, which parking it does.
                let event = Event::Parked { until: self.context.now() };
                return Ok(Acted::by_items(event, Spent::new()));
            }
            if let Some(until) = page.state.due() {
                return Ok(Acted::by_items(parked(&[page], until, started_at), Spent::new()));
            }
            let failed = kept.iter().filter(|page| has_failed(page)).count() + usize::from(has_failed(&page));
            if !known.is_empty() || failed >= MOST_FAILED_PAGES {
                kept.push(page);
                continue;
            }
            let Some(cursor) = behind(&page) else {
                kept.push(page);
                continue;
            };
            let (index, mut mark) = (page.index + 1, page.page.clone().unwrap_or_default());
            mark.cursor = Some(cursor);
            mark.pages += 1;
            let mut spent = Spent::new();
            if has_failed(&page) {
                kept.push(page);
            } else {
                let (succeeded, _, filtered) = counts(&page.state);
                mark.succeeded += succeeded;
                mark.filtered += filtered;
                tell(&mut page, &compiled.id, log);
                if let Some(version) = page.version {
                    spent.push(((place.run.id, path.clone(), narrow(page.index)?), version));
                }
            }
            next = Some((index, mark, spent));
            if self.context.now().since(started_at) >= TURN {
                // Everything so far is durable: others have their turn, a host that stops may.
                return Ok(Acted::by_items(Event::Parked { until: self.context.now() }, Spent::new()));
            }
        }
        let mut spent = Spent::new();
        for page in &mut kept {
            tell(page, &compiled.id, log);
            if let Some(version) = page.version {
                spent.push(((place.run.id, path.clone(), narrow(page.index)?), version));
            }
        }
        let event = self.came_to(told(&kept), rule.on_error, &compiled.id, started_at, log);
        if matches!(event, Event::Failed { .. }) {
            // Going on with this run later is going on with these.
            spent.clear();
        }
        Ok(Acted::by_items(event, spent))
    }
}

/// Puts a page's lines into the log of its run.
fn tell(page: &mut Driven, id: &str, log: &mut Vec<LogLine>) {
    let index = page.index;
    for line in page.log.drain(..) {
        let step = line.step.map(|step| format!("{id}[{index}].{step}"));
        push_line(log, LogLine { step, ..line });
    }
}

const fn has_failed(page: &Driven) -> bool {
    matches!(page.state.status, Status::Ended { outcome: Outcome::Failed { .. }, .. })
}

/// The cursor behind a page, where it was read and is not the last.
fn behind(page: &Driven) -> Option<String> {
    let read = page.state.results.first().filter(|read| read.error.is_none())?;
    Some(read.output.get("next")?.text()?.into_owned())
}

/// What the loop over a page's items gave; none where the page could not be read.
fn of_items(page: &RunState) -> Option<&Payload> {
    let result = page.results.get(1)?;
    Some(if result.error.is_some() { &result.input } else { &result.output })
}

/// Whether everything is done that is done for a page's items.
pub(super) fn is_over(page: &RunState) -> bool {
    of_items(page).is_some()
}

/// How many of a page's items went well, failed, or were ended by a filter.
pub(super) fn counts(page: &RunState) -> (u64, u64, u64) {
    let of_items = of_items(page).unwrap_or(&Payload::NULL);
    let count = |name: &str| of_items.get(name).and_then(Part::count).unwrap_or_default();
    (count("succeeded"), count("failed"), count("filtered"))
}

/// What the list came to: counts, and what failed of it.
fn told(kept: &[Driven]) -> Told {
    let before = kept.iter().filter_map(|page| page.page.as_ref()).max_by_key(|mark| mark.pages);
    let PageMark { pages, mut succeeded, mut filtered, .. } = before.cloned().unwrap_or_default();
    let (mut failed, mut results, mut first_error) = (0, Vec::new(), None);
    for page in kept {
        let (well, badly, out) = counts(&page.state);
        succeeded += well;
        failed += badly;
        filtered += out;
        let index = page.index;
        let named = of_items(&page.state).and_then(|of_items| of_items.get("results"));
        let named = named.map(Part::to_value).unwrap_or_default();
        let is_failed = |result: &&Value| result.get("status").is_some_and(|status| status == "failed");
        for result in named.as_array().into_iter().flatten().filter(is_failed) {
            let (place, error) = (result.get("index"), result.get("error"));
            first_error.get_or_insert_with(|| {
                let place = place.and_then(Value::as_u64).unwrap_or_default();
                let message = error.and_then(|error| error.get("message")?.as_str()).unwrap_or_default();
                (format!("item {place} of page {index}"), message.to_owned())
            });
            if results.len() < MOST_NAMED {
                results.push(json!({ "page": index, "index": place, "status": "failed", "error": error }));
            }
        }
        if let (None, Status::Ended { outcome: Outcome::Failed { error, .. }, .. }) =
            (of_items(&page.state), &page.state.status)
        {
            failed += 1;
            first_error
                .get_or_insert_with(|| (format!("page {index}, which could not be read"), error.to_string()));
        }
    }
    let count = succeeded + failed + filtered;
    let output = json!({
        "pages": pages + 1, "results": results, "succeeded": succeeded, "failed": failed, "filtered": filtered,
    });
    Told { output, first_error, failed, count }
}
