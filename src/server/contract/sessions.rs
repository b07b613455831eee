//! Sign-ins and what hangs on them: every race has one winner, every replay is noticed, and nothing outlives its time or its person's word.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Ports, identity::audited, identity::entry, person, user};
use crate::{
    domain::reason::Role,
    server::ports::{
        AuditEntry, AuditQuery, CodeGrant, DeviceDecision, DeviceGrant, Digest, NewRefresh, Poll, Redeemed, Redemption,
        Rotation, RotationTimes, SecondFactor, Session, SignIn, StoreError, User,
    },
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Seconds after the sign-in that every test begins with.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_254_400 + seconds).unwrap()
}

pub(crate) fn digest(secret: &str) -> Digest {
    Sha256::digest(secret).into()
}

pub(crate) fn audit(action: &str, seconds: i64) -> AuditEntry {
    AuditEntry { at: at(seconds), ..entry(action) }
}

pub(crate) fn sign_in(name: &str) -> SignIn {
    let person = person(name);
    SignIn {
        user: person.id,
        username: person.username,
        generation: 0,
        at: at(0),
        methods: vec!["pwd".to_owned(), "otp".to_owned()],
    }
}

/// A session of ana's, from the sign-in until 16 hours later.
pub(crate) fn session(n: u128) -> Session {
    Session {
        sid: Uuid::from_u128(n),
        sign_in: sign_in("ana"),
        client_id: "app".to_owned(),
        scope: "openid tickets:read".to_owned(),
        device: "Firefox · Linux".to_owned(),
        created_at: at(0),
        last_used_at: at(0),
        expires_at: at(16 * HOUR),
    }
}

pub(crate) fn code_grant() -> CodeGrant {
    CodeGrant {
        client_id: "app".to_owned(),
        sign_in: sign_in("ana"),
        redirect_uri: "http://127.0.0.1/cb".to_owned(),
        code_challenge: "challenge".to_owned(),
        nonce: Some("n".to_owned()),
        scope: "openid tickets:read".to_owned(),
        device: "Firefox · Linux".to_owned(),
        expires_at: at(60),
    }
}

fn device_grant(user_code: &str) -> DeviceGrant {
    DeviceGrant {
        client_id: "cli".to_owned(),
        user_code: user_code.to_owned(),
        scope: "tickets:read".to_owned(),
        device: "medreq on pc-7".to_owned(),
        source: "192.0.2.7".to_owned(),
        expires_at: at(300),
        interval: 5,
        decision: None,
    }
}

fn token(secret: &str) -> NewRefresh {
    NewRefresh { hash: digest(secret), idle_until: at(12 * HOUR) }
}

impl Ports {
    async fn ana(&self) -> User {
        let ana = user("ana", Role::Nurse);
        self.identity.insert_users(vec![ana.clone()], vec![]).await.unwrap();
        ana
    }

    /// Opens a session through a code, with its first refresh token.
    pub(crate) async fn open(&self, session: Session, refresh: &str) {
        let code = digest(&format!("code of {}", session.sid));
        let grant = CodeGrant { sign_in: session.sign_in.clone(), ..code_grant() };
        self.sessions.insert_code(code, grant, audit("code_issued", 0)).await.unwrap();
        let opened = self.sessions.redeem_code(code, session, Some(token(refresh)), at(0), audit("opened", 0)).await;
        assert_eq!(opened.unwrap(), Redemption::Opened);
    }

    /// Refreshes as the token endpoint does, within a window of 10 seconds.
    pub(crate) async fn rotate(&self, token: &str, next: &str, seconds: i64) -> Rotation {
        let next_token = NewRefresh { hash: digest(next), idle_until: at(seconds + 12 * HOUR) };
        let times =
            RotationTimes { now: at(seconds), repeat_since: at(seconds - 10), listed_until: at(seconds + HOUR) };
        let (audit, reused) = (audit("refreshed", seconds), audit("reused", seconds));
        let sealed = next.as_bytes().to_vec();
        self.sessions.rotate_refresh(digest(token), next_token, sealed, times, audit, reused).await.unwrap()
    }

