//! Migrations: embedded, forward only, and never run by an older binary on a newer database.

use apflow_core::store::StoreError;

/// The migrations of one database: version, name, statements.
macro_rules! list {
    ($database:literal) => {{
        macro_rules! file {
            ($name:literal) => {
                include_str!(concat!("../../migrations/", $database, "/", $name, ".sql"))
            };
        }
        const LIST: &[(i64, &str, &str)] = &[
            (1, "tasks", file!("0001_tasks")),
            (2, "references", file!("0002_references")),
            (3, "schedules", file!("0003_schedules")),
            (4, "callbacks", file!("0004_callbacks")),
            (5, "access", file!("0005_access")),
            (6, "demo", file!("0006_demo")),
            (7, "id_order", file!("0007_id_order")),
            (8, "held", file!("0008_held")),
            (9, "attempts", file!("0009_attempts")),
            (10, "waits", file!("0010_waits")),
            (12, "flow", file!("0012_flow")),
            (13, "channels", file!("0013_channels")),
            (14, "checkpoints", file!("0014_checkpoints")),
        ];
        LIST
    }};
}
pub(crate) use list;

/// Refuses a database that this binary does not know.
pub(crate) fn check(
    applied: &[i64],
    known: &[(i64, &str, &str)],
    must_be_current: bool,
) -> Result<(), StoreError> {
    let newest_known = known.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    let newest_found = applied.iter().copied().max().unwrap_or(0);
    if newest_found > newest_known {
        return Err(StoreError::TooNew { found: newest_found, known: newest_known });
    }
    if must_be_current && newest_found < newest_known {
        return Err(StoreError::Address {
            what: format!(
                "the database has migration {newest_found}, and this apflow needs {newest_known}"
            ),
            hint: "run `apflow db migrate`".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_database_is_refused_and_an_older_one_only_where_it_may_not_be_changed() {
        let known = [(1, "a", ""), (2, "b", "")];
        assert!(matches!(
            check(&[1, 2, 3], &known, false),
            Err(StoreError::TooNew { found: 3, known: 2 })
        ));
        assert!(check(&[1], &known, false).is_ok());
        assert!(check(&[1], &known, true).is_err());
        assert!(check(&[1, 2], &known, true).is_ok());
    }
}
