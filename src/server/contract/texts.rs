//! Free texts: readable until they are erased, and then nowhere.

use super::{Ports, administrator, creation, everything, missing_dose, nurse, on};
use crate::{
    domain::{command::Command, event::Change, reason::CancelReason, refusal::RefusalCode, text::FreeText},
    server::ports::{AuditQuery, Outcome, TicketQuery},
};

pub(crate) async fn erased_texts_are_gone_for_good(ports: Ports) {
    ports.open_hospital().await;
    let mut create = missing_dose("PRONTUARIO-998877", "HEPARINA");
    create.note = Some(FreeText::new("Deixar com a enfermeira Zuleica").unwrap());
    let create = creation("k", create);
    let open = ports.done(create.clone()).await;
    let comment = |text: &str| Command::Comment { text: FreeText::new(text).unwrap() };
    ports.done(on("c1", &open, comment("paciente no banho"), nurse())).await;
    let search = |text: &str| TicketQuery { text: Some(text.to_owned()), ..everything() };
    assert_eq!(ports.all_pages(search("zuleica")).await.1, Some(1));
    assert_eq!(ports.all_pages(search("zul enf")).await.1, Some(1));

    let erase = |why: &str| Command::Erase { reason: why.to_owned() };
    let refused = ports.refused(on("early", &open, erase("too early"), administrator())).await;
    assert_eq!(refused.code, RefusalCode::InvalidTransition);
    assert_eq!(ports.all_pages(search("zuleica")).await.1, Some(1));
    let note = FreeText::new("achada com Zuleica").ok();
    let cancel = Command::Cancel { reason: CancelReason::ALL[0], note };
    let ended = ports.done(on("end", &open, cancel, nurse())).await;

    let erased = ports.done(on("e", &ended, erase("protocol 114"), administrator())).await;
    assert_eq!(ports.tickets.ticket(open.id).await.unwrap(), Some(erased.clone()));
    assert_eq!((erased.note.clone(), erased.version), (Some(FreeText::Erased), ended.version.next()));
    assert_eq!(erased.missing_dose.as_ref().unwrap().patient_ref, FreeText::Erased);
    assert!(erased.erased_at.is_some());
    assert_eq!(ports.all_pages(search("zuleica")).await.1, Some(0));
    assert_eq!(ports.all_pages(search("heparina")).await.1, Some(1), "what is no free text is still found");
    for key in [create.command_id, super::command_id("end")] {
        let Outcome::Applied(answer) = ports.pipeline.outcome(key).await.unwrap().unwrap().outcome else {
            panic!("refused")
        };
        assert_eq!(answer.note, Some(FreeText::Erased));
    }
    let (history, feed) = (ports.tickets.history(open.id).await.unwrap(), ports.feed(100).await);
    assert_eq!(history.len(), feed.len());
    for mut told in history.into_iter().chain(feed) {
        told.event.for_each_text(&mut |text| assert_eq!(*text, FreeText::Erased));
        if let Change::Erased { reason } = told.event.change {
            assert_eq!(reason, "protocol 114");
        }
    }

    // Asked again, whoever asks and why: the same answer, and nothing is written.
    let head = ports.pipeline.head().await.unwrap();
    assert_eq!(ports.done(on("again", &erased, erase("once more"), administrator())).await, erased);
    assert_eq!(ports.pipeline.head().await.unwrap(), head);
    let late = ports.refused(on("c2", &erased, comment("era Zuleica"), nurse())).await;
    assert_eq!(late.code, RefusalCode::TextsErased);
    let audit = ports.identity.audit_entries(AuditQuery { limit: 9, ..AuditQuery::default() }).await.unwrap().items;
    let told: Vec<_> = audit.iter().filter(|entry| entry.action == "texts_erased").collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].actor.as_deref(), told[0].subject.as_ref()), (Some("ada"), Some(&erased.number)));
    assert_eq!(told[0].detail["reason"], "protocol 114");
}
