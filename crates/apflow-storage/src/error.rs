//! From what sqlx says to what the caller can do about it, once for both databases.

use apflow_core::store::StoreError;

/// SQLite's result codes, without the extension bits.
mod sqlite {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const NOTADB: i32 = 26;
}

/// What an error of sqlx means, while `what` was being done.
pub(crate) fn from_sqlx(what: &str, error: sqlx::Error) -> StoreError {
    let Some(database) = error.as_database_error() else {
        return unavailable(what, error);
    };
    let said = database.message().to_owned();
    let code = database.code().unwrap_or_default().into_owned();
    if let Ok(number) = code.parse::<i32>()
        && code.len() < 5
    {
        return match number & 0xff {
            sqlite::FULL => StoreError::Full { what: said },
            sqlite::CORRUPT | sqlite::NOTADB => StoreError::Damaged { what: said },
            sqlite::BUSY | sqlite::LOCKED => StoreError::Locked {
                what: format!("{what}: {said}"),
                hint: "another program holds the file; close it and try again".to_owned(),
            },
            sqlite::IOERR => StoreError::Unavailable {
                what: format!("{what}: the disk refused: {said}"),
                source: Some(Box::new(error)),
            },
            _ => unavailable(what, error),
        };
    }
    match code.as_str() {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => StoreError::Conflict,
        "53100" => StoreError::Full { what: said },
        "XX001" | "XX002" => StoreError::Damaged { what: said },
        // unique_violation: somebody else stored the same id a moment ago.
        "23505" => StoreError::Conflict,
        _ => unavailable(what, error),
    }
}

fn unavailable(what: &str, error: sqlx::Error) -> StoreError {
    StoreError::Unavailable { what: format!("{what}: {error}"), source: Some(Box::new(error)) }
}
