-- Schema 1. Times are milliseconds since the epoch, ids hyphenated UUIDs, bodies JSON with sealed texts.

CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Tickets: the fold of their events, and what they are found by.
CREATE TABLE tickets (
    row        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    command_id TEXT NOT NULL UNIQUE,
    number     TEXT NOT NULL UNIQUE,
    version    INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    status     TEXT NOT NULL,
    open       INTEGER NOT NULL,
    priority   TEXT NOT NULL,
    ward       TEXT NOT NULL,
    cabinet    TEXT,
    pharmacy   TEXT NOT NULL,
    requester  TEXT NOT NULL,
    assignee   TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    due_key    INTEGER NOT NULL, -- the largest integer where nothing is due, so that it sorts last
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX tickets_open_due      ON tickets (due_key, id) WHERE open = 1;
CREATE INDEX tickets_open_pharmacy ON tickets (pharmacy, due_key, id) WHERE open = 1;
CREATE INDEX tickets_open_ward     ON tickets (ward, due_key, id) WHERE open = 1;
CREATE INDEX tickets_due           ON tickets (due_key, id);
CREATE INDEX tickets_created       ON tickets (created_at, id);
CREATE INDEX tickets_updated       ON tickets (updated_at, id);
CREATE INDEX tickets_ward          ON tickets (ward, created_at);
CREATE INDEX tickets_cabinet       ON tickets (cabinet, created_at) WHERE cabinet IS NOT NULL;
CREATE INDEX tickets_assignee      ON tickets (assignee, due_key) WHERE assignee IS NOT NULL;
CREATE INDEX tickets_requester     ON tickets (requester, created_at);

CREATE TABLE ticket_lines (
    medication TEXT NOT NULL,
    ticket     INTEGER NOT NULL REFERENCES tickets (row),
    PRIMARY KEY (medication, ticket)
) STRICT, WITHOUT ROWID;
CREATE INDEX ticket_lines_ticket ON ticket_lines (ticket);

-- Words a ticket is found by. Words of free text stand here only as keyed hashes of their prefixes.
CREATE TABLE ticket_words (
    word   TEXT NOT NULL,
    ticket INTEGER NOT NULL REFERENCES tickets (row),
    PRIMARY KEY (word, ticket)
) STRICT, WITHOUT ROWID;
CREATE INDEX ticket_words_ticket ON ticket_words (ticket);

-- Lines of tickets that are not at an end: at most one for a need, unless overridden.
CREATE TABLE open_lines (
    destination TEXT NOT NULL,
    medication  TEXT NOT NULL,
    patient     BLOB NOT NULL, -- a salted hash, empty where the need is no patient's
    supply      INTEGER NOT NULL,
    ticket      INTEGER NOT NULL REFERENCES tickets (row),
    PRIMARY KEY (destination, medication, patient, supply, ticket)
) STRICT, WITHOUT ROWID;
CREATE INDEX open_lines_ticket ON open_lines (ticket);

CREATE TABLE ticket_keys (ticket TEXT PRIMARY KEY, key BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE ward_sequences (ward TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- The log: each event carries the hash of the one before it.
CREATE TABLE events (
    seq        INTEGER PRIMARY KEY,
    ticket     TEXT NOT NULL REFERENCES tickets (id),
    version    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    status     TEXT NOT NULL,
    pharmacies TEXT NOT NULL,
    body       TEXT NOT NULL,
    hash       BLOB NOT NULL
) STRICT;
CREATE INDEX events_ticket ON events (ticket, seq);
CREATE TRIGGER events_keep   BEFORE UPDATE ON events BEGIN SELECT raise(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_remain BEFORE DELETE ON events BEGIN SELECT raise(ABORT, 'events are append-only'); END;

CREATE TABLE outcomes (
    command_id TEXT PRIMARY KEY,
    body_hash  BLOB NOT NULL,
    actor      TEXT NOT NULL,
    command    TEXT NOT NULL,
    ticket     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Places and medications.
CREATE TABLE pharmacies (code TEXT PRIMARY KEY, active INTEGER NOT NULL, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE wards (
    code     TEXT PRIMARY KEY,
    pharmacy TEXT NOT NULL REFERENCES pharmacies (code),
    active   INTEGER NOT NULL,
    body     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE cabinets (
    code   TEXT PRIMARY KEY,
    ward   TEXT NOT NULL REFERENCES wards (code),
    active INTEGER NOT NULL,
    body   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cabinets_ward ON cabinets (ward);
CREATE TABLE medications (
    code       TEXT PRIMARY KEY,
    active     INTEGER NOT NULL,
    unreviewed INTEGER NOT NULL,
    group_key  TEXT,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX medications_group ON medications (group_key) WHERE group_key IS NOT NULL;
CREATE TABLE par_levels (
    cabinet    TEXT NOT NULL REFERENCES cabinets (code),
    medication TEXT NOT NULL REFERENCES medications (code),
    min        TEXT NOT NULL,
    max        TEXT NOT NULL,
    PRIMARY KEY (cabinet, medication)
) STRICT, WITHOUT ROWID;
CREATE INDEX par_levels_medication ON par_levels (medication);
CREATE TABLE scan_codes (
    code       TEXT NOT NULL,
    medication TEXT NOT NULL REFERENCES medications (code),
    PRIMARY KEY (code, medication)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_codes_medication ON scan_codes (medication);
CREATE TABLE medication_words (
    word       TEXT NOT NULL,
    medication TEXT NOT NULL REFERENCES medications (code),
    PRIMARY KEY (word, medication)
) STRICT, WITHOUT ROWID;
CREATE INDEX medication_words_medication ON medication_words (medication);
CREATE TABLE identifiers (
    thing  TEXT NOT NULL,
    system TEXT NOT NULL,
    value  TEXT NOT NULL,
    owner  TEXT NOT NULL,
    PRIMARY KEY (thing, system, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX identifiers_owner ON identifiers (thing, owner);

-- Answers of writes of the above under an idempotency key.
CREATE TABLE replies (
    id           BLOB PRIMARY KEY,
    request_hash BLOB NOT NULL,
    status       INTEGER NOT NULL,
    content_type TEXT,
    location     TEXT,
    body         BLOB NOT NULL,
    at           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replies_at ON replies (at);

-- Who is who.
CREATE TABLE users (
    id         TEXT PRIMARY KEY,
    username   TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE clients (
    client_id  TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE signing_keys (
    row         INTEGER PRIMARY KEY,
    kid         TEXT NOT NULL UNIQUE,
    algorithm   TEXT NOT NULL,
    private_der BLOB NOT NULL,
    public_jwk  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    retired_at  INTEGER
) STRICT;
CREATE TABLE links (
    hash       BLOB PRIMARY KEY,
    purpose    TEXT NOT NULL,
    subject    TEXT,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX links_expiry ON links (expires_at);
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    action  TEXT NOT NULL,
    actor   TEXT,
    subject TEXT,
    detail  TEXT NOT NULL
) STRICT;
CREATE INDEX audit_kind ON audit (kind, id);
CREATE TRIGGER audit_keep   BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_remain BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
