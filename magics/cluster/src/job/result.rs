//! What a run left behind, as it stands in the log of its pod.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cluster::Cluster;
use crate::error::ClusterError;
use crate::job::{JobName, JobResult, ResultFile};

/// Bytes of a log that are read.
const MOST: i64 = 32 << 20;
/// Bytes that all files may have when they are unpacked.
const MOST_UNPACKED: usize = 256 << 20;

impl Cluster {
    /// The files that `job` left, whether it succeeded or not; they are there as long as its pod is.
    pub fn result(
        &self,
        job: &JobName,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<JobResult, ClusterError> {
        self.wait(stop, async {
            let Some(pod) = self.newest_pod(job).await? else {
                return Err(ClusterError::NotFound {
                    what: format!("pod of job `{job}` any more, hence no result"),
                });
            };
            let log = self.whole_log(job, &pod.name, MOST).await?;
            files(&log, &pod.uid)
        })
    }
}

/// What a line of a log is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Text of the notebook.
    Text,
    /// A file with that name begins.
    Begin(&'a str),
    /// The file ends.
    End,
    /// A file with that name is too big for a log.
    TooBig(&'a str),
    /// There are no more files.
    Done,
}

/// What `line` of the pod `uid` is.
pub(super) fn what_is<'a>(line: &'a str, uid: &str) -> Line<'a> {
    let mark = line
        .strip_prefix("::mlk8s ")
        .and_then(|rest| rest.strip_prefix(uid));
    let Some(mark) = mark.filter(|_| !uid.is_empty()) else {
        return Line::Text;
    };
    match mark.trim_start().split_once(' ') {
        Some(("begin", name)) => Line::Begin(name),
        Some(("big", name)) => Line::TooBig(name),
        _ if mark == " end" => Line::End,
        _ if mark == " done" => Line::Done,
        _ => Line::Text,
    }
}

/// The files in `log` of the pod `uid`.
fn files(log: &str, uid: &str) -> Result<JobResult, ClusterError> {
    let mut files: Vec<ResultFile> = Vec::new();
    let mut room = MOST_UNPACKED;
    let mut open: Option<(String, String)> = None;
    let mut is_done = false;
    let mut too_big = Vec::new();
    for line in log.lines() {
        match (what_is(line, uid), &mut open) {
            (Line::Begin(name), _) => open = Some((name.to_owned(), String::new())),
            (Line::Text, Some((_, packed))) => packed.push_str(line.trim()),
            (Line::End, _) => {
                if let Some((name, packed)) = open.take() {
                    let file = file(name, &packed, room)?;
                    room -= file.bytes.len().min(room);
                    files.push(file);
                }
            }
            (Line::TooBig(name), _) => too_big.push(name.to_owned()),
            (Line::Done, _) => is_done = true,
            (Line::Text, None) => {}
        }
    }
    let damaged = |why: String| ClusterError::Damaged {
        what: "the result in the log".to_owned(),
        why,
    };
    if !is_done {
        return Err(damaged(
            "it does not end; the run was ended before it could write it, or the machine has cut the log (10 MiB is usual)"
                .to_owned(),
        ));
    }
    match (files.is_empty(), too_big.is_empty()) {
        (true, true) => Err(damaged("the run left no files".to_owned())),
        (true, false) => Err(damaged(format!(
            "{} is too big for a log; give the run a volume to keep its result on",
            too_big.join(", ")
        ))),
        (false, _) => Ok(JobResult { files, too_big }),
    }
}

fn file(name: String, packed: &str, room: usize) -> Result<ResultFile, ClusterError> {
    let damaged = |why: String| ClusterError::Damaged {
        what: format!("`{name}` in the log"),
        why,
    };
    // The name comes from the pod, and it will be the name of a file here.
    let is_odd = |part: &str| part == ".." || part.is_empty() || part.contains(char::is_control);
    if name.split('/').any(is_odd) {
        return Err(damaged("that is no name for a file of a result".to_owned()));
    }
    let packed = STANDARD
        .decode(packed)
        .map_err(|error| damaged(error.to_string()))?;
    let bytes = unzip(&packed, room).map_err(|why| damaged(why.to_owned()))?;
    Ok(ResultFile { name, bytes })
}

/// Unpacks what `gzip -n` has packed (RFC 1952): ten bytes, the data, its checksum and length.
fn unzip(packed: &[u8], room: usize) -> Result<Vec<u8>, &'static str> {
    let (head, rest) = packed.split_at_checked(10).ok_or("it is cut off")?;
    let (data, tail) = rest.split_last_chunk::<8>().ok_or("it is cut off")?;
    if !head.starts_with(&[0x1f, 0x8b, 8, 0]) {
        return Err("it is not packed by gzip");
    }
    let bytes = miniz_oxide::inflate::decompress_to_vec_with_limit(data, room)
        .map_err(|_| "it cannot be unpacked")?;
    let [a, b, c, d, ..] = *tail;
    if crc32fast::hash(&bytes) != u32::from_le_bytes([a, b, c, d]) {
        return Err("its checksum is wrong");
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello\n' | gzip -n | base64`.
    const HELLO: &str = "H4sIAAAAAAAAA8tIzcnJ5wIAIDA6NgYAAAA=";

    fn log(lines: &[&str]) -> String {
        lines.join("\n").replace("MARK", "::mlk8s uid-7")
    }

    #[test]
    fn files_are_found_between_their_marks() {
        let log = log(&[
            "text",
            "MARK begin a b/report.html",
            HELLO,
            "MARK end",
            "MARK done",
        ]);
        let files = files(&log, "uid-7").unwrap().files;
        assert_eq!(files.len(), 1);
        assert_eq!(
            (files[0].name.as_str(), files[0].bytes.as_slice()),
            ("a b/report.html", b"hello\n".as_slice())
        );
    }

    #[test]
    fn text_of_a_notebook_is_no_mark() {
        let log = log(&[
            "::mlk8s uid-8 begin x",
            "::mlk8s  begin x",
            "MARK begin a",
            HELLO,
            "MARK end",
            "MARK done",
        ]);
        let left = files(&log, "uid-7").unwrap();
        assert_eq!((left.files.len(), left.too_big.len()), (1, 0));
        assert_eq!(what_is("::mlk8s  begin x", ""), Line::Text);
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let wrong = HELLO.replace("IDA6", "IDA7");
        let cases: [(&[&str], &str); 6] = [
            (&["MARK begin a", HELLO], "does not end"),
            (&["MARK begin a", "MARK end", "MARK done"], "cut off"),
            (
                &["MARK begin a", &wrong, "MARK end", "MARK done"],
                "checksum",
            ),
            (
                &["MARK begin ../a", HELLO, "MARK end", "MARK done"],
                "no name",
            ),
            (&["MARK big a", "MARK done"], "too big"),
            (&["MARK done"], "no files"),
        ];
        for (lines, word) in cases {
            let said = files(&log(lines), "uid-7").unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
