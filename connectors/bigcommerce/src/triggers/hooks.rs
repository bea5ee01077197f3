//! Webhooks at BigCommerce: registering, mending and deleting them.
//!
//! The vendor allows one hook for each store, API account, scope and destination, and shows an account only
//! its own. It sends the headers given at registration with each delivery, which is how the host knows them.
//! Registering is therefore repeatable: what an earlier attempt left behind is found and brought up to date.

use trunnion_sdk::{host::Level, prelude::*};

use crate::{api, record::data};

/// The header that carries the subscription's secret.
pub(crate) const SECRET_HEADER: &str = "x-trunnion-secret";

/// The host's name of that secret.
pub(crate) const SECRET: &str = "subscription";

/// A registered hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hook {
    id: u64,
    scope: String,
}

/// What the vendor says of a hook. Read member by member: three derived readers would add 10 KB to the
/// component.
#[derive(Debug)]
struct Registered {
    id: u64,
    scope: String,
    destination: String,
    is_active: bool,
}

impl Registered {
    fn from(data: &Value) -> Result<Self> {
        let id = data.get("id").and_then(Value::as_u64).ok_or_else(|| {
            Error::other(
                "answer-not-understood",
                "BigCommerce's answer names no hook: `data.id` is no whole number",
            )
        })?;
        let text = |name| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_active = data.get("is_active").and_then(Value::as_bool).unwrap_or_default();
        Ok(Self { id, scope: text("scope"), destination: text("destination"), is_active })
    }
}

/// Whether a hook had to be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AsItShouldBe,
    Mended,
    Gone,
}

/// The hooks that one subscription stands on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hooks {
    hooks: Vec<Hook>,
}

/// Registers a hook for each of `scopes`.
pub(crate) fn subscribe(ctx: &Context, scopes: &[&str], destination: &str) -> Result<Hooks> {
    let mut hooks: Vec<Hook> = Vec::with_capacity(scopes.len());
    for scope in scopes {
        match register(ctx, scope, destination) {
            Ok(hook) => hooks.push(hook),
            Err(error) => {
                // Half a subscription would deliver to an address that the host is about to forget.
                for hook in &hooks {
                    if let Err(left) = delete(ctx, hook) {
                        let id = hook.id;
                        ctx.log(Level::Warn, &format!("hook {id} stays registered at BigCommerce: {left}"));
                    }
                }
                return Err(error);
            }
        }
    }
    Ok(Hooks { hooks })
}

/// Deletes every hook of a subscription.
pub(crate) fn unsubscribe(ctx: &Context, state: &Hooks) -> Result<()> {
    state.hooks.iter().try_for_each(|hook| delete(ctx, hook))
}

/// Looks after every hook of a subscription.
pub(crate) fn check(ctx: &Context, destination: &str, state: Hooks) -> Result<Health<Hooks>> {
    let mut mended = false;
    for hook in &state.hooks {
        match mend(ctx, hook, destination)? {
            State::AsItShouldBe => {}
            State::Mended => mended = true,
            State::Gone => return Ok(Health::Gone(state)),
        }
    }
    Ok(if mended { Health::Mended(state) } else { Health::Active(state) })
}

/// Registers a hook, or takes over the one that is there already.
fn register(ctx: &Context, scope: &str, destination: &str) -> Result<Hook> {
    let request =
        api::post(ctx, "/v3/hooks")?.repeatable().json_with_secrets(&registration(scope, destination))?;
    let id = match request.send() {
        Ok(answer) => Registered::from(&data(&answer)?)?.id,
        Err(refusal @ (Error::Conflict(_) | Error::Rejected { status: 400 | 422, .. })) => {
            let existing = find(ctx, scope, destination)?.ok_or(refusal)?;
            replace(ctx, existing.id, scope, destination)?;
            existing.id
        }
        Err(error) => return Err(error),
    };
    Ok(Hook { id, scope: scope.to_owned() })
}

/// The URL and the secret are the host's own; nothing here comes from outside.
fn registration(scope: &str, destination: &str) -> Value {
    json!({
        "scope": scope,
        "destination": destination,
        "is_active": true,
        "headers": { "X-Trunnion-Secret": secret(SECRET) },
    })
}

fn find(ctx: &Context, scope: &str, destination: &str) -> Result<Option<Registered>> {
    let answer =
        api::get(ctx, "/v3/hooks")?.query("scope", scope).query("destination", destination).send()?;
    let hooks = data(&answer)?;
    let hooks = hooks.as_array().into_iter().flatten().map(Registered::from).collect::<Result<Vec<_>>>()?;
    Ok(hooks.into_iter().find(|hook| hook.scope == scope && hook.destination == destination))
}

/// Puts the whole registration, since the secret may be another than the hook was made with.
fn replace(ctx: &Context, id: u64, scope: &str, destination: &str) -> Result<()> {
    let body = registration(scope, destination);
    api::put(ctx, &format!("/v3/hooks/{id}"))?.json_with_secrets(&body)?.send().map(drop)
}

/// Looks after a hook: the vendor switches off those whose deliveries failed for two days, or that had
/// nothing to deliver for ninety.
fn mend(ctx: &Context, hook: &Hook, destination: &str) -> Result<State> {
    let registered = match api::get(ctx, &format!("/v3/hooks/{}", hook.id))?.send() {
        Ok(answer) => Registered::from(&data(&answer)?)?,
        Err(Error::NotFound(_)) => return Ok(State::Gone),
        Err(error) => return Err(error),
    };
    if registered.is_active && registered.destination == destination {
        return Ok(State::AsItShouldBe);
    }
    match replace(ctx, hook.id, &hook.scope, destination) {
        Ok(()) => Ok(State::Mended),
        Err(Error::NotFound(_)) => Ok(State::Gone),
        Err(error) => Err(error),
    }
}

/// Deletes a hook; one that is gone already is as good.
fn delete(ctx: &Context, hook: &Hook) -> Result<()> {
    match api::delete(ctx, &format!("/v3/hooks/{}", hook.id))?.send() {
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
