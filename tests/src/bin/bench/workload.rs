//! What is computed: the same few computations for the platform and for its peers, each with a check of its answer.

use crate::http::{Call, Connection};
use anyhow::{Context, Result, ensure};
use mecapy_tests::{fixture_path, guest_wasm, merge, python, wasm};
use serde_json::{Value, json};
use std::fs;

const EXPRESSION: &str = "import numpy, scipy\nresult = inputs['x'] + inputs['y']";
const SOLVE: &str = "import numpy as np\nresult = np.linalg.solve(inputs['a'], inputs['b'])";

/// One computation as a preview.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) preview: Call,
    check: fn(&Value) -> Option<bool>,
    /// The same as a program for a native interpreter, where there is one.
    pub(crate) native: Option<String>,
}

impl Workload {
    /// `x + y`, with NumPy and SciPy imported.
    pub(crate) fn expression() -> Self {
        let native = "import numpy, scipy.linalg; x, y = 2.5, 40; print(x + y)";
        Self {
            name: "expression",
            label: "expression, numpy + scipy imported",
            preview: Call::post("/v1/preview", &expression_body()),
            check: |result| Some(result.get("result")?.as_f64()? == 42.5),
            native: Some(native.to_owned()),
        }
    }

    /// Three equations.
    pub(crate) fn solve() -> Self {
        let mut body = python(SOLVE);
        merge(&mut body, json!({"inputs": {"a": [[4, 1, 0], [1, 3, 1], [0, 1, 2]], "b": [9, 10, 7]}}));
        let native = "import numpy as np, scipy.linalg; \
                      print(np.linalg.solve([[4, 1, 0], [1, 3, 1], [0, 1, 2]], [9, 10, 7]).tolist())";
        Self {
            name: "solve",
            label: "3x3 numpy.linalg.solve",
            preview: Call::post("/v1/preview", &body),
            check: |result| {
                // Exactly 16/9, 17/9 and 23/9 by Cramer's rule: the determinant is 18.
                let expected = [32.0 / 18.0, 34.0 / 18.0, 46.0 / 18.0];
                let found = result.get("result")?.as_array()?;
                let close = found.iter().zip(expected).all(|(x, y)| x.as_f64().is_some_and(|x| (x - y).abs() < 1e-12));
                Some(close && found.len() == expected.len())
            },
            native: Some(native.to_owned()),
        }
    }

    /// The fixture's bridge by scipy.sparse, without its figure.
    pub(crate) fn truss() -> Result<Self> {
        let source = fs::read_to_string(fixture_path("engineering/truss/task.py")?)?;
        let inputs = fs::read_to_string(fixture_path("engineering/truss/inputs.json")?)?;
        let mut inputs: Value = serde_json::from_str(&inputs)?;
        merge(&mut inputs, json!({"figure": false}));
        let mut body = python(&source);
        merge(&mut body, json!({"inputs": inputs}));
        let text = serde_json::to_string(&inputs.to_string())?;
        let native = format!("{source}\n\nimport json\nprint(json.dumps(main(**json.loads({text}))))\n");
        Ok(Self {
            name: "truss",
            label: "plane truss, scipy.sparse",
            preview: Call::post("/v1/preview", &body),
            check: |result| {
                Some((result.get("max_displacement_mm")?.as_f64()? / 27.762_940_066_938_82 - 1.0).abs() < 1e-8)
            },
            native: Some(native),
        })
    }

    /// A compensated sum by a C program, uploaded over this connection.
    pub(crate) async fn module(connection: &mut Connection) -> Result<Self> {
        let body = module_body(connection).await?;
        Ok(Self {
            name: "module",
            label: "WASI module (C, a sum)",
            preview: Call::post("/v1/preview", &body),
            check: |result| Some(result.get("sum")?.as_f64()? == 1003.0),
            native: None,
        })
    }

    /// Computes once and compares the result with what it must be.
    pub(crate) async fn verify(&self, connection: &mut Connection) -> Result<()> {
        let answer = connection.json(&self.preview).await?;
        let right = answer.get("result").and_then(self.check).unwrap_or(false);
        ensure!(right, "{}: wrong answer {answer}", self.label);
        Ok(())
    }
}

/// The expression as a body for previews and tasks.
pub(crate) fn expression_body() -> Value {
    let mut body = python(EXPRESSION);
    merge(&mut body, json!({"inputs": {"x": 2.5, "y": 40}}));
    body
}

/// The sum as a body for previews and tasks; uploads its module.
pub(crate) async fn module_body(connection: &mut Connection) -> Result<Value> {
    let upload = Call::post_bytes("/v1/modules", "application/wasm", guest_wasm("sum.wasm")?);
    let uploaded = connection.json(&upload).await?;
    let digest = uploaded.get("module").and_then(Value::as_str).context("the upload has no digest")?;
    let mut body = wasm(digest);
    merge(&mut body, json!({"inputs": {"values": [1.5, 2.5, -1, 1000.0]}}));
    Ok(body)
}
