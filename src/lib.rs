//! medreq: medication-replenishment tickets for hospitals. Holds no entry point of its own: the binary lives in `cli/`.
