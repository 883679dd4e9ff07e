//! A call of a published function in a request: the function found, its inputs checked.

use super::{
    Rejected,
    lookup::{Intake, Sight},
};
use crate::{
    functions::Call,
    json::{Faults, Path},
    packages::FunctionReference,
};
use mecapy_model::{Code, Fault, UploadId, Warning};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// A call that fits.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) call: Call,
    /// Pinned to a version.
    pub(super) code: Code,
    /// As the guest gets them.
    pub(super) inputs: Box<RawValue>,
    /// Conditions of the function that don't hold and are only told.
    pub(super) warnings: Vec<Warning>,
}

impl Intake<'_> {
    /// Adds a fault where there is no such function, for this viewer.
    pub(super) async fn check_function(
        &self,
        reference: &FunctionReference,
        faults: &mut Faults,
    ) -> Result<Option<Call>, Rejected> {
        if self.sight == Sight::Pinned
            && let Some(call) = self.functions.pinned(&reference.to_string()).await?
        {
            return Ok(Some(call));
        }
        match self.functions.find(self.viewer, reference).await? {
            Ok(call) => Ok(Some(call)),
            Err(missing) => {
                let root = Path::Root;
                let code = root.key("code");
                faults.at(code.key("function"), "unknown_function", missing.to_string());
                Ok(None)
            }
        }
    }

    /// Finds the function and checks the inputs against it; what is wrong are faults, and `None` is the answer.
    pub(super) async fn call(
        &self,
        reference: &FunctionReference,
        inputs: &str,
        files: &BTreeMap<String, UploadId>,
        faults: &mut Faults,
    ) -> Result<Option<Called>, Rejected> {
        let Some(call) = self.check_function(reference, faults).await? else { return Ok(None) };
        // Inputs that are no object are a fault already.
        let (Some(code), Ok(given)) = (call.code(), serde_json::from_str::<&RawValue>(inputs)) else { return Ok(None) };
        if !inputs.trim_start().starts_with('{') {
            return Ok(None);
        }
        let names: BTreeSet<&str> = files.keys().map(String::as_str).collect();
        match call.inputs(given, &names) {
            Ok(checked) => Ok(Some(Called { call, code, inputs: checked.values, warnings: checked.flags })),
            Err(found) => {
                found.into_iter().for_each(|fault: Fault| faults.add(fault));
                Ok(None)
            }
        }
    }
}
