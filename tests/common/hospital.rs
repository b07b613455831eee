//! A stocked hospital with tokens of its people, shared by the tests of a run that leave one another alone.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};

use super::{Server, Site};

/// A hospital with tokens of its people, named after them.
pub(crate) struct Hospital {
    pub(crate) site: Site,
    /// Nurse of UTI.
    pub(crate) ana: String,
    /// Nurse of PED.
    pub(crate) bia: String,
    /// Charge nurse of both.
    pub(crate) carla: String,
    /// Pharmacist of the central pharmacy.
    pub(crate) davi: String,
    /// Auditor.
    pub(crate) iara: String,
    /// Administrator.
    pub(crate) admin: String,
}

/// Weak, so that the last test to use it ends its server: what is static is never dropped.
static SHARED: Mutex<Weak<Hospital>> = Mutex::new(Weak::new());

impl Hospital {
    /// One for this test alone.
    pub(crate) fn new() -> Self {
        let site = Site::stocked();
        let [ana, bia, carla, davi, iara, admin] =
            ["ana", "bia", "carla", "davi", "iara", "admin"].map(|name| site.token(name));
        Self { site, ana, bia, carla, davi, iara, admin }
    }

    /// The one that tests share while any of them runs.
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let hospital = Arc::new(Self::new());
            *shared = Arc::downgrade(&hospital);
            hospital
        })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.site.server
    }

    /// A medication for one test alone, so that no other test's open request is met.
    pub(crate) fn medication(&self, code: &str) {
        let list = format!("code,name,unit,control_class,packs\n{code},Água {code},g,none,kg=1000;caixa=12\n");
        self.server().import(&self.admin, "medications", &list);
    }

    /// How many tickets ask for a medication.
    pub(crate) fn tickets_of(&self, medication: &str) -> u64 {
        self.server().get(&self.iara, &format!("/v1/tickets?medication={medication}"))["total"].as_u64().unwrap()
    }

    /// A ticket as it is now.
    pub(crate) fn read(&self, ticket: &Value) -> Value {
        self.server().get(&self.iara, &format!("/v1/tickets/{}", ticket["id"].as_str().unwrap()))
    }

    /// Takes a request for four of a medication up to `claimed`, `picked`, `ready` or `dispatched`.
    pub(crate) fn worked(&self, medication: &str, until: &str) -> Value {
        let server = self.server();
        let ticket = server.create(&self.ana, &plain(medication, "4")).expect(201);
        let pick = json!({"lines": [{"line": 1, "supplied": "4", "lot": "L1", "expiry": "2099-01-31"}]});
        let mut now = server.command(&self.davi, &ticket, "claim", &json!({})).expect(200);
        for (command, body) in [("pick", pick), ("ready", json!({})), ("dispatch", json!({"method": "runner"}))] {
            if now["status"] == until {
                break;
            }
            now = server.command(&self.davi, &now, command, &body).expect(200);
        }
        assert_eq!(now["status"], until);
        now
    }
}

/// A request of ward UTI that meets other open requests.
pub(crate) fn plain(medication: &str, quantity: &str) -> Value {
    json!({"kind": "supply", "ward": "UTI", "lines": [{"medication": medication, "quantity": quantity}]})
}

/// The same request, but whatever else is open.
pub(crate) fn wish(ward: &str, medication: &str, quantity: &str) -> Value {
    json!({
        "kind": "supply", "ward": ward, "override": "other_patient",
        "lines": [{"medication": medication, "quantity": quantity}],
    })
}
