//! JSON Schemas of manifests, and whether documents fit them. The only place that names the validator.
//!
//! Invariant: nothing is loaded from anywhere: a schema stands alone.

use std::{error::Error, fmt};

use boon::{CompileError, Compiler, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

/// The name under which the validator keeps a schema.
const NAME: &str = "https://schema.invalid/own.json";

/// A schema that documents are held against.
pub struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

/// Where a document does not fit, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// JSON pointer into the document.
    pub at: String,
    /// Why.
    pub message: String,
}

impl Schema {
    /// Reads a schema; the error says why it is none.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.use_loader(Box::new(Nothing));
        compiler.add_resource(NAME, schema.clone()).map_err(|error| line(&error))?;
        let index = compiler.compile(NAME, &mut schemas).map_err(|error| line(&error))?;
        Ok(Self { schemas, index })
    }

    /// Whether `document` fits.
    #[must_use]
    pub fn fits(&self, document: &Value) -> bool {
        self.schemas.validate(document, self.index).is_ok()
    }

    /// Every place in which `document` does not fit.
    #[must_use]
    pub fn misfits(&self, document: &Value) -> Vec<Misfit> {
        let mut found = Vec::new();
        if let Err(error) = self.schemas.validate(document, self.index) {
            collect(&error, &mut found);
        }
        found
    }
}

/// An error and what is inside it, on one line.
fn line(error: &CompileError) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

/// The innermost errors: the outer ones only say that there are inner ones.
fn collect(error: &ValidationError<'_, '_>, found: &mut Vec<Misfit>) {
    if error.causes.is_empty() {
        found.push(Misfit { at: error.instance_location.to_string(), message: error.kind.to_string() });
    }
    for cause in &error.causes {
        collect(cause, found);
    }
}

struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("it refers to `{url}`, which is not loaded; a schema stands alone, with `$defs` inside")
            .into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_misfit_has_its_place() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {
            "b": {"$ref": "#/$defs/Number"}, "c": {"type": "string", "maxLength": 2}
        }, "$defs": {"Number": {"type": "number"}}});
        let schema = Schema::new(&schema).unwrap();
        assert!(schema.fits(&json!({"a": 1, "b": 2, "c": "ab"})));
        let misfits = schema.misfits(&json!({"b": "two", "c": "abc"}));
        let places: Vec<_> = misfits.iter().map(|misfit| misfit.at.as_str()).collect();
        assert_eq!(misfits.len(), 3, "{misfits:?}");
        assert!(["", "/b", "/c"].iter().all(|place| places.contains(place)), "{misfits:?}");
    }

    #[test]
    fn what_is_no_schema_or_does_not_stand_alone_is_refused() {
        assert!(Schema::new(&json!({"type": "objekt"})).is_err());
        for elsewhere in ["https://schemas.example/x.json", "file:///etc/hostname"] {
            let error = Schema::new(&json!({"$ref": elsewhere})).unwrap_err();
            assert!(error.contains(elsewhere), "{error}");
        }
    }
}
