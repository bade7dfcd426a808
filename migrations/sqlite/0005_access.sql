-- Who may call: API tokens, and signatures of webhooks that were used up.

CREATE TABLE af_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL UNIQUE,      -- SHA-256 of the token in hex digits; never the token
    user_id TEXT,
    admin INTEGER NOT NULL CHECK (admin IN (0, 1)),
    read_only INTEGER NOT NULL CHECK (read_only IN (0, 1)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER,
    -- A token of nobody would be everybody's.
    CHECK (admin = 1 OR (user_id IS NOT NULL AND user_id <> ''))
) STRICT;

CREATE TABLE af_seen (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    mark TEXT NOT NULL UNIQUE,
    until INTEGER NOT NULL
) STRICT;

-- forget_seen.sql
CREATE INDEX af_seen_until ON af_seen (until);
