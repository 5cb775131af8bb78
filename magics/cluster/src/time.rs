//! Times as Kubernetes writes them.

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The same moment as chrono has it.
pub(crate) fn utc(time: &Time) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.0.as_second(), 0)
}

/// A moment in the form of RFC 3339.
pub(crate) fn read(text: &str) -> Option<DateTime<Utc>> {
    let read = DateTime::parse_from_rfc3339(text).ok()?;
    Some(read.with_timezone(&Utc))
}
