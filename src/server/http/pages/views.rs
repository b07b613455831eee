//! The pages as templates with what they are filled with. Everything is escaped but the style, which is our own.

use askama::Template;
use qrcode::{Color, EcLevel, QrCode};
use uuid::Uuid;

use super::words::Words;
use crate::server::auth::second_factor::Enrolment;

/// The one style of all pages, allowed by its hash alone.
pub(super) const STYLE: &str = include_str!("templates/style.css");

/// What stands around every page.
pub(super) struct Frame {
    /// The reader's language.
    pub(super) w: &'static Words,
    /// Proves that a form was made here, for this browser.
    pub(super) token: String,
    /// Whose page it is.
    pub(super) who: Option<Who>,
}

impl Frame {
    /// Around a page without a form, for a reader of whom nothing needs to be known.
    pub(super) fn of_anybody(w: &'static Words) -> Self {
        Self { w, token: String::new(), who: None }
    }
}

/// Somebody who is signed in.
pub(super) struct Who {
    /// Login name.
    pub(super) username: String,
    /// Where signing out goes, and on to what.
    pub(super) sign_out: String,
}

/// What is wrong with a form, and at which field.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// Name of the field.
    pub(super) field: &'static str,
    /// What to do about it.
    pub(super) text: String,
}

impl Fault {
    pub(super) fn at(field: &'static str, text: impl Into<String>) -> Self {
        Self { field, text: text.into() }
    }
}

/// A labelled input.
pub(super) struct Field {
    name: &'static str,
    label: &'static str,
    hint: Option<&'static str>,
    kind: &'static str,
    autocomplete: &'static str,
    capitals: &'static str,
    /// The keys that a phone shows, where not all of them.
    keys: Option<&'static str>,
    value: String,
    max: u16,
    focus: bool,
    wrong: bool,
}

impl Field {
    fn new(name: &'static str, label: &'static str, kind: &'static str, autocomplete: &'static str, max: u16) -> Self {
        let (hint, capitals, keys, value) = (None, "none", None, String::new());
        Self { name, label, hint, kind, autocomplete, capitals, keys, value, max, focus: false, wrong: false }
    }

    /// A login name.
    pub(super) fn username(w: &Words, value: &str) -> Self {
        Self::new("username", w.username, "text", "username", 64).holding(value)
    }

    /// A person's name.
    pub(super) fn name(w: &Words, value: &str) -> Self {
        let field = Self::new("name", w.name, "text", "name", 100).holding(value);
        Self { capitals: "words", ..field }
    }

    /// The password that somebody has.
    pub(super) fn password(label: &'static str) -> Self {
        Self::new("password", label, "password", "current-password", 512)
    }

    /// A password to be, once.
    pub(super) fn new_password(w: &Words) -> Self {
        let field = Self::new("new_password", w.new_password, "password", "new-password", 512);
        Self { hint: Some(w.at_least_8), ..field }
    }

    /// And again.
    pub(super) fn repeat(w: &Words) -> Self {
        Self::new("repeat", w.repeat, "password", "new-password", 512)
    }

    /// The code of a device.
    pub(super) fn user_code(w: &Words, value: &str) -> Self {
        let field = Self::new("user_code", w.user_code, "text", "off", 32).holding(value);
        Self { capitals: "characters", ..field }
    }

    /// A code of the authenticator app, the first one.
    pub(super) fn app_code(w: &Words) -> Self {
        Self { keys: Some("numeric"), ..Self::new("code", w.factor_code, "text", "one-time-code", 40) }
    }

    /// A code of the authenticator app, or a recovery code.
    pub(super) fn factor_code(w: &Words) -> Self {
        Self { hint: Some(w.factor_code_hint), ..Self::app_code(w) }
    }

    fn holding(self, value: &str) -> Self {
        // What cannot be right is not shown again at its full length.
        Self { value: value.chars().take(usize::from(self.max)).collect(), ..self }
    }

