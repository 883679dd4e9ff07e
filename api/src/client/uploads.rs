//! Sends input files and modules, and says how far it is.

use super::{Client, ClientError, ModuleAnswer, UploadAnswer};
use mecapy_model::{ArtifactName, UploadId};
use reqwest::{Body, Method, header, multipart};
use std::{path::Path, sync::Arc, time::Duration};
use tokio_stream::StreamExt;
use tokio_util::io::ReaderStream;

/// The slowest upload that is waited for; a server has its own limit on silence.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(3_600);
/// Validating and compiling a module takes seconds at most.
const MODULE_TIMEOUT: Duration = Duration::from_secs(120);
const CHUNK_BYTES: usize = 256 << 10;

/// Told the bytes of each chunk as it is handed to the network.
pub(crate) type BytesSent = Arc<dyn Fn(u64) + Send + Sync>;

impl Client {
    /// Sends one file, which is read as it goes.
    pub(crate) async fn upload(
        &self,
        name: &ArtifactName,
        path: &Path,
        sent: BytesSent,
    ) -> Result<UploadId, ClientError> {
        let unreadable = |source| ClientError::File { path: path.display().to_string(), source };
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(unreadable(std::io::Error::other("it is not a file")));
        }
        let chunks = ReaderStream::with_capacity(file, CHUNK_BYTES).map(move |chunk| {
            if let Ok(chunk) = &chunk {
                sent(chunk.len() as u64);
            }
            chunk
        });
        let part = multipart::Part::stream_with_length(Body::wrap_stream(chunks), metadata.len());
        let form = multipart::Form::new().part("file", part.file_name(name.as_str().to_owned()));
        let request = self.request(Method::POST, "/v1/uploads").multipart(form).timeout(UPLOAD_TIMEOUT);
        Ok(self.answer::<UploadAnswer>(request).await?.value.upload_id)
    }

    /// Sends a WASI module.
    pub(crate) async fn upload_module(&self, wasm: Vec<u8>) -> Result<ModuleAnswer, ClientError> {
        let request = self.request(Method::POST, "/v1/modules").header(header::CONTENT_TYPE, "application/wasm");
        Ok(self.answer::<ModuleAnswer>(request.body(wasm).timeout(MODULE_TIMEOUT)).await?.value)
    }
}
