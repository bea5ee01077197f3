//! What is there before anything goes wrong: users with a connection, workflows released and installed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use trunnion::{
    api::AllServices, condition::Condition, streams::destinations::Wanted, workflows::install::Wish,
};
use trunnion_core::{definition::Definition, records::Workspace, scope::Scope};

use crate::{
    flow::{STREAM, Trigger},
    outside::username,
    plan::Plan,
    seen::Active,
    vendor::{APP, PROOF, sample},
    world::World,
};

/// Makes all of it, through the services that an ISV's requests come to.
///
/// # Errors
/// Where one of them refuses: then the simulation drew what the host does not take.
pub async fn install(services: &AllServices, scope: &Scope, plan: &Plan, world: &World) -> Result<()> {
    // Pollers are found by workspace.
    let workspace = Workspace { id: scope.workspace, name: "isv".to_owned(), created_at: world.now() };
    services.access.ensure_workspace(&workspace).await?;
    for flow in &plan.flows {
        if let Trigger::Event(name) = &flow.trigger {
            services.library.put_event(scope, name, String::new(), sample(), &Condition::Any).await?;
        }
    }
    let wanted = Wanted { url: "https://isv.example/stream".to_owned(), signatures: None, batch: None };
    services.destinations.put(scope, STREAM, wanted, &Condition::Any).await?;
    let integration = services.library.create_integration(scope, APP).await?;
    let mut workflows = BTreeMap::new();
    // Those that are called come before those that call them.
    for flow in plan.flows.iter().rev() {
        let id = |number| workflows.get(&number).map(ToString::to_string).unwrap_or_default();
        let written = flow.definition(&id);
        let definition: Definition = serde_json::from_value(written.clone())?;
        let workflow = services.library.create_workflow(scope, integration.id, definition).await?.record;
        let released = services.library.release(scope, workflow.id).await;
        released.with_context(|| format!("{written:#}"))?;
        workflows.insert(flow.number, workflow.id);
    }
    world.state().seen.workflows = workflows.into_values().collect();
    for number in 0..plan.users {
        let user = services.users.create(scope, &username(number), None).await?;
        let given = [("token", "a token"), ("proof", PROOF.1)];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        services.vault.connect(scope, user.id, APP, BTreeMap::from(given)).await?;
        world.state().seen.users.push(user.id);
        let wish = Wish {
            user: user.id,
            integration: integration.id,
            connections: Vec::new(),
            workflows: Vec::new(),
            releases: BTreeMap::new(),
            link: None,
        };
        let started = services.installer.start(scope, &wish).await?;
        let installed =
            services.installer.complete(scope, (None, started.session.id), BTreeMap::new()).await?;
        let mut state = world.state();
        for installation in installed {
            let flow = state.seen.workflows.iter().position(|id| *id == installation.workflow);
            let place = (number, flow.context("a workflow that nobody made")?);
            state.seen.installations.insert(place, installation.id);
            if let Some(entrance) = installation.entrance {
                state.seen.entrances.insert(place, entrance.path_token);
            }
        }
    }
    let from = world.now();
    let active = plan.flows.iter().map(|flow| Active { flow: flow.number, from, until: None });
    world.state().seen.active = active.collect();
    Ok(())
}
