//! `system_info_executor`: says what the machine has, without starting a process.

use std::{fs, path::Path};

use apflow_core::{
    executor::{Context, ExecuteError, Executor, Manifest},
    task::{Failure, FailureKind},
};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

/// The id tasks name it by.
pub const ID: &str = "system_info_executor";

const RESOURCES: [&str; 4] = ["cpu", "memory", "disk", "all"];
const GIB: u64 = 1 << 30;

/// Reads processors, memory and disk of the machine it runs on.
pub struct SystemInfo {
    manifest: Manifest,
}

impl SystemInfo {
    /// The executor; it needs no permission, for it opens nothing but fixed files of the system.
    pub fn new() -> Self {
        let mut manifest =
            Manifest::new(ID, "Says which processors, memory and disk the machine has.");
        "System Info Executor".clone_into(&mut manifest.name);
        manifest.tags = ["stdio", "system", "info", "safe"].map(str::to_owned).to_vec();
        "stdio".clone_into(&mut manifest.family);
        manifest.input_schema = json!({
            "type": "object",
            "properties": {
                "resource": {"enum": RESOURCES, "default": "all", "description": "What to look at."},
                "timeout": {
                    "type": "integer", "minimum": 1, "default": 30,
                    "description": "Accepted for old workflows; nothing here takes that long."
                }
            },
            "additionalProperties": true
        });
        manifest.output_schema = json!({
            "type": "object",
            "description": "The facts of one resource, or of each under its name.",
            "properties": {
                "system": {"type": "string"},
                "brand": {"type": "string"},
                "cores": {"type": "integer"},
                "threads": {"type": "integer"},
                "total": {"type": "string"},
                "total_gb": {"type": "number"},
                "total_bytes": {"type": "integer"},
                "used": {"type": "string"},
                "used_bytes": {"type": "integer"},
                "available": {"type": "string"},
                "available_bytes": {"type": "integer"},
                "used_percent": {"type": "string"},
                "note": {"type": "string", "description": "Why a fact is missing."},
                "cpu": {"type": "object"},
                "memory": {"type": "object"},
                "disk": {"type": "object"},
                "error": {"type": "string"},
                "validation_error": {"type": "string"}
            }
        });
        Self { manifest }
    }
}

impl Default for SystemInfo {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Executor for SystemInfo {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        _: &Context,
    ) -> Result<Value, ExecuteError> {
        let resource = wanted(&inputs).map_err(|why| refused(&self.manifest.name, &why))?;
        Ok(match resource {
            "cpu" => cpu(),
            "memory" => memory(),
            "disk" => disk(),
            _ => json!({"cpu": cpu(), "memory": memory(), "disk": disk()}),
        })
    }
}

fn wanted(inputs: &Map<String, Value>) -> Result<&str, String> {
    match inputs.get("timeout") {
        None | Some(Value::Null) => {}
        Some(timeout) if timeout.as_u64().is_some_and(|seconds| seconds >= 1) => {}
        Some(_) => return Err("timeout must be a whole number of seconds, at least 1".to_owned()),
    }
    match inputs.get("resource") {
        None | Some(Value::Null) => Ok("all"),
        Some(Value::String(name)) if RESOURCES.contains(&name.as_str()) => Ok(name),
        Some(other) => Err(format!(
            "resource is {}, expected one of: {}",
            shortened(&other.to_string()),
            RESOURCES.join(", ")
        )),
    }
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

/// The failure, and beside it the object that legacy clients look into.
fn refused(name: &str, why: &str) -> ExecuteError {
    let error = format!("Input validation failed for {name}: {why}");
    ExecuteError::Permanent {
        result: json!({"error": error, "validation_error": why}),
        failure: Failure::new(FailureKind::InvalidInput, error),
    }
}

/// The name of the system as Python's `platform.system()` words it.
fn system() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "windows" => "Windows",
        other => other,
    }
}

fn cpu() -> Value {
    let mut facts = json!({"system": system()});
    if let Some((brand, threads)) = fs::read_to_string("/proc/cpuinfo").ok().as_deref().map(cpuinfo)
        && threads > 0
    {
        facts["cores"] = json!(threads);
        facts["threads"] = json!(threads);
        if let Some(brand) = brand {
            facts["brand"] = json!(brand);
        }
    } else if let Ok(cores) = std::thread::available_parallelism() {
        facts["cores"] = json!(cores.get());
        facts["note"] = json!("CPU model not available for this system");
    }
    facts
}

/// The model and the number of logical processors in a `/proc/cpuinfo`.
fn cpuinfo(text: &str) -> (Option<String>, usize) {
    let fields = || text.lines().filter_map(|line| line.split_once(':'));
    let brand = fields()
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, value)| value.trim().to_owned());
    (brand, fields().filter(|(key, _)| key.trim() == "processor").count())
}

