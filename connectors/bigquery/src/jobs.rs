//! Jobs: what BigQuery does in its own time, known by an id of ours.
//!
//! Invariant: the id follows from the idempotency key, so asking twice runs a job once: BigQuery answers 409 to an id that
//! it knows, and the job is looked at instead. A failed job keeps its id for ever, so the next attempt takes the next one.

use trunnion_sdk::{http::encode, prelude::*};

use crate::api;

/// How often a call may be redriven after its job has failed.
const MOST_FAILED: u32 = 20;

/// How often one call looks whether a job has ended.
const MOST_LOOKS: u32 = 5;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) job_reference: Reference,
    #[serde(default)]
    status: Status,
    #[serde(default)]
    pub(crate) statistics: Value,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    pub(crate) job_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    state: String,
    #[serde(default)]
    error_result: Option<Fault>,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Debug, Default, Deserialize)]
struct Fault {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    message: String,
}

impl Job {
    const fn failed(&self) -> bool {
        self.status.error_result.is_some()
    }

    /// The job, unless it has failed.
    pub(crate) fn sound(self) -> Result<Self> {
        let Some(result) = &self.status.error_result else { return Ok(self) };
        let mut message = format!("the job failed: {} ({})", result.message, result.reason);
        for fault in self.status.errors.iter().filter(|fault| fault.message != result.message).take(5) {
            message.push_str(&format!("; {} {} ({})", fault.location, fault.message, fault.reason));
        }
        if matches!(result.reason.as_str(), "backendError" | "internalError" | "rateLimitExceeded") {
            return Err(Error::Unavailable(message));
        }
        Err(Error::rejected(400, message))
    }
}

/// Has `insert` start a job of the id it is given, or finds the one that an earlier attempt has started for `what`.
pub(crate) fn once(
    ctx: &Context,
    what: &str,
    location: Option<&str>,
    insert: impl Fn(&str) -> Result<Job>,
) -> Result<Job> {
    for number in 1..=MOST_FAILED {
        let suffix = if number == 1 { String::new() } else { format!("_{number}") };
        let id = format!("trunnion_{}_{what}{suffix}", ctx.idempotency_key());
        match insert(&id) {
            Err(Error::Conflict(_)) => {
                let known = look(ctx, &id, location)?;
                if !known.failed() {
                    return Ok(known);
                }
            }
            other => return other?.sound(),
        }
    }
    Err(Error::rejected(
        409,
        format!("the job has failed {MOST_FAILED} times; run the workflow anew instead of redriving it"),
    ))
}

/// The job, once it has ended well.
pub(crate) fn ended(ctx: &Context, mut job: Job) -> Result<Job> {
    for _ in 0..MOST_LOOKS {
        if job.status.state == "DONE" {
            return job.sound();
        }
        let Reference { job_id, location } = &job.job_reference;
        job = look(ctx, job_id, location.as_deref())?;
    }
    if job.status.state == "DONE" {
        return job.sound();
    }
    // The next attempt finds it by its id.
    let id = &job.job_reference.job_id;
    Err(Error::Unavailable(format!("the job `{id}` is still under way; it is looked at again")))
}

fn look(ctx: &Context, id: &str, location: Option<&str>) -> Result<Job> {
    let request = api::get(ctx, &format!("/jobs/{}", encode(id)))?;
    let request = match location {
        Some(location) => request.query("location", location),
        None => request,
    };
    request.send()?.json()
}
