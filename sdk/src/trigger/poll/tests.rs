//! The cursor by time of change, against a listing that changes between pages.

use super::*;
use crate::test::FakeHost;

const POLLING: Polling = Polling::every(MINUTE).overlap(Duration::from_millis(100));
/// Records on a page.
const LIMIT: usize = 3;

fn changed(record: u64, at: u64) -> Occurrence<u64> {
    Occurrence::of_record(record.to_string(), at, record).at_ms(Some(at))
}

/// One page of `(changed at, record)`, sorted and cut as vendors do.
fn page(listing: &[(u64, u64)], window: Window) -> Page<u64, Since> {
    let mut fitting: Vec<_> = listing.iter().filter(|(at, _)| *at >= window.since_ms()).copied().collect();
    fitting.sort_unstable();
    let from = (usize::try_from(window.page()).unwrap() - 1) * LIMIT;
    let found: Vec<_> =
        fitting.iter().skip(from).take(LIMIT).map(|(at, record)| changed(*record, *at)).collect();
    let more = from + found.len() < fitting.len();
    window.answer(found, more)
}

/// A round from `cursor`; `between` changes the listing after each page.
fn round(
    ctx: &Context,
    listing: &mut Vec<(u64, u64)>,
    mut cursor: Since,
    mut between: impl FnMut(&mut Vec<(u64, u64)>),
) -> (Vec<String>, Since) {
    let mut seen = Vec::new();
    loop {
        let page = page(listing, cursor.window(ctx, &POLLING));
        seen.extend(page.occurrences.into_iter().map(|occurrence| occurrence.id));
        cursor = page.cursor;
        if !page.more {
            return (seen, cursor);
        }
        between(listing);
    }
}

#[test]
fn every_record_of_a_backlog_is_seen_although_records_move_between_pages() {
    let host = FakeHost::new();
    let ctx = host.context();
    let mut listing: Vec<_> = (0..20).map(|record| (1_000 + record * 10, record)).collect();
    let (mut later, mut moved) = (5_000, 0);
    let (seen, cursor) = round(&ctx, &mut listing, Since::from_ms(0), |listing| {
        // The oldest records are changed meanwhile, so that everything behind them moves up.
        if moved < 6 {
            listing[moved].0 = later;
            later += 10;
            moved += 1;
        }
    });
    for (at, record) in &listing {
        assert!(seen.contains(&format!("{record}@{at}")), "{record}@{at} is missing of {seen:?}");
    }
    let window = cursor.window(&ctx, &POLLING);
    assert_eq!((window.since_ms(), window.page()), (later - 10 - 100, 1), "the next round overlaps");
}

#[test]
fn more_records_of_one_moment_than_a_page_holds_are_all_seen() {
    let host = FakeHost::new();
    let mut listing: Vec<_> = (0..10).map(|record| (1_000, record)).chain([(1_500, 10)]).collect();
    let (seen, _) = round(&host.context(), &mut listing, Since::from_ms(0), |_| {});
    for (at, record) in &listing {
        assert!(seen.contains(&format!("{record}@{at}")), "{seen:?}");
    }
}

#[test]
fn nothing_before_the_start_is_asked_for_however_deep_the_look() {
    let host = FakeHost::new();
    let start = Since::now(&host.context());
    let now = host.context().now_ms();
    assert_eq!(start.clone().window(&host.context(), &POLLING).since_ms(), now);
    let deeper = host.looking_back("", Duration::from_secs(3600));
    assert_eq!(start.window(&deeper, &POLLING).since_ms(), now);
    let cursor = Since { from_ms: 1_000, seen_ms: now, round: None };
    assert_eq!(cursor.window(&deeper, &POLLING).since_ms(), now - 3_600_000);
}

#[test]
fn a_time_ahead_of_the_clock_hides_nothing() {
    let host = FakeHost::new();
    let ctx = host.context();
    let now = ctx.now_ms();
    let page = Since::from_ms(0).window(&ctx, &POLLING).answer(vec![changed(1, now + 1_000_000)], false);
    assert_eq!(page.cursor.seen_ms, now);
}
