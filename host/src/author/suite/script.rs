//! The vendor of the suite: answers as the scene says, and remembers what it was asked.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::scene::{EMPTY_OBJECT, Scene};
use crate::author::vendor::{Asked, Play, Said};

/// The vendor.
#[derive(Debug)]
pub(super) struct Script {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    scene: Answering,
    asked: Vec<Asked>,
}

/// How it answers now.
#[derive(Clone, Debug)]
enum Answering {
    As(Scene),
    With(Value),
}

impl Default for Script {
    fn default() -> Self {
        Self { state: Mutex::new(State { scene: Answering::As(EMPTY_OBJECT), asked: Vec::new() }) }
    }
}

impl Script {
    /// Answers so from now on, and forgets what it was asked.
    pub(super) fn set(&self, scene: Scene) {
        *self.state() = State { scene: Answering::As(scene), asked: Vec::new() };
    }

    /// Answers everything with this document, and forgets what it was asked.
    pub(super) fn set_document(&self, document: Value) {
        *self.state() = State { scene: Answering::With(document), asked: Vec::new() };
    }

    /// What it was asked since.
    pub(super) fn take_asked(&self) -> Vec<Asked> {
        mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn says(&self, asked: Asked) -> Said {
        let mut state = self.state();
        let said = match &state.scene {
            Answering::As(scene) => said(*scene, &asked),
            Answering::With(document) => {
                answer(200, &[("content-type", "application/json")], document.to_string())
            }
        };
        state.asked.push(asked);
        said
    }
}

impl Play for Script {
    fn answer(&self, asked: Asked) -> BoxFuture<'_, Said> {
        let said = self.says(asked);
        Box::pin(async move { said })
    }
}

fn said(scene: Scene, asked: &Asked) -> Said {
    match scene {
        Scene::Silence => Said::Silence,
        Scene::Status { status, headers, body } => answer(status, headers, body),
        Scene::Echo => {
            let headers: Vec<String> =
                asked.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let text = format!(
                "{} {} {} {}",
                asked.method,
                asked.path,
                headers.join(" | "),
                String::from_utf8_lossy(&asked.body)
            );
            answer(400, &[("content-type", "application/json")], json!({ "message": text }).to_string())
        }
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Said {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Said::Answer { status, headers, body: body.into() }
}
