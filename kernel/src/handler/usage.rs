//! `usage_request`: what the kernel and its processes use of the machine, as ipykernel tells it and JupyterLab shows it.

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};

use crate::kernel::{Kernel, locked};
use crate::outbox::object;
use crate::wire::Object;

/// Clock ticks of a second in `/proc`, the same on every Linux; see proc(5).
const TICKS: f64 = 100.0;

/// Processor time at the last question, in seconds, and when that was.
static LAST: Mutex<Option<(f64, Instant)>> = Mutex::new(None);

/// Memory in bytes, processor time in per cent of one core since the last question.
pub(crate) fn reply(kernel: &Kernel) -> Object {
    let processes: Vec<u32> = [Some(std::process::id()), kernel.language.process_id()]
        .into_iter()
        .flatten()
        .collect();
    let memory: u64 = processes.iter().filter_map(|&id| resident(id)).sum();
    let time: f64 = processes.iter().filter_map(|&id| processor_time(id)).sum();
    let now = Instant::now();
    let before = locked(&LAST).replace((time, now));
    let share = before.map(|(earlier, then)| {
        100.0 * (time - earlier).max(0.0) / now.duration_since(then).as_secs_f64().max(1e-3)
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    object(json!({
        "hostname": std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default(),
        "pid": std::process::id(),
        "kernel_cpu": share.unwrap_or(0.0),
        "kernel_memory": memory,
        "cpu_count": cores,
        "host_virtual_memory": host_memory(),
    }))
}

fn resident(id: u32) -> Option<u64> {
    let status =
        std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kibibytes(line)? * 1024)
}

fn processor_time(id: u32) -> Option<f64> {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat")).ok()?;
    let words: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u64 = [11, 12]
        .iter()
        .filter_map(|&at| words.get(at)?.parse::<u64>().ok())
        .sum();
    Some(ticks as f64 / TICKS)
}

fn host_memory() -> Value {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let of = |name: &str| {
        info.lines()
            .find_map(|line| kibibytes(line.strip_prefix(name)?))
            .unwrap_or(0)
            * 1024
    };
    let (total, available) = (of("MemTotal:"), of("MemAvailable:"));
    let used = total.saturating_sub(available);
    json!({
        "total": total, "available": available, "used": used, "free": of("MemFree:"),
        "percent": if total == 0 { 0.0 } else { 100.0 * used as f64 / total as f64 },
    })
}

fn kibibytes(text: &str) -> Option<u64> {
    text.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        if Path::new("/proc/self/status").exists() {
            assert!(resident(std::process::id()).unwrap() > 1 << 20);
            assert!(processor_time(std::process::id()).is_some());
            assert!(host_memory()["total"].as_u64().unwrap() > 0);
        }
    }
}
