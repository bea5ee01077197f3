//! What an action takes: its own sample, and nothing that its schema refuses.

use serde_json::{Value, json};
use trunnion_core::call::CallError;

use super::{Tally, Trial};
use crate::{
    author::suite::{
        scene::EMPTY_OBJECT,
        subject::{Done, Subject, run},
        verdict::Verdict,
    },
    schema::Schema,
};

const INPUTS: &str = "it takes its sample, and refuses what its schema refuses";
/// Stands where something else is expected.
const STRANGER: &str = "nobody-declared-this";

impl Trial {
    pub(super) async fn inputs(&self, subject: &Subject, id: &str) -> Verdict {
        let mut tally = Tally::default();
        let Some(action) = self.manifest.action(id) else { return tally.verdict(subject, INPUTS, "") };
        let sample = self.given(id, &action.sample_input).await;
        tally.tried = true;
        // An input that is refused for what the vendor answered is another matter.
        if matches!(sample.result, Err(CallError::InvalidInput { .. })) && sample.exchanges.is_empty() {
            tally.broken(format!("its sample {}; mend the sample or the type", sample.shown()));
        }
        let schema = Schema::new(&action.input).ok();
        let refuses = |input: &Value| schema.as_ref().is_some_and(|schema| !schema.fits(input));
        for input in
            [json!({}), json!("text"), json!(7), Value::Null].into_iter().filter(|input| refuses(input))
        {
            let done = self.given(id, &input).await;
            if !matches!(done.result, Err(CallError::InvalidInput { .. })) || !done.exchanges.is_empty() {
                let sent = done.exchanges.len();
                tally.broken(format!(
                    "the input {input} {} after {sent} requests; answer `invalid-input` before anything is sent",
                    done.shown()
                ));
            }
        }
        for input in changed(&action.sample_input).filter(refuses) {
            let done = self.given(id, &input).await;
            if matches!(done.kind(), "ok" | "trapped") {
                tally.broken(format!("the input {input} {}; answer `invalid-input`", done.shown()));
            }
        }
        let stranger = run(&self.patient, &self.credential, STRANGER, "{}").await;
        if matches!(stranger.kind(), "ok" | "trapped") {
            tally.broken(format!("an action that is not declared {}; answer an error", stranger.shown()));
        }
        tally.verdict(subject, INPUTS, "")
    }

    async fn given(&self, id: &str, input: &Value) -> Done {
        self.script.set(EMPTY_OBJECT);
        run(&self.patient, &self.credential, id, &input.to_string()).await
    }
}

/// The sample with one member after the other replaced by something strange.
fn changed(sample: &Value) -> impl Iterator<Item = Value> + '_ {
    let names = sample.as_object().into_iter().flat_map(|members| members.keys());
    names.map(|name| {
        let mut input = sample.clone();
        if let Some(member) = input.get_mut(name) {
            *member = json!({ STRANGER: [null] });
        }
        input
    })
}
