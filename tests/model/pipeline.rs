//! The pipeline of stack mode as a state machine: clients, the API, the command log, two processors, the store, the relay. One action is one message
//! or one atomic effect; whatever the network, a crash or a pause can do between two of them is an action too.
//!
//! Who owns a partition is not modelled, because it is not to be trusted: both processors work whenever they like, which holds every assignment,
//! rebalance and late notice of one. A processor that stalls is one whose next action comes late.
//! Left out: epochs and anchors (the log is never another one), growing, backups, MongoDB's own failover (every read and write is of the majority),
//! reads by clients, poison, time. Records are never lost by the log, nor commits by the store.

use stateright::{
    Model, Property,
    semantics::{ConsistencyTester as _, LinearizabilityTester},
};

use crate::{
    properties,
    rules::Rules,
    store::{Abort, EventId, Store, Transaction},
    ward::{Answer, Event, Fold, Submission, Tickets, answer},
};

/// What a client wants, and how often it may send it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) submission: Submission,
    /// The first time and the retries under the same key.
    pub(crate) sends: u8,
    /// The request whose answer tells of the ticket: this one is sent after it.
    pub(crate) after: Option<usize>,
}

/// Something that a scenario must be able to come to, or else it shows nothing.
pub(crate) type Reach = (&'static str, fn(&Pipeline, &State) -> bool);

/// The pipeline under some rules, and what is asked of it.
#[derive(Clone)]
pub(crate) struct Pipeline {
    pub(crate) rules: Rules,
    /// Wards with a partition each. With one partition both processors work on it; with two each has its own.
    pub(crate) partitions: usize,
    /// Commands that were decided before all this.
    pub(crate) before: Vec<Submission>,
    pub(crate) requests: Vec<Request>,
    /// How many copy the events of partition 0 to their topic: none, or an owner and one that was.
    pub(crate) relays: usize,
    pub(crate) reaches: Vec<Reach>,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Nothing waits: not sent, or told that its outcome is unknown, or answered.
    Idle,
    /// The API has handed the record to its producer.
    Sent,
    /// The record is in the log; the delivery report is under way.
    Appended { offset: usize },
    /// Delivery was reported: the command is accepted and waits for its outcome.
    Accepted { offset: usize },
}

/// A client with its one request, and the API's side of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(crate) phase: Phase,
    pub(crate) sends: u8,
    /// It was told, at some time, that the command is durable.
    pub(crate) accepted: bool,
    /// Every different answer that it got.
    pub(crate) answers: Vec<Answer>,
}

/// A processor's work on its partition. A crash, a loss of the partition or any error begins it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Processor {
    /// Knows nothing.
    Beginning,
    /// Has loaded tickets before anything else, against the rule.
    Loaded(Tickets),
    /// Knows where the store stands, by a read or by the reply to its last commit.
    Settled { expected: usize, loaded: Option<Tickets> },
    /// Has decided a batch; its transaction is open.
    Deciding(Transaction),
}

/// A relay's work on the events: one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Relay {
    Idle,
    /// The event is on its way to the topic.
    Publishing {
        seq: usize,
    },
    /// The topic has it; the acknowledgement is under way.
    Published {
        seq: usize,
    },
}

/// The topic of events as a consumer sees it that drops what is at or below the last number it has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Topic {
    pub(crate) seen: Vec<Event>,
    /// A number was left out, or came again with another event.
    pub(crate) broken: bool,
}

/// Everything there is at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) clients: Vec<Client>,
    /// Records that nobody waits for any more and that may yet come to the log; sorted.
    pub(crate) late: Vec<Submission>,
    /// The records of each partition.
    pub(crate) log: Vec<Vec<Submission>>,
    pub(crate) store: Store,
    /// Those of one partition are interchangeable and therefore kept sorted, which halves the states.
    pub(crate) processors: Vec<Processor>,
    /// Interchangeable too.
    pub(crate) relays: Vec<Relay>,
    pub(crate) topic: Topic,
    /// For the properties: how many commits went over each record.
    pub(crate) commits: Vec<Vec<u8>>,
    /// For the properties: the second line of defence had to hold.
    pub(crate) alarmed: bool,
    /// For the properties: what was asked and answered, and when.
    pub(crate) history: LinearizabilityTester<usize, Fold>,
}