    async fn redeem_code(&self, code: &str, sid: u128, seconds: i64) -> Redemption {
        let audit = audit("opened", seconds);
        self.sessions.redeem_code(digest(code), session(sid), None, at(seconds), audit).await.unwrap()
    }

    async fn redeem_device(&self, device: &str, sid: u128, seconds: i64) -> Redemption {
        let audit = audit("opened", seconds);
        self.sessions.redeem_device(digest(device), session(sid), None, at(seconds), audit).await.unwrap()
    }

    async fn poll(&self, device: &str, seconds: i64) -> Poll {
        self.sessions.poll_device(digest(device), "cli", at(seconds)).await.unwrap()
    }

    async fn decide(&self, user_code: &str, decision: DeviceDecision, seconds: i64) -> bool {
        let audit = audit("device_decided", seconds);
        self.sessions.decide_device(user_code, decision, at(seconds), audit).await.unwrap()
    }

    async fn end(&self, sid: u128, listed_until: i64) -> bool {
        self.sessions.end_session(Uuid::from_u128(sid), at(listed_until), audit("ended", 0)).await.unwrap()
    }

    /// Looks a page's session up, which may idle for an hour.
    pub(crate) async fn by_cookie(&self, cookie: &str, seconds: i64) -> Option<Session> {
        self.sessions.session_by_cookie(digest(cookie), at(seconds - HOUR), at(seconds)).await.unwrap()
    }

    async fn newest_action(&self) -> String {
        let query = AuditQuery { limit: 1, ..AuditQuery::default() };
        self.identity.audit_entries(query).await.unwrap().items.remove(0).action
    }
}

pub(crate) async fn of_parallel_refreshes_one_has_a_successor(ports: Ports) {
    ports.ana().await;
    ports.open(session(1), "r0").await;
    let names: Vec<String> = (0..50).map(|n| format!("r1-{n}")).collect();
    let results = join_all(names.iter().map(|next| ports.rotate("r0", next, 5))).await;
    let winners: Vec<&String> =
        names.iter().zip(&results).filter(|(_, result)| **result == Rotation::Rotated).map(|(name, _)| name).collect();
    let [winner] = winners[..] else { panic!("{results:?}") };
    let same = Rotation::Repeated(winner.as_bytes().to_vec());
    assert_eq!(results.iter().filter(|result| **result == same).count(), 49, "{results:?}");
    for name in &names {
        let token = ports.sessions.refresh_token(digest(name)).await.unwrap();
        assert_eq!(token.is_some(), name == winner, "{name}");
    }
    assert_eq!(ports.rotate(winner, "r2", 6).await, Rotation::Rotated, "nobody was signed out");
}

pub(crate) async fn a_lost_answer_to_a_refresh_is_given_again(ports: Ports) {
    ports.ana().await;
    ports.open(session(1), "r0").await;
    assert_eq!(ports.rotate("r0", "r1", 100).await, Rotation::Rotated);
    assert_eq!(ports.newest_action().await, "refreshed");
    let written = audited(&ports).await;
    for seconds in [100, 105, 110] {
        let again = ports.rotate("r0", "never", seconds).await;
        assert_eq!(again, Rotation::Repeated(b"r1".to_vec()), "{seconds} s");
    }
    assert_eq!(audited(&ports).await, written, "a repetition changes nothing");
    let used = ports.sessions.refresh_token(digest("r0")).await.unwrap().unwrap();
    assert_eq!((used.used_at, used.ended, used.session.last_used_at), (Some(at(100)), false, at(100)));
    let unused = ports.sessions.refresh_token(digest("r1")).await.unwrap().unwrap();
    assert_eq!((unused.used_at, unused.idle_until), (None, at(100 + 12 * HOUR)));
    assert_eq!(ports.rotate("r1", "r2", 120).await, Rotation::Rotated);
}

