//! Makes a customer, or changes the one with the same e-mail address, phone number or id (`customerSet`), so that it may
//! be repeated.

use trunnion_sdk::prelude::*;

use crate::{
    graphql::{Mutation, Repeat},
    record::{Given, Record, Table},
    shape::{Kind, Member, optional},
    tables,
};

const CUSTOMER_SET: Mutation =
    Mutation::new(include_str!("../documents/customer_set.graphql"), "customerSet", Repeat::Harmless);

/// A customer; what is not given stays as it is.
pub(crate) struct UpsertCustomer;

impl Table for UpsertCustomer {
    const NAME: &'static str = "UpsertCustomer";
    const MEMBERS: &'static [Member] = &[
        optional("id", Kind::Id("Customer"), "Of a customer who is there."),
        optional("email", Kind::Text, "By which the customer is known, where no `id` is given."),
        optional(
            "phone",
            Kind::Text,
            "By which the customer is known, where neither `id` nor `email` is given.",
        ),
        optional("first_name", Kind::Text, ""),
        optional("last_name", Kind::Text, ""),
        optional("note", Kind::Text, "A note for the shop's people."),
        optional("tags", Kind::Texts, "All tags; `add_tags` adds some."),
        optional("locale", Kind::Text, "The language, as in `en`."),
        optional("tax_exempt", Kind::Flag, "Whether they pay no tax."),
        optional("addresses", Kind::List(super::create_order::ADDRESS), "All addresses."),
    ];
}

pub(crate) fn upsert_customer(
    ctx: &Context,
    input: Given<UpsertCustomer>,
) -> Result<Record<tables::Customer>> {
    let mut customer = input.read()?;
    let id = customer.remove("id");
    let identifier = match (id, customer.get("email"), customer.get("phone")) {
        (Some(id), ..) => json!({ "id": id }),
        (None, Some(email), _) => json!({ "email": email }),
        (None, None, Some(phone)) => json!({ "phone": phone }),
        (None, None, None) => {
            return Err(Error::invalid_input(
                "/email",
                "is missing; give it, or `phone` or `id`, to know the customer by",
            ));
        }
    };
    let payload = CUSTOMER_SET.send(ctx, &json!({ "identifier": identifier, "input": customer }))?;
    Record::of_node(payload.get("customer").unwrap_or(&Value::Null))
}