/// What can happen next. Numbers are places in the state's lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The API takes the request: answers from the stored outcome of its key, or hands it to the producer.
    Send(usize),
    Append(usize),
    Report(usize),
    /// The partition is past the record: the API reads the outcome and answers.
    Answer(usize),
    /// The answer does not come, whatever the reason: the client knows nothing.
    TimeOut(usize),
    /// The log takes a record that was given up.
    AppendLate(usize),
    Load(usize),
    /// Reads where the store stands.
    Settle(usize),
    /// Opens the transaction: reads the partition's document, then the rest, and decides.
    Open(usize),
    Commit(usize),
    /// The same, and the reply is lost.
    CommitUnheard(usize),
    Crash(usize),
    Publish(usize),
    Deliver(usize),
    MarkSent(usize),
    /// The event, or its acknowledgement, is lost.
    LosePublication(usize),
}

impl Pipeline {
    fn partition_of(&self, processor: usize) -> usize {
        processor % self.partitions
    }

    /// What the parts do when nothing fails. Where none of it is possible the pipeline is at rest.
    pub(crate) fn steps(&self, state: &State) -> Vec<Action> {
        let mut steps = Vec::new();
        for (i, client) in state.clients.iter().enumerate() {
            match client.phase {
                Phase::Idle if client.sends == 0 && self.may_send(state, i) => steps.push(Action::Send(i)),
                Phase::Idle => {}
                Phase::Sent => steps.push(Action::Append(i)),
                Phase::Appended { .. } => steps.push(Action::Report(i)),
                Phase::Accepted { offset } => {
                    let partition = self.requests[i].submission.partition();
                    if offset < state.store.partitions[partition].next_offset {
                        steps.push(Action::Answer(i));
                    }
                }
            }
        }
        for (i, processor) in state.processors.iter().enumerate() {
            match processor {
                Processor::Beginning if self.rules.offset_first => steps.push(Action::Settle(i)),
                Processor::Beginning => steps.push(Action::Load(i)),
                Processor::Loaded(_) => steps.push(Action::Settle(i)),
                Processor::Settled { expected, .. } if *expected < state.log[self.partition_of(i)].len() => {
                    steps.push(Action::Open(i));
                }
                Processor::Settled { .. } => {}
                Processor::Deciding(_) => steps.push(Action::Commit(i)),
            }
        }
        for (i, relay) in state.relays.iter().enumerate() {
            match relay {
                Relay::Idle if state.store.sent < state.store.partitions[0].seq => steps.push(Action::Publish(i)),
                Relay::Idle => {}
                Relay::Publishing { .. } => steps.push(Action::Deliver(i)),
                Relay::Published { .. } => steps.push(Action::MarkSent(i)),
            }
        }
        steps
    }

    /// What may happen beside, at any time and as often as it likes; or never.
    fn accidents(&self, state: &State) -> Vec<Action> {
        let mut accidents = Vec::new();
        for (i, client) in state.clients.iter().enumerate() {
            match client.phase {
                Phase::Idle if client.sends > 0 && self.may_send(state, i) => accidents.push(Action::Send(i)),
                Phase::Idle => {}
                _ => accidents.push(Action::TimeOut(i)),
            }
        }
        accidents.extend((0..state.late.len()).map(Action::AppendLate));
        for (i, processor) in state.processors.iter().enumerate() {
            match processor {
                Processor::Beginning => {}
                Processor::Deciding(_) => accidents.extend([Action::CommitUnheard(i), Action::Crash(i)]),
                _ => accidents.push(Action::Crash(i)),
            }
        }
        let under_way = |(i, relay): (usize, &Relay)| (*relay != Relay::Idle).then_some(Action::LosePublication(i));
        accidents.extend(state.relays.iter().enumerate().filter_map(under_way));
        accidents
    }

