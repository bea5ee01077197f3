//! Whoever sends requests, waits for their answers, goes away, and asks later.

use trunnion::{
    error::Error,
    triggers::request::{Incoming, Told},
};
use trunnion_core::id::RunId;

use super::{Heard, Outside};
use crate::{network::ANSWERS, seen};

impl Outside {
    /// As the handler of `/requests/…` does it.
    pub(super) async fn request(&self, place: usize) -> Heard {
        let now = self.world.now();
        let (request, token) = {
            let mut state = self.world.state();
            let state = &mut *state;
            let Some(request) = state.seen.requests.get_mut(place) else { return Heard::Answered };
            request.sent_at.get_or_insert(now);
            let token = state.seen.entrances.get(&(request.user, request.flow)).cloned();
            (request.clone(), token)
        };
        let Some(token) = token else { return Heard::Answered };
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(request.key.map(|key| ("idempotency-key".to_owned(), key)));
        headers.extend(request.prefer.map(|prefer| ("prefer".to_owned(), prefer)));
        headers.extend(request.callback.then(|| ("trunnion-callback".to_owned(), ANSWERS.to_owned())));
        let body = request.body.to_string();
        let incoming = Incoming { method: "POST", query: "", headers: &headers, body: body.as_bytes() };
        let told = self.services.requests.receive(&token, incoming).await;
        self.told(place, seen::Heard::Waiting, told)
    }

    /// Asks at the addresses that a request was given.
    pub(super) async fn ask(&self, place: usize) -> Heard {
        let (request, token) = {
            let state = self.world.state();
            let Some(request) = state.seen.requests.get(place) else { return Heard::Answered };
            let token = state.seen.entrances.get(&(request.user, request.flow)).cloned();
            (request.clone(), token)
        };
        let Some(token) = token else { return Heard::Answered };
        let mut runs: Vec<RunId> = request.told.iter().map(|told| told.run).collect();
        runs.dedup();
        for run in runs {
            let incoming = Incoming { method: "GET", query: "", headers: &[], body: &[] };
            let told = self.services.requests.status(&token, run, incoming).await;
            if let Heard::Nothing = self.told(place, seen::Heard::Asking, told) {
                return Heard::Nothing;
            }
        }
        Heard::Answered
    }

    fn told(&self, place: usize, heard: seen::Heard, told: Result<Told, Error>) -> Heard {
        if self.life.ended() {
            return Heard::Nothing;
        }
        match told {
            Ok(Told { run, answer, .. }) => {
                let status = answer.as_ref().map(|answer| answer.status);
                self.world.note(format_args!("request {place} told of run {run}: {status:?}"));
                if let Some(request) = self.world.state().seen.requests.get_mut(place) {
                    request.told.push(seen::Told { run, answer, heard });
                }
                Heard::Answered
            }
            Err(error) => {
                self.world.note(format_args!("request {place} not taken: {error}"));
                Heard::Nothing
            }
        }
    }
}
