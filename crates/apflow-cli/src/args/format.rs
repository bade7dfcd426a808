//! How data is written: the arguments of every command that prints some.

use clap::{Args as ClapArgs, ValueEnum};

/// How data is written to standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Table,
    /// For people with a wide screen
    Wide,
    /// For programs, in the shape of the API
    Json,
    /// For programs, one object a line
    Jsonl,
    /// For both
    Yaml,
    /// Ids alone, one a line
    Id,
}

/// How a table shows moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimeFormat {
    /// How long ago or how far ahead
    Relative,
    /// In UTC
    Iso,
    /// In the time zone of this machine
    Local,
    /// Seconds since 1970
    Unix,
}

/// How an answer is written.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_field_names, reason = "flags are named as they are typed")]
pub(crate) struct Format {
    /// How to write the answer
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Only these fields, in this order; a dot leads into a field: id,state.name
    #[arg(long, global = true, value_name = "FIELDS", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,
    /// How tables show moments [default: relative on a terminal, else iso]
    #[arg(long, global = true, value_enum, value_name = "HOW")]
    pub(crate) time_format: Option<TimeFormat>,
    /// Tables without their first line
    #[arg(long, global = true)]
    pub(crate) no_headers: bool,
}
