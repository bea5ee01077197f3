//! Recording: the connector is called on behalf of a real connection, and everything passes through here on its way.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use trunnion_core::clock::{Clock, ManualClock, Random, SeededRandom, Timestamp};
use trunnion_sandbox::{Broker, EgressOptions, broker::Post};

use super::{
    Answered, Asked, Body, Called, Cassette, Ending, Error, Exchanged, Loading,
    masking::Mask,
    personal,
    replay::{Live, call, replayed},
};
use crate::author::{
    vendor::{self, Play, Said, Vendor},
    workshop,
};

/// Time for one request of the recording.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What to record.
#[derive(Debug)]
pub struct Recording {
    /// What is called.
    pub call: Called,
    /// An action's input.
    pub input: Value,
    /// As whom, and to where.
    pub live: Live,
}

/// Makes the call and answers a cassette of it that holds no secret, without what usually names a person, and that
/// was replayed: what it ends with is what the replay came to.
pub async fn record(
    loading: &Loading,
    recording: Recording,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Cassette, Error> {
    let Recording { call: called, input, live } = recording;
    let mut seed = [0; 8];
    random.fill(&mut seed);
    let mut cassette = Cassette {
        call: called,
        input,
        parameters: live.credential.parameters.clone(),
        account: live.credential.account.clone(),
        now_ms: clock.now().as_millis(),
        seed: u64::from_le_bytes(seed),
        exchanges: Vec::new(),
        ends: Ending::Output(Value::Null),
    };
    let broker = Broker::new(live.egress.clone()).map_err(workshop::Error::from)?;
    let tape = Arc::new(Tape { broker, live, state: Mutex::default() });
    let vendor = Vendor::start(Arc::<Tape>::clone(&tape) as Arc<dyn Play>).await.map_err(Error::Vendor)?;
    let now = Arc::new(ManualClock::new(Timestamp::from_millis(cassette.now_ms)));
    let manifest = &loading.manifest().await?;
    let egress = EgressOptions {
        rewrites: vendor.rewrites(manifest, &tape.live.credential),
        ..EgressOptions::default()
    };
    let workshop = loading.open(egress, now, Arc::new(SeededRandom::new(cassette.seed))).await?;
    let ended = call(&workshop, &tape.live.credential, &cassette, &|call| {
        tape.state().mask = Some(Mask::new(&tape.live.credential, &call.idempotency_key));
    })
    .await;
    // What did not leave, or was lost, is in no answer of the vendor's.
    if let Some(problem) = ended.exchanges.iter().find_map(|exchange| exchange.problem.clone()) {
        return Err(Error::NotPassed(problem));
    }
    if let Some(problem) = tape.state().lost.take() {
        return Err(Error::NotPassed(problem));
    }
    ended.ending?;
    cassette.exchanges = std::mem::take(&mut tape.state().exchanges);
    cassette.input = Mask::new(&tape.live.credential, "").document(&cassette.input);
    personal::remove(&mut cassette);
    let (ends, differences) = replayed(loading, manifest, &cassette).await?;
    if !differences.is_empty() {
        return Err(Error::NotReplayed(differences));
    }
    cassette.ends = ends;
    Ok(cassette)
}

/// Passes requests on to the vendor, and keeps what is exchanged.
struct Tape {
    broker: Broker,
    live: Live,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is hidden in the call under way.
    mask: Option<Mask>,
    exchanges: Vec<Exchanged>,
    /// A request that did not reach the vendor.
    lost: Option<String>,
}

impl Tape {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, arrived: vendor::Asked) -> Said {
        let asked = Asked::of(&arrived);
        let headers: HeaderMap = asked
            .headers
            .iter()
            .filter_map(|(name, value)| {
                Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
            })
            .collect();
        let method = match arrived.method.parse() {
            Ok(method) => method,
            Err(error) => return self.lose(format!("`{}` is no method: {error}", arrived.method)),
        };
        let post = Post { url: asked.url.clone(), method, headers, body: arrived.body, timeout: TIMEOUT };
        let posted = match self.broker.post(post).await {
            Ok(posted) => posted,
            Err(error) => return self.lose(error.to_string()),
        };
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let kept = posted.headers.iter().filter(|(name, _)| personal::is_kept(name.as_str()));
        let headers: Vec<(String, String)> =
            kept.map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut state = self.state();
        let State { mask: Some(mask), exchanges, .. } = &mut *state else {
            return Said::Silence;
        };
        exchanges.push(Exchanged {
            request: mask.asked(&asked),
            answer: Answered {
                status: posted.status,
                headers: headers.iter().map(|(name, value)| (name.clone(), mask.text(value))).collect(),
                body: Body::of(&posted.body).map(|body| mask.body(&body)),
            },
        });
        Said::Answer { status: posted.status, headers, body: posted.body }
    }

    fn lose(&self, problem: String) -> Said {
        self.state().lost = Some(problem);
        Said::Answer { status: 502, headers: Vec::new(), body: "not passed on".into() }
    }
}

impl Play for Tape {
    fn answer(&self, asked: vendor::Asked) -> BoxFuture<'_, Said> {
        Box::pin(self.pass(asked))
    }
}
