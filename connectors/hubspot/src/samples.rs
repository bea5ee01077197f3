//! Examples for the builder, of each kind.

/// Examples of one kind, as JSON.
#[derive(Debug)]
pub(crate) struct Samples {
    /// The event of its creation.
    pub(crate) created: &'static str,
    /// That of a change.
    pub(crate) changed: &'static str,
    /// That of its deletion.
    pub(crate) deleted: &'static str,
    /// A record as HubSpot gives it.
    pub(crate) record: &'static str,
    /// A record as an upsert answers it.
    pub(crate) upserted: &'static str,
    /// What a workflow gives to make one.
    pub(crate) create: &'static str,
    /// What it gives to change one.
    pub(crate) update: &'static str,
    /// What it gives where nobody knows which of the two.
    pub(crate) upsert: &'static str,
    /// What it gives to find some.
    pub(crate) search: &'static str,
    /// What was found.
    pub(crate) found: &'static str,
}

pub(crate) const CONTACT: Samples = Samples {
    created: r#"{"eventId":1,"subscriptionId":12341,"portalId":62515,"appId":54321,"occurredAt":1767691800000,
        "subscriptionType":"contact.creation","attemptNumber":0,"objectId":51,"changeSource":"CRM_UI","changeFlag":"NEW"}"#,
    changed: r#"{"eventId":2,"subscriptionId":12342,"portalId":62515,"appId":54321,"occurredAt":1767691800000,
        "subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":51,"changeSource":"CRM_UI","propertyName":"lifecyclestage","propertyValue":"customer"}"#,
    deleted: r#"{"eventId":3,"subscriptionId":12343,"portalId":62515,"appId":54321,"occurredAt":1767691800000,
        "subscriptionType":"contact.deletion","attemptNumber":0,"objectId":51,"changeSource":"CRM_UI","changeFlag":"DELETED"}"#,
    record: r#"{"id":"51","properties":{"email":"ada@example.com","firstname":"Ada","lastname":"Lovelace",
        "createdate":"2026-01-06T09:30:00.000Z","lastmodifieddate":"2026-01-06T09:31:00.000Z"},
        "createdAt":"2026-01-06T09:30:00.000Z","updatedAt":"2026-01-06T09:31:00.000Z","archived":false}"#,
    upserted: r#"{"id":"51","properties":{"email":"ada@example.com","firstname":"Ada","lastname":"Lovelace",
        "createdate":"2026-01-06T09:30:00.000Z","lastmodifieddate":"2026-01-06T09:31:00.000Z"},
        "createdAt":"2026-01-06T09:30:00.000Z","updatedAt":"2026-01-06T09:31:00.000Z","archived":false,"new":true}"#,
    create: r#"{"properties":{"email":"ada@example.com","firstname":"Ada","lastname":"Lovelace"}}"#,
    update: r#"{"id":"51","properties":{"lifecyclestage":"customer"}}"#,
    upsert: r#"{"id_property":"email","id":"ada@example.com","properties":{"email":"ada@example.com","firstname":"Ada","lastname":"Lovelace"}}"#,
    search: r#"{"filter_groups":[{"filters":[{"property_name":"email","operator":"EQ","value":"ada@example.com"}]}]}"#,
    found: r#"{"items":[{"id":"51","properties":{"email":"ada@example.com","firstname":"Ada","lastname":"Lovelace",
        "createdate":"2026-01-06T09:30:00.000Z","lastmodifieddate":"2026-01-06T09:31:00.000Z"},
        "createdAt":"2026-01-06T09:30:00.000Z","updatedAt":"2026-01-06T09:31:00.000Z","archived":false}],"next":null}"#,
};

