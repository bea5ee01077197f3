//! What only an account itself knows: its properties, owners, pipelines and their stages, by the names people gave them.

use trunnion_sdk::{
    lookup::{Choice, Choices, Query},
    prelude::*,
};

use crate::api;

/// Owners of a page.
const OWNERS: &str = "100";

/// Whose contact, company, deal, note or ticket something is.
pub(crate) const OWNER: &str = "owners";
pub(crate) const DEAL_PIPELINES: &str = "deal_pipelines";
pub(crate) const DEAL_STAGES: &str = "deal_stages";

/// The field in which a pipeline is chosen, of a deal and of a ticket.
const PIPELINE: &str = "pipeline";

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The choice that a member of a result names, with its label.
fn choice(result: &Value, member: &str) -> Option<Choice> {
    let value = text(result, member)?;
    Some(Choice::new(value, text(result, "label").unwrap_or(value)))
}

fn results(mut answer: Value) -> Result<Vec<Value>> {
    match answer.get_mut("results").map(Value::take) {
        Some(Value::Array(results)) => Ok(results),
        _ => Err(Error::other("answer-not-understood", "HubSpot's answer has no list in `results`")),
    }
}

/// The properties of a kind of object that people see, as HubSpot calls them inside.
pub(crate) fn properties(ctx: &Context, plural: &str, query: &Query) -> Result<Choices> {
    let all = results(api::get(ctx, &api::properties(plural)).send()?.json()?)?;
    let shown = all.iter().filter(|it| it.get("hidden").and_then(Value::as_bool) != Some(true));
    Ok(query.among(shown.filter_map(|property| choice(property, "name"))))
}

/// The people who may own something.
pub(crate) fn owners(ctx: &Context, query: &Query) -> Result<Choices> {
    let mut request = api::get(ctx, &api::owners()).query("limit", OWNERS);
    if let Some(after) = query.cursor.as_ref().and_then(Value::as_str) {
        request = request.query("after", after);
    }
    let mut answer: Value = request.send()?.json()?;
    let next = answer.pointer_mut("/paging/next/after").map(Value::take);
    let owners = results(answer)?;
    let found = query.among(owners.iter().filter_map(|owner| {
        let names = [text(owner, "firstName"), text(owner, "lastName")];
        let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let id = text(owner, "id")?;
        Some(match (name.as_str(), text(owner, "email")) {
            ("", email) => Choice::new(id, email.unwrap_or(id)),
            (name, Some(email)) => Choice::new(id, format!("{name} ({email})")),
            (name, None) => Choice::new(id, name),
        })
    }));
    Ok(Choices::page(found.items().to_vec(), next))
}

/// The pipelines of a kind of object.
pub(crate) fn pipelines(ctx: &Context, plural: &str, query: &Query) -> Result<Choices> {
    let all = results(api::get(ctx, &api::pipelines(plural)).send()?.json()?)?;
    Ok(query.among(all.iter().filter_map(|pipeline| choice(pipeline, "id"))))
}

