//! The collections of sign-ins and what hangs on them. Secrets are kept as SHA-256 only. Nothing here expires by an index of the server's: what is long over
//! is forgotten by the time of the node that asks, since a used refresh token must outlive its time as long as its session lives.

use super::schema::{BODY, Made, index, unique_where_there};

pub(super) const COLLECTIONS: &[Made] = &[
    // `last_used_at` moves on; the body keeps that of the start.
    Made {
        name: "sessions",
        fields: &[
            ("_id", "string"),
            ("user", "string"),
            ("generation", "long"),
            ("last_used_at", "long"),
            ("expires_at", "long"),
            ("ended", "bool"),
            BODY,
        ],
        // A cookie is of the pages' own sessions.
        indexes: &[unique_where_there(&["cookie"]), index(&["user"]), index(&["expires_at"])],
    },
    // Also of sessions that are not known here: their access tokens are refused all the same.
    Made {
        name: "ended_sessions",
        fields: &[("_id", "string"), ("listed_until", "long")],
        indexes: &[index(&["listed_until"])],
    },
    // Once redeemed, with `redeemed_at` and the `sid` of the session that it opened.
    Made {
        name: "codes",
        fields: &[("_id", "binData"), ("expires_at", "long"), BODY],
        indexes: &[index(&["expires_at"])],
    },
    // As codes; once asked for, with `polled_at`.
    Made {
        name: "devices",
        fields: &[("_id", "binData"), ("user_code", "string"), ("decided", "bool"), ("expires_at", "long"), BODY],
        indexes: &[index(&["user_code"]), index(&["expires_at"])],
    },
    // With its `predecessor`; once used, with `used_at`, and with the `sealed` successor until `sealed_until` while that may come again.
    Made {
        name: "refresh_tokens",
        fields: &[("_id", "binData"), ("sid", "string"), ("idle_until", "long")],
        indexes: &[index(&["sid"]), index(&["idle_until"]), index(&["sealed_until"])],
    },
    Made { name: "second_factors", fields: &[("_id", "string"), BODY], indexes: &[] },
];
