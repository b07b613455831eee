//! Routing rules: who may change them and what they may hold. Which of them fits a ticket, the domain decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    str::FromStr,
};

use jiff::civil::Time;
use serde_json::json;

use super::{
    checks::{Checked, Invalid, LIST_MAX, code, each},
    reference::{PLACE_EDITORS, Reference, ReferenceError, audit, require},
};
use crate::{
    api::routing as wire,
    domain::{
        actor::Actor,
        code::{PharmacyCode, WardCode},
        routing::{Hours, RoutingRule},
    },
    server::ports::ReferenceChanges,
};

impl Reference {
    /// The rules, in their order.
    ///
    /// # Errors
    /// The store's.
    pub async fn routing_rules(&self) -> Result<wire::RoutingRules, ReferenceError> {
        Ok(self.store().routing_rules().await?.into())
    }

    /// Replaces the rules whole; tickets that exist stay where they are.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn put_routing_rules(
        &self,
        by: &Actor,
        body: wire::RoutingRules,
    ) -> Result<wire::RoutingRules, ReferenceError> {
        require(by, PLACE_EDITORS)?;
        let rules = rules(body)?;
        let _alone = self.exclusive().await;
        self.check_places(&rules).await?;
        let was: wire::RoutingRules = self.store().routing_rules().await?.into();
        let now: wire::RoutingRules = rules.clone().into();
        let audit = vec![audit(by, "routing_rules_changed", "", json!({ "was": was.rules, "now": now.rules }))];
        let changes = ReferenceChanges { routing: Some(rules), audit, ..ReferenceChanges::default() };
        self.store().change_reference(changes).await?;
        Ok(now)
    }

    /// Refuses rules about places that do not exist, or to a pharmacy that takes no tickets.
    async fn check_places(&self, rules: &[RoutingRule]) -> Result<(), ReferenceError> {
        let wards: BTreeSet<WardCode> = self.store().wards().await?.into_iter().map(|it| it.code).collect();
        let pharmacies = self.store().pharmacies().await?.into_iter().map(|it| (it.code, it.active));
        let pharmacies: BTreeMap<PharmacyCode, bool> = pharmacies.collect();
        for (at, rule) in rules.iter().enumerate() {
            if let Some(unknown) = rule.wards.iter().find(|ward| !wards.contains(ward)) {
                let why = format!("there is no ward {unknown}; check its code");
                return Err(Invalid::new(format!("rules[{at}].wards"), why).into());
            }
            let why = match pharmacies.get(&rule.pharmacy) {
                Some(true) => continue,
                Some(false) => format!("pharmacy {} takes no tickets; name an active one", rule.pharmacy),
                None => format!("there is no pharmacy {}; check its code", rule.pharmacy),
            };
            return Err(Invalid::new(format!("rules[{at}].pharmacy"), why).into());
        }
        Ok(())
    }
}

fn rules(body: wire::RoutingRules) -> Checked<Vec<RoutingRule>> {
    each("rules", LIST_MAX, body.rules, |place, given| {
        Ok(RoutingRule {
            hours: hours(place, &given)?,
            wards: codes(&format!("{place}.wards"), given.wards)?,
            kinds: given.kinds.into_iter().collect(),
            control_classes: codes(&format!("{place}.control_classes"), given.control_classes)?,
            pharmacy: code(&format!("{place}.pharmacy"), &given.pharmacy)?,
        })
    })
}

fn codes<T>(field: &str, texts: Vec<String>) -> Checked<BTreeSet<T>>
where
    T: FromStr<Err: Display> + Ord,
{
    Ok(each(field, LIST_MAX, texts, |field, text| code(field, &text))?.into_iter().collect())
}

fn hours(place: &str, given: &wire::RoutingRule) -> Checked<Option<Hours>> {
    let (field, until) = (format!("{place}.from"), format!("{place}.until"));
    let from = given.from.as_deref().map(|text| clock(&field, text)).transpose()?;
    let until = given.until.as_deref().map(|text| clock(&until, text)).transpose()?;
    if (from, until) == (None, None) {
        return Ok(None);
    }
    let hours = Hours::new(from.unwrap_or(Time::midnight()), until.unwrap_or(Time::midnight()));
    let same = || Invalid::new(field, "it begins when it ends; leave both out for the whole day");
    hours.map(Some).ok_or_else(same)
}

/// A time of day, to the minute.
fn clock(field: &str, text: &str) -> Checked<Time> {
    let time = Time::strptime("%H:%M", text).ok().filter(|_| text.len() == 5);
    time.ok_or_else(|| Invalid::new(field, "it is no time of day; write it as 07:00 or 19:30"))
}

impl From<Vec<RoutingRule>> for wire::RoutingRules {
    fn from(rules: Vec<RoutingRule>) -> Self {
        let clock = |time: Time| time.strftime("%H:%M").to_string();
        let rule = |it: RoutingRule| wire::RoutingRule {
            wards: it.wards.into_iter().map(Into::into).collect(),
            kinds: it.kinds.into_iter().collect(),
            control_classes: it.control_classes.into_iter().map(Into::into).collect(),
            from: it.hours.map(|hours| clock(hours.from())),
            until: it.hours.map(|hours| clock(hours.until())),
            pharmacy: it.pharmacy.into(),
        };
        Self { rules: rules.into_iter().map(rule).collect() }
    }
}