    fn may_send(&self, state: &State, client: usize) -> bool {
        let Request { sends, after, .. } = self.requests[client];
        state.clients[client].sends < sends && after.is_none_or(|first| !state.clients[first].answers.is_empty())
    }

    /// What the API answers from the outcome of the key, if there is one.
    fn stored_answer(&self, store: &Store, submission: &Submission) -> Option<Answer> {
        let stored = store.outcomes.get(&submission.command_id)?;
        Some(if self.rules.compare_body { answer(stored, submission) } else { Answer::Done(stored.outcome) })
    }

    fn send(&self, state: &mut State, i: usize) -> Option<()> {
        let submission = self.requests[i].submission;
        if state.clients[i].sends == 0 {
            state.history.on_invoke(i, submission).ok()?;
        }
        state.clients[i].sends += 1;
        if let Some(answer) = self.stored_answer(&state.store, &submission) {
            return state.answer(i, answer);
        }
        if self.rules.delivery_report {
            state.clients[i].phase = Phase::Sent;
        } else {
            state.give_up(submission);
            state.accept(i, state.log[submission.partition()].len());
        }
        Some(())
    }

    /// An action on a request.
    fn serve(&self, state: &mut State, action: &Action) -> Option<()> {
        match *action {
            Action::Send(i) => return self.send(state, i),
            Action::Append(i) => {
                let offset = state.append(self.requests[i].submission);
                state.clients[i].phase = Phase::Appended { offset };
            }
            Action::Report(i) => {
                let Phase::Appended { offset } = state.clients[i].phase else { return None };
                state.accept(i, offset);
            }
            Action::Answer(i) => {
                state.clients[i].phase = Phase::Idle;
                // Without an outcome there is no answer; a property looks for that.
                let answer = self.stored_answer(&state.store, &self.requests[i].submission)?;
                return state.answer(i, answer);
            }
            Action::TimeOut(i) => {
                if state.clients[i].phase == Phase::Sent {
                    state.give_up(self.requests[i].submission);
                }
                state.clients[i].phase = Phase::Idle;
            }
            Action::AppendLate(i) => {
                let submission = state.late.remove(i);
                state.append(submission);
            }
            _ => return None,
        }
        Some(())
    }

    /// An action of a processor: what it is afterwards.
    fn process(&self, state: &mut State, action: &Action) -> Option<(usize, Processor)> {
        let (Action::Load(i)
        | Action::Settle(i)
        | Action::Open(i)
        | Action::Commit(i)
        | Action::CommitUnheard(i)
        | Action::Crash(i)) = *action
        else {
            return None;
        };
        let partition = self.partition_of(i);
        let next_offset = state.store.partitions[partition].next_offset;
        let next = match (action, state.processors[i].clone()) {
            (Action::Load(_), _) => Processor::Loaded(state.store.tickets.clone()),
            (Action::Settle(_), Processor::Loaded(tickets)) => {
                Processor::Settled { expected: next_offset, loaded: Some(tickets) }
            }
            (Action::Settle(_), _) => Processor::Settled { expected: next_offset, loaded: None },
            (Action::Open(_), Processor::Settled { expected, loaded }) if expected == next_offset => {
                let records = &state.log[partition][expected..];
                Processor::Deciding(state.store.open(self.rules, partition, records, loaded.as_ref()))
            }
            (Action::Commit(_), Processor::Deciding(batch)) if state.commit(self.rules, &batch) => {
                let expected = batch.after.next_offset;
                // Against the rule it would have to load again; to begin again lets it.
                if self.rules.offset_first {
                    Processor::Settled { expected, loaded: None }
                } else {
                    Processor::Beginning
                }
            }
            (Action::CommitUnheard(_), Processor::Deciding(batch)) => {
                state.commit(self.rules, &batch);
                Processor::Beginning
            }
            // Crashed, fenced, or refused by the store: begun again at the read of the position.
            _ => Processor::Beginning,
        };
        Some((i, next))
    }

