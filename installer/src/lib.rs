//! Checks and installation for hospital IT. Knows nothing of tickets.
