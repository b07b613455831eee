//! What the demo's people write, in the hospital's language. No patient here exists.

use crate::{
    domain::{reason::AssistanceCategory, text::FreeText},
    server::demo::dice::Dice,
};

const REQUEST_NOTES: [&str; 8] = [
    "Gaveta abaixo do mínimo",
    "Consumo alto no plantão",
    "Entregar no posto 1, por favor",
    "Paciente em sedação contínua",
    "Reposição antes da visita das 10h",
    "Último frasco em uso",
    "Admissão nova às 14h",
    "Confirmar validade antes de enviar",
];

const COMMENTS: [&str; 7] = [
    "Podem enviar pelo tubo?",
    "A enfermeira do plantão recebe",
    "Conferido com a prescrição",
    "Ligamos para o setor, sem resposta",
    "Segue no próximo carrinho",
    "Prioridade confirmada com o médico",
    "Lote separado na bancada 2",
];

const HOLD_NOTES: [&str; 4] = [
    "Aguardando a confirmação da dose",
    "Leito em transferência",
    "Pedido ao fornecedor confirmado para amanhã",
    "Seladora em manutenção",
];

const END_NOTES: [&str; 4] =
    ["Resolvido por telefone", "Item encontrado na geladeira", "Pedido em duplicidade", "Prescrição suspensa"];

const TROUBLES: [(&str, AssistanceCategory); 6] = [
    ("A gaveta 3 não abre", AssistanceCategory::Drawer),
    ("O carrossel travou no compartimento 12", AssistanceCategory::Jam),
    ("O leitor de código não reconhece o crachá", AssistanceCategory::Login),
    ("A tela reinicia sozinha", AssistanceCategory::Other),
    ("A porta da geladeira não fecha", AssistanceCategory::Drawer),
    ("A impressora de etiquetas está sem papel", AssistanceCategory::Other),
];

const SEARCHED: [&str; 4] =
    ["Gaveta do paciente", "Geladeira do posto", "Carrinho de medicação", "Caixa do tubo pneumático"];

fn text(words: &str) -> FreeText {
    FreeText::new(words).expect("the demo's words are clean")
}

pub(super) fn request_note(dice: &mut Dice) -> Option<FreeText> {
    dice.percent(40).then(|| text(dice.one(&REQUEST_NOTES)))
}

pub(super) fn comment(dice: &mut Dice) -> FreeText {
    text(dice.one(&COMMENTS))
}

pub(super) fn hold_note(dice: &mut Dice) -> Option<FreeText> {
    dice.percent(60).then(|| text(dice.one(&HOLD_NOTES)))
}

pub(super) fn end_note(dice: &mut Dice) -> Option<FreeText> {
    dice.percent(60).then(|| text(dice.one(&END_NOTES)))
}

pub(super) fn trouble(dice: &mut Dice) -> (FreeText, AssistanceCategory) {
    let (words, category) = dice.one(&TROUBLES);
    (text(words), category)
}

pub(super) fn searched(dice: &mut Dice) -> Vec<FreeText> {
    vec![text(dice.one(&SEARCHED))]
}

/// A hospital's reference of a patient: no name.
pub(super) fn patient(dice: &mut Dice) -> FreeText {
    text(&format!("LEITO-{:02}/{}", dice.between(1, 30), dice.between(100_000, 999_999)))
}