    /// An action of a relay: what it is afterwards.
    fn relay(&self, state: &mut State, action: &Action) -> Option<(usize, Relay)> {
        let (i, next) = match *action {
            Action::Publish(i) => {
                let seq = state.store.sent + 1;
                if !self.rules.sent_after_ack {
                    state.store.sent = seq;
                }
                (i, Relay::Publishing { seq })
            }
            Action::Deliver(i) => {
                let Relay::Publishing { seq } = state.relays[i] else { return None };
                let event = *state.store.events.get(&EventId { partition: 0, seq })?;
                state.topic.deliver(seq, event);
                (i, Relay::Published { seq })
            }
            Action::MarkSent(i) => {
                let Relay::Published { seq } = state.relays[i] else { return None };
                state.store.sent = state.store.sent.max(seq);
                (i, Relay::Idle)
            }
            Action::LosePublication(i) => (i, Relay::Idle),
            _ => return None,
        };
        Some((i, next))
    }
}

impl State {
    fn append(&mut self, submission: Submission) -> usize {
        let records = &mut self.log[submission.partition()];
        records.push(submission);
        records.len() - 1
    }

    /// Nobody waits for the record any more; it may be in a buffer or on the network.
    fn give_up(&mut self, submission: Submission) {
        self.late.push(submission);
        self.late.sort_unstable();
    }

    fn accept(&mut self, client: usize, offset: usize) {
        self.clients[client].phase = Phase::Accepted { offset };
        self.clients[client].accepted = true;
    }

    fn answer(&mut self, i: usize, answer: Answer) -> Option<()> {
        let client = &mut self.clients[i];
        if client.answers.is_empty() {
            self.history.on_return(i, answer).ok()?;
        }
        if !client.answers.contains(&answer) {
            client.answers.push(answer);
        }
        Some(())
    }

    /// Commits a batch, and says whether it was.
    fn commit(&mut self, rules: Rules, batch: &Transaction) -> bool {
        let committed = self.store.commit(rules, batch);
        self.alarmed |= committed == Err(Abort::TwoWriters);
        if committed.is_ok() {
            let commits = &mut self.commits[batch.partition];
            commits.resize(commits.len().max(batch.after.next_offset), 0);
            for count in &mut commits[batch.read.next_offset..batch.after.next_offset] {
                *count = (*count + 1).min(2);
            }
        }
        committed.is_ok()
    }
}

impl Topic {
    fn deliver(&mut self, seq: usize, event: Event) {
        match self.seen.get(seq - 1) {
            Some(seen) => self.broken |= *seen != event,
            None if seq == self.seen.len() + 1 => self.seen.push(event),
            None => self.broken = true,
        }
    }
}

impl Model for Pipeline {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut log = vec![Vec::new(); self.partitions];
        for submission in &self.before {
            log[submission.partition()].push(*submission);
        }
        let mut store = Store { partitions: vec![Default::default(); self.partitions], ..Store::default() };
        let mut commits = Vec::new();
        for (partition, records) in log.iter().enumerate() {
            let batch = store.open(self.rules, partition, records, None);
            store.commit(self.rules, &batch).expect("nobody else writes yet");
            commits.push(vec![1; records.len()]);
        }
        let idle = Client { phase: Phase::Idle, sends: 0, accepted: false, answers: Vec::new() };
        vec![State {
            clients: vec![idle; self.requests.len()],
            late: Vec::new(),
            log,
            store,
            processors: vec![Processor::Beginning; 2],
            relays: vec![Relay::Idle; self.relays],
            topic: Topic::default(),
            commits,
            alarmed: false,
            history: LinearizabilityTester::new(Fold::of(&self.before)),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(self.steps(state));
        actions.extend(self.accidents(state));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        if let Some((i, processor)) = self.process(&mut state, &action) {
            state.processors[i] = processor;
            if self.partitions == 1 {
                state.processors.sort_unstable();
            }
        } else if let Some((i, relay)) = self.relay(&mut state, &action) {
            state.relays[i] = relay;
            state.relays.sort_unstable();
        } else {
            self.serve(&mut state, &action)?;
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let reaches = self.reaches.iter().map(|(name, reached)| Property::sometimes(name, *reached));
        properties::always().into_iter().chain(reaches).collect()
    }
}
