//! Users, clients, links, keys, audit: every write with its audit entry, every condition kept.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Ports, code, person, user};
use crate::{
    domain::{actor::Reach, reason::Role},
    server::ports::{AuditEntry, AuditQuery, Client, SigningKey, StoreError, User},
};

pub(crate) fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp::UNIX_EPOCH,
        kind: "user".to_owned(),
        action: action.to_owned(),
        actor: Some("root".to_owned()),
        subject: None,
        detail: json!({"n": 1}),
    }
}

pub(super) async fn audited(ports: &Ports) -> u64 {
    ports.identity.audit_entries(AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap().total.unwrap()
}

fn client(client_id: &str) -> Client {
    Client {
        client_id: client_id.to_owned(),
        id: person(client_id).id,
        name: "HIS".to_owned(),
        service: true,
        secret_hash: Some("h".to_owned()),
        redirect_uris: vec![],
        scopes: ["tickets:read".to_owned()].into(),
        wards: None,
        disabled: false,
        first_party: false,
        valid_from: Timestamp::UNIX_EPOCH,
        generation: 0,
        version: 0,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

pub(crate) async fn users_are_inserted_once_and_updated_as_they_were_read(ports: Ports) {
    ports.open_hospital().await;
    let mut ana = user("ana", Role::Nurse);
    ana.wards = [code("UTI")].into();
    ports.identity.insert_users(vec![ana.clone()], vec![entry("user_created")]).await.unwrap();
    assert_eq!(ports.identity.user(&ana.username).await.unwrap(), Some(ana.clone()));

    // One bad row undoes the whole import, its audit included.
    let again = vec![user("bia", Role::Pharmacist), ana.clone()];
    let taken = ports.identity.insert_users(again, vec![entry("user_created")]).await;
    assert!(matches!(taken, Err(StoreError::Exists { what: "user", .. })), "{taken:?}");
    let mut lost = user("bia", Role::Pharmacist);
    lost.pharmacies = [code("NOWHERE")].into();
    let missing = ports.identity.insert_users(vec![lost], vec![entry("user_created")]).await;
    assert!(matches!(missing, Err(StoreError::Missing { what: "pharmacy", .. })), "{missing:?}");
    assert_eq!((ports.identity.user(&code("bia")).await.unwrap(), audited(&ports).await), (None, 1));

    let updates = (0..5_u32)
        .map(|n| ports.identity.update_user(User { name: format!("Ana {n}"), ..ana.clone() }, entry("user_changed")));
    let results = join_all(updates).await;
    let winners: Vec<&User> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    let [winner] = winners[..] else { panic!("one of the racing updates wins: {results:?}") };
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(StoreError::Changed))));
    assert_eq!((winner.version, winner.generation), (1, 0));
    assert_eq!(ports.identity.user(&ana.username).await.unwrap().as_ref(), Some(winner), "as it was given back");
    // What was read before it was changed changes nothing, whichever fields differ; nor does what comes along.
    let mut late = User { generation: 1, ..ana.clone() };
    let refused = ports.identity.save_users(vec![user("bia", Role::Nurse)], vec![late.clone()], vec![]).await;
    assert!(matches!(refused, Err(StoreError::Changed)), "{refused:?}");
    assert_eq!(ports.identity.user(&code("bia")).await.unwrap(), None);
    late.version = winner.version;
    ports.identity.save_users(vec![], vec![late], vec![entry("user_changed")]).await.unwrap();
    let stored = ports.identity.user(&ana.username).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.generation), (2, 1));
    let unknown = ports.identity.update_user(user("bia", Role::Pharmacist), entry("user_changed")).await;
    assert!(matches!(unknown, Err(StoreError::Missing { what: "user", .. })), "{unknown:?}");

    let rest = ["bia", "carl", "davi"].map(|name| user(name, Role::Pharmacist)).to_vec();
    ports.identity.insert_users(rest, vec![]).await.unwrap();
    let first = ports.identity.users(3, None).await.unwrap();
    assert_eq!((first.items.len(), first.total), (3, Some(4)));
    let last = ports.identity.users(3, first.next).await.unwrap();
    assert_eq!((last.items[0].username.as_str(), last.next), ("davi", None));
}

pub(crate) async fn clients_and_users_have_authority(ports: Ports) {
    ports.open_hospital().await;
    let mut ana = user("ana", Role::Nurse);
    ana.wards = [code("UTI")].into();
    ports.identity.insert_users(vec![ana], vec![]).await.unwrap();
    let his = client("his");
    ports.identity.insert_client(his.clone(), entry("client_created")).await.unwrap();
    let app = Client { service: false, ..client("app") };
    ports.identity.insert_client(app, entry("client_created")).await.unwrap();
    let taken = ports.identity.insert_client(his.clone(), entry("client_created")).await;
    assert!(matches!(taken, Err(StoreError::Exists { what: "client", .. })), "{taken:?}");
    assert_eq!(ports.identity.clients().await.unwrap().len(), 2);

    let renamed = Client { name: "HIS 2".to_owned(), ..his.clone() };
    let renamed = ports.identity.update_client(renamed, entry("client_changed")).await.unwrap();
    let late = ports.identity.update_client(his, entry("client_changed")).await;
    assert!(matches!(late, Err(StoreError::Changed)), "{late:?}");
    let disabled = Client { disabled: true, generation: 1, ..renamed };
    let disabled = ports.identity.update_client(disabled, entry("client_disabled")).await.unwrap();
    assert_eq!((disabled.version, disabled.name.as_str()), (2, "HIS 2"));
    assert_eq!(ports.identity.client("his").await.unwrap(), Some(disabled));

    let authorities = ports.identity.authorities().await.unwrap();
    let of = |name: &str| authorities.iter().find(|authority| authority.username == name);
    let nurse = of("ana").unwrap();
    assert_eq!((&nurse.wards, &nurse.scopes), (&Reach::Only([code("UTI")].into()), &None));
    let service = of("his").unwrap();
    assert_eq!((&service.wards, service.disabled, service.generation), (&Reach::All, true, 1));
    assert_eq!(service.roles, [Role::Service].into());
    assert!(of("app").is_none(), "a public client is no subject");
}