    /// Ids of what explains the field.
    fn described(&self) -> Option<String> {
        let ids = [self.hint.map(|_| format!("{}-hint", self.name)), self.wrong.then(|| "fault".to_owned())];
        let ids: Vec<String> = ids.into_iter().flatten().collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    /// Ties the fault to its field, and puts the cursor where there is something to type.
    pub(super) fn settle(mut fields: Vec<Self>, fault: Option<&Fault>) -> Vec<Self> {
        if let Some(wrong) = fault.and_then(|fault| fields.iter_mut().find(|field| field.name == fault.field)) {
            (wrong.wrong, wrong.focus) = (true, true);
        } else if let Some(empty) = fields.iter_mut().find(|field| field.value.is_empty()) {
            empty.focus = true;
        }
        fields
    }
}

/// A page with one form.
#[derive(Template)]
#[template(path = "form.html")]
pub(super) struct FormPage {
    page: Frame,
    title: String,
    lines: Vec<String>,
    fault: Option<Fault>,
    fields: Vec<Field>,
    button: &'static str,
}

impl FormPage {
    pub(super) fn new(
        page: Frame,
        title: &str,
        lines: Vec<String>,
        fault: Option<Fault>,
        fields: Vec<Field>,
        button: &'static str,
    ) -> Self {
        let fields = Field::settle(fields, fault.as_ref());
        Self { page, title: title.to_owned(), lines, fault, fields, button }
    }
}

/// A page that tells something.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage {
    pub(super) page: Frame,
    pub(super) title: String,
    pub(super) lines: Vec<&'static str>,
    /// For whoever mends it.
    pub(super) detail: Option<String>,
    /// Where to go from there: address and text.
    pub(super) link: Option<(&'static str, &'static str)>,
}

/// Asks whether an app may go on.
#[derive(Template)]
#[template(path = "consent.html")]
pub(super) struct ConsentPage {
    pub(super) page: Frame,
    pub(super) title: String,
    /// What it may do; empty for our own apps.
    pub(super) scopes: Vec<&'static str>,
    /// Where the answer is sent.
    pub(super) goes_to: String,
}

/// Asks whether a device may go on.
#[derive(Template)]
#[template(path = "device.html")]
pub(super) struct DevicePage {
    pub(super) page: Frame,
    pub(super) title: &'static str,
    pub(super) user_code: String,
    pub(super) app: String,
    pub(super) device: String,
    pub(super) source: String,
    pub(super) scopes: Vec<&'static str>,
}

/// One sign-in, for its owner.
pub(super) struct SessionRow {
    pub(super) sid: Uuid,
    pub(super) app: String,
    pub(super) device: String,
    pub(super) last_used: String,
    pub(super) since: String,
    /// It is the one of this page.
    pub(super) here: bool,
}

/// What somebody can do about their own account.
#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage {
    pub(super) page: Frame,
    pub(super) title: &'static str,
    pub(super) name: String,
    pub(super) done: Option<&'static str>,
    /// How many are left, where a second factor is in force.
    pub(super) recovery_codes: Option<String>,
    pub(super) sessions: Vec<SessionRow>,
}

/// A picture that an authenticator app reads, drawn by one path: the page has no other source of pictures.
pub(super) struct Qr {
    path: String,
    /// Modules of a side, with the quiet zone that readers need.
    side: usize,
}

impl Qr {
    /// Modules of the quiet zone.
    const QUIET: usize = 4;

    /// `None` for a text that fits no QR code.
    pub(super) fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (at, _) in code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark) {
            let (x, y) = (at % width + Self::QUIET, at / width + Self::QUIET);
            path.push_str(&format!("M{x} {y}h1v1h-1z"));
        }
        Some(Self { path, side: width + 2 * Self::QUIET })
    }
}

/// Shows a secret to be put into an authenticator app, and asks for its first code.
#[derive(Template)]
#[template(path = "enrol.html")]
pub(super) struct EnrolPage {
    page: Frame,
    title: &'static str,
    qr: Option<Qr>,
    secret: String,
    fault: Option<Fault>,
    fields: Vec<Field>,
}

impl EnrolPage {
    pub(super) fn new(page: Frame, enrolment: &Enrolment, fault: Option<Fault>) -> Self {
        let title = page.w.factor_set_up;
        let fields = Field::settle(vec![Field::app_code(page.w)], fault.as_ref());
        Self { page, title, qr: Qr::of(&enrolment.uri), secret: in_fours(&enrolment.secret), fault, fields }
    }
}

