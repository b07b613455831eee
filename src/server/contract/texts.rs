//! Free texts: readable until they are erased, and then nowhere.

use super::{Ports, creation, everything, missing_dose, nurse, on};
use crate::{
    domain::{command::Command, event::Change, text::FreeText},
    server::ports::{Outcome, StoreError, TicketQuery},
};

pub(crate) async fn erased_texts_are_gone_for_good(ports: Ports) {
    ports.open_hospital().await;
    let mut create = missing_dose("PRONTUARIO-998877", "HEPARINA");
    create.note = Some(FreeText::new("Deixar com a enfermeira Zuleica").unwrap());
    let create = creation("k", create);
    let ticket = ports.done(create.clone()).await;
    let comment = |text: &str| Command::Comment { text: FreeText::new(text).unwrap() };
    ports.done(on("c1", &ticket, comment("paciente no banho"), nurse())).await;
    let search = |text: &str| TicketQuery { text: Some(text.to_owned()), ..everything() };
    assert_eq!(ports.all_pages(search("zuleica")).await.1, Some(1));
    assert_eq!(ports.all_pages(search("zul enf")).await.1, Some(1));

    ports.tickets.erase_texts(ticket.id).await.unwrap();
    assert_eq!(ports.all_pages(search("zuleica")).await.1, Some(0));
    assert_eq!(ports.all_pages(search("heparina")).await.1, Some(1), "what is no free text is still found");
    let erased = ports.tickets.ticket(ticket.id).await.unwrap().unwrap();
    assert_eq!(erased.note, Some(FreeText::Erased));
    assert_eq!(erased.missing_dose.as_ref().unwrap().patient_ref, FreeText::Erased);
    let kept = ports.pipeline.outcome(create.command_id).await.unwrap().unwrap();
    let Outcome::Applied(answer) = kept.outcome else { panic!("refused") };
    assert_eq!(answer.note, Some(FreeText::Erased));
    for event in ports.tickets.history(ticket.id).await.unwrap() {
        if let Change::Commented { text } = event.event.change {
            assert_eq!(text, FreeText::Erased);
        }
    }

    let unknown = creation("unknown", missing_dose("x", "HEPARINA")).ticket;
    assert!(matches!(ports.tickets.erase_texts(unknown).await, Err(StoreError::Missing { what: "ticket", .. })));
}