pub(crate) async fn a_link_is_taken_once(ports: Ports) {
    let now = Timestamp::UNIX_EPOCH;
    let later = now.checked_add(SignedDuration::from_mins(10)).unwrap();
    let subject = Some("ana".to_owned());
    ports.identity.insert_link([1; 32], "reset", subject.clone(), later, entry("link_made")).await.unwrap();
    assert_eq!(ports.identity.link([1; 32], "first_admin", now).await.unwrap(), None);
    assert_eq!(ports.identity.link([1; 32], "reset", later).await.unwrap(), None);
    assert_eq!(
        ports.identity.link([1; 32], "reset", now).await.unwrap(),
        Some(subject.clone()),
        "looking takes nothing"
    );
    assert_eq!(ports.identity.take_link([1; 32], "first_admin", now).await.unwrap(), None);
    assert_eq!(ports.identity.take_link([1; 32], "reset", later).await.unwrap(), None);
    let takes = join_all((0..5).map(|_| ports.identity.take_link([1; 32], "reset", now))).await;
    let taken: Vec<_> = takes.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken, [subject]);
}

pub(crate) async fn one_key_signs_per_algorithm(ports: Ports) {
    let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
    let key = |kid: &str, algorithm: &str, signs_from: i64| SigningKey {
        kid: kid.to_owned(),
        algorithm: algorithm.to_owned(),
        private_der: vec![1, 2, 3],
        public_jwk: json!({"kid": kid}),
        created_at: Timestamp::UNIX_EPOCH,
        signs_from: at(signs_from),
        retired_at: None,
    };
    let insert = async |key: SigningKey, dropped: &[&str]| {
        let dropped = dropped.iter().map(ToString::to_string).collect();
        ports.identity.insert_signing_key(key, dropped, entry("key_made")).await
    };
    for (kid, algorithm, signs_from) in [("a", "ES256", 0), ("b", "RS256", 0), ("c", "ES256", 90)] {
        insert(key(kid, algorithm, signs_from), &[]).await.unwrap();
    }
    let keys = ports.identity.signing_keys().await.unwrap();
    let retired = SigningKey { retired_at: Some(at(90)), ..key("a", "ES256", 0) };
    assert_eq!(keys, [retired, key("b", "RS256", 0), key("c", "ES256", 90)], "one retires when the next begins");

    // A key that is not taken drops none; one that is taken drops all that it is to replace.
    assert!(matches!(insert(key("b", "RS256", 0), &["a"]).await, Err(StoreError::Exists { .. })));
    insert(key("d", "ES256", 0), &["a", "c", "unknown"]).await.unwrap();
    let kids = async || ports.identity.signing_keys().await.unwrap().into_iter().map(|key| key.kid).collect::<Vec<_>>();
    assert_eq!(kids().await, ["b", "d"]);
    ports.identity.delete_signing_keys(vec!["b".to_owned(), "a".to_owned()], entry("keys_deleted")).await.unwrap();
    assert_eq!((kids().await, audited(&ports).await), (vec!["d".to_owned()], 5));
}

pub(crate) async fn the_audit_log_pages_newest_first(ports: Ports) {
    for n in 0..7 {
        ports.identity.audit(entry(&format!("a{n}"))).await.unwrap();
    }
    ports.identity.audit(AuditEntry { kind: "auth".to_owned(), ..entry("token_issued") }).await.unwrap();
    let mut query = AuditQuery { kind: Some("user".to_owned()), limit: 3, after: None };
    let mut seen = vec![];
    loop {
        let page = ports.identity.audit_entries(query.clone()).await.unwrap();
        assert_eq!(page.total, Some(7));
        seen.extend(page.items.into_iter().map(|entry| entry.action));
        match page.next {
            None => break,
            next => query.after = next,
        }
    }
    assert_eq!(seen, ["a6", "a5", "a4", "a3", "a2", "a1", "a0"]);
    query.after = Some("x".to_owned());
    let bad = ports.identity.audit_entries(query).await;
    assert!(matches!(bad, Err(StoreError::Missing { what: "cursor", .. })));
}

pub(crate) async fn a_setting_is_fixed_once(ports: Ports) {
    let values = ["https://a", "https://b", "https://c"];
    let fixed = join_all(values.map(|value| ports.identity.fix_setting("issuer", value))).await;
    let first = fixed[0].as_ref().unwrap();
    assert!(fixed.iter().all(|value| value.as_ref().unwrap() == first));
    assert_eq!(&ports.identity.fix_setting("issuer", "https://d").await.unwrap(), first);
    ports.identity.fix_setting("time_zone", "America/Sao_Paulo").await.unwrap();
    let policy = ports.reference.policy().await.unwrap();
    assert_eq!(policy.time_zone.iana_name(), Some("America/Sao_Paulo"));
}