fn memory() -> Value {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let Some(total) = meminfo(&text, "MemTotal") else {
        return json!({"system": system(), "note": "Memory info not available for this system"});
    };
    let mut facts = json!({
        "system": system(),
        "total": format!("{}i", human(total)),
        "total_gb": gigabytes(total),
        "total_bytes": total,
    });
    if let Some(available) = meminfo(&text, "MemAvailable") {
        facts["available"] = json!(format!("{}i", human(available)));
        facts["available_bytes"] = json!(available);
    }
    facts
}

/// One line of a `/proc/meminfo`, in bytes.
fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

fn disk() -> Value {
    match space(Path::new("/")) {
        Some(space) => space.facts(),
        None => json!({"system": system(), "note": "Disk info not available for this system"}),
    }
}

/// Room on a file system, in bytes.
struct Space {
    total: u64,
    free: u64,
    /// What is free for others than root.
    available: u64,
}

#[cfg(unix)]
fn space(path: &Path) -> Option<Space> {
    let seen = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.checked_mul(seen.f_frsize);
    Some(Space {
        total: bytes(seen.f_blocks)?,
        free: bytes(seen.f_bfree)?,
        available: bytes(seen.f_bavail)?,
    })
}

#[cfg(not(unix))]
fn space(_: &Path) -> Option<Space> {
    None
}

impl Space {
    fn facts(&self) -> Value {
        let used = self.total.saturating_sub(self.free);
        // What is kept for root counts neither as used nor as available; `df` rounds up.
        let usable = used.saturating_add(self.available);
        let percent =
            if usable == 0 { 0 } else { (u128::from(used) * 100).div_ceil(u128::from(usable)) };
        json!({
            "system": system(),
            "total": human(self.total),
            "total_bytes": self.total,
            "used": human(used),
            "used_bytes": used,
            "available": human(self.available),
            "available_bytes": self.available,
            "used_percent": format!("{percent}%"),
        })
    }
}

/// Gigabytes of 2^30 bytes with two digits.
fn gigabytes(bytes: u64) -> f64 {
    (bytes as f64 / GIB as f64 * 100.0).round() / 100.0
}

/// A size as `df -h` writes it: powers of 1024, rounded up, one digit below ten.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return bytes.to_string();
    }
    let mut unit = 1024_u128;
    let mut name = UNITS[0];
    for larger in &UNITS[1..] {
        // Rounding up may itself reach the next unit: 1023.5K is 1.0M.
        if u128::from(bytes).div_ceil(unit) < 1024 {
            break;
        }
        unit *= 1024;
        name = larger;
    }
    let tenths = (u128::from(bytes) * 10).div_ceil(unit);
    if tenths < 100 {
        return format!("{}.{}{name}", tenths / 10, tenths % 10);
    }
    format!("{}{name}", u128::from(bytes).div_ceil(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_df_prints_them() {
        let cases = [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1025, "1.1K"),
            (10 * 1024, "10K"),
            (1024 * 1024 - 1, "1.0M"),
            (252 * GIB, "252G"),
            (GIB * 3 / 2, "1.5G"),
            (u64::MAX, "16E"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn cpuinfo_is_read_with_and_without_a_model() {
        let intel =
            "processor\t: 0\nmodel name\t: A CPU: fast\n\nprocessor\t: 1\nmodel name\t: B\n";
        assert_eq!(cpuinfo(intel), (Some("A CPU: fast".to_owned()), 2));
        assert_eq!(cpuinfo("processor : 0\nBogoMIPS : 48.00\n"), (None, 1));
        assert_eq!(cpuinfo("nothing of the kind"), (None, 0));
    }

    #[test]
    fn meminfo_is_read_in_bytes_and_never_guessed() {
        let text = "MemTotal:       24684084 kB\nMemTotalHuge: 1 kB\nMemAvailable:  10 kB\n";
        assert_eq!(meminfo(text, "MemTotal"), Some(24_684_084 * 1024));
        assert_eq!(meminfo(text, "MemAvailable"), Some(10_240));
        assert_eq!(meminfo(text, "Mem"), None);
        assert_eq!(meminfo("MemTotal: many kB", "MemTotal"), None);
    }

    #[test]
    fn used_percent_leaves_out_what_is_kept_for_root() {
        let facts = Space { total: 100 * GIB, free: 50 * GIB, available: 40 * GIB }.facts();
        assert_eq!(facts["used_percent"], "56%");
        assert_eq!((&facts["used"], &facts["available"]), (&json!("50G"), &json!("40G")));
        let empty = Space { total: 0, free: 0, available: 0 }.facts();
        assert_eq!(empty["used_percent"], "0%");
    }
}
