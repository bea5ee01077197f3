//! The fake's schema, read from `schema.graphql`, and the checks that need types: arguments and variables.

use std::{collections::HashMap, sync::LazyLock};

use async_graphql_parser::{
    parse_schema,
    types::{
        BaseType, FieldDefinition, InputValueDefinition, OperationDefinition, Type, TypeKind,
        TypeSystemDefinition,
    },
};
use serde_json::{Map, Value, json};

use super::error;

/// Types by their names.
#[derive(Debug, Default)]
pub(super) struct Schema(HashMap<String, TypeKind>);

/// What is wrong with an input value, and where.
struct Problem {
    path: Vec<Value>,
    explanation: String,
}

impl Problem {
    fn new(explanation: String) -> Self {
        Self { path: Vec::new(), explanation }
    }

    fn inside(mut self, step: impl Into<Value>) -> Self {
        self.path.insert(0, step.into());
        self
    }
}

/// The name inside lists and exclamation marks.
fn base(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => base(inner),
    }
}

impl Schema {
    /// The schema; a test reads it, so that a mistake in it shows there.
    pub(super) fn the() -> &'static Self {
        static THE: LazyLock<Schema> = LazyLock::new(|| Schema::read().unwrap_or_default());
        &THE
    }

    fn read() -> Result<Self, async_graphql_parser::Error> {
        let document = parse_schema(include_str!("../schema.graphql"))?;
        let types = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) => Some((ty.node.name.node.to_string(), ty.node.kind)),
            TypeSystemDefinition::Schema(_) | TypeSystemDefinition::Directive(_) => None,
        });
        Ok(Self(types.collect()))
    }

    /// A field of an object type.
    pub(super) fn field(&self, on: &str, name: &str) -> Option<&FieldDefinition> {
        let fields = match self.0.get(on)? {
            TypeKind::Object(object) => &object.fields,
            TypeKind::Interface(interface) => &interface.fields,
            _ => return None,
        };
        fields.iter().map(|field| &field.node).find(|field| field.name.node == name)
    }

    /// The name of a field's type.
    pub(super) fn type_of(field: &FieldDefinition) -> &str {
        base(&field.ty.node)
    }

    /// Whether something must be selected of this type.
    pub(super) fn has_fields(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union(_)))
    }

    /// Whether something of the type `of` can be a `member`.
    pub(super) fn may_be(&self, of: &str, member: &str) -> bool {
        match (self.0.get(of), self.0.get(member)) {
            (Some(TypeKind::Union(union)), _) => union.members.iter().any(|known| known.node == member),
            (Some(TypeKind::Interface(_)), Some(TypeKind::Object(object))) => {
                object.implements.iter().any(|known| known.node == of)
            }
            _ => false,
        }
    }

    /// Whether arguments fit a field; why not, in the vendor's words.
    pub(super) fn arguments(
        &self,
        field: &FieldDefinition,
        given: &Map<String, Value>,
    ) -> Result<(), (String, Value)> {
        let name = &field.name.node;
        let known: Vec<_> = field.arguments.iter().map(|argument| &argument.node).collect();
        if let Some(unknown) =
            given.keys().find(|given| !known.iter().any(|known| known.name.node == **given))
        {
            let message = format!("Field '{name}' doesn't accept argument '{unknown}'");
            let extensions = json!({ "code": "argumentNotAccepted", "name": name, "typeName": "Field", "argumentName": unknown });
            return Err((message, extensions));
        }
        let missing = |argument: &&&InputValueDefinition| {
            !argument.ty.node.nullable && !given.contains_key(argument.name.node.as_str())
        };
        if let Some(argument) = known.iter().find(missing) {
            let argument = &argument.name.node;
            let message = format!("Field '{name}' is missing required arguments: {argument}");
            let extensions = json!({ "code": "missingRequiredArguments", "className": "Field", "name": name, "arguments": argument });
            return Err((message, extensions));
        }
        for argument in known {
            let Some(value) = given.get(argument.name.node.as_str()) else { continue };
            let (argument, ty) = (&argument.name.node, &argument.ty.node);
            if self.accepts(ty, value).is_err() {
                let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let message = format!(
                    "Argument '{argument}' on Field '{name}' has an invalid value ({shown}). Expected type '{ty}'."
                );
                let extensions = json!({ "code": "argumentLiteralsIncompatible", "typeName": "Field", "argumentName": argument });
                return Err((message, extensions));
            }
        }
        Ok(())
    }

    /// The values of an operation's variables, if they have the types it declares.
    pub(super) fn variables(
        &self,
        operation: &OperationDefinition,
        mut given: Map<String, Value>,
    ) -> Result<Map<String, Value>, Value> {
        for declared in &operation.variable_definitions {
            let (name, ty) = (declared.node.name.node.as_str(), &declared.node.var_type.node);
            if !given.contains_key(name)
                && let Some(default) = declared.node.default_value()
                && let Ok(default) = default.clone().into_json()
            {
                given.insert(name.to_owned(), default);
            }
            let value = given.get(name).unwrap_or(&Value::Null);
            self.accepts(ty, value).map_err(|problem| {
                let Problem { path, explanation } = problem;
                let mut message = format!("Variable ${name} of type {ty} was provided invalid value");
                if !path.is_empty() {
                    let steps: Vec<_> = path.iter().map(|step| step.to_string().replace('"', "")).collect();
                    message.push_str(&format!(" for {} ({explanation})", steps.join(".")));
                }
                let problems = json!([{ "path": path, "explanation": explanation }]);
                let extensions = json!({ "code": "INVALID_VARIABLE", "value": value, "problems": problems });
                error(&message, declared.pos, &[], &extensions)
            })?;
        }
        Ok(given)
    }

    fn accepts(&self, ty: &Type, value: &Value) -> Result<(), Problem> {
        if value.is_null() {
            let refused = || Problem::new("Expected value to not be null".to_owned());
            return if ty.nullable { Ok(()) } else { Err(refused()) };
        }
        match &ty.base {
            BaseType::List(inner) => match value {
                Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                    self.accepts(inner, item).map_err(|problem| problem.inside(index))
                }),
                one => self.accepts(inner, one),
            },
            BaseType::Named(name) => self.accepts_named(name.as_str(), value),
        }
    }

    fn accepts_named(&self, name: &str, value: &Value) -> Result<(), Problem> {
        let fits = match (name, self.0.get(name)) {
            (_, Some(TypeKind::Enum(kind))) => {
                let known = |text: &str| kind.values.iter().any(|known| known.node.value.node == text);
                if !value.as_str().is_some_and(known) {
                    let values: Vec<_> =
                        kind.values.iter().map(|known| known.node.value.node.as_str()).collect();
                    let explanation = format!("Expected {value} to be one of: {}", values.join(", "));
                    return Err(Problem::new(explanation));
                }
                true
            }
            (_, Some(TypeKind::InputObject(kind))) => {
                let members = value
                    .as_object()
                    .ok_or_else(|| Problem::new(format!("Expected {value} to be a key-value object")))?;
                if let Some(unknown) = members
                    .keys()
                    .find(|member| !kind.fields.iter().any(|field| field.node.name.node == **member))
                {
                    let problem = Problem::new(format!("Field is not defined on {name}"));
                    return Err(problem.inside(unknown.as_str()));
                }
                for field in &kind.fields {
                    let field_name = field.node.name.node.as_str();
                    self.accepts(&field.node.ty.node, members.get(field_name).unwrap_or(&Value::Null))
                        .map_err(|problem| problem.inside(field_name))?;
                }
                true
            }
            // What is in them is the judge's to check.
            (_, Some(TypeKind::Scalar)) if name.ends_with("Input") || name.ends_with("Identifiers") => {
                value.is_object()
            }
            ("Int", _) => value.is_i64() || value.is_u64(),
            ("Boolean", _) => value.is_boolean(),
            ("ID", _) => value.is_string() || value.is_u64(),
            ("Decimal", _) => {
                value.is_number() || value.as_str().is_some_and(|text| text.parse::<f64>().is_ok())
            }
            _ => value.is_string(),
        };
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if fits { Ok(()) } else { Err(Problem::new(format!("Could not coerce value {shown} to {name}"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_a_field_names_is_there() {
        let schema = Schema::read().unwrap();
        let known = |ty: &Type| {
            ["String", "Int", "Boolean", "ID"].contains(&base(ty)) || schema.0.contains_key(base(ty))
        };
        let mut fields = 0;
        for kind in schema.0.values() {
            let types: Vec<&Type> = match kind {
                TypeKind::Object(object) => object.fields.iter().map(|field| &field.node.ty.node).collect(),
                TypeKind::InputObject(input) => {
                    input.fields.iter().map(|field| &field.node.ty.node).collect()
                }
                _ => Vec::new(),
            };
            fields += types.len();
            assert!(types.iter().all(|ty| known(ty)), "{types:?}");
        }
        assert!(fields > 100, "the schema was read: {fields} fields");
    }
}
