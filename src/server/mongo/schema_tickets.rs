//! The collections of tickets and of the log that decides them. Whatever must never be there twice has a unique key: a second line of defence behind
//! the fence of each partition.

use super::schema::{BODY, Made, index, unique, unique_where_there};

pub(super) const COLLECTIONS: &[Made] = &[
    // Tickets: the fold of their events, and what they are found by.
    Made {
        name: "tickets",
        fields: &[
            ("_id", "string"),
            ("command_id", "string"),
            ("number", "string"),
            ("born", "long"), // the sequence number of its first event
            ("version", "long"),
            ("kind", "string"),
            ("status", "string"),
            ("open", "bool"),
            ("priority", "string"),
            ("ward", "string"),
            ("pharmacy", "string"),
            ("pharmacies", "array"), // that one, and those that handed it on
            ("requester", "string"),
            ("created_at", "long"),
            ("updated_at", "long"),
            ("due_key", "long"), // the largest number where nothing is due, so that it sorts last
            ("medications", "array"),
            ("needs", "array"), // what it stands open for
            ("words", "array"), // those of free texts only as keyed hashes of their prefixes
            BODY,
        ],
        indexes: &[
            unique(&["command_id"]),
            unique(&["number"]),
            // The needs that no other open request may have: those that did not come beside one on purpose.
            unique_where_there(&["sole"]),
            index(&["needs", "born"]),
            index(&["open", "due_key", "_id"]),
            index(&["due_key", "_id"]),
            index(&["created_at", "_id"]),
            index(&["updated_at", "_id"]),
            index(&["ward", "created_at"]),
            index(&["pharmacies", "due_key"]),
            index(&["cabinet", "created_at"]),
            index(&["assignee", "due_key"]),
            index(&["requester", "created_at"]),
            index(&["medications"]),
            index(&["words"]),
        ],
    },
    // Apart from what they seal: without its key a text is gone wherever it stands.
    Made { name: "ticket_keys", fields: &[("_id", "string"), ("key", "binData")], indexes: &[] },
    Made { name: "ward_sequences", fields: &[("_id", "string"), ("last", "long")], indexes: &[] },
    // Inserted only.
    Made {
        name: "events",
        fields: &[
            ("_id", "string"), // epoch-partition-seq
            ("epoch", "string"),
            ("partition", "long"),
            ("seq", "long"),
            ("ticket", "string"),
            ("number", "string"),
            ("kind", "string"),
            ("ward", "string"),
            ("version", "long"),
            ("at", "long"),
            ("status", "string"),
            ("pharmacies", "string"),
            BODY,
            ("hash", "binData"),
        ],
        indexes: &[unique(&["partition", "seq"]), index(&["ticket", "seq"])],
    },
    // Inserted only.
    Made {
        name: "outcomes",
        fields: &[
            ("_id", "string"),
            ("body_hash", "binData"),
            ("actor", "string"),
            ("command", "string"),
            ("ticket", "string"),
            ("at", "long"),
            BODY,
        ],
        indexes: &[],
    },
    // Inserted only.
    Made {
        name: "dead_letters",
        fields: &[
            ("_id", "string"), // epoch-partition-offset
            ("partition", "long"),
            ("offset", "long"),
            ("at", "long"),
            ("checksum", "binData"),
            ("reason", "string"),
        ],
        indexes: &[],
    },
    Made {
        name: "log",
        fields: &[("_id", "string"), ("epoch", "string"), ("cluster", "string"), ("partitions", "long")],
        indexes: &[],
    },
    Made {
        name: "partitions",
        fields: &[
            ("_id", "long"),
            ("epoch", "string"),
            ("next_offset", "long"),
            ("seq", "long"),
            ("hash", "binData"), // of the newest event
        ],
        indexes: &[],
    },
];