/// The stages of the pipeline that was chosen beside them; of all, with their pipelines' names, where none was.
pub(crate) fn stages(ctx: &Context, plural: &str, query: &Query) -> Result<Choices> {
    let inside = || query.values.get("properties").and_then(|properties| text(properties, PIPELINE));
    let chosen = query.chosen(PIPELINE).filter(|chosen| !chosen.is_empty()).or_else(inside);
    let all = results(api::get(ctx, &api::pipelines(plural)).send()?.json()?)?;
    let several = all.len() > 1 && chosen.is_none();
    let wanted = all.iter().filter(|pipeline| chosen.is_none_or(|id| text(pipeline, "id") == Some(id)));
    let choices = wanted.flat_map(|pipeline| {
        let stages = pipeline.get("stages").and_then(Value::as_array).into_iter().flatten();
        stages.filter_map(move |stage| {
            let stage = choice(stage, "id")?;
            Some(match text(pipeline, "label").filter(|_| several) {
                Some(pipeline) => {
                    Choice::new(stage.value().clone(), format!("{pipeline}: {}", stage.title()))
                }
                None => stage,
            })
        })
    });
    Ok(query.among(choices.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use super::*;
    use crate::connector;

    fn ask(path: &str, answer: &Value, lookup: &str, query: &Query) -> Result<(String, Choices)> {
        let host = FakeHost::new();
        host.http().once("GET", &format!("https://api.hubapi.com{path}"), Answer::json(200, answer));
        let choices = connector().options(&host.calling(lookup), query)?;
        Ok((host.http().requests()[0].query().to_owned(), choices))
    }

    fn searching(search: &str) -> Query {
        Query { search: search.into(), ..Query::default() }
    }

    #[test]
    fn properties_bear_their_labels_and_hidden_ones_are_left_out() {
        let answer = json!({"results": [
            {"name": "email", "label": "E-mail", "hidden": false}, {"name": "hs_x", "label": "X", "hidden": true},
            {"name": "score", "label": ""},
        ]});
        for (lookup, plural) in [
            ("contact_properties", "contacts"),
            ("company_properties", "companies"),
            ("deal_properties", "deals"),
        ] {
            let path = format!("/crm/v3/properties/{plural}");
            let (_, all) = ask(&path, &answer, lookup, &searching("")).unwrap();
            assert_eq!(all.items(), [Choice::new("email", "E-mail"), Choice::new("score", "score")]);
        }
        let error =
            ask("/crm/v3/properties/deals", &json!({}), "deal_properties", &searching("")).unwrap_err();
        assert!(error.to_string().contains("`results`"), "{error}");
    }

    #[test]
    fn owners_come_page_by_page_with_name_and_address() {
        let answer = json!({"results": [
            {"id": "7", "email": "ada@example.com", "firstName": "Ada", "lastName": "L"},
            {"id": "8", "email": "eve@example.com", "firstName": "", "lastName": ""}, {"id": "9", "firstName": "Bob"},
        ], "paging": {"next": {"after": "NTI1"}}});
        let (query, page) = ask("/crm/v3/owners", &answer, "owners", &searching("")).unwrap();
        let expected = [
            Choice::new("7", "Ada L (ada@example.com)"),
            Choice::new("8", "eve@example.com"),
            Choice::new("9", "Bob"),
        ];
        assert_eq!(
            (page.items(), page.next(), query.as_str()),
            (&expected[..], Some(&json!("NTI1")), "limit=100")
        );
        let second = Query { cursor: page.next().cloned(), ..searching("ADA") };
        let (query, last) = ask("/crm/v3/owners", &json!({"results": []}), "owners", &second).unwrap();
        assert_eq!((last, query.as_str()), (Choices::default(), "limit=100&after=NTI1"));
    }

    #[test]
    fn stages_are_those_of_the_chosen_pipeline() {
        let answer = json!({"results": [
            {"id": "default", "label": "Sales", "stages": [{"id": "won", "label": "Won"}, {"id": "lost", "label": "Lost"}]},
            {"id": "p2", "label": "Partners", "stages": [{"id": "s9", "label": "Won"}]},
        ]});
        let stages = |values: Value| {
            let query = Query { values: values.as_object().unwrap().clone(), ..Query::default() };
            let (_, found) = ask("/crm/v3/pipelines/deals", &answer, "deal_stages", &query).unwrap();
            found.items().iter().map(|choice| choice.title().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(stages(json!({})), ["Sales: Won", "Sales: Lost", "Partners: Won"]);
        assert_eq!(stages(json!({"properties": {"pipeline": "default"}})), ["Won", "Lost"]);
        assert_eq!(stages(json!({"pipeline": "p2"})), ["Won"]);
        let (_, found) =
            ask("/crm/v3/pipelines/tickets", &answer, "ticket_pipelines", &searching("part")).unwrap();
        assert_eq!(found.items(), [Choice::new("p2", "Partners")]);
    }
}
