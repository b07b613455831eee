//! The protocol of stack mode, explored to the last reachable state, and again with each of its rules left out: the checker must then find what goes
//! wrong, or it would prove nothing. It runs no part of the product and needs no engine.
#![expect(
    clippy::print_stdout,
    reason = "how much was explored, and the way to what went wrong, for who asks by --nocapture"
)]

mod pipeline;
mod properties;
mod rules;
mod store;
mod ward;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    pipeline::{Pipeline, Processor, Reach, Request, State},
    properties::{ACCEPTED_IS_LOGGED, DECIDED_ONCE, FEED_IS_THE_FOLD, KEY_ANSWERS_ONE_BODY, STORE_IS_THE_FOLD},
    rules::{ALL, Rules},
    ward::{Answer, Outcome, Person, Refusal, Submission},
};

const STALE_BATCH: Reach = ("a processor holds a batch that another has decided", |_, state: &State| {
    state.processors.iter().any(|processor| match processor {
        Processor::Deciding(batch) => batch.read.next_offset < state.store.partitions[batch.partition].next_offset,
        _ => false,
    })
});

const LOGGED_TWICE: Reach = ("a command is in the log twice", |_, state| {
    state.log.iter().any(|log| log.iter().enumerate().any(|(i, record)| log[..i].contains(record)))
});

const ANSWERED_APART: Reach =
    ("everybody is answered", |_, state| state.clients.iter().all(|client| !client.answers.is_empty()));

fn told(state: &State, told: fn(&Answer) -> bool) -> bool {
    state.clients.iter().flat_map(|client| &client.answers).any(told)
}

const LOSER_IS_TOLD: Reach = ("who loses is told who has it", |_, state| {
    told(state, |answer| matches!(answer, Answer::Done(Outcome::Refused(Refusal::AlreadyClaimed { .. }))))
});

const DUPLICATE_IS_TOLD: Reach = ("an open request is told", |_, state| {
    told(state, |answer| matches!(answer, Answer::Done(Outcome::Refused(Refusal::DuplicateOpenRequest { .. }))))
});

const REUSE_IS_TOLD: Reach =
    ("a key that is used again is refused", |_, state| told(state, |answer| *answer == Answer::KeyReused));

fn sent(submission: Submission, sends: u8) -> Request {
    Request { submission, sends, after: None }
}

fn nurses_create() -> Submission {
    Submission::create(Person::Nurse, 1, 0, 10)
}

/// Two claims of a ticket's first version, each sent again at will.
fn racing_claims() -> Pipeline {
    let create = nurses_create();
    Pipeline {
        rules: ALL,
        partitions: 1,
        before: vec![create],
        requests: [Person::Ana, Person::Bruno].map(|person| sent(Submission::claim(person, &create), 2)).to_vec(),
        relays: 0,
        reaches: vec![STALE_BATCH, LOGGED_TWICE, ANSWERED_APART, LOSER_IS_TOLD],
    }
}

/// A request for medicine, sent again at will, and two claims by who saw it.
fn create_and_claims() -> Pipeline {
    let create = nurses_create();
    let claim = |person| Request { submission: Submission::claim(person, &create), sends: 1, after: Some(0) };
    Pipeline {
        before: Vec::new(),
        requests: vec![sent(create, 2), claim(Person::Ana), claim(Person::Bruno)],
        ..racing_claims()
    }
}

/// Two nurses ask for the same medicine.
fn open_requests() -> Pipeline {
    let other = Submission::create(Person::OtherNurse, 1, 0, 10);
    Pipeline {
        before: Vec::new(),
        requests: vec![sent(nurses_create(), 2), sent(other, 2)],
        reaches: vec![STALE_BATCH, LOGGED_TWICE, ANSWERED_APART, DUPLICATE_IS_TOLD],
        ..racing_claims()
    }
}

/// A nurse uses her key for another quantity.
fn reused_key() -> Pipeline {
    Pipeline {
        requests: vec![sent(nurses_create(), 2), sent(Submission::create(Person::Nurse, 1, 0, 20), 2)],
        reaches: vec![STALE_BATCH, LOGGED_TWICE, ANSWERED_APART, REUSE_IS_TOLD],
        ..open_requests()
    }
}

