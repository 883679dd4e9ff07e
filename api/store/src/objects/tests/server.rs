//! An S3 server in this process, over a temporary folder, that can be told to misbehave.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output, MultipartUpload, PutObjectInput,
    PutObjectOutput, StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
};
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(super) const BUCKET: &str = "mecapy-test";
pub(super) const ACCESS_KEY: &str = "AKIATESTTESTTEST";
pub(super) const SECRET_KEY: &str = "a-secret-that-no-error-may-name";
/// Longer than any test waits for.
const FOR_EVER: Duration = Duration::from_secs(600);

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Fine,
    /// Answers so many requests with 503.
    Busy(u32),
    /// Answers nothing.
    Silent,
    /// Ends an object's bytes in the middle.
    BreaksOff,
    /// Puts an object together and answers that nothing was begun, as to a second try whose first answer was lost.
    Forgetful,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) folder: TempDir,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    mood: Mutex<Mood>,
    /// Key, upload id and time of what was begun in parts.
    begun: Mutex<Vec<(String, String, SystemTime)>>,
}

#[derive(Debug)]
struct Shop {
    files: FileSystem,
    state: Arc<State>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let state = Arc::new(State { mood: Mutex::new(Mood::Fine), begun: Mutex::default() });
        let files = FileSystem::new(folder.path()).unwrap();
        let mut service = S3ServiceBuilder::new(Shop { files, state: Arc::clone(&state) });
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { url, folder, state, accepting }
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    /// What was begun in parts and neither completed nor aborted.
    pub(super) fn unfinished(&self) -> usize {
        self.state.begun.lock().unwrap().len()
    }

    /// The file that the server keeps an object in.
    pub(super) fn file(&self, full_key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(full_key)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shop {
    async fn greet(&self) -> S3Result<Mood> {
        let mood = {
            let mut mood = self.state.mood.lock().unwrap();
            let now = *mood;
            match now {
                Mood::Busy(0) => *mood = Mood::Fine,
                Mood::Busy(left) => *mood = Mood::Busy(left - 1),
                _ => {}
            }
            now
        };
        match mood {
            Mood::Busy(1..) => Err(s3_error!(SlowDown)),
            Mood::Silent => {
                tokio::time::sleep(FOR_EVER).await;
                Err(s3_error!(InternalError))
            }
            mood => Ok(mood),
        }
    }

    fn forget(&self, upload: &str) {
        self.state.begun.lock().unwrap().retain(|(_, begun, _)| begun != upload);
    }
}

#[async_trait::async_trait]
impl S3 for Shop {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.greet().await?;
        self.files.put_object(request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let mood = self.greet().await?;
        let mut answer = self.files.get_object(request).await?;
        if mood == Mood::BreaksOff {
            answer.output.body = Some(StreamingBlob::from(Body::from("only this".to_owned())));
        }
        Ok(answer)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.greet().await?;
        self.files.head_object(request).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.greet().await?;
        self.files.delete_object(request).await
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.greet().await?;
        self.files.delete_objects(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.greet().await?;
        self.files.list_objects_v2(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.greet().await?;
        let key = request.input.key.clone();
        let answer = self.files.create_multipart_upload(request).await?;
        let upload = answer.output.upload_id.clone().unwrap();
        self.state.begun.lock().unwrap().push((key, upload, super::clock().now().into()));
        Ok(answer)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.greet().await?;
        if request.input.checksum_sha256.is_none() {
            return Err(s3_error!(InvalidRequest, "a part without its checksum"));
        }
        self.files.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let mood = self.greet().await?;
        let upload = request.input.upload_id.clone();
        let parts = request.input.multipart_upload.as_ref().and_then(|all| all.parts.clone()).unwrap_or_default();
        if parts.iter().any(|part| part.checksum_sha256.is_none() || part.e_tag.is_none()) {
            return Err(s3_error!(InvalidPart, "a part without its checksum"));
        }
        let answer = self.files.complete_multipart_upload(request).await?;
        self.forget(&upload);
        if mood == Mood::Forgetful { Err(s3_error!(NoSuchUpload)) } else { Ok(answer) }
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.greet().await?;
        let upload = request.input.upload_id.clone();
        let answer = self.files.abort_multipart_upload(request).await?;
        self.forget(&upload);
        Ok(answer)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.greet().await?;
        let prefix = request.input.prefix.unwrap_or_default();
        let begun = self.state.begun.lock().unwrap().clone();
        let shown = begun.into_iter().filter(|(key, ..)| key.starts_with(&prefix)).map(|(key, upload, at)| {
            let initiated = Some(Timestamp::from(at));
            MultipartUpload { key: Some(key), upload_id: Some(upload), initiated, ..MultipartUpload::default() }
        });
        let uploads = Some(shown.collect());
        Ok(S3Response::new(ListMultipartUploadsOutput { uploads, ..ListMultipartUploadsOutput::default() }))
    }
}
