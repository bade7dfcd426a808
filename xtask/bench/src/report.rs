//! Figures beside what they are held against, as lines for people or as JSON.

use serde_json::{Value, json};

/// How a figure is judged.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// It may be at most so much.
    AtMost(f64),
    /// It must be at least so much.
    AtLeast(f64),
    /// It is only shown.
    Shown,
}

/// Everything that was measured in one run.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<Value>,
    quiet: bool,
}

impl Report {
    /// A report that prints each figure as it comes, unless it is to be JSON.
    pub fn new(json: bool) -> Self {
        Self { lines: Vec::new(), quiet: json }
    }

    /// Adds a figure: what, how much, in which unit, beside which floor, against which target.
    #[expect(clippy::print_stdout, reason = "this is the report")]
    pub fn add(&mut self, what: &str, figure: f64, unit: &str, beside: &str, target: Target) {
        let (met, wanted) = match target {
            Target::AtMost(most) => (Some(figure <= most), format!("<= {most}")),
            Target::AtLeast(least) => (Some(figure >= least), format!(">= {least}")),
            Target::Shown => (None, String::new()),
        };
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        if !self.quiet {
            println!("{what:<58} {figure:>12.2} {unit:<12} {wanted:<10} {verdict:<7} {beside}");
        }
        self.lines.push(json!({
            "what": what, "figure": figure, "unit": unit, "beside": beside,
            "target": wanted, "met": met,
        }));
    }

    /// Says what could not be measured, and why.
    #[expect(clippy::print_stdout, reason = "this is the report")]
    pub fn not_measured(&mut self, what: &str, why: &str) {
        if !self.quiet {
            println!("{what:<58} not measured: {why}");
        }
        self.lines.push(json!({ "what": what, "not_measured": why }));
    }

    /// Ends the report.
    #[expect(clippy::print_stdout, reason = "this is the report")]
    pub fn end(self) {
        let missed = self.lines.iter().filter(|line| line["met"] == json!(false)).count();
        if self.quiet {
            println!("{}", Value::Array(self.lines));
        } else {
            println!("{} figures, {missed} targets missed", self.lines.len());
        }
    }
}

/// The middle one of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