pub(crate) async fn an_old_refresh_token_ends_its_session(ports: Ports) {
    ports.ana().await;
    // Too late; and in time, but the successor shows that the answer was not lost.
    for (sid, successor_used, replayed_at) in [(1, None, 11), (2, Some(1), 2), (3, Some(1), 13 * HOUR)] {
        let name = |n: u32| format!("{sid}:r{n}");
        ports.open(session(sid), &name(0)).await;
        assert_eq!(ports.rotate(&name(0), &name(1), 0).await, Rotation::Rotated);
        let mut newest = name(1);
        if let Some(seconds) = successor_used {
            assert_eq!(ports.rotate(&name(1), &name(2), seconds).await, Rotation::Rotated);
            newest = name(2);
        }
        assert_eq!(ports.rotate(&name(0), "never", replayed_at).await, Rotation::Reused, "session {sid}");
        assert_eq!(ports.newest_action().await, "reused");
        let written = audited(&ports).await;
        for token in [name(0), name(1), newest.clone()] {
            assert_eq!(ports.rotate(&token, "never", replayed_at).await, Rotation::Dead, "{token}");
        }
        assert_eq!(audited(&ports).await, written, "a dead token has no more to tell");
        assert!(ports.sessions.refresh_token(digest(&newest)).await.unwrap().unwrap().ended);
        let listed = ports.sessions.ended_sessions(at(replayed_at)).await.unwrap();
        assert!(listed.contains(&Uuid::from_u128(sid)));
        assert!(!ports.end(sid, replayed_at).await, "it had ended");
    }
}

pub(crate) async fn a_refresh_token_dies_with_its_time_and_its_session(ports: Ports) {
    ports.ana().await;
    ports.open(session(1), "idle").await;
    ports.open(session(2), "r0").await;
    ports.open(session(3), "s0").await;
    assert_eq!(ports.rotate("r0", "r1", 12 * HOUR - 1).await, Rotation::Rotated);
    assert!(ports.end(3, HOUR).await);
    let written = audited(&ports).await;
    assert_eq!(ports.rotate("idle", "never", 12 * HOUR).await, Rotation::Dead);
    assert_eq!(ports.rotate("r1", "never", 16 * HOUR).await, Rotation::Dead, "the session is over, the token is not");
    assert_eq!(ports.rotate("s0", "never", 1).await, Rotation::Dead);
    assert_eq!(ports.rotate("unknown", "never", 1).await, Rotation::Dead);
    assert_eq!(ports.sessions.refresh_token(digest("never")).await.unwrap(), None);
    assert_eq!(audited(&ports).await, written);
    assert_eq!(ports.sessions.ended_sessions(at(0)).await.unwrap(), [Uuid::from_u128(3)]);
}

