//! The hosts behind a gateway and which of them answer. A host is asked whether it lives; nothing here looks at what it says otherwise.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, Uri, uri::Authority},
};
use tokio::{sync::watch, time::timeout};

use super::{super::readiness::Standing, Http};

/// Between two questions to one host.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A host that does not say within this time that it lives …
const WITHIN: Duration = Duration::from_secs(2);

/// … so many times in a row does not.
const FAILURES: u32 = 2;

/// The hosts that do one part of the work.
pub(super) struct Pool {
    hosts: Vec<Arc<Host>>,
    turn: AtomicUsize,
}

/// One of them.
pub(super) struct Host {
    origin: Uri,
    lives: watch::Sender<bool>,
}

impl Pool {
    /// Of these origins, each of a scheme and an authority.
    pub(super) fn new(origins: Vec<Uri>) -> Self {
        let hosts = origins.into_iter().map(|origin| Arc::new(Host { origin, lives: watch::Sender::new(true) }));
        Self { hosts: hosts.collect(), turn: AtomicUsize::default() }
    }

    /// All hosts in the order to try them for one request: each is the first in turn, and those that do not answer come last.
    pub(super) fn in_turn(&self) -> Vec<&Host> {
        let mut hosts: Vec<&Host> = self.hosts.iter().map(Arc::as_ref).collect();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % hosts.len().max(1);
        hosts.rotate_left(first);
        hosts.sort_by_key(|host| !host.lives());
        hosts
    }

    /// How they stand, for `/readyz`.
    pub(super) fn standing(&self) -> Standing {
        let silent: Vec<_> =
            self.hosts.iter().filter(|host| !host.lives()).map(|host| host.origin.to_string()).collect();
        let told = format!("no answer from {}", silent.join(", "));
        match silent.len() {
            0 => Standing::Well,
            some if some < self.hosts.len() => Standing::Poor(told),
            _ => Standing::Down(told),
        }
    }

    /// Asks each host again and again whether it lives, until `stop` turns true.
    pub(super) fn watch(&self, http: &Http, stop: &watch::Receiver<bool>) {
        for host in &self.hosts {
            let (host, http, mut stop) = (Arc::clone(host), http.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = host.ask(&http) => {}
                    _ = stop.wait_for(|stopped| *stopped) => {}
                }
            });
        }
    }
}

impl Host {
    /// False from the moment on that it was found not to answer.
    fn lives(&self) -> bool {
        *self.lives.borrow()
    }

    /// The address of the same resource on this host.
    pub(super) fn uri(&self, of: &Uri) -> Option<Uri> {
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = of.path_and_query().cloned();
        Uri::from_parts(parts).ok()
    }

    /// Waits until it is found not to answer: whoever waits for it waits no longer.
    pub(super) async fn fails(&self) {
        // The sender lives as long as the host.
        let _ = self.lives.subscribe().wait_for(|lives| !lives).await;
    }

    /// No connection could be made: it counts as silent until it is heard of again.
    pub(super) fn failed(&self) {
        self.turns(false);
    }

    fn turns(&self, lives: bool) {
        if self.lives.send_if_modified(|known| std::mem::replace(known, lives) != lives) {
            let host = self.origin.authority().map_or("", Authority::as_str);
            if lives {
                tracing::info!(host, "a host answers again");
            } else {
                tracing::warn!(host, "a host does not answer; requests go to others");
            }
        }
    }

    async fn ask(&self, http: &Http) {
        let mut failures = 0;
        let mut turns = tokio::time::interval(ASK_EVERY);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let alive = Uri::from_static("/healthz");
            let Some(request) = self.uri(&alive).and_then(|uri| Request::get(uri).body(Body::empty()).ok()) else {
                return;
            };
            if matches!(timeout(WITHIN, http.request(request)).await, Ok(Ok(_))) {
                failures = 0;
                self.turns(true);
            } else {
                failures += 1;
                if failures >= FAILURES {
                    self.turns(false);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn order(pool: &Pool) -> Vec<String> {
        pool.in_turn().iter().map(|host| host.origin.authority().unwrap().to_string()).collect()
    }

    #[test]
    fn each_host_has_its_turn_and_a_silent_one_is_the_last_resort() {
        let pool = Pool::new(["http://a", "http://b", "http://c"].map(|it| it.parse().unwrap()).to_vec());
        assert_eq!(order(&pool), ["a", "b", "c"]);
        assert_eq!(order(&pool), ["b", "c", "a"]);
        assert_eq!(pool.standing(), Standing::Well);
        pool.hosts[2].failed();
        assert_eq!(order(&pool), ["a", "b", "c"]);
        assert_eq!(pool.standing(), Standing::Poor("no answer from http://c/".to_owned()));
        pool.hosts[0].failed();
        pool.hosts[1].failed();
        assert_eq!(order(&pool).len(), 3);
        assert!(matches!(pool.standing(), Standing::Down(_)));
        pool.hosts[2].turns(true);
        assert_eq!(order(&pool)[0], "c");
    }

    #[test]
    fn a_resource_keeps_its_path_and_query_as_they_were_sent() {
        let host = Host { origin: "http://10.0.0.5:80".parse().unwrap(), lives: watch::Sender::new(true) };
        let uri = host.uri(&"/v1/tickets/../x?q=%C3%A1&q=a+b".parse().unwrap()).unwrap();
        assert_eq!(uri.to_string(), "http://10.0.0.5:80/v1/tickets/../x?q=%C3%A1&q=a+b");
    }
}
