//! Places and medications: written whole or not at all, found by words and by scans.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::{Ports, cabinet, code, creation, hospital, medication, pharmacy, supply, ward};
use crate::{
    domain::{
        control_class::Classification,
        reason::{Kind, Language},
        routing::RoutingRule,
        ticket::Identifier,
    },
    server::ports::{MedicationQuery, ReferenceChanges, Site, StoreError},
};

pub(crate) async fn reference_data_is_written_whole_or_not_at_all(ports: Ports) {
    ports.open_hospital().await;
    let before = ports.reference.wards().await.unwrap();
    let half = ReferenceChanges {
        wards: vec![ward("NOVA", "CENTRAL")],
        cabinets: vec![cabinet("X-01", "NOWHERE")],
        ..ReferenceChanges::default()
    };
    let refused = ports.reference.change_reference(half).await;
    assert!(matches!(&refused, Err(StoreError::Missing { what: "ward", key }) if key == "NOWHERE"), "{refused:?}");
    assert_eq!(ports.reference.wards().await.unwrap(), before);

    // The same again changes nothing; a record is replaced whole.
    ports.open_hospital().await;
    assert_eq!(ports.reference.wards().await.unwrap(), before);
    let renamed = crate::server::ports::Pharmacy { name: "Nova".to_owned(), ..pharmacy("CENTRAL") };
    let change = ReferenceChanges { pharmacies: vec![renamed.clone()], ..ReferenceChanges::default() };
    ports.reference.change_reference(change).await.unwrap();
    assert_eq!(ports.reference.pharmacies().await.unwrap()[0], renamed);

    let (found, levels) = ports.reference.cabinet(&code("UTI-01")).await.unwrap().unwrap();
    assert_eq!((found, levels.len()), (cabinet("UTI-01", "UTI"), 5));
    let none = (code("UTI-01"), code("HEPARINA"), None);
    let change = ReferenceChanges { par_levels: vec![none], ..ReferenceChanges::default() };
    ports.reference.change_reference(change).await.unwrap();
    let (_, levels) = ports.reference.cabinet(&code("UTI-01")).await.unwrap().unwrap();
    assert_eq!(levels.len(), 4);
    let level = levels[0].clone();
    // Of two records with one code in one change the later counts.
    let change = ReferenceChanges {
        pharmacies: vec![pharmacy("CENTRAL"), renamed.clone()],
        par_levels: vec![
            (code("UTI-01"), code("HEPARINA"), Some(level.clone())),
            (code("UTI-01"), code("HEPARINA"), None),
            (code("UTI-01"), level.medication.clone(), None),
            (code("UTI-01"), level.medication.clone(), Some(level.clone())),
        ],
        ..ReferenceChanges::default()
    };
    ports.reference.change_reference(change).await.unwrap();
    assert_eq!(ports.reference.pharmacies().await.unwrap()[0], renamed);
    assert_eq!(ports.reference.cabinet(&code("UTI-01")).await.unwrap().unwrap().1, levels);
    assert!(ports.reference.cabinet(&code("NONE")).await.unwrap().is_none());
    assert_eq!(ports.reference.cabinets().await.unwrap().len(), hospital().cabinets.len());

    let identifier = Identifier { system: "cnes".to_owned(), value: "1".to_owned() };
    let named =
        |name: &str| crate::server::ports::Ward { identifiers: vec![identifier.clone()], ..ward(name, "CENTRAL") };
    let both = ReferenceChanges { wards: vec![named("UTI"), named("CM")], ..ReferenceChanges::default() };
    let taken = ports.reference.change_reference(both).await;
    assert!(matches!(taken, Err(StoreError::Exists { what: "identifier", .. })), "{taken:?}");
}

pub(crate) async fn the_site_has_one_zone(ports: Ports) {
    let unsaid = ports.reference.site().await.unwrap();
    assert_eq!((unsaid.name.as_str(), &unsaid.time_zone), ("", &TimeZone::UTC));
    assert_eq!(ports.reference.policy().await.unwrap().time_zone, TimeZone::UTC);

    let site = Site {
        name: "Santa Aurora".to_owned(),
        time_zone: TimeZone::get("America/Manaus").unwrap(),
        languages: vec![Language::BrazilianPortuguese],
        identifiers: vec![Identifier { system: "cnes".to_owned(), value: "1".to_owned() }],
    };
    let change = ReferenceChanges { site: Some(site.clone()), ..ReferenceChanges::default() };
    ports.reference.change_reference(change).await.unwrap();
    assert_eq!(ports.reference.site().await.unwrap(), site);
    assert_eq!(ports.reference.policy().await.unwrap().time_zone, site.time_zone);
    // What a first start would fix is what was written.
    assert_eq!(ports.identity.fix_setting("time_zone", "UTC").await.unwrap(), "America/Manaus");
}

