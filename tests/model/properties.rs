//! What must hold in every state that can be reached. Each property is one that somebody outside would miss; none looks at how it is brought about.

use stateright::{Property, semantics::ConsistencyTester as _};

use crate::{
    pipeline::{Client, Phase, Pipeline, Request, State},
    store::EventId,
    ward::{Answer, Command, Fold, Outcome, StoredOutcome},
};

pub(crate) const ACCEPTED_IS_LOGGED: &str = "I1: an accepted command is in the log";
pub(crate) const PASSED_IS_DECIDED: &str = "I1: what the partition is past has its outcome";
pub(crate) const AT_REST_ALL_IS_DONE: &str = "I1: at rest everything is decided, answered and sent";
pub(crate) const STORE_IS_THE_FOLD: &str = "I2: the store is the fold of the log";
pub(crate) const ONE_WINNER: &str = "I2: one claim of a version wins";
pub(crate) const LINEARIZABLE: &str = "I2: answers are those of commands decided one after the other";
pub(crate) const SAME_ANSWER: &str = "I3: a retry gets the same answer";
pub(crate) const KEY_ANSWERS_ONE_BODY: &str = "I3: a key answers for one command only";
pub(crate) const DECIDED_ONCE: &str = "I4: no record is decided by two commits";
pub(crate) const NO_ALARM: &str = "I4: the second line of defence is never needed";
pub(crate) const FEED_IS_THE_FOLD: &str = "I7: the feed has no gap, and an event that comes again is the same";

pub(crate) fn always() -> Vec<Property<Pipeline>> {
    vec![
        Property::always(ACCEPTED_IS_LOGGED, accepted_is_logged),
        Property::always(PASSED_IS_DECIDED, passed_is_decided),
        Property::always(AT_REST_ALL_IS_DONE, at_rest_all_is_done),
        Property::always(STORE_IS_THE_FOLD, store_is_the_fold),
        Property::always(ONE_WINNER, one_winner),
        Property::always(LINEARIZABLE, |_, state: &State| state.history.is_consistent()),
        Property::always(SAME_ANSWER, |_, state: &State| state.clients.iter().all(|client| client.answers.len() <= 1)),
        Property::always(KEY_ANSWERS_ONE_BODY, key_answers_one_body),
        Property::always(DECIDED_ONCE, |_, state: &State| state.commits.iter().flatten().all(|commits| *commits == 1)),
        Property::always(NO_ALARM, |_, state: &State| !state.alarmed),
        Property::always(FEED_IS_THE_FOLD, feed_is_the_fold),
    ]
}

fn requests<'a>(model: &'a Pipeline, state: &'a State) -> impl Iterator<Item = (&'a Request, &'a Client)> {
    model.requests.iter().zip(&state.clients)
}

fn accepted_is_logged(model: &Pipeline, state: &State) -> bool {
    requests(model, state)
        .filter(|(_, client)| client.accepted)
        .all(|(Request { submission, .. }, _)| state.log[submission.partition()].contains(submission))
}

fn passed_is_decided(_: &Pipeline, state: &State) -> bool {
    let mut decided = state.log.iter().zip(&state.store.partitions).flat_map(|(log, stand)| &log[..stand.next_offset]);
    decided.all(|submission| state.store.outcomes.contains_key(&submission.command_id))
}

/// Every step brings something nearer to its end, and accidents only take it back: so who waits comes to rest once they cease.
fn at_rest_all_is_done(model: &Pipeline, state: &State) -> bool {
    let decided = || state.log.iter().zip(&state.store.partitions).all(|(log, stand)| stand.next_offset == log.len());
    let answered = || state.clients.iter().all(|client| client.phase == Phase::Idle);
    let sent = || state.relays.is_empty() || state.topic.seen.len() == state.store.events.len();
    !model.steps(state).is_empty() || (decided() && answered() && sent())
}

/// Partition by partition. A record whose key was taken by a command of another partition has no effect in its own.
fn store_is_the_fold(_: &Pipeline, state: &State) -> bool {
    let store = &state.store;
    state.log.iter().zip(&store.partitions).enumerate().all(|(partition, (log, stand))| {
        let here = |stored: &StoredOutcome| stored.submission.partition() == partition;
        let decided = log[..stand.next_offset].iter();
        let fold = Fold::of(decided.filter(|record| store.outcomes.get(&record.command_id).is_none_or(here)));
        let outcomes = store.outcomes.iter().filter(|(_, stored)| here(stored));
        let tickets = store.tickets.iter().filter(|(id, _)| id.ward == partition);
        let events = store.events.iter().filter(|(id, _)| id.partition == partition);
        stand.seq == fold.events.len()
            && outcomes.eq(&fold.outcomes)
            && tickets.eq(&fold.tickets)
            && events.map(|(id, event)| (id.seq, event)).eq((1..).zip(&fold.events))
    })
}

fn is_won_claim(request: &Request, client: &Client) -> bool {
    let won = |answer: &Answer| matches!(answer, Answer::Done(Outcome::Applied(_)));
    matches!(request.submission.command, Command::Claim { .. }) && client.answers.iter().any(won)
}

/// All claims here are of one ticket's first version.
fn one_winner(model: &Pipeline, state: &State) -> bool {
    requests(model, state).filter(|(request, client)| is_won_claim(request, client)).count() <= 1
}

fn key_answers_one_body(model: &Pipeline, state: &State) -> bool {
    let done = |client: &Client| client.answers.iter().any(|answer| matches!(answer, Answer::Done(_)));
    let answered: Vec<_> = requests(model, state).filter(|(_, client)| done(client)).collect();
    answered.iter().enumerate().all(|(i, (request, _))| {
        answered[..i].iter().all(|(other, _)| {
            request.submission.command_id != other.submission.command_id || request.submission == other.submission
        })
    })
}

fn feed_is_the_fold(_: &Pipeline, state: &State) -> bool {
    let committed = |(seq, event)| state.store.events.get(&EventId { partition: 0, seq }) == Some(event);
    !state.topic.broken
        && (1..).zip(&state.topic.seen).all(committed)
        && (state.relays.is_empty() || state.store.sent <= state.topic.seen.len())
}
