//! The log of a pod as it grows, each line once, over connections that may break.

use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, LogParams};

use crate::asked::Asked;
use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::job::JobName;
use crate::job::template::CONTAINER;

/// Bytes of a line that are shown; more are cut.
const LINE: usize = 16 << 10;
/// Bytes of a line that are taken at once; what goes on is the next one.
const MOST_OF_A_LINE: u64 = 1 << 20;

/// How far the log of a pod has been read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The pod.
    pub(super) pod: String,
    /// Time of the last line.
    last: Option<Timestamp>,
    /// The log was read to its end.
    pub(super) is_done: bool,
}

impl Reading {
    /// Of a log that nothing was read of yet.
    pub(super) fn of(pod: &str) -> Reading {
        Reading {
            pod: pod.to_owned(),
            ..Reading::default()
        }
    }

    /// The text of `line`, which begins with a time; nothing for one that came before.
    pub(super) fn take(&mut self, line: &str) -> Option<String> {
        let (time, text) = line.split_once(' ').unwrap_or((line, ""));
        // The server cuts the time that it is asked for to the second, and says lines of that second again.
        let Ok(time) = time.parse::<Timestamp>() else {
            return Some(line.to_owned());
        };
        if self.last.is_some_and(|last| time <= last) {
            return None;
        }
        self.last = Some(time);
        let end = text.floor_char_boundary(LINE);
        Some(text[..end].to_owned())
    }
}

impl Cluster {
    /// The log of a pod from where `reading` is, to be followed.
    pub(super) async fn open_log(
        &self,
        job: &JobName,
        reading: &Reading,
    ) -> Result<impl AsyncBufRead + use<>, ClusterError> {
        let params = LogParams {
            container: Some(CONTAINER.to_owned()),
            follow: true,
            timestamps: true,
            since_time: reading.last,
            ..LogParams::default()
        };
        let pods: Api<Pod> = Api::namespaced(self.reach.streams.clone(), &job.namespace);
        let asked = self.log_of(job, &reading.pod);
        self.reach
            .once(&asked, pods.log_stream(&reading.pod, &params))
            .await
    }

    /// The whole log of the pod `pod`, of at most `most` bytes.
    pub(super) async fn whole_log(
        &self,
        job: &JobName,
        pod: &str,
        most: i64,
    ) -> Result<String, ClusterError> {
        let params = LogParams {
            container: Some(CONTAINER.to_owned()),
            limit_bytes: Some(most),
            ..LogParams::default()
        };
        let pods: Api<Pod> = Api::namespaced(self.reach.client.clone(), &job.namespace);
        self.reach
            .ask(&self.log_of(job, pod), || pods.logs(pod, &params))
            .await
    }

    fn log_of(&self, job: &JobName, pod: &str) -> Asked {
        Asked {
            name: Some(pod.to_owned()),
            ..self.of(job, "get", "", "pods/log")
        }
    }
}

/// The next line of `log`; nothing at its end or when the connection breaks.
pub(super) async fn next_line(log: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    // What has no end must not fill the memory.
    match log.take(MOST_OF_A_LINE).read_until(b'\n', &mut bytes).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(
            String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\n', '\r'])
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_comes_again_is_not_shown_again() {
        let mut reading = Reading::of("p");
        let first = "2026-11-26T00:00:01.000000001Z one";
        assert_eq!(reading.take(first).as_deref(), Some("one"));
        assert_eq!(reading.take(first), None);
        assert_eq!(
            reading
                .take("2026-11-26T00:00:01.000000002Z two words")
                .as_deref(),
            Some("two words")
        );
        assert_eq!(
            reading.take("2026-11-26T00:00:02.000000000Z ").as_deref(),
            Some("")
        );
    }
}
