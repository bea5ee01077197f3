//! Composed schemas, written out: what serde flattens into one object is one object in the document, and each form of what
//! has several has a name.
//!
//! `allOf` and nameless forms say the same in other words, but generators of clients refuse some of it, and people would
//! read names that those have made up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use utoipa::openapi::{
    Components, OneOfBuilder, Ref, RefOr, Schema,
    schema::{AdditionalProperties, AllOf, ArrayItems, Object, SchemaType, Type},
};

type Known = BTreeMap<String, RefOr<Schema>>;

/// Writes out every composition among the components.
pub(super) fn write_out(components: &mut Components) {
    refer(components);
    let known = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        within(schema, &known);
    }
    let named = name_forms(components);
    components.schemas.extend(named);
}

/// Has `Listed_Run` refer to `Run`, which utoipa writes out once more in every generic type.
fn refer(components: &mut Components) {
    let names: BTreeSet<_> = components.schemas.keys().cloned().collect();
    for (name, schema) in &mut components.schemas {
        let Some((_, of)) = name.split_once('_').filter(|(_, of)| names.contains(*of)) else { continue };
        let RefOr::T(Schema::Object(object)) = schema else { continue };
        match object.properties.get_mut("data") {
            Some(RefOr::T(Schema::Array(array))) => {
                array.items = ArrayItems::RefOrSchema(Box::new(Ref::from_schema_name(of).into()));
            }
            Some(data) => *data = RefOr::Ref(Ref::from_schema_name(of)),
            None => {}
        }
    }
}

/// Gives the forms of a schema that differ by a tag names of their own: `StepAction`, `StepFilter`.
fn name_forms(components: &mut Components) -> Vec<(String, RefOr<Schema>)> {
    let mut named = Vec::new();
    for (name, schema) in &mut components.schemas {
        let RefOr::T(Schema::OneOf(one)) = schema else { continue };
        for form in &mut one.items {
            let RefOr::T(Schema::Object(object)) = &*form else { continue };
            let Some(tag) = object.properties.values().find_map(tag) else { continue };
            let own = format!("{name}{}", joined(&tag));
            let reference = RefOr::Ref(Ref::from_schema_name(&own));
            named.push((own, std::mem::replace(form, reference)));
        }
    }
    named
}

/// The only value that a member may have.
fn tag(member: &RefOr<Schema>) -> Option<String> {
    let RefOr::T(Schema::Object(member)) = member else { return None };
    match member.enum_values.as_deref() {
        Some([Value::String(only)]) => Some(only.clone()),
        _ => None,
    }
}

fn joined(tag: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    tag.split('_').map(capital).collect()
}

fn within(schema: &mut RefOr<Schema>, known: &Known) {
    let RefOr::T(inner) = schema else { return };
    match inner {
        Schema::AllOf(all) => {
            let description = all.description.clone();
            let mut forms = all_of(all, known);
            if let ([only], Some(description)) = (forms.as_mut_slice(), &description) {
                only.description = Some(description.clone());
            }
            *inner = match <[Object; 1]>::try_from(forms) {
                Ok([only]) => Schema::Object(only),
                Err(several) => {
                    let either = several.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item);
                    Schema::OneOf(either.description(description).build())
                }
            };
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(|item| within(item, known)),
        _ => {}
    }
}

/// The objects that a schema may be.
fn forms(schema: &RefOr<Schema>, known: &Known) -> Vec<Object> {
    let inner = match schema {
        RefOr::Ref(to) => {
            let name = to.ref_location.rsplit('/').next().unwrap_or_default();
            return known.get(name).map(|schema| forms(schema, known)).unwrap_or_default();
        }
        RefOr::T(inner) => inner,
    };
    match inner {
        Schema::Object(object) => vec![object.clone()],
        Schema::AllOf(all) => all_of(all, known),
        Schema::OneOf(one) => {
            let nothing = |item: &&RefOr<Schema>| matches!(item, RefOr::T(Schema::Object(it)) if matches!(it.schema_type, SchemaType::Type(Type::Null)));
            let optional = one.items.iter().any(|item| nothing(&item));
            let some = one.items.iter().filter(|item| !nothing(item));
            let mut all: Vec<_> = some.flat_map(|item| forms(item, known)).collect();
            if optional {
                all.iter_mut().for_each(|form| form.required.clear());
            }
            all
        }
        _ => Vec::new(),
    }
}

fn all_of(all: &AllOf, known: &Known) -> Vec<Object> {
    all.items.iter().fold(vec![Object::with_type(Type::Object)], |whole, part| {
        let parts = forms(part, known);
        whole.iter().flat_map(|whole| parts.iter().map(|part| merged(whole.clone(), part))).collect()
    })
}

/// One object with the members of both; closed where the part is, which now has them all.
fn merged(mut whole: Object, part: &Object) -> Object {
    whole.properties.extend(part.properties.clone());
    whole.required.extend(part.required.clone());
    let closed = part.additional_properties.as_deref();
    if matches!(closed, Some(AdditionalProperties::FreeForm(false))) {
        whole.additional_properties.clone_from(&part.additional_properties);
    }
    whole.description = whole.description.or_else(|| part.description.clone());
    whole
}