fn in_fours(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

/// Shows recovery codes, this once.
#[derive(Template)]
#[template(path = "codes.html")]
pub(super) struct CodesPage {
    pub(super) page: Frame,
    pub(super) title: &'static str,
    pub(super) done: &'static str,
    pub(super) codes: Vec<String>,
    /// Where to go on.
    pub(super) onward: String,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::{super::words::Language, *};

    fn frame(language: Language, who: &str) -> Frame {
        let who = Who { username: who.to_owned(), sign_out: "/logout".to_owned() };
        Frame { w: language.words(), token: "t".to_owned(), who: Some(who) }
    }

    #[test]
    fn what_others_chose_cannot_become_markup() {
        let evil = "\"><script>alert(1)</script>'&";
        for language in [Language::English, Language::Portuguese] {
            let w = language.words();
            let fault = Some(Fault::at("username", evil));
            let fields = vec![Field::username(w, evil), Field::name(w, evil), Field::user_code(w, evil)];
            let row = SessionRow {
                sid: Uuid::nil(),
                app: evil.to_owned(),
                device: evil.to_owned(),
                last_used: String::new(),
                since: String::new(),
                here: false,
            };
            let pages = [
                FormPage::new(frame(language, evil), evil, vec![evil.to_owned()], fault, fields, w.go_on).render(),
                MessagePage {
                    page: frame(language, evil),
                    title: evil.to_owned(),
                    lines: vec![],
                    detail: Some(evil.to_owned()),
                    link: None,
                }
                .render(),
                ConsentPage {
                    page: frame(language, evil),
                    title: evil.to_owned(),
                    scopes: vec![],
                    goes_to: evil.to_owned(),
                }
                .render(),
                DevicePage {
                    page: frame(language, evil),
                    title: w.device_sure,
                    user_code: evil.to_owned(),
                    app: evil.to_owned(),
                    device: evil.to_owned(),
                    source: evil.to_owned(),
                    scopes: vec![],
                }
                .render(),
                AccountPage {
                    page: frame(language, evil),
                    title: w.account,
                    name: evil.to_owned(),
                    done: None,
                    recovery_codes: None,
                    sessions: vec![row],
                }
                .render(),
            ];
            for page in pages {
                let page = page.unwrap();
                assert!(!page.contains("<script") && page.contains("&#60;script"), "{page}");
                assert!(page.starts_with(&format!("<!doctype html>\n<html lang=\"{}\">", w.lang)), "{page}");
            }
        }
    }

    #[test]
    fn a_qr_code_is_one_path_within_its_quiet_zone() {
        let qr = Qr::of("otpauth://totp/medreq:ana?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=medreq").unwrap();
        // The corner of every QR code is dark.
        assert!(qr.path.starts_with("M4 4h1v1h-1zM5 4h1v1h-1z"), "{}", &qr.path[..40]);
        let numbers = qr.path.split(['M', ' ', 'h']).filter_map(|part| part.parse::<usize>().ok());
        assert_eq!(numbers.max(), Some(qr.side - 5));
        assert!(Qr::of(&"a".repeat(5_000)).is_none());
        assert_eq!(in_fours("GEZDGNBVGY"), "GEZD GNBV GY");
    }

    #[test]
    fn a_fault_is_tied_to_its_field_and_the_cursor_waits_there() {
        let w = Language::English.words();
        let fault = Some(Fault::at("repeat", w.differ));
        let fields = vec![Field::username(w, "ana"), Field::new_password(w), Field::repeat(w)];
        let html = FormPage::new(frame(Language::English, "ana"), w.change, vec![], fault, fields, w.go_on);
        let html = html.render().unwrap();
        let repeat = html.split("<input id=\"repeat\"").nth(1).unwrap().split('>').next().unwrap();
        assert!(repeat.contains("aria-invalid=\"true\" aria-describedby=\"fault\"") && repeat.contains(" autofocus"));
        assert!(html.contains("role=\"alert\" id=\"fault\"") && html.contains("href=\"#repeat\""));
        assert_eq!(html.matches("autofocus").count(), 1);
        assert!(html.contains("aria-describedby=\"new_password-hint\""));
    }
}
