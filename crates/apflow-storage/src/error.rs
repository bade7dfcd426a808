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
        if matches!(error, sqlx::Error::PoolTimedOut) {
            let what = format!("{what}: no connection could be had in the time allowed");
            return StoreError::Unavailable { what, source: Some(Box::new(error)) };
        }
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
        // unique_violation: somebody else stored the same id a moment ago.
        "23505" => StoreError::Conflict,
        // disk_full
        "53100" => StoreError::Full { what: said },
        "XX001" | "XX002" => StoreError::Damaged { what: said },
        // untranslatable_character, character_not_in_repertoire
        "22P05" | "22021" => StoreError::Rejected(vec![format!(
            "a text holds a character that the database cannot store, such as U+0000 ({said})"
        )]),
        // program_limit_exceeded, statement_too_complex and their like
        "54000" | "54001" => {
            StoreError::Rejected(vec![format!("it is more than the database can hold ({said})")])
        }
        // invalid_password, invalid_authorization_specification
        "28P01" | "28000" => StoreError::Address {
            what: format!("{what}: {said}"),
            hint: "check user and password in the address, and what pg_hba.conf allows".to_owned(),
        },
        // invalid_catalog_name
        "3D000" => StoreError::Address {
            what: format!("{what}: {said}"),
            hint: "create it with `createdb NAME`, or name another one".to_owned(),
        },
        // insufficient_privilege
        "42501" => StoreError::Address {
            what: format!("{what}: {said}"),
            hint: "the user needs its own database, or `GRANT CREATE, USAGE ON SCHEMA public` and \
                   the rights to apflow's tables"
                .to_owned(),
        },
        // read_only_sql_transaction
        "25006" => StoreError::Locked {
            what: format!("{what}: {said}"),
            hint:
                "the server only reads, as a standby does; use the address of the one that writes"
                    .to_owned(),
        },
        // too_many_connections
        "53300" => StoreError::Unavailable {
            what: format!(
                "{what}: {said}; run fewer processes, or raise max_connections of the server"
            ),
            source: Some(Box::new(error)),
        },
        // query_canceled
        "57014" => StoreError::Unavailable {
            what: format!("{what}: it took too long: {said}"),
            source: Some(Box::new(error)),
        },
        _ => unavailable(what, error),
    }
}

/// Whether the connection is of no more use: it broke, or the server ended it.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => {
            // connection_exception; admin_shutdown and its like; idle_in_transaction_session_timeout
            let code = database.code().unwrap_or_default();
            code.starts_with("08") || code.starts_with("57P") || code == "25P03" || code == "53300"
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Whether an error says that the database could not be reached, whatever was asked of it.
pub(crate) fn is_out_of_reach(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable { source: None, .. } => true,
        StoreError::Unavailable { source: Some(source), .. } => {
            source.downcast_ref().is_some_and(is_lost)
        }
        _ => false,
    }
}

fn unavailable(what: &str, error: sqlx::Error) -> StoreError {
    StoreError::Unavailable { what: format!("{what}: {error}"), source: Some(Box::new(error)) }
}
