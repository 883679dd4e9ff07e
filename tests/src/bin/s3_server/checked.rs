//! A request's body that is checked against the checksums that came with it, before anything is published: `s3s-fs`
//! compares those of an object after it has replaced the old one, and those of a part not at all.

use hyper::body::Bytes;
use s3s::{
    S3Error, TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256},
    dto::{Checksum, StreamingBlob},
    s3_error,
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio_stream::Stream;

/// What a client says of its body.
#[derive(Default)]
pub(crate) struct Claims {
    pub(crate) checksums: Checksum,
    pub(crate) md5: Option<String>,
    /// Where those come that follow the body.
    pub(crate) trailers: Option<TrailingHeaders>,
    /// Names the algorithm of one that follows.
    pub(crate) algorithm: Option<String>,
}

/// Whether a body was found to be another than its client claimed.
#[derive(Clone, Default)]
pub(crate) struct Verdict(Arc<AtomicBool>);

struct Body {
    body: StreamingBlob,
    claims: Claims,
    /// Taken at the end.
    hashers: Option<(ChecksumHasher, Md5)>,
    verdict: Verdict,
}

impl Claims {
    /// The body, which ends in an error where the claims are wrong.
    pub(crate) fn check(self, body: Option<StreamingBlob>) -> (Option<StreamingBlob>, Verdict) {
        let verdict = Verdict::default();
        let hashers = Some((self.hasher(), Md5::new()));
        let checked =
            body.map(|body| StreamingBlob::wrap(Body { body, claims: self, hashers, verdict: verdict.clone() }));
        (checked, verdict)
    }

    fn hasher(&self) -> ChecksumHasher {
        let named = |name: &str| self.algorithm.as_deref() == Some(name);
        let claimed = &self.checksums;
        ChecksumHasher {
            crc32: (claimed.checksum_crc32.is_some() || named("CRC32")).then(Crc32::new),
            crc32c: (claimed.checksum_crc32c.is_some() || named("CRC32C")).then(Crc32c::new),
            sha1: (claimed.checksum_sha1.is_some() || named("SHA1")).then(Sha1::new),
            sha256: (claimed.checksum_sha256.is_some() || named("SHA256")).then(Sha256::new),
            crc64nvme: (claimed.checksum_crc64nvme.is_some() || named("CRC64NVME")).then(Crc64Nvme::new),
        }
    }

    fn are_true(&self, found: &Checksum, md5: &[u8]) -> bool {
        let claimed = &self.checksums;
        let pairs = [
            ("x-amz-checksum-crc32", &claimed.checksum_crc32, &found.checksum_crc32),
            ("x-amz-checksum-crc32c", &claimed.checksum_crc32c, &found.checksum_crc32c),
            ("x-amz-checksum-sha1", &claimed.checksum_sha1, &found.checksum_sha1),
            ("x-amz-checksum-sha256", &claimed.checksum_sha256, &found.checksum_sha256),
            ("x-amz-checksum-crc64nvme", &claimed.checksum_crc64nvme, &found.checksum_crc64nvme),
        ];
        let followed = |name: &str| {
            let value = self.trailers.as_ref()?.read(|trailers| trailers.get(name).cloned())??;
            value.to_str().ok().map(str::to_owned)
        };
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, md5);
        self.md5.as_ref().is_none_or(|claimed| *claimed == encoded)
            && pairs.into_iter().all(|(name, claimed, found)| {
                let claimed = claimed.clone().or_else(|| followed(name));
                claimed.is_none() || claimed == *found
            })
    }
}

impl Verdict {
    /// What to answer instead of the error that the body ended in.
    pub(crate) fn explain(&self, error: S3Error) -> S3Error {
        if self.0.load(Ordering::Relaxed) {
            s3_error!(BadDigest, "The checksum that you specified did not match what was received.")
        } else {
            error
        }
    }
}

impl Stream for Body {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match ready!(Pin::new(&mut self.body).poll_next(context)) {
            Some(Ok(bytes)) => {
                if let Some((checksums, md5)) = &mut self.hashers {
                    checksums.update(&bytes);
                    md5.update(&bytes);
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(io::Error::other(error)))),
            None => {
                let hashers = self.hashers.take();
                let as_claimed =
                    hashers.is_none_or(|(checksums, md5)| self.claims.are_true(&checksums.finalize(), &md5.finalize()));
                if as_claimed {
                    return Poll::Ready(None);
                }
                self.verdict.0.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err(io::Error::other("the checksum is wrong"))))
            }
        }
    }
}