pub(crate) async fn of_parallel_redemptions_one_opens_a_session(ports: Ports) {
    ports.ana().await;
    let code = digest("code");
    ports.sessions.insert_code(code, code_grant(), audit("code_issued", 0)).await.unwrap();
    assert_eq!(ports.sessions.code(code).await.unwrap(), Some((code_grant(), None)));
    let written = audited(&ports).await;
    let redeem = |n: u128| {
        let refresh = Some(token(&format!("r{n}")));
        ports.sessions.redeem_code(code, session(n), refresh, at(5), audit("opened", 5))
    };
    let results: Vec<_> = join_all((1..=20).map(redeem)).await.into_iter().map(Result::unwrap).collect();
    let winner = results.iter().position(|result| *result == Redemption::Opened).unwrap() as u128 + 1;
    let redeemed = Redeemed { at: at(5), sid: Uuid::from_u128(winner) };
    let before = Redemption::Before(redeemed.clone());
    assert_eq!(ports.sessions.code(code).await.unwrap(), Some((code_grant(), Some(redeemed))));
    assert_eq!(results.iter().filter(|result| **result == before).count(), 19, "{results:?}");
    assert_eq!(audited(&ports).await, written + 1);
    for n in 1..=20 {
        let opened = ports.sessions.session(Uuid::from_u128(n)).await.unwrap();
        assert_eq!(opened, (n == winner).then(|| session(n)));
        let refresh = ports.sessions.refresh_token(digest(&format!("r{n}"))).await.unwrap();
        assert_eq!(refresh.is_some(), n == winner);
    }
    assert_eq!(ports.redeem_code("code", 99, HOUR).await, before, "a late replay is told from a code that is just old");

    ports.sessions.insert_code(digest("late"), code_grant(), audit("code_issued", 0)).await.unwrap();
    assert_eq!(ports.redeem_code("late", 98, 60).await, Redemption::Dead);
    assert_eq!(ports.redeem_code("unknown", 97, 0).await, Redemption::Dead);
    assert_eq!(ports.sessions.session(Uuid::from_u128(98)).await.unwrap(), None);
    assert_eq!(ports.sessions.code(digest("late")).await.unwrap(), Some((code_grant(), None)));
}

pub(crate) async fn a_device_that_asks_too_often_is_slowed_down_and_not_lost(ports: Ports) {
    ports.ana().await;
    ports.sessions.insert_device(digest("d"), device_grant("BCDFGHJK"), audit("device", 0)).await.unwrap();
    assert_eq!(ports.poll("d", 0).await, Poll::Pending, "the first is never too early");
    assert_eq!(ports.poll("d", 4).await, Poll::SlowDown, "from now on 10 s");
    assert_eq!(ports.poll("d", 13).await, Poll::SlowDown, "from now on 15 s");
    assert_eq!(ports.poll("d", 28).await, Poll::Pending);
    assert!(ports.decide("BCDFGHJK", DeviceDecision::Approved(sign_in("ana")), 30).await);
    assert_eq!(ports.poll("d", 42).await, Poll::SlowDown, "from now on 20 s");
    let Poll::Decided(grant) = ports.poll("d", 62).await else { panic!("the approval is lost") };
    assert_eq!((grant.decision, grant.interval), (Some(DeviceDecision::Approved(sign_in("ana"))), 20));
    assert_eq!(ports.redeem_device("d", 1, 62).await, Redemption::Opened);
    let before = Redemption::Before(Redeemed { at: at(62), sid: Uuid::from_u128(1) });
    assert_eq!(ports.redeem_device("d", 2, 63).await, before);
}

pub(crate) async fn a_device_waits_for_one_word(ports: Ports) {
    ports.ana().await;
    let insert = |device: &str, seconds: i64| {
        let grant = DeviceGrant { expires_at: at(seconds + 300), ..device_grant("BCDFGHJK") };
        ports.sessions.insert_device(digest(device), grant, audit("device", seconds))
    };
    insert("a", 0).await.unwrap();
    let taken = insert("b", 299).await;
    assert!(matches!(taken, Err(StoreError::Exists { what: "user code", .. })), "{taken:?}");
    assert_eq!(ports.poll("b", 299).await, Poll::Dead, "nothing was kept");
    assert_eq!(ports.sessions.poll_device(digest("a"), "other", at(1)).await.unwrap(), Poll::Dead);
    assert_eq!(ports.redeem_device("a", 1, 1).await, Redemption::Dead, "nobody approved it");
    let waiting = ports.sessions.device_by_user_code("BCDFGHJK", at(299)).await.unwrap();
    assert_eq!(waiting, Some(device_grant("BCDFGHJK")));
    assert_eq!(ports.sessions.device_by_user_code("BCDFGHJK", at(300)).await.unwrap(), None);
    assert!(!ports.decide("BCDFGHJK", DeviceDecision::Denied, 300).await);

    // The code is free again, and the word is for the one that waits now.
    insert("b", 300).await.unwrap();
    let words = (0..5).map(|_| ports.decide("BCDFGHJK", DeviceDecision::Denied, 301));
    assert_eq!(join_all(words).await.into_iter().filter(|decided| *decided).count(), 1);
    let approves = DeviceDecision::Approved(sign_in("ana"));
    assert!(!ports.decide("BCDFGHJK", approves.clone(), 302).await, "no is no");
    assert_eq!(ports.sessions.device_by_user_code("BCDFGHJK", at(302)).await.unwrap(), None);
    assert!(
        matches!(ports.poll("b", 302).await, Poll::Decided(grant) if grant.decision == Some(DeviceDecision::Denied))
    );
    assert_eq!(ports.redeem_device("b", 1, 302).await, Redemption::Dead);
    assert_eq!(ports.poll("a", 302).await, Poll::Expired);

    insert("c", 303).await.unwrap();
    assert!(ports.decide("BCDFGHJK", approves, 304).await);
    assert_eq!(ports.redeem_device("c", 1, 603).await, Redemption::Dead, "approved, and fetched too late");
    assert_eq!(ports.poll("c", 603).await, Poll::Expired);
}

