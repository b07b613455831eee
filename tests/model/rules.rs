//! The rules that make the protocol what it is. Each can be left out, to see that the checker then finds what goes wrong.

/// Which rules are kept.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own, and any combination means something")]
pub(crate) struct Rules {
    /// A commit compares and sets the partition's `next_offset`.
    pub(crate) fence: bool,
    /// Outcomes and events are inserted, never replaced.
    pub(crate) insert_only: bool,
    /// A ticket is written on condition of the version that was loaded.
    pub(crate) ticket_versions: bool,
    /// What has an outcome is not decided again.
    pub(crate) outcome_check: bool,
    /// The partition's document is read first, and tickets after it in the same snapshot.
    pub(crate) offset_first: bool,
    /// A command is accepted once the log has reported its delivery.
    pub(crate) delivery_report: bool,
    /// An outcome answers the command that it was made for, and no other under the same key.
    pub(crate) compare_body: bool,
    /// An event is marked as sent once the topic has acknowledged it.
    pub(crate) sent_after_ack: bool,
}

/// The protocol as it is.
pub(crate) const ALL: Rules = Rules {
    fence: true,
    insert_only: true,
    ticket_versions: true,
    outcome_check: true,
    offset_first: true,
    delivery_report: true,
    compare_body: true,
    sent_after_ack: true,
};
