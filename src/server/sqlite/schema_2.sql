-- Schema 2: a chained audit log, keys of texts that never move, tickets found by the pharmacies that handed them on.

-- The entries that there are get their hashes by the program, which then closes the log again.
DROP TRIGGER audit_keep;
ALTER TABLE audit ADD COLUMN hash BLOB NOT NULL DEFAULT x'';

-- Rows are only ever added at the end and never change their length: so SQLite moves none, and a key that is overwritten has left no
-- copy in another page. What an erased key is replaced by: zeros.
CREATE TABLE keys_in_place (
    row    INTEGER PRIMARY KEY,
    ticket TEXT NOT NULL UNIQUE,
    key    BLOB NOT NULL
) STRICT;
INSERT INTO keys_in_place (ticket, key) SELECT ticket, key FROM ticket_keys;
DROP TABLE ticket_keys;
ALTER TABLE keys_in_place RENAME TO ticket_keys;

CREATE TABLE former_pharmacies (
    pharmacy TEXT NOT NULL,
    ticket   INTEGER NOT NULL REFERENCES tickets (row),
    PRIMARY KEY (pharmacy, ticket)
) STRICT, WITHOUT ROWID;
INSERT INTO former_pharmacies (pharmacy, ticket)
    SELECT DISTINCT former.value, tickets.row FROM tickets, json_each(tickets.body, '$.former_pharmacies') AS former;