pub(crate) async fn a_new_generation_kills_what_was_issued_before(ports: Ports) {
    let mut ana = ports.ana().await;
    for (sid, disabled) in [(10, false), (20, true)] {
        let signed_in = SignIn { generation: ana.generation, ..sign_in("ana") };
        let session = |n: u128| Session { sign_in: signed_in.clone(), ..session(sid + n) };
        let name = |what: &str| format!("{what} {sid}");
        let grant = CodeGrant { sign_in: signed_in.clone(), ..code_grant() };
        ports.sessions.insert_code(digest(&name("code")), grant, audit("code_issued", 0)).await.unwrap();
        let waits = device_grant("BCDFGHJK");
        ports.sessions.insert_device(digest(&name("device")), waits, audit("device", 0)).await.unwrap();
        assert!(ports.decide("BCDFGHJK", DeviceDecision::Approved(signed_in.clone()), 1).await);
        ports.open(session(1), &name("r0")).await;
        assert_eq!(ports.rotate(&name("r0"), &name("r1"), 1).await, Rotation::Rotated);
        ports.sessions.open_session(session(2), digest(&name("cookie")), audit("signed_in", 0)).await.unwrap();
        assert!(ports.by_cookie(&name("cookie"), 1).await.is_some());

        // A change of rights alone logs nobody out.
        let renamed = User { name: "Ana Souza".to_owned(), ..ana };
        ana = ports.identity.update_user(renamed, entry("user_changed")).await.unwrap();
        assert_eq!(ports.rotate(&name("r1"), &name("r2"), 2).await, Rotation::Rotated);
        let was = ana.generation;
        ana = User { disabled, generation: if disabled { was } else { was + 1 }, ..ana };
        ana = ports.identity.update_user(ana, entry("user_changed")).await.unwrap();

        let written = audited(&ports).await;
        assert_eq!(ports.redeem_code(&name("code"), sid + 3, 3).await, Redemption::Dead);
        assert_eq!(ports.redeem_device(&name("device"), sid + 4, 3).await, Redemption::Dead);
        for token in ["r0", "r1", "r2"] {
            assert_eq!(ports.rotate(&name(token), "never", 3).await, Rotation::Dead, "{token}");
        }
        assert_eq!(ports.by_cookie(&name("cookie"), 3).await, None);
        assert_eq!(audited(&ports).await, written);
    }
}

