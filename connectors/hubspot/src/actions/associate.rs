//! Connects two records. Setting an association that is there already changes nothing.

use trunnion_sdk::prelude::*;

use crate::{api, object::ObjectId};

/// Which two, and how.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Associate {
    /// The one.
    from: End,
    /// The other.
    to: End,
    /// A label's association type; HubSpot's usual one where absent.
    #[serde(default)]
    label: Option<Label>,
}

/// A record of any kind.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct End {
    /// Its kind.
    pub(super) object: Linked,
    /// Its id.
    pub(super) id: ObjectId,
}

/// Kinds that can be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Linked {
    Contacts,
    Companies,
    Deals,
    Tickets,
    Notes,
}

impl Linked {
    /// As addresses have it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Companies => "companies",
            Self::Deals => "deals",
            Self::Tickets => "tickets",
            Self::Notes => "notes",
        }
    }
}

/// An association type of the account, as `GET /crm/v4/associations/{from}/{to}/labels` lists them.
#[derive(Debug, Deserialize, JsonSchema)]
struct Label {
    /// Its number.
    type_id: u32,
    /// Whether the account made it.
    #[serde(default)]
    category: Category,
}

/// Who made an association type.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
enum Category {
    #[serde(rename = "HUBSPOT_DEFINED")]
    HubSpot,
    #[default]
    #[serde(rename = "USER_DEFINED")]
    User,
    #[serde(rename = "INTEGRATOR_DEFINED")]
    Integrator,
}

/// What was connected.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Associated {
    /// The one's id.
    from: String,
    /// The other's.
    to: String,
}

pub(crate) fn associate(ctx: &Context, input: Associate) -> Result<Associated> {
    let Associate { from, to, label } = input;
    let (of, at) =
        (format!("{}/{}", from.object.name(), from.id.0), format!("{}/{}", to.object.name(), to.id.0));
    match label {
        None => api::put(ctx, &api::associations(&format!("{of}/associations/default/{at}"))).send()?,
        Some(Label { type_id, category }) => {
            let body = json!([{ "associationCategory": category, "associationTypeId": type_id }]);
            api::put(ctx, &api::associations(&format!("{of}/associations/{at}"))).json(&body)?.send()?
        }
    };
    Ok(Associated { from: from.id.0, to: to.id.0 })
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use super::*;
    use crate::connector;

    const PLACE: &str = "https://api.hubapi.com/crm/v4/objects/contacts/51/associations";

    #[test]
    fn the_usual_association_and_one_with_a_label() {
        let host = FakeHost::new();
        host.http().once("PUT", &format!("{PLACE}/default/companies/61"), Answer::json(200, &json!({})));
        host.http().once("PUT", &format!("{PLACE}/companies/61"), Answer::json(201, &json!({})));
        let mut input =
            json!({"from": {"object": "contacts", "id": 51}, "to": {"object": "companies", "id": "61"}});
        let run = |input: &Value| connector().run(&host.calling("associate"), &input.to_string()).unwrap();
        assert_eq!(run(&input), r#"{"from":"51","to":"61"}"#);
        input["label"] = json!({"type_id": 35});
        run(&input);
        let requests = host.http().requests();
        assert!(requests[0].0.body.is_none());
        let expected = json!([{"associationCategory": "USER_DEFINED", "associationTypeId": 35}]);
        assert_eq!(requests[1].json(), expected);
    }
}
