//! What builds a model that is not one of the built-in kinds.

use std::fmt;
use std::sync::Arc;

use super::Scenario;
use crate::models::{DataShape, Model};
use crate::{Error, Result};

type Build = dyn Fn(&Scenario, DataShape) -> Result<Box<dyn Model>> + Send + Sync;

/// A function of the user's program, where it gave one. It is no part of what the scenario says: scenarios with different
/// functions are equal.
#[derive(Clone, Default)]
pub(super) struct ModelBuilder(Option<Arc<Build>>);

impl ModelBuilder {
    pub fn new(
        build: impl Fn(&Scenario, DataShape) -> Result<Box<dyn Model>> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(build)))
    }

    pub fn build(
        &self,
        scenario: &Scenario,
        name: &str,
        data: DataShape,
    ) -> Result<Box<dyn Model>> {
        let Some(build) = &self.0 else {
            return Err(Error::input(
                format!("model '{name}'"),
                "it is a custom model, which only the program that trained it can build",
                "use that program, which gives the model to the scenario with Scenario::with_model",
            ));
        };
        build(scenario, data)
    }
}

impl fmt::Debug for ModelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(..)" } else { "None" })
    }
}

impl PartialEq for ModelBuilder {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