pub(crate) async fn routing_rules_are_facts_of_the_next_create(ports: Ports) {
    ports.open_hospital().await;
    assert_eq!(ports.reference.routing_rules().await.unwrap(), []);
    let rule = |kind: Kind, pharmacy: &str| RoutingRule {
        wards: [code("UTI")].into(),
        kinds: [kind].into(),
        control_classes: BTreeSet::new(),
        hours: None,
        pharmacy: code(pharmacy),
    };
    let put = async |rules: Vec<RoutingRule>| {
        let change = ReferenceChanges { routing: Some(rules), ..ReferenceChanges::default() };
        ports.reference.change_reference(change).await
    };
    let rules = vec![rule(Kind::Refill, "CENTRAL"), rule(Kind::Supply, "SATELITE")];
    put(rules.clone()).await.unwrap();
    assert_eq!(ports.reference.routing_rules().await.unwrap(), rules);
    let unknown = put(vec![rule(Kind::Refill, "NOWHERE")]).await;
    assert!(matches!(&unknown, Err(StoreError::Missing { what: "pharmacy", key }) if key == "NOWHERE"), "{unknown:?}");
    assert_eq!(ports.reference.routing_rules().await.unwrap(), rules);

    let first = || creation("1", supply("UTI", "SORO-09"));
    let ticket = ports.done(first()).await;
    assert_eq!(ticket.pharmacy, code("SATELITE"));
    put(Vec::new()).await.unwrap();
    assert_eq!(ports.done(creation("2", supply("UTI", "HEPARINA"))).await.pharmacy, code("CENTRAL"));
    // A retry has its first answer, whatever the rules are now.
    assert_eq!(ports.done(first()).await, ticket);
}

pub(crate) async fn medications_are_found_by_words_and_scans(ports: Ports) {
    ports.open_hospital().await;
    let mut boxed = medication("HEPARINA");
    boxed.scan_codes = vec!["07891234567895".to_owned(), "0409-1890-01".to_owned()];
    boxed.active = false;
    let mut unreviewed = medication("DIPIRONA-500");
    unreviewed.classification = Classification::Unreviewed;
    unreviewed.group_key = Some("dipirona|500".to_owned());
    let identifier = Identifier { system: "urn:his".to_owned(), value: "47 11".to_owned() };
    unreviewed.identifiers = vec![identifier.clone()];
    let change = ReferenceChanges { medications: vec![boxed, unreviewed.clone()], ..ReferenceChanges::default() };
    ports.reference.change_reference(change).await.unwrap();

    let find = async |text: &str| {
        let query = MedicationQuery { text: Some(text.to_owned()), limit: 50, ..MedicationQuery::default() };
        let page = ports.reference.medications(query).await.unwrap();
        assert_eq!(page.total, Some(page.items.len() as u64));
        page.items.into_iter().map(|item| item.code.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(find("dipirôna").await, ["DIPIRONA-500"]);
    assert_eq!(find("substancia mor").await, ["MORFINA-10"]);
    assert_eq!(find("07891234567895").await, ["HEPARINA"]);
    assert_eq!(find("0409189001").await, ["HEPARINA"]);
    assert_eq!(find("0409-1890-01").await, ["HEPARINA"]);
    assert_eq!(find("solucao").await.len(), 5);
    for nothing in ["0789123456789", "\"", "%", "zzz"] {
        assert_eq!(find(nothing).await, [""; 0], "{nothing:?}");
    }

    let list = async |active, unreviewed, after: Option<&str>, limit| {
        let after = after.map(str::to_owned);
        let query = MedicationQuery { active, unreviewed, limit, after, ..MedicationQuery::default() };
        ports.reference.medications(query).await.unwrap()
    };
    assert_eq!(list(Some(false), None, None, 50).await.items[0].code, code("HEPARINA"));
    assert_eq!(list(None, Some(true), None, 50).await.items, [unreviewed.clone()]);
    let owner = async |identifier: &Identifier, text: Option<&str>| {
        let (identifier, text) = (Some(identifier.clone()), text.map(str::to_owned));
        let query = MedicationQuery { identifier, text, limit: 50, ..MedicationQuery::default() };
        ports.reference.medications(query).await.unwrap().items
    };
    assert_eq!(owner(&identifier, Some("dipirona")).await, [unreviewed.clone()]);
    assert_eq!(owner(&identifier, Some("heparina")).await, []);
    assert_eq!(owner(&Identifier { value: "47".to_owned(), ..identifier }, None).await, []);
    let first = list(None, None, None, 3).await;
    assert_eq!((first.items.len(), first.total), (3, Some(5)));
    let rest = list(None, None, first.next.as_deref(), 3).await;
    assert_eq!((rest.items.len(), rest.next), (2, None));
    assert_eq!(ports.reference.medication(&code("DIPIRONA-500")).await.unwrap(), Some(unreviewed));
    assert_eq!(ports.reference.all_medications().await.unwrap().len(), 5);
}

pub(crate) async fn a_box_is_found_by_its_whole_code(ports: Ports) {
    ports.open_hospital().await;
    let boxed = |name: &str, codes: &[&str]| {
        let mut item = medication(name);
        item.scan_codes = codes.iter().map(|&code| code.to_owned()).collect();
        item
    };
    // More boxes with the same beginning than a search would list.
    let mut medications: Vec<_> = (0..250).map(|n| boxed(&format!("A-{n}"), &[&format!("0409189001{n}")])).collect();
    medications.push(boxed("HEPARINA", &["0409-1890-01", "07891234567895"]));
    medications.push(boxed("SORO-09", &["int 7", "07891234567895"]));
    let change = ReferenceChanges { medications, ..ReferenceChanges::default() };
    ports.reference.change_reference(change).await.unwrap();

    let find = async |codes: &[&str]| {
        let codes: Vec<String> = codes.iter().map(|&code| code.to_owned()).collect();
        let found = ports.reference.by_scan_codes(&codes).await.unwrap();
        found.into_iter().map(|item| item.code.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(find(&["0409189001"]).await, ["HEPARINA"]);
    assert_eq!(find(&["0409-1890-01", "07891234567895"]).await, ["HEPARINA", "SORO-09"]);
    assert_eq!(find(&["none", "INT7"]).await, ["SORO-09"]);
    assert_eq!(find(&[]).await, [""; 0]);
    assert_eq!(find(&["", "HEPARINA", "040918900", "\""]).await, [""; 0]);
}
