-- Schema 3: sign-ins and what hangs on them. Secrets are kept as SHA-256 only.

-- `last_used_at` moves on; the body keeps that of the start.
CREATE TABLE sessions (
    sid          TEXT PRIMARY KEY,
    user         TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    cookie       BLOB UNIQUE, -- of the pages' own sessions
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    ended        INTEGER NOT NULL DEFAULT 0,
    body         TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user   ON sessions (user);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Also of sessions that are not known here: their access tokens are refused all the same.
CREATE TABLE ended_sessions (
    sid          TEXT PRIMARY KEY,
    listed_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_sessions_listed ON ended_sessions (listed_until);

CREATE TABLE codes (
    hash        BLOB PRIMARY KEY,
    expires_at  INTEGER NOT NULL,
    redeemed_at INTEGER,
    sid         TEXT, -- of the session that it opened
    body        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_expiry ON codes (expires_at);

CREATE TABLE devices (
    hash        BLOB PRIMARY KEY,
    user_code   TEXT NOT NULL,
    decided     INTEGER NOT NULL DEFAULT 0,
    polled_at   INTEGER,
    expires_at  INTEGER NOT NULL,
    redeemed_at INTEGER,
    sid         TEXT,
    body        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_waiting ON devices (user_code) WHERE NOT decided;
CREATE INDEX devices_expiry  ON devices (expires_at);

CREATE TABLE refresh_tokens (
    hash         BLOB PRIMARY KEY,
    sid          TEXT NOT NULL REFERENCES sessions (sid) ON DELETE CASCADE,
    predecessor  BLOB,
    idle_until   INTEGER NOT NULL,
    used_at      INTEGER,
    sealed       BLOB, -- the successor, as long as it may come again
    sealed_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_session ON refresh_tokens (sid);
CREATE INDEX refresh_tokens_idle    ON refresh_tokens (idle_until);
CREATE INDEX refresh_tokens_sealed  ON refresh_tokens (sealed_until) WHERE sealed IS NOT NULL;

CREATE TABLE second_factors (
    user TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