pub(crate) async fn an_ended_session_is_listed_until_its_tokens_are_dead(ports: Ports) {
    ports.ana().await;
    ports.open(session(1), "r0").await;
    ports.sessions.open_session(session(2), digest("cookie"), audit("signed_in", 0)).await.unwrap();
    let taken = ports.sessions.open_session(session(2), digest("other"), audit("signed_in", 0)).await;
    assert!(matches!(taken, Err(StoreError::Exists { what: "session", .. })), "{taken:?}");
    let written = audited(&ports).await;
    let ends = join_all((0..5).map(|_| ports.end(1, 600))).await;
    assert_eq!(ends.into_iter().filter(|ended| *ended).count(), 1);
    // Of a session that only a token tells of; a later time than before counts, an earlier does not.
    assert!(ports.end(77, 600).await);
    assert!(!ports.end(77, 900).await && !ports.end(77, 700).await);
    assert!(ports.end(2, 300).await);
    assert_eq!(audited(&ports).await, written + 3);

    let listed = async |seconds: i64| {
        let sids = ports.sessions.ended_sessions(at(seconds)).await.unwrap();
        sids.into_iter().map(|sid| sid.as_u128()).collect::<BTreeSet<_>>()
    };
    assert_eq!(listed(299).await, [1, 2, 77].into());
    assert_eq!(listed(300).await, [1, 77].into());
    assert_eq!(listed(600).await, [77].into());
    assert_eq!(listed(900).await, [].into());
    assert_eq!(ports.rotate("r0", "never", 5).await, Rotation::Dead);
    assert_eq!(ports.by_cookie("cookie", 5).await, None);
    assert_eq!(ports.sessions.session(Uuid::from_u128(1)).await.unwrap(), Some(session(1)));
    // What is listed no more has ended all the same.
    ports.sessions.forget_ended(at(HOUR)).await.unwrap();
    assert_eq!(ports.rotate("r0", "never", HOUR).await, Rotation::Dead);
    assert!(!ports.end(1, 2 * HOUR).await);
}

