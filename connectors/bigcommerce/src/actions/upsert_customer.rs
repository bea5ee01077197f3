//! Makes a customer, or changes the one who has the same e-mail address already; ten at once where there are several.
//!
//! No two customers of a store share an address, so doing it again changes what is there: it may be repeated.

use serde_json::Map;
use trunnion_sdk::{http::Response, prelude::*};

use crate::{
    api,
    customer::{self, Customer},
    record::{Record, not_understood},
};

/// The most that BigCommerce takes at once.
pub(crate) const BATCH: u32 = 10;

/// One customer; what is not given stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    /// The e-mail address, by which the customer is known.
    email: String,
    /// The first name; required of a new customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    /// The last name; required of a new customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// Notes that only the store's staff sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    /// The group's number; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_group_id: Option<u64>,
    /// Any other member that `/v3/customers` takes.
    #[serde(default, skip_serializing)]
    more: Map<String, Value>,
}

pub(crate) fn upsert_customer(ctx: &Context, input: Person) -> Result<Customer> {
    let mut done = upsert_customers(ctx, vec![input])?;
    done.pop().unwrap_or_else(|| Err(not_understood("has no customer in `data`")))
}

/// Each person's answer, in their order.
pub(crate) fn upsert_customers(ctx: &Context, people: Vec<Person>) -> Result<Vec<Result<Customer>>> {
    let mut once: Vec<&Person> = Vec::with_capacity(people.len());
    for person in &people {
        if person.has_address() && !once.iter().any(|other| other.is(&person.email)) {
            once.push(person);
        }
    }
    let done = send(ctx, &once)?;
    let answer = |(index, person): (usize, &Person)| {
        if !person.has_address() {
            let message =
                format!("`{}` is no single e-mail address; a customer is known by one", person.email);
            return Err(Error::invalid_input("/email", message));
        }
        if people.iter().take(index).any(|earlier| earlier.is(&person.email)) {
            let message = format!("`{}` is in this batch twice; only the first was sent", person.email);
            return Err(Error::invalid_input("/email", message));
        }
        done.of(person)
    };
    Ok(people.iter().enumerate().map(answer).collect())
}

impl Person {
    fn has_address(&self) -> bool {
        !self.email.is_empty() && !self.email.contains(',')
    }

    fn is(&self, email: &str) -> bool {
        self.email.eq_ignore_ascii_case(email)
    }
}

/// What BigCommerce did.
#[derive(Debug, Default)]
struct Done {
    customers: Vec<Customer>,
    /// What it refused, in its own words.
    refusals: Vec<String>,
    /// What it refused altogether, by address.
    refused: Vec<(String, Error)>,
}

impl Done {
    fn of(&self, person: &Person) -> Result<Customer> {
        if let Some((_, error)) = self.refused.iter().find(|(email, _)| person.is(email)) {
            return Err(error.clone());
        }
        let found = self
            .customers
            .iter()
            .find(|customer| customer.text("email").is_some_and(|email| person.is(email)));
        found.map(Record::copy).ok_or_else(|| {
            let said = if self.refusals.is_empty() {
                "it does not say why".to_owned()
            } else {
                self.refusals.join("; ")
            };
            Error::rejected(207, format!("BigCommerce refuses the customer `{}`: {said}", person.email))
        })
    }
}

fn send(ctx: &Context, people: &[&Person]) -> Result<Done> {
    let mut done = Done::default();
    if people.is_empty() {
        return Ok(done);
    }
    let emails: Vec<&str> = people.iter().map(|person| person.email.as_str()).collect();
    let known = customer::find(ctx, "email:in", &emails.join(","))?;
    let (mut there, mut new) = (Vec::new(), Vec::new());
    for person in people {
        let mut members = person.more.clone();
        if let Value::Object(own) = json!(person) {
            members.extend(own);
        }
        let same = |customer: &&Customer| customer.text("email").is_some_and(|email| person.is(email));
        match known.iter().find(same).map(Record::id).transpose()? {
            Some(id) => {
                members.insert("id".to_owned(), id.into());
                there.push(Value::from(members));
            }
            None => new.push(Value::from(members)),
        }
    }
    write(ctx, Way::Change, &there, &mut done)?;
    write(ctx, Way::Make, &new, &mut done)?;
    Ok(done)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Change,
    Make,
}

/// Writes several at once; where BigCommerce refuses all of them because of one, each alone.
fn write(ctx: &Context, way: Way, customers: &[Value], done: &mut Done) -> Result<()> {
    if customers.is_empty() {
        return Ok(());
    }
    let request = match way {
        Way::Change => api::put(ctx, "/v3/customers")?,
        // One that an earlier attempt made is refused as known, and found when this is repeated.
        Way::Make => api::post(ctx, "/v3/customers")?.repeatable(),
    };
    match request.json(&customers)?.send() {
        Ok(answer) => take(&answer, done),
        Err(error @ (Error::Rejected { .. } | Error::Conflict(_))) => {
            if let [only] = customers {
                let email = only.get("email").and_then(Value::as_str).unwrap_or_default().to_owned();
                done.refused.push((email, error));
                return Ok(());
            }
            customers.iter().try_for_each(|customer| write(ctx, way, std::slice::from_ref(customer), done))
        }
        Err(error) => Err(error),
    }
}

