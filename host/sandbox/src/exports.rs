//! A component's exports, looked up by name.
//!
//! The instance names carry the oldest 1.x that has them: wasmtime resolves compatible versions, so a
//! component built against a later 1.x is found as well. Every function of 1.0 is required. Functions of a
//! later version become `Option` here, and a call of an absent one says which version has it.

use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Lift, Lower,
    types::{ComponentFunc, ComponentItem},
};

use crate::{
    bindings::{
        exports::trunnion::connector::{
            actions::{Listing, Reconciled},
            connection::Account,
            lookups::{Choices, Query},
            triggers::{Health, Page as Polled, Reply, Target},
        },
        trunnion::connector::types::{Call, Delivery, Error, Occurrence, Outcome},
    },
    load::LoadError,
};

/// `result<T, error>`.
pub(crate) type Answered<T> = (Result<T, Error>,);

macro_rules! exports {
    ($($field:ident: $interface:literal $function:literal ($($parameter:ty),*) -> $result:ty;)*) => {
        /// Where each export is.
        #[derive(Clone, Debug)]
        pub(crate) struct Exports {
            $(pub(crate) $field: ComponentExportIndex,)*
        }

        impl Exports {
            /// Finds and type-checks every export; all that are missing are named at once.
            pub(crate) fn find(component: &Component) -> Result<Self, LoadError> {
                let mut missing = Vec::new();
                $(let $field = look_up::<($($parameter,)*), $result>(component, $interface, $function, &mut missing)?;)*
                match ($($field,)*) {
                    ($(Some($field),)*) => Ok(Self { $($field,)* }),
                    _ => Err(LoadError::MissingExports { exports: missing }),
                }
            }
        }
    };
}

exports! {
    describe: "manifest" "describe" () -> (String,);
    run: "actions" "run" (Call, String) -> Answered<Outcome>;
    run_batch: "actions" "run-batch" (Call, Vec<String>) -> Answered<Vec<Result<Outcome, Error>>>;
    page: "actions" "page" (Call, String, Option<String>) -> Answered<Listing>;
    reconcile: "actions" "reconcile" (Call, String, String) -> Answered<Reconciled>;
    subscribe: "triggers" "subscribe" (Call, Target) -> Answered<String>;
    unsubscribe: "triggers" "unsubscribe" (Call, String) -> Answered<()>;
    check_subscription: "triggers" "check" (Call, Target, String) -> Answered<(Health, String)>;
    parse: "triggers" "parse" (Call, Delivery) -> Answered<Vec<Occurrence>>;
    handshake: "triggers" "handshake" (Call, Delivery) -> Answered<Option<Reply>>;
    poll: "triggers" "poll" (Call, Option<String>) -> Answered<Polled>;
    check_connection: "connection" "check" (Call) -> Answered<Account>;
    options: "lookups" "options" (Call, Query) -> Answered<Choices>;
    schema: "lookups" "schema" (Call, String, String) -> Answered<String>;
}

fn look_up<P, R>(
    component: &Component,
    interface: &str,
    function: &str,
    missing: &mut Vec<String>,
) -> Result<Option<ComponentExportIndex>, LoadError>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let instance_name = format!("trunnion:connector/{interface}@1.0.0");
    let Some(instance) = component.get_export_index(None, &instance_name) else {
        missing.push(format!("{interface}.{function}"));
        return Ok(None);
    };
    match component.get_export(Some(&instance), function) {
        Some((ComponentItem::ComponentFunc(found), index)) => {
            fits::<P, R>(component, &found).map_err(|error| LoadError::WrongExport {
                export: format!("{interface}.{function}"),
                message: format!("{error:#}"),
            })?;
            Ok(Some(index))
        }
        _ => {
            missing.push(format!("{interface}.{function}"));
            Ok(None)
        }
    }
}

fn fits<P, R>(component: &Component, found: &ComponentFunc) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    found.typecheck::<P, R>(&component.component_type().instance_type())
}
