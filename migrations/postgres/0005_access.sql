-- Who may call: API tokens, and signatures of webhooks that were used up.

CREATE TABLE af_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL UNIQUE,      -- SHA-256 of the token in hex digits; never the token
    user_id TEXT,
    admin BOOLEAN NOT NULL,
    read_only BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT,
    -- A token of nobody would be everybody's.
    CHECK (admin OR (user_id IS NOT NULL AND user_id <> ''))
);

CREATE TABLE af_seen (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mark TEXT NOT NULL UNIQUE,
    until BIGINT NOT NULL
);

-- forget_seen.sql
CREATE INDEX af_seen_until ON af_seen (until);