/// A nurse uses her key for another ward, whose partition is another.
fn key_on_two_partitions() -> Pipeline {
    Pipeline {
        partitions: 2,
        requests: vec![sent(nurses_create(), 2), sent(Submission::create(Person::Nurse, 1, 1, 10), 2)],
        reaches: vec![LOGGED_TWICE, ANSWERED_APART, REUSE_IS_TOLD],
        ..open_requests()
    }
}

/// Two events, and two relays that both take themselves for the owner's.
fn feed() -> Pipeline {
    let create = nurses_create();
    Pipeline {
        before: vec![create],
        requests: vec![sent(Submission::claim(Person::Ana, &create), 1)],
        relays: 2,
        reaches: vec![STALE_BATCH, ANSWERED_APART, ("everything is sent", |_, state| state.topic.seen.len() == 2)],
        ..racing_claims()
    }
}

/// Explores everything; no property may fail, and all that shall be seen is seen.
fn holds(model: Pipeline) {
    let checker = model.checker().spawn_bfs().join();
    println!("{} states, {} steps deep at most", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

/// Explores until the property fails, as it must with these rules.
fn breaks(model: Pipeline, rules: Rules, property: &'static str) {
    let found = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = Pipeline { rules, ..model }.checker().finish_when(found).spawn_bfs().join();
    let path = checker.discovery(property).map(stateright::Path::into_actions);
    println!("{} states: {path:?}", checker.unique_state_count());
    assert!(path.is_some(), "without the rule nothing goes wrong: {property}");
}

#[test]
fn of_racing_claims_one_wins() {
    holds(racing_claims());
}

#[test]
fn claims_follow_the_request_that_they_saw() {
    holds(create_and_claims());
}

#[test]
fn the_second_open_request_is_told_of_the_first() {
    holds(open_requests());
}

#[test]
fn a_key_stands_for_one_command() {
    holds(reused_key());
}

#[test]
fn a_key_stands_for_one_command_across_partitions() {
    holds(key_on_two_partitions());
}

#[test]
fn the_feed_has_no_gap() {
    holds(feed());
}

#[test]
fn the_fence_alone_holds_back_who_lost_the_partition() {
    holds(Pipeline { rules: Rules { insert_only: false, ticket_versions: false, ..ALL }, ..racing_claims() });
}

#[test]
fn without_the_fence_a_record_is_decided_twice() {
    breaks(racing_claims(), Rules { fence: false, ..ALL }, DECIDED_ONCE);
}

#[test]
fn without_the_fence_and_the_second_line_the_store_is_no_function_of_the_log() {
    let rules = Rules { fence: false, insert_only: false, ticket_versions: false, ..ALL };
    breaks(racing_claims(), rules, STORE_IS_THE_FOLD);
}

#[test]
fn without_the_outcome_check_a_command_is_applied_twice() {
    breaks(racing_claims(), Rules { outcome_check: false, insert_only: false, ..ALL }, STORE_IS_THE_FOLD);
}

#[test]
fn tickets_read_before_the_offset_give_wrong_outcomes() {
    breaks(open_requests(), Rules { offset_first: false, ..ALL }, STORE_IS_THE_FOLD);
}

#[test]
fn outcomes_that_are_replaced_let_one_key_answer_for_two_wards() {
    breaks(key_on_two_partitions(), Rules { insert_only: false, ..ALL }, KEY_ANSWERS_ONE_BODY);
}

#[test]
fn what_is_accepted_before_the_delivery_report_may_be_lost() {
    breaks(racing_claims(), Rules { delivery_report: false, ..ALL }, ACCEPTED_IS_LOGGED);
}

#[test]
fn a_body_that_is_not_compared_gets_the_answer_of_another() {
    breaks(reused_key(), Rules { compare_body: false, ..ALL }, KEY_ANSWERS_ONE_BODY);
}

#[test]
fn an_event_marked_before_its_acknowledgement_may_be_missing() {
    breaks(feed(), Rules { sent_after_ack: false, ..ALL }, FEED_IS_THE_FOLD);
}
