//! Listings and polls: they come to an end, and cursors never go back.

use serde_json::{Value, json};
use trunnion_core::manifest::TriggerSpec;
use trunnion_sandbox::{Poll, Polled};

use super::{Tally, Trial};
use crate::author::suite::{BETWEEN_POLLS, subject::Subject, verdict::Verdict};

const PAGES: &str = "a listing comes to its end";
const ROUNDS: &str = "polls come to their end, and the cursor never goes back";
/// Pages of one round against a vendor that says the same again and again.
const MAX_PAGES: usize = 50;

impl Trial {
    /// A listing of nothing, and of the same again and again.
    pub(super) async fn pages(&self, subject: &Subject, id: &str) -> Verdict {
        let mut tally = Tally::default();
        let Some(action) = self.manifest.action(id) else { return tally.verdict(subject, PAGES, "") };
        let input = action.sample_input.to_string();
        let sample = &action.sample_output;
        for (name, document) in documents(sample.pointer("/items/0").unwrap_or(sample)) {
            self.script.set_document(document);
            let mut cursors: Vec<String> = Vec::new();
            loop {
                let call = self.patient.call(id, &self.credential);
                let page =
                    self.patient.connector().page(call, &input, cursors.last().map(String::as_str)).await;
                // Whoever answers an error ends the listing as well.
                let Ok(page) = page else { break };
                tally.tried = true;
                let Some(next) = page.value.next else { break };
                if cursors.contains(&next) && page.value.items.is_empty() {
                    tally.broken(format!(
                        "{name}: the cursor {next} came again, with nothing; answer no `next` at the end"
                    ));
                    break;
                }
                cursors.push(next);
                if cursors.len() == MAX_PAGES {
                    break;
                }
            }
        }
        tally.verdict(subject, PAGES, "no page was understood; a cassette can reach it")
    }

    /// Rounds of polls of nothing, and of the same again and again.
    pub(super) async fn rounds(&self, subject: &Subject, id: &str) -> Verdict {
        let mut tally = Tally::default();
        let Some(trigger) = self.manifest.trigger(id) else { return tally.verdict(subject, ROUNDS, "") };
        for (name, document) in documents(&trigger.sample) {
            self.script.set_document(document);
            let mut cursor: Option<String> = None;
            for _ in 0..3 {
                let Some(polled) = self.round(id, cursor.as_deref(), name, &mut tally).await else { break };
                tally.tried = true;
                let before = cursor.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
                match (before, serde_json::from_str::<Value>(&polled.cursor)) {
                    (Some(before), Ok(after)) => {
                        if let Some(place) = went_back(&before, &after, String::new()) {
                            tally.broken(format!(
                                "{name}: the cursor went back at `{place}`, from {before} to {after}; keep the further one"
                            ));
                        }
                    }
                    (None, Ok(_)) => {}
                    (_, Err(_)) => tally.broken(format!("{name}: the cursor is not JSON: {}", polled.cursor)),
                }
                cursor = Some(polled.cursor);
                self.clock.advance(BETWEEN_POLLS);
            }
        }
        tally.verdict(subject, ROUNDS, "no answer was understood; a cassette can reach it")
    }

    /// Polls until nothing more is waiting.
    async fn round(&self, id: &str, from: Option<&str>, name: &str, tally: &mut Tally) -> Option<Polled> {
        let since = self.patient.now();
        let options = self.manifest.trigger(id).and_then(TriggerSpec::sample_options_text);
        let mut cursor = from.map(str::to_owned);
        for _ in 0..MAX_PAGES {
            let call = self.patient.call(id, &self.credential);
            let (cursor_text, options) = (cursor.as_deref(), options.as_deref());
            let poll = Poll { cursor: cursor_text, since, look_back: None, options };
            let polled = self.patient.connector().poll(call, poll).await.ok()?.value;
            if !polled.more {
                return Some(polled);
            }
            if polled.occurrences.is_empty() && cursor.as_deref() == Some(&polled.cursor) {
                tally.broken(format!("{name}: more is said to wait behind the cursor that was given; move it, or answer no `more`"));
                return None;
            }
            cursor = Some(polled.cursor);
        }
        None
    }
}

/// Answers that fit many vendors: nothing, and one record in the usual wrappings.
fn documents(record: &Value) -> [(&'static str, Value); 5] {
    [
        ("an empty object", json!({})),
        ("an empty list", json!([])),
        ("an empty list in `data`", json!({ "data": [] })),
        ("a list of the sample", json!([record])),
        ("the sample in `data`", json!({ "data": [record] })),
    ]
}

/// Where a number, or a time written as text, is smaller than it was.
fn went_back(before: &Value, after: &Value, at: String) -> Option<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .find_map(|(name, before)| went_back(before, after.get(name)?, format!("{at}/{name}"))),
        (Value::Number(before), Value::Number(after)) => (after.as_f64()? < before.as_f64()?).then_some(at),
        (Value::String(before), Value::String(after)) if is_time(before) && is_time(after) => {
            (after < before).then_some(at)
        }
        _ => None,
    }
}

/// `2026-01-01T…`
fn is_time(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    digits(0..4) && digits(5..7) && digits(8..10) && text.get(10..11) == Some("T")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_goes_back_is_found_wherever_it_does() {
        let back = |before, after| went_back(&before, &after, String::new());
        assert_eq!(back(json!({"at": 5}), json!({"at": 4})).as_deref(), Some("/at"));
        assert_eq!(back(json!({"a": {"b": 5}}), json!({"a": {"b": 4}})).as_deref(), Some("/a/b"));
        let (earlier, later) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
        assert_eq!(back(json!({"since": later}), json!({"since": earlier})).as_deref(), Some("/since"));
        assert_eq!(back(json!({"since": earlier}), json!({"since": later})), None);
        assert_eq!(back(json!(5), json!(5)), None);
        assert_eq!(back(json!({"token": "b"}), json!({"token": "a"})), None, "an opaque text has no order");
        assert_eq!(back(json!({"page": 3}), json!({})), None);
    }
}