pub(crate) const COMPANY: Samples = Samples {
    created: r#"{"eventId":1,"subscriptionId":12341,"portalId":62515,"appId":54321,"occurredAt":1767691800000,
        "subscriptionType":"company.creation","attemptNumber":0,"objectId":51,"changeSource":"CRM_UI","changeFlag":"NEW"}"#,
    changed: r#"{"eventId":2,"subscriptionId":12342,"portalId":62515,"appId":54321,"occurredAt":1767691800000,
        "subscriptionType":"company.propertyChange","attemptNumber":0,"objectId":51,"changeSource":"CRM_UI","propertyName":"lifecyclestage","propertyValue":"customer"}"#,
    deleted: r#"{"eventId":3,"subscriptionId":12343,"portalId":62515,"appId":54321,"occurredAt":1767691800000,
        "subscriptionType":"company.deletion","attemptNumber":0,"objectId":51,"changeSource":"CRM_UI","changeFlag":"DELETED"}"#,
    record: r#"{"id":"51","properties":{"name":"Analytical Engines","domain":"engines.example",
        "createdate":"2026-01-06T09:30:00.000Z","hs_lastmodifieddate":"2026-01-06T09:31:00.000Z"},
        "createdAt":"2026-01-06T09:30:00.000Z","updatedAt":"2026-01-06T09:31:00.000Z","archived":false}"#,
    upserted: r#"{"id":"51","properties":{"name":"Analytical Engines","domain":"engines.example",
        "createdate":"2026-01-06T09:30:00.000Z","hs_lastmodifieddate":"2026-01-06T09:31:00.000Z"},
        "createdAt":"2026-01-06T09:30:00.000Z","updatedAt":"2026-01-06T09:31:00.000Z","archived":false,"new":true}"#,
    create: r#"{"properties":{"name":"Analytical Engines","domain":"engines.example"}}"#,
    update: r#"{"id":"51","properties":{"lifecyclestage":"customer"}}"#,
    upsert: r#"{"id_property":"erp_number","id":"A-7","properties":{"name":"Analytical Engines","domain":"engines.example"}}"#,
    search: r#"{"filter_groups":[{"filters":[{"property_name":"name","operator":"EQ","value":"Analytical Engines"}]}]}"#,
    found: r#"{"items":[{"id":"51","properties":{"name":"Analytical Engines","domain":"engines.example",
        "createdate":"2026-01-06T09:30:00.000Z","hs_lastmodifieddate":"2026-01-06T09:31:00.000Z"},
        "createdAt":"2026-01-06T09:30:00.000Z","updatedAt":"2026-01-06T09:31:00.000Z","archived":false}],"next":null}"#,
};

pub(crate) const DEAL: Samples = Samples {
    created: r#"{"eventId":1,"subscriptionId":12341,"portalId":62515,"appId":54321,"occurredAt":1767691800000,
        "subscriptionType":"deal.creation","attemptNumber":0,"objectId":51,"changeSource":"CRM_UI","changeFlag":"NEW"}"#,
    changed: r#"{"eventId":2,"subscriptionId":12342,"portalId":62515,"appId":54321,"occurredAt":1767691800000,
        "subscriptionType":"deal.propertyChange","attemptNumber":0,"objectId":51,"changeSource":"CRM_UI","propertyName":"dealstage","propertyValue":"closedwon"}"#,
    deleted: r#"{"eventId":3,"subscriptionId":12343,"portalId":62515,"appId":54321,"occurredAt":1767691800000,
        "subscriptionType":"deal.deletion","attemptNumber":0,"objectId":51,"changeSource":"CRM_UI","changeFlag":"DELETED"}"#,
    record: r#"{"id":"51","properties":{"dealname":"Two engines","amount":"1500.00","dealstage":"appointmentscheduled",
        "createdate":"2026-01-06T09:30:00.000Z","hs_lastmodifieddate":"2026-01-06T09:31:00.000Z"},
        "createdAt":"2026-01-06T09:30:00.000Z","updatedAt":"2026-01-06T09:31:00.000Z","archived":false}"#,
    upserted: r#"{"id":"51","properties":{"dealname":"Two engines","amount":"1500.00","dealstage":"appointmentscheduled",
        "createdate":"2026-01-06T09:30:00.000Z","hs_lastmodifieddate":"2026-01-06T09:31:00.000Z"},
        "createdAt":"2026-01-06T09:30:00.000Z","updatedAt":"2026-01-06T09:31:00.000Z","archived":false,"new":true}"#,
    create: r#"{"properties":{"dealname":"Two engines","amount":"1500.00","dealstage":"appointmentscheduled"}}"#,
    update: r#"{"id":"51","properties":{"dealstage":"closedwon"}}"#,
    upsert: r#"{"id_property":"erp_number","id":"O-7","properties":{"dealname":"Two engines","amount":"1500.00","dealstage":"appointmentscheduled"}}"#,
    search: r#"{"filter_groups":[{"filters":[{"property_name":"dealname","operator":"EQ","value":"Two engines"}]}]}"#,
    found: r#"{"items":[{"id":"51","properties":{"dealname":"Two engines","amount":"1500.00","dealstage":"appointmentscheduled",
        "createdate":"2026-01-06T09:30:00.000Z","hs_lastmodifieddate":"2026-01-06T09:31:00.000Z"},
        "createdAt":"2026-01-06T09:30:00.000Z","updatedAt":"2026-01-06T09:31:00.000Z","archived":false}],"next":null}"#,
};