pub(crate) async fn open_sessions_are_listed_last_used_first(ports: Ports) {
    ports.ana().await;
    ports.identity.insert_users(vec![user("bia", Role::Pharmacist)], vec![]).await.unwrap();
    for sid in [1, 2, 3, 4] {
        ports.open(session(sid), &format!("r{sid}")).await;
    }
    ports.sessions.open_session(session(5), digest("cookie"), audit("signed_in", 0)).await.unwrap();
    ports.open(Session { sign_in: sign_in("bia"), ..session(6) }, "r6").await;
    ports.open(Session { expires_at: at(HOUR), ..session(7) }, "r7").await;
    assert_eq!(ports.rotate("r2", "r2b", 50).await, Rotation::Rotated);
    assert_eq!(ports.rotate("r4", "r4b", 90).await, Rotation::Rotated);
    assert!(ports.end(3, HOUR).await);
    let used = ports.by_cookie("cookie", 70).await.unwrap();
    assert_eq!(used, Session { last_used_at: at(70), ..session(5) });
    assert_eq!(ports.by_cookie("other", 70).await, None);
    assert_eq!(ports.by_cookie("cookie", 71 + HOUR).await, None, "idle for too long");
    let late = ports.sessions.session_by_cookie(digest("cookie"), at(0), at(16 * HOUR)).await.unwrap();
    assert_eq!(late, None, "over, however much it was used");

    let ana = person("ana").id;
    let listed = async |generation: u64, seconds: i64| {
        let sessions = ports.sessions.sessions(ana, generation, at(seconds)).await.unwrap();
        sessions.into_iter().map(|session| session.sid.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(listed(0, 100).await, [4, 5, 2, 1, 7]);
    assert_eq!(listed(0, HOUR).await, [4, 5, 2, 1]);
    assert_eq!(listed(1, 100).await, [0; 0]);
    assert_eq!(listed(0, 16 * HOUR).await, [0; 0]);
}

pub(crate) async fn a_second_factor_is_spent_once(ports: Ports) {
    let ana = person("ana").id;
    let factor = SecondFactor {
        secret: vec![1, 2, 3],
        confirmed: true,
        last_step: 40,
        recovery: [digest("rescue-1"), digest("rescue-2")].into(),
    };
    assert_eq!(ports.sessions.second_factor(ana).await.unwrap(), None);
    assert!(!ports.sessions.spend_step(ana, 41).await.unwrap());
    ports.sessions.put_second_factor(ana, Some(factor.clone()), audit("totp_set", 0)).await.unwrap();
    assert_eq!(ports.sessions.second_factor(ana).await.unwrap(), Some(factor.clone()));

    let spent = join_all((0..10).map(|_| ports.sessions.spend_step(ana, 42))).await;
    assert_eq!(spent.into_iter().filter(|spent| *spent.as_ref().unwrap()).count(), 1);
    assert!(!ports.sessions.spend_step(ana, 41).await.unwrap(), "an older step is spent too");
    assert!(ports.sessions.spend_step(ana, 43).await.unwrap());

    let written = audited(&ports).await;
    let rescue = |code: &str| ports.sessions.spend_recovery(ana, digest(code), audit("recovery_used", 0));
    let spent = join_all((0..10).map(|_| rescue("rescue-1"))).await;
    assert_eq!(spent.into_iter().filter(|spent| *spent.as_ref().unwrap()).count(), 1);
    assert!(!rescue("rescue-3").await.unwrap());
    assert_eq!(audited(&ports).await, written + 1);
    let left = SecondFactor { last_step: 43, recovery: [digest("rescue-2")].into(), ..factor };
    assert_eq!(ports.sessions.second_factor(ana).await.unwrap(), Some(left));

    ports.sessions.put_second_factor(ana, None, audit("totp_removed", 0)).await.unwrap();
    assert_eq!(ports.sessions.second_factor(ana).await.unwrap(), None);
    assert!(!rescue("rescue-2").await.unwrap());
}

pub(crate) async fn only_what_is_long_over_is_forgotten(ports: Ports) {
    ports.ana().await;
    let long = Session { expires_at: at(20 * DAY), ..session(1) };
    ports.open(long, "r0").await;
    assert_eq!(ports.rotate("r0", "r1", 0).await, Rotation::Rotated);
    ports.open(session(2), "s0").await;
    ports.sessions.insert_code(digest("code"), code_grant(), audit("code_issued", 0)).await.unwrap();
    ports.sessions.insert_device(digest("d"), device_grant("BCDFGHJK"), audit("device", 0)).await.unwrap();
    assert!(ports.end(77, HOUR).await);

    // Within its window, an answer stays to be given again.
    ports.sessions.forget_ended(at(9)).await.unwrap();
    assert_eq!(ports.rotate("r0", "never", 9).await, Rotation::Repeated(b"r1".to_vec()));
    let there = async |code: &str, token: &str| {
        let code = ports.sessions.code(digest(code)).await.unwrap().is_some();
        (code, ports.sessions.refresh_token(digest(token)).await.unwrap().is_some())
    };
    ports.sessions.forget_ended(at(DAY + 59)).await.unwrap();
    assert_eq!(there("code", "s0").await, (true, true));
    ports.sessions.forget_ended(at(3 * DAY)).await.unwrap();
    assert_eq!(there("code", "s0").await, (false, false));
    assert!(ports.sessions.session(Uuid::from_u128(2)).await.unwrap().is_some(), "for 30 days people may look it up");
    assert!(ports.end(77, 4 * DAY).await, "forgotten with the last token that it was listed for");
    // The thief of a token is noticed as long as there is something to steal.
    assert_eq!(ports.rotate("r0", "never", 3 * DAY).await, Rotation::Reused);
    ports.sessions.forget_ended(at(31 * DAY)).await.unwrap();
    assert_eq!(ports.sessions.session(Uuid::from_u128(2)).await.unwrap(), None);
    assert_eq!(ports.sessions.session(Uuid::from_u128(1)).await.unwrap().map(|session| session.sid.as_u128()), Some(1));
}
