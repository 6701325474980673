//! What a figure depends on besides the program: the machine, the threads, this version.

use serde_json::{Map, Value, json};

/// Ticks per second of `/proc/self/stat`, the same on every Linux.
const TICKS: f64 = 100.0;

/// Version, system, processor and threads, with what is known of each.
pub fn described() -> Map<String, Value> {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let facts = [
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        (
            "built",
            json!(if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            }),
        ),
        (
            "system",
            json!(format!(
                "{} {}",
                std::env::consts::OS,
                std::env::consts::ARCH
            )),
        ),
        ("processor", json!(processor())),
        ("instructions", json!(instructions().join(" "))),
        ("cores", json!(cores)),
        ("threads", json!(rayon::current_num_threads())),
    ];
    facts
        .map(|(name, fact)| (name.to_owned(), fact))
        .into_iter()
        .collect()
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The vector instructions that matter to the kernels.
fn instructions() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let known = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let known = [("neon", cfg!(target_feature = "neon"))];
    let there = known.into_iter().filter(|(_, there)| *there);
    there.map(|(name, _)| name).collect()
}

/// Seconds that all threads of this process have computed; `None` where the system does not tell.
pub fn busy_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may hold spaces.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// The most memory that this process has had at once, in bytes; `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
