//! The demo's hospital: places and people, as data. Nobody here exists, and no password stands here.

use jiff::tz::TimeZone;

use crate::{
    domain::{
        reason::{Language, Role},
        ticket::Identifier,
    },
    server::ports::Site,
};

/// The hospital's name.
pub(super) const SITE_NAME: &str = "Hospital Santa Aurora";

/// The hospital itself. Its registrations are well-formed and nobody's.
pub(super) fn site() -> Site {
    let identifier = |(system, value): (&str, &str)| Identifier { system: system.to_owned(), value: value.to_owned() };
    Site {
        name: SITE_NAME.to_owned(),
        time_zone: TimeZone::get("America/Sao_Paulo").expect("the zones are built in"),
        languages: vec![Language::BrazilianPortuguese, Language::English],
        identifiers: [("cnes", "0000019"), ("cnpj", "12.345.678/0001-95")].map(identifier).into(),
    }
}

/// A pharmacy: code, name, whether it is a satellite, opening hours.
pub(super) const PHARMACIES: [(&str, &str, bool, &str); 3] = [
    ("CENTRAL", "Farmácia Central", false, "24 horas"),
    ("SAT-CC", "Farmácia Satélite do Centro Cirúrgico", true, "06:00–22:00"),
    ("SAT-PS", "Farmácia Satélite do Pronto-Socorro", true, "24 horas"),
];

/// A ward: code, name, its pharmacy, and how many cabinets stand in it.
pub(super) const WARDS: [(&str, &str, &str, u8); 9] = [
    ("UTI", "UTI Adulto", "CENTRAL", 4),
    ("UCO", "Unidade Coronariana", "CENTRAL", 2),
    ("CM", "Clínica Médica", "CENTRAL", 3),
    ("CIR", "Clínica Cirúrgica", "CENTRAL", 3),
    ("PED", "Pediatria", "CENTRAL", 2),
    ("MAT", "Maternidade", "SAT-CC", 2),
    ("CC", "Centro Cirúrgico", "SAT-CC", 3),
    ("RPA", "Recuperação Pós-Anestésica", "SAT-CC", 1),
    ("PS", "Pronto-Socorro", "SAT-PS", 3),
];

/// Where in a ward its cabinets stand, the first first.
pub(super) const CABINET_PLACES: [&str; 4] = ["Posto 1", "Posto 2", "Sala de medicação", "Corredor norte"];

/// Somebody who works here.
pub(super) struct Colleague {
    pub(super) username: &'static str,
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// `*` is every ward.
    pub(super) wards: &'static [&'static str],
    /// `*` is every pharmacy.
    pub(super) pharmacies: &'static [&'static str],
}

const fn colleague(
    username: &'static str,
    name: &'static str,
    role: Role,
    wards: &'static [&'static str],
    pharmacies: &'static [&'static str],
) -> Colleague {
    Colleague { username, name, role, wards, pharmacies }
}

/// The staff. The first nurse's wards are served by the pharmacy in which the first two pharmacists work.
pub(super) const STAFF: [Colleague; 25] = [
    colleague("ana.souza", "Ana Souza", Role::Nurse, &["UTI", "UCO"], &[]),
    colleague("beatriz.lima", "Beatriz Lima", Role::Nurse, &["UTI"], &[]),
    colleague("carlos.pereira", "Carlos Pereira", Role::Nurse, &["CM", "CIR"], &[]),
    colleague("daniela.rocha", "Daniela Rocha", Role::Nurse, &["PED", "MAT"], &[]),
    colleague("eduardo.melo", "Eduardo Melo", Role::Nurse, &["CC", "RPA"], &[]),
    colleague("fernanda.alves", "Fernanda Alves", Role::Nurse, &["PS"], &[]),
    colleague("gustavo.reis", "Gustavo Reis", Role::Nurse, &["PS", "CM"], &[]),
    colleague("helena.castro", "Helena Castro", Role::ChargeNurse, &["UTI", "UCO", "CM"], &[]),
    colleague("igor.nunes", "Igor Nunes", Role::ChargeNurse, &["CIR", "CC", "RPA", "PS"], &[]),
    colleague("paula.freitas", "Paula Freitas", Role::Pharmacist, &[], &["CENTRAL"]),
    colleague("rafael.cardoso", "Rafael Cardoso", Role::Pharmacist, &[], &["CENTRAL", "SAT-PS"]),
    colleague("sofia.mendes", "Sofia Mendes", Role::Pharmacist, &[], &["SAT-CC", "CENTRAL"]),
    colleague("tiago.moreira", "Tiago Moreira", Role::Pharmacist, &[], &["SAT-PS"]),
    colleague("vera.santana", "Vera Santana", Role::Pharmacist, &[], &["SAT-CC", "SAT-PS"]),
    colleague("joao.martins", "João Martins", Role::Technician, &[], &["CENTRAL"]),
    colleague("karina.dias", "Karina Dias", Role::Technician, &[], &["CENTRAL"]),
    colleague("lucas.ramos", "Lucas Ramos", Role::Technician, &[], &["CENTRAL", "SAT-PS"]),
    colleague("marina.teixeira", "Marina Teixeira", Role::Technician, &[], &["SAT-CC"]),
    colleague("nelson.barros", "Nelson Barros", Role::Technician, &[], &["SAT-PS"]),
    colleague("patricia.gomes", "Patrícia Gomes", Role::Technician, &[], &["SAT-CC", "CENTRAL"]),
    colleague("olivia.ribeiro", "Olívia Ribeiro", Role::Manager, &["*"], &["*"]),
    colleague("renato.duarte", "Renato Duarte", Role::Manager, &["UTI", "UCO"], &["CENTRAL"]),
    colleague("wagner.pinto", "Wagner Pinto", Role::Auditor, &["*"], &["*"]),
    colleague("yara.fonseca", "Yara Fonseca", Role::Admin, &[], &[]),
    colleague("bruno.tavares", "Bruno Tavares", Role::Admin, &[], &[]),
];

/// The service account's `client_id`.
pub(super) const SERVICE_ACCOUNT: &str = "demo-services";

/// The app's `client_id`.
pub(super) const APP: &str = "demo-app";

/// Where the app is sent back to; any port on loopback will do (RFC 8252).
pub(super) const APP_REDIRECT: &str = "http://127.0.0.1/callback";

/// Every code of a list, or those that are named.
pub(super) fn expand<'a>(named: &[&'a str], all: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if named == ["*"] { all.into_iter().collect() } else { named.to_vec() }
}
