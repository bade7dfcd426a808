//! PostgreSQL: many processes, one database.
