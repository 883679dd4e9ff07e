//! An HTTP answer, and what tests say of it.

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A whole answer: status, headers and body.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    /// Reads the whole of a response.
    pub async fn of(response: reqwest::Response) -> Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, bytes: response.bytes().await?.to_vec() })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.bytes).with_context(|| format!("not JSON: {}", self.text()))
    }

    /// Refuses another status than `expected`, and shows the body.
    pub fn expect(self, expected: u16) -> Result<Self> {
        ensure!(self.status == expected, "{} instead of {expected}: {}", self.status, self.text());
        Ok(self)
    }

    /// The value at a JSON pointer, which must exist.
    pub fn at(&self, pointer: &str) -> Result<Value> {
        let json = self.json()?;
        json.pointer(pointer).cloned().with_context(|| format!("nothing at {pointer} in {json}"))
    }

    /// The text at a JSON pointer.
    pub fn str_at(&self, pointer: &str) -> Result<String> {
        let value = self.at(pointer)?;
        value.as_str().map(str::to_owned).with_context(|| format!("no text at {pointer} but {value}"))
    }

    /// The number at a JSON pointer.
    pub fn f64_at(&self, pointer: &str) -> Result<f64> {
        let value = self.at(pointer)?;
        value.as_f64().with_context(|| format!("no number at {pointer} but {value}"))
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Checks the one error envelope (RFC 9457) with its status; `/errors` is a list of faults.
    pub fn expect_problem(self, status: u16) -> Result<Self> {
        let answer = self.expect(status)?;
        let kind = answer.header("content-type").unwrap_or_default();
        ensure!(kind.starts_with("application/problem+json"), "an error of type {kind:?}: {}", answer.text());
        let json = answer.json()?;
        for field in ["type", "title", "detail"] {
            ensure!(json.get(field).is_some_and(Value::is_string), "no {field} in {json}");
        }
        ensure!(json.get("status").and_then(Value::as_u64) == Some(u64::from(status)), "another status in {json}");
        let faults = json.get("errors").and_then(Value::as_array).with_context(|| format!("no errors in {json}"))?;
        for fault in faults {
            for field in ["pointer", "code", "message"] {
                ensure!(fault.get(field).is_some_and(Value::is_string), "no {field} in the fault {fault}");
            }
        }
        Ok(answer)
    }

    /// A 422 that has a fault at `pointer`; answers that fault.
    pub fn expect_fault(self, pointer: &str) -> Result<Value> {
        let answer = self.expect_problem(422)?;
        let json = answer.json()?;
        let faults = json.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        let found = faults.iter().find(|fault| fault.get("pointer").and_then(Value::as_str) == Some(pointer));
        match found {
            Some(fault) => Ok(fault.clone()),
            None => bail!("no fault at {pointer:?} but {json}"),
        }
    }

    /// A 422 that says `code` at `pointer`.
    pub fn expect_fault_code(self, pointer: &str, code: &str) -> Result<Value> {
        let fault = self.expect_fault(pointer)?;
        ensure!(fault.get("code").and_then(Value::as_str) == Some(code), "not {code}: {fault}");
        Ok(fault)
    }

    /// A finished computation that failed with this `error.kind`.
    pub fn expect_error_kind(self, kind: &str) -> Result<Self> {
        let answer = self.expect(200)?;
        let found = answer.at("/error")?;
        ensure!(found.get("kind").and_then(Value::as_str) == Some(kind), "not {kind}: {found}");
        ensure!(answer.str_at("/state")? == if kind == "cancelled" { "cancelled" } else { "failed" });
        Ok(answer)
    }

    /// A finished computation with this result.
    pub fn expect_result(self, expected: &Value) -> Result<Self> {
        let answer = self.expect_completed()?;
        let found = answer.at("/result")?;
        ensure!(&found == expected, "{found} instead of {expected}");
        Ok(answer)
    }

    /// A finished computation without an error.
    pub fn expect_completed(self) -> Result<Self> {
        let answer = self.expect(200)?;
        ensure!(answer.str_at("/state")? == "completed", "not completed: {}", answer.text());
        Ok(answer)
    }
}
