//! Identifiers: UUIDv7 newtypes, so that one noun's id can't stand in for another's.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A UUIDv7 from a Unix time in milliseconds and ten random bytes.
            pub fn from_parts(unix_ms: u64, random: &[u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, random).into_uuid())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(/// One request to compute.
    TaskId);
id!(/// A company: the owner of rows.
    TenantId);
id!(/// A file that a user sent.
    UploadId);
id!(/// A local API key (not its secret).
    ApiKeyId);
id!(/// A URL that a tenant's events are sent to.
    WebhookId);
id!(/// One event on its way to one URL.
    DeliveryId);
id!(/// Something that a tenant is told of.
    EventId);
id!(/// Many items of one computation, submitted and watched together.
    BatchId);
id!(/// A graph of nodes, in all its versions.
    WorkflowId);
id!(/// One execution of a workflow.
    RunId);
id!(/// What belongs to one engineering question.
    StudyId);
id!(/// A time table that starts tasks or workflows.
    ScheduleId);