/// Takes in an answer, which is 207 where only some were carried out.
fn take(answer: &Response, done: &mut Done) -> Result<()> {
    let mut body: Value = answer.json()?;
    if let Some(Value::Array(customers)) = body.get_mut("data").map(Value::take) {
        for customer in customers {
            done.customers.push(Customer::of(customer)?);
        }
    }
    match body.get("errors") {
        Some(Value::Array(errors)) => done.refusals.extend(errors.iter().map(words)),
        Some(Value::Object(errors)) => {
            done.refusals.extend(errors.iter().map(|(place, error)| format!("{place}: {}", words(error))));
        }
        _ => {}
    }
    Ok(())
}

fn words(error: &Value) -> String {
    let places = ["title", "message", "detail"];
    let said = places.iter().find_map(|name| error.get(name)?.as_str()).or_else(|| error.as_str());
    said.map_or_else(|| error.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    use super::*;

    fn url() -> String {
        format!("{STORE}/v3/customers")
    }

    /// A store that knows `ada@example.com`.
    fn store() -> FakeHost {
        let host = host();
        host.http().on("GET", &url(), |_| {
            Answer::json(200, &json!({"data": [{"id": 7, "email": "Ada@example.com"}], "meta": {}}))
        });
        let echo = |request: &trunnion_sdk::test::Seen| Answer::json(200, &json!({"data": request.json()}));
        host.http().on("PUT", &url(), echo);
        host.http().on("POST", &url(), echo);
        host
    }

    fn run(host: &FakeHost, input: &Value) -> Result<Value> {
        let output = connector().run(&host.calling("upsert_customer"), &input.to_string())?;
        Ok(serde_json::from_str(&output).unwrap())
    }

    fn batch(host: &FakeHost, emails: &[&str]) -> Vec<Result<String>> {
        let people: Vec<_> = emails.iter().map(|email| json!({ "email": email }).to_string()).collect();
        connector()
            .run_batch(
                &host.calling("upsert_customer"),
                &people.iter().map(String::as_str).collect::<Vec<_>>(),
            )
            .unwrap()
    }

    #[test]
    fn a_known_address_is_changed_and_a_new_one_made() {
        let host = store();
        let known = json!({"email": "ada@example.com", "phone": "1", "more": {"origin_channel_id": 1}});
        let customer = run(&host, &known).unwrap();
        assert_eq!(
            customer,
            json!({"email": "ada@example.com", "phone": "1", "origin_channel_id": 1, "id": 7})
        );
        let new = json!({"email": "bob@example.com", "first_name": "Bob", "last_name": "B"});
        assert_eq!(run(&host, &new).unwrap(), new);
        let methods: Vec<_> = host.http().requests().iter().map(|request| request.0.method).collect();
        assert_eq!(methods, ["GET", "PUT", "GET", "POST"]);
        assert_eq!(host.http().requests()[0].query(), "email%3Ain=ada%40example.com&limit=250");
    }

    #[test]
    fn a_batch_is_one_search_one_change_and_one_making() {
        let host = store();
        let done =
            batch(&host, &["c1@example.com", "ada@example.com", "c2@example.com", "C1@example.com", ""]);
        assert!(done[..3].iter().all(Result::is_ok), "{done:?}");
        for (answer, phrase) in done[3..].iter().zip(["twice", "no single"]) {
            assert!(answer.as_ref().unwrap_err().to_string().contains(phrase), "{answer:?}");
        }
        let sizes: Vec<_> =
            host.http().requests()[1..].iter().map(|sent| sent.json().as_array().unwrap().len()).collect();
        assert_eq!(sizes, [1, 2]);
    }

    #[test]
    fn a_partial_success_is_one_for_those_it_was_one_for() {
        let host = store();
        let partial = json!({"data": [{"id": 8, "email": "c1@example.com"}],
                             "errors": [{"status": 422, "title": "the group does not exist"}]});
        host.http().on("POST", &url(), move |_| Answer::json(207, &partial));
        let done = batch(&host, &["c1@example.com", "c2@example.com"]);
        assert!(done[0].is_ok(), "{done:?}");
        let Err(Error::Rejected { status: 207, message }) = &done[1] else { panic!("{done:?}") };
        assert!(message.contains("group does not exist"), "{message}");
    }

    #[test]
    fn one_that_spoils_the_batch_does_not_spoil_the_others() {
        let host = store();
        host.http().on("POST", &url(), |request| {
            if request.text().contains("bad@") {
                return Answer::json(422, &json!({"status": 422, "title": "bad@ has no first name"}));
            }
            Answer::json(200, &json!({"data": request.json()}))
        });
        let done = batch(&host, &["c1@example.com", "bad@example.com", "c2@example.com"]);
        assert!(done[0].is_ok() && done[2].is_ok(), "{done:?}");
        assert!(matches!(&done[1], Err(Error::Rejected { status: 422, .. })), "{done:?}");
        host.http().on("POST", &url(), |_| Answer::empty(503));
        let people = [r#"{"email":"c1@example.com"}"#];
        let error = connector().run_batch(&host.calling("upsert_customer"), &people).unwrap_err();
        assert!(
            matches!(error, Error::Unavailable(_)),
            "what can be tried again is the whole call's: {error}"
        );
    }
}
