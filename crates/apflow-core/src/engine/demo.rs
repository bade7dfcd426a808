//! Results of demonstrations: what an executor might have answered, marked as such.

use std::time::Duration;

use serde_json::{Value, json};

/// The longest pause of one demonstration.
const MOST: Duration = Duration::from_mins(10);

/// The result to show, and how long to wait before.
pub(super) fn result(answer: Option<Value>, scale: f64) -> (Value, Duration) {
    match answer {
        None => (json!({"result": "Demo execution result", "demo_mode": true}), Duration::ZERO),
        Some(Value::Object(mut fields)) => {
            let pause = fields.remove("_demo_sleep").and_then(|seconds| seconds.as_f64());
            fields.insert("demo_mode".to_owned(), json!(true));
            (Value::Object(fields), pause.map_or(Duration::ZERO, |pause| scaled(pause, scale)))
        }
        Some(other) => (json!({"result": other, "demo_mode": true}), Duration::ZERO),
    }
}

/// The pause; nonsense is none.
fn scaled(seconds: f64, scale: f64) -> Duration {
    let product = seconds * scale;
    if product.is_nan() || product <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(product).unwrap_or(MOST).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_of_a_demonstration_is_marked() {
        assert_eq!(
            result(None, 1.0).0,
            json!({"result": "Demo execution result", "demo_mode": true})
        );
        assert_eq!(result(Some(json!([1])), 1.0).0, json!({"result": [1], "demo_mode": true}));
        let (shown, pause) = result(Some(json!({"a": 1, "_demo_sleep": 3})), 0.5);
        assert_eq!(shown, json!({"a": 1, "demo_mode": true}));
        assert_eq!(pause, Duration::from_millis(1500));
    }

    #[test]
    fn a_pause_is_never_negative_and_never_endless() {
        for (seconds, scale, pause) in [
            (-1.0, 1.0, Duration::ZERO),
            (1.0, 0.0, Duration::ZERO),
            (1.0, f64::NAN, Duration::ZERO),
            (1e300, 1e300, MOST),
            (1e9, 1.0, MOST),
        ] {
            assert_eq!(scaled(seconds, scale), pause, "{seconds} × {scale}");
        }
    }
}
