//! Routing: which rule fits, over midnight too, and what happens where its pharmacy takes no tickets.

use jiff::civil::{Time, time};
use proptest::prelude::*;

use super::support::{DIPYRONE, Desk, MIDAZOLAM, create};
use crate::domain::{
    facts::RouteFact,
    reason::Kind,
    refusal::RefusalCode,
    routing::{Hours, RoutingRule},
};

/// A rule in short: `wards kinds classes hours`, each `-` where it asks for nothing.
fn rule(terms: &str, pharmacy: &str) -> RouteFact {
    let terms: Vec<&str> = terms.split(' ').collect();
    let [wards, kinds, classes, hours] = terms[..] else { panic!("four terms") };
    fn list<T: std::str::FromStr + Ord>(text: &str) -> std::collections::BTreeSet<T> {
        text.split(',').filter(|code| *code != "-").map(|code| code.parse().ok().unwrap()).collect()
    }
    let clock = |text: &str| Time::strptime("%H:%M", text).unwrap();
    let hours = hours.split_once('~').map(|(from, until)| Hours::new(clock(from), clock(until)).unwrap());
    let pharmacy = pharmacy.parse().unwrap();
    let rule = RoutingRule { wards: list(wards), kinds: list(kinds), control_classes: list(classes), hours, pharmacy };
    RouteFact { rule, pharmacy_active: true }
}

fn goes_to(rules: &[RouteFact], kind: Kind, medications: &[&str]) -> String {
    let mut desk = Desk::new();
    let lines: Vec<_> = medications.iter().map(|code| (*code, "1")).collect();
    let create = create(kind, &lines);
    desk.facts.routes = rules.to_vec();
    // As a store gathers them: only what the create names.
    let counted = create.counts.iter().map(|count| &count.medication);
    let named: Vec<_> = create.lines.iter().map(|line| &line.medication).chain(counted).cloned().collect();
    desk.facts.items.retain(|item| named.contains(&item.code));
    desk.does("nina", create);
    desk.ticket().pharmacy.to_string()
}

/// The tests' clock stands at 22:07 at the site.
#[test]
fn the_first_rule_that_fits_chooses_else_the_ward() {
    let refill = |rules: &[RouteFact]| goes_to(rules, Kind::Refill, &[DIPYRONE]);
    assert_eq!(refill(&[]), "CENTRAL");
    for (terms, fits) in [
        ("- - - -", true),
        ("UTI - - -", true),
        ("PED,UTI - - -", true),
        ("PED - - -", false),
        ("- refill - -", true),
        ("- supply,missing_dose - -", false),
        ("- - controlled -", false),
        ("- - - 22:07~22:08", true),
        ("- - - 22:08~22:07", false),
        ("- - - 21:00~22:07", false),
        ("- - - 19:00~07:00", true),
        ("- - - 22:30~07:00", false),
        ("- - - 22:00~00:00", true),
        ("- - - 00:00~22:00", false),
        ("UTI refill - 19:00~07:00", true),
        ("UTI supply - 19:00~07:00", false),
    ] {
        let expected = if fits { "NIGHT" } else { "CENTRAL" };
        assert_eq!(refill(&[rule(terms, "NIGHT")]), expected, "{terms}");
    }
    assert_eq!(refill(&[rule("PED - - -", "A"), rule("UTI - - -", "B"), rule("- - - -", "C")]), "B");
}

#[test]
fn one_line_of_the_class_is_enough() {
    for (class, medications, fits) in [
        ("controlled", &[DIPYRONE, MIDAZOLAM][..], true),
        ("controlled", &[DIPYRONE], false),
        ("B1", &[MIDAZOLAM], true),
        ("A1,B1", &[MIDAZOLAM], true),
        ("A1", &[MIDAZOLAM], false),
    ] {
        let rules = [rule(&format!("- - {class} -"), "SAFE")];
        let expected = if fits { "SAFE" } else { "CENTRAL" };
        assert_eq!(goes_to(&rules, Kind::Supply, medications), expected, "{class} {medications:?}");
    }
    assert_eq!(goes_to(&[rule("- - controlled -", "SAFE")], Kind::Assistance, &[]), "CENTRAL");
}

#[test]
fn a_rule_whose_pharmacy_is_closed_for_good_is_passed_over() {
    let closed = RouteFact { pharmacy_active: false, ..rule("- - - -", "GONE") };
    assert_eq!(goes_to(&[closed.clone(), rule("- - - -", "SAT")], Kind::Refill, &[DIPYRONE]), "SAT");
    assert_eq!(goes_to(std::slice::from_ref(&closed), Kind::Refill, &[DIPYRONE]), "CENTRAL");

    // The ward's own pharmacy is asked about only where the ticket goes there.
    let mut desk = Desk::new();
    desk.facts.ward.as_mut().unwrap().pharmacy_active = false;
    desk.facts.routes = vec![closed];
    desk.refuses("nina", create(Kind::Refill, &[(DIPYRONE, "1")]), RefusalCode::UnknownPharmacy);
    desk.facts.routes.push(rule("- - - -", "SAT"));
    desk.does("nina", create(Kind::Refill, &[(DIPYRONE, "1")]));
    assert_eq!(desk.ticket().pharmacy.as_str(), "SAT");
}

#[test]
fn the_wards_own_pharmacy_sees_what_went_elsewhere() {
    let mut desk = Desk::new();
    desk.facts.routes = vec![rule("- - - -", "SAT")];
    desk.does("paul", create(Kind::Refill, &[(DIPYRONE, "1")]));
    let own = desk.ticket().former_pharmacies.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(own, ["CENTRAL"]);
}

proptest! {
    /// A part of the day and the rest of it share no minute and leave none out.
    #[test]
    fn day_and_night_part_every_minute(from in 0_i8..24, until in 0_i8..24, minute in 0_i8..60, hour in 0_i8..24) {
        prop_assume!(from != until);
        let part = Hours::new(time(from, 30, 0, 0), time(until, 30, 0, 0)).unwrap();
        let rest = Hours::new(part.until(), part.from()).unwrap();
        let now = time(hour, minute, 0, 0);
        prop_assert_ne!(part.include(now), rest.include(now));
        prop_assert!(part.include(part.from()) && !part.include(part.until()));
        prop_assert!(Hours::new(now, now).is_none());
    }
}
