//! Private memory of a live sandbox: the kernel's account of the server with few and with many NumPy previews alive.

use crate::{
    http::{Call, Endpoint},
    server::{Memory, Server},
};
use anyhow::{Result, ensure};
use mecapy_tests::python;
use std::time::Duration;

const SOURCE: &str = "import time\nimport numpy as np\n\
                      x = np.linalg.solve([[4.0, 1, 0], [1, 3, 1], [0, 1, 2]], [9.0, 10, 7])\n\
                      time.sleep(2)\nresult = float(x.sum())";
/// One live sandbox is not enough: what the process pays once must not count.
const FEW: usize = 4;
const MANY: usize = 20;
/// All have computed by then, and none has ended.
const LOOK_AFTER: Duration = Duration::from_millis(1200);

/// Bytes for each live sandbox beyond the first few, of a server started for this.
pub(crate) async fn per_sandbox() -> Result<Memory> {
    let server = Server::start(&[("MECAPY_PREVIEW_THREADS", "64"), ("MECAPY_PREVIEW_PER_TENANT_MAX", "64")]).await?;
    let few = alive(&server, FEW).await?;
    let many = alive(&server, MANY).await?;
    let each = |few: u64, many: u64| many.saturating_sub(few) / (MANY - FEW) as u64;
    Ok(Memory { private: each(few.private, many.private), page_tables: each(few.page_tables, many.page_tables) })
}

/// The server's memory while so many sandboxes live.
async fn alive(server: &Server, count: usize) -> Result<Memory> {
    let call = Call::post("/v1/preview", &python(SOURCE));
    let running: Vec<_> = (0..count).map(|_| tokio::spawn(preview(server.endpoint().clone(), call.clone()))).collect();
    tokio::time::sleep(LOOK_AFTER).await;
    let ended = running.iter().filter(|preview| preview.is_finished()).count();
    ensure!(ended == 0, "{ended} of {count} previews ended early");
    let memory = server.memory()?;
    for preview in running {
        preview.await??;
    }
    Ok(memory)
}

async fn preview(endpoint: Endpoint, call: Call) -> Result<()> {
    let reply = endpoint.connect().await?.exchange(&call).await?;
    ensure!(reply.completed(), "a preview failed: {} {}", reply.status, reply.text());
    Ok(())
}
