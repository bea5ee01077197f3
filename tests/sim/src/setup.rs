//! What is there before anything goes wrong: users with a connection, workflows released and installed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use trunnion::{api::AllServices, workflows::install::Wish};
use trunnion_core::{definition::Definition, records::Workspace, scope::Scope};

use crate::{
    flow::{STREAM, Trigger},
    outside::username,
    plan::Plan,
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
            services.library.put_event(scope, name, String::new(), sample()).await?;
        }
    }
    services.library.put_destination(scope, STREAM, "https://isv.example/stream").await?;
    let integration = services.library.create_integration(scope, APP).await?;
    for flow in &plan.flows {
        let definition: Definition = serde_json::from_value(flow.definition())?;
        let workflow = services.library.create_workflow(scope, integration.id, definition).await?;
        let released = services.library.release(scope, workflow.id).await;
        released.with_context(|| format!("{:#}", flow.definition()))?;
        world.state().seen.workflows.push(workflow.id);
    }
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
        };
        let started = services.installer.start(scope, &wish).await?;
        services.installer.complete(scope, started.session.id, BTreeMap::new()).await?;
    }
    Ok(())
}
