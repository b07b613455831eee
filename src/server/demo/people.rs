//! The demo's accounts. Each gets a password drawn for this directory alone; none stands in the program.

use aws_lc_rs::rand;
use futures_util::future::try_join_all;

use super::{
    DemoClient, DemoError, DemoManifest, DemoServiceAccount, DemoStores, DemoUser, code,
    hospital::{self, Colleague, PHARMACIES, STAFF, WARDS},
};
use crate::{
    domain::{
        actor::{Actor, Person, Reach},
        reason::Role,
    },
    server::{
        auth::{
            Scope,
            accounts::Editor,
            clients::{NewApp, NewServiceAccount},
            users::NewUser,
        },
        ports::{IdentityStore, StoreResult},
    },
};

/// What the service account may do: all of tickets, for any user whom it names.
const SERVICE_SCOPES: [Scope; 4] =
    [Scope::TicketsRead, Scope::TicketsWrite, Scope::TicketsDelegate, Scope::ReferenceRead];

/// Makes every account and says how to sign in.
pub(super) async fn enrol(stores: &DemoStores, url: &str) -> Result<DemoManifest, DemoError> {
    let by = Editor::on_server();
    let users: Vec<DemoUser> = STAFF.iter().map(with_password).collect();
    let created =
        users.iter().zip(&STAFF).map(|(user, colleague)| stores.auth.create_user(new_user(user, colleague), &by));
    try_join_all(created).await?;
    let account = NewServiceAccount {
        client_id: Some(hospital::SERVICE_ACCOUNT.to_owned()),
        name: "Sistema hospitalar (demonstração)".to_owned(),
        scopes: SERVICE_SCOPES.into(),
        wards: None,
    };
    let (account, secret) = stores.auth.create_service_account(account, &by).await?;
    let app = NewApp {
        client_id: hospital::APP.to_owned(),
        name: "Aplicativo da enfermagem (demonstração)".to_owned(),
        redirect_uris: vec![hospital::APP_REDIRECT.to_owned()],
        ..NewApp::default()
    };
    let (app, _) = stores.auth.create_app(app, &by).await?;
    Ok(DemoManifest {
        url: url.to_owned(),
        users,
        service_account: DemoServiceAccount { client_id: account.client_id, client_secret: secret.reveal().to_owned() },
        clients: vec![DemoClient { client_id: app.client_id, redirect_uris: app.redirect_uris }],
    })
}

/// The pharmacist who answers for the formulary.
pub(super) async fn first_pharmacist(identity: &dyn IdentityStore) -> StoreResult<Option<Actor>> {
    let first = STAFF.iter().find(|colleague| colleague.role == Role::Pharmacist);
    let Some(first) = first else {
        return Ok(None);
    };
    Ok(identity.user(&code(first.username)).await?.map(|user| Actor {
        person: Person { id: user.id, username: user.username, name: user.name },
        roles: user.roles,
        wards: Reach::Only(user.wards),
        pharmacies: Reach::Only(user.pharmacies),
        client_id: hospital::APP.to_owned(),
        delegated: false,
    }))
}

fn with_password(colleague: &Colleague) -> DemoUser {
    let owned = |codes: Vec<&str>| codes.into_iter().map(str::to_owned).collect();
    DemoUser {
        username: colleague.username.to_owned(),
        password: draw_password(),
        roles: vec![colleague.role],
        wards: owned(hospital::expand(colleague.wards, WARDS.map(|(ward, ..)| ward))),
        pharmacies: owned(hospital::expand(colleague.pharmacies, PHARMACIES.map(|(pharmacy, ..)| pharmacy))),
    }
}

fn new_user(user: &DemoUser, colleague: &Colleague) -> NewUser {
    NewUser {
        username: code(&user.username),
        name: colleague.name.to_owned(),
        roles: user.roles.iter().copied().collect(),
        wards: user.wards.iter().map(|ward| code(ward)).collect(),
        pharmacies: user.pharmacies.iter().map(|pharmacy| code(pharmacy)).collect(),
        password: Some(user.password.clone()),
        must_change_password: false,
    }
}

/// Three pronounceable words and a number (`bifo-zaru-moke-4821`): about 49 random bits.
fn draw_password() -> String {
    // 16 consonants and 4 vowels divide 256 evenly: no letter is likelier than another.
    const CONSONANTS: &[u8; 16] = b"bcdfghjklmnprstv";
    const VOWELS: &[u8; 4] = b"aeiu";
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).expect("the operating system's random source works");
    let letter = |letters: &[u8], byte: u8| char::from(letters[usize::from(byte) % letters.len()]);
    let mut password = String::new();
    for (place, byte) in bytes[..12].iter().enumerate() {
        password.push(if place % 2 == 0 { letter(CONSONANTS, *byte) } else { letter(VOWELS, *byte) });
        if place % 4 == 3 {
            password.push('-');
        }
    }
    let number = u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) % 10_000;
    format!("{password}{number:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_readable_and_never_the_same() {
        let (one, other) = (draw_password(), draw_password());
        assert_eq!(one.len(), 19);
        assert!(one.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        assert_ne!(one, other);
    }
}
