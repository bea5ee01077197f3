//! Upgrades: a user's copy goes to the newest release without the user being asked anything.
//!
//! That is right only where there is nothing to ask: the fields that users fill in are the same in both releases, and
//! what the new one connects is connected. Otherwise the upgrade is refused with the reason, and the copy stays as it
//! is.

use std::collections::BTreeMap;

use trunnion_core::{
    definition::{ConfigField, Definition},
    id::{ConnectionId, UserId, WorkflowId},
    records::Installation,
    scope::Scope,
};

use super::{Installer, Started, Values, Wish};
use crate::{
    error::{Error, Result},
    finish::finish,
};

impl Installer {
    /// Takes a user's copy of a workflow to its newest release, with the values and connections it has; a paused one
    /// stays paused. One that is there already stays as it is.
    pub async fn upgrade(&self, scope: &Scope, user: UserId, workflow: WorkflowId) -> Result<()> {
        let copy = self.copy(scope, user, workflow).await?.record;
        let newest = self.library.workflow(scope, workflow).await?;
        if copy.release == newest.latest_release {
            return Ok(());
        }
        self.asks_nothing(scope, &copy, newest.latest_release).await?;
        let wish = Wish {
            user,
            integration: newest.integration,
            connections: self.in_use(scope, &copy).await?,
            workflows: vec![workflow],
            releases: BTreeMap::new(),
            link: None,
        };
        let Started { session, .. } = self.start(scope, &wish).await?;
        if session.workflows != [(workflow, newest.latest_release)] {
            let message = format!("workflow `{workflow}` was released anew at the same time; try again");
            return Err(Error::conflict("workflow-changed", message));
        }
        let given = copy.config.iter().filter(|(_, value)| !value.is_null());
        let given: BTreeMap<_, _> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
        let values = Values::from([(workflow, given)]);
        let this = self.clone();
        let (scope, active) = (*scope, |known: Option<&Installation>| known.is_none_or(|known| known.active));
        finish(async move { this.complete_here(&scope, (Some(user), session.id), &values, active).await })
            .await
            .map(drop)
    }

    /// Refuses a release that would ask the user of a copy for something.
    async fn asks_nothing(&self, scope: &Scope, copy: &Installation, number: u32) -> Result<()> {
        let old = self.releases.get(scope, copy.workflow, copy.release).await?;
        let new = self.releases.get(scope, copy.workflow, number).await?;
        let changes = changed_fields(&old.release.definition, &new.release.definition);
        if changes.is_empty() {
            return Ok(());
        }
        let message = format!(
            "release {number} of workflow `{}` asks users for other values than release {}, which user `{}` has: {}; \
             have the user install it anew",
            new.release.definition.name,
            copy.release,
            copy.user,
            changes.join(", ")
        );
        Err(Error::invalid("upgrade-needs-user", message))
    }

    /// The connections of a copy that are still there: where one is not, the user is asked for another.
    async fn in_use(&self, scope: &Scope, copy: &Installation) -> Result<Vec<ConnectionId>> {
        let owned = self.vault.connections(scope, copy.user).await?;
        let there = |id: &&ConnectionId| owned.iter().any(|known| known.id == **id);
        Ok(copy.connections.values().filter(there).copied().collect())
    }
}

/// What a user would be asked otherwise; words that only explain a field may change.
fn changed_fields(old: &Definition, new: &Definition) -> Vec<String> {
    let same = |old: &ConfigField, new: &ConfigField| {
        (&old.kind, old.required, &old.default) == (&new.kind, new.required, &new.default)
    };
    let of = |fields: &[ConfigField], name: &str| fields.iter().find(|field| field.name == name).cloned();
    let mut changes = Vec::new();
    for field in &new.fields {
        match of(&old.fields, &field.name) {
            None => changes.push(format!("field `{}` is new", field.name)),
            Some(known) if !same(&known, field) => changes.push(format!("field `{}` changed", field.name)),
            Some(_) => {}
        }
    }
    let gone = old.fields.iter().filter(|field| of(&new.fields, &field.name).is_none());
    changes.extend(gone.map(|field| format!("field `{}` is gone", field.name)));
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(fields: &Value) -> Definition {
        let definition =
            json!({ "name": "Any", "trigger": { "type": "installed" }, "fields": fields, "steps": [] });
        serde_json::from_value(definition).unwrap()
    }

    #[test]
    fn what_a_user_would_be_asked_otherwise_is_named() {
        let channel = json!({ "name": "channel", "title": "Channel", "kind": { "type": "text" } });
        let other = |change: &dyn Fn(&mut Value)| {
            let mut field = channel.clone();
            change(&mut field);
            field
        };
        let old = with(&json!([channel]));
        let none: &[&str] = &[];
        for (new, expected) in [
            (json!([channel]), none),
            (json!([other(&|field| field["title"] = json!("Where to"))]), none),
            (json!([other(&|field| field["help"] = json!("A channel of yours."))]), none),
            (json!([other(&|field| field["required"] = json!(true))]), &["field `channel` changed"]),
            (json!([other(&|field| field["kind"]["type"] = json!("number"))]), &["field `channel` changed"]),
            (json!([other(&|field| field["default"] = json!("#all"))]), &["field `channel` changed"]),
            (json!([]), &["field `channel` is gone"]),
            (
                json!([other(&|field| field["name"] = json!("room"))]),
                &["field `room` is new", "field `channel` is gone"],
            ),
        ] {
            assert_eq!(changed_fields(&old, &with(&new)), expected, "{new}");
        }
    }
}
