//! The page of the first administrator, in English and Brazilian Portuguese. Plain HTML without a script; never shows a password or the link again.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#f4f6f8;margin:0}\
main{max-width:26rem;margin:8vh auto;padding:2rem;background:#fff;border-radius:.5rem;box-shadow:0 1px 4px #0003}\
h1{font-size:1.4rem;margin:0 0 1rem}label{display:block;margin:1rem 0 .25rem;font-weight:600}\
input{width:100%;box-sizing:border-box;font:inherit;padding:.5rem;border:1px solid #667;border-radius:.25rem}\
button{margin-top:1.5rem;width:100%;font:inherit;font-weight:600;padding:.6rem;border:0;border-radius:.25rem;background:#0b5cad;color:#fff}\
.wrong{padding:.75rem;border-left:.25rem solid #b00020;background:#fdecee}small{color:#555}";

/// Languages that staff read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Portuguese,
}

impl Language {
    /// The first of ours in an `Accept-Language` header, by weight.
    pub(super) fn negotiate(header: Option<&str>) -> Self {
        let mut best = (0.0_f32, Self::English);
        for item in header.unwrap_or_default().split(',').take(20) {
            let mut parts = item.split(';');
            let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            let language = match tag.split('-').next() {
                Some("pt") => Self::Portuguese,
                Some("en") => Self::English,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Portuguese => &PORTUGUESE,
        }
    }
}

/// What to tell somebody whose form was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    Username,
    UsernameTaken,
    Name,
    Password,
    Repeat,
}

struct Words {
    lang: &'static str,
    title: &'static str,
    intro: &'static str,
    username: &'static str,
    name: &'static str,
    password: &'static str,
    password_hint: &'static str,
    repeat: &'static str,
    submit: &'static str,
    done: &'static str,
    done_next: &'static str,
    spent: &'static str,
    spent_next: &'static str,
    wrong: [&'static str; 5],
}

static ENGLISH: Words = Words {
    lang: "en",
    title: "First administrator",
    intro: "This link works once. The administrator creates the other users.",
    username: "Username",
    name: "Full name",
    password: "Password",
    password_hint: "At least 8 characters, not the username.",
    repeat: "Password again",
    submit: "Create administrator",
    done: "The administrator was created.",
    done_next: "You can close this page.",
    spent: "This link is not valid any more.",
    spent_next: "It was used, is older than 24 hours, or an administrator exists already. While there is none, a restart of the server prints a new link.",
    wrong: [
        "A username has 1 to 64 characters without blanks, ':', '/' or ','.",
        "This username is taken; choose another.",
        "Write a name of at most 100 characters.",
        "The password needs at least 8 characters and at most 512 bytes, and must not be the username.",
        "The two passwords differ; type them again.",
    ],
};

static PORTUGUESE: Words = Words {
    lang: "pt-BR",
    title: "Primeiro administrador",
    intro: "Este link funciona uma única vez. O administrador cadastra os demais usuários.",
    username: "Nome de usuário",
    name: "Nome completo",
    password: "Senha",
    password_hint: "Pelo menos 8 caracteres, diferente do nome de usuário.",
    repeat: "Repita a senha",
    submit: "Criar administrador",
    done: "O administrador foi criado.",
    done_next: "Você já pode fechar esta página.",
    spent: "Este link não é mais válido.",
    spent_next: "Ele já foi usado, tem mais de 24 horas ou já existe um administrador. Enquanto não houver um, reiniciar o servidor mostra um novo link.",
    wrong: [
        "O nome de usuário tem de 1 a 64 caracteres, sem espaços, ':', '/' ou ','.",
        "Este nome de usuário já existe; escolha outro.",
        "Escreva um nome de até 100 caracteres.",
        "A senha precisa de pelo menos 8 caracteres e no máximo 512 bytes, e não pode ser o nome de usuário.",
        "As duas senhas são diferentes; digite-as de novo.",
    ],
};

/// The form, with what was typed before except passwords.
pub(super) fn form(language: Language, wrong: Option<Wrong>, username: &str, name: &str) -> String {
    let words = language.words();
    let mut body = format!("<p>{}</p>", words.intro);
    if let Some(wrong) = wrong {
        let text = words.wrong[wrong as usize];
        let _ = write!(body, "<p class=wrong role=alert>{text}</p>");
    }
    // Without an action the form goes to the address that it came from: the link stays out of the page.
    let _ = write!(
        body,
        "<form method=post>\
         <label for=username>{}</label><input id=username name=username required maxlength=64 autocomplete=username autocapitalize=none value=\"{}\">\
         <label for=name>{}</label><input id=name name=name required maxlength=100 autocomplete=name value=\"{}\">\
         <label for=password>{}</label><input id=password name=password type=password required minlength=8 autocomplete=new-password>\
         <small>{}</small>\
         <label for=repeat>{}</label><input id=repeat name=repeat type=password required minlength=8 autocomplete=new-password>\
         <button>{}</button></form>",
        words.username,
        escape(username),
        words.name,
        escape(name),
        words.password,
        words.password_hint,
        words.repeat,
        words.submit
    );
    page(words, &body)
}

/// The administrator exists now.
pub(super) fn done(language: Language) -> String {
    let words = language.words();
    page(words, &format!("<p>{}</p><p>{}</p>", words.done, words.done_next))
}

/// The link is of no use.
pub(super) fn spent(language: Language) -> String {
    let words = language.words();
    page(words, &format!("<p>{}</p><p>{}</p>", words.spent, words.spent_next))
}

/// The policy under which the page is shown: no script, no frame, one stylesheet known by its hash.
pub(super) fn content_security_policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

fn page(words: &Words, body: &str) -> String {
    format!(
        "<!doctype html><html lang={}><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>medreq: {}</title><style>{STYLE}</style></head><body><main><h1>{}</h1>{body}</main></body></html>",
        words.lang, words.title, words.title
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().take(200) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_readers() {
        assert_eq!(Language::negotiate(Some("pt-BR,pt;q=0.9,en;q=0.8")), Language::Portuguese);
        assert_eq!(Language::negotiate(Some("de,en;q=0.5,pt;q=0.4")), Language::English);
        assert_eq!(Language::negotiate(Some("fr")), Language::English);
        assert_eq!(Language::negotiate(None), Language::English);
    }

    #[test]
    fn what_was_typed_cannot_become_markup() {
        let page = form(Language::English, Some(Wrong::Password), "\"><script>", "a & b");
        assert!(!page.contains("<script") && page.contains("&quot;&gt;&lt;script&gt;") && page.contains("a &amp; b"));
        assert!(page.contains("at least 8 characters"));
    }
}
