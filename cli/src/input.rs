//! What people hand in besides flags: texts and bodies from files or stdin, passwords typed unseen. Nothing secret comes from argv.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use crossterm::{
    event::{Event, KeyCode, KeyEventKind, KeyModifiers, read},
    terminal::{disable_raw_mode, enable_raw_mode},
};
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// Largest text or body that is read from a file: what the API takes at most.
const SIZE_MAX: u64 = 2 * 1024 * 1024;

/// A note in the user's words.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Note {
    /// In your words
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Read the note from a file, or from stdin with `-`
    #[arg(long, value_name = "FILE", conflicts_with = "note")]
    note_file: Option<PathBuf>,
}

impl Note {
    pub(crate) fn read(&self) -> Result<Option<String>, Failure> {
        text_or_file(self.note.as_deref(), self.note_file.as_deref())
    }
}

/// A text given directly, or in a file.
pub(crate) fn text_or_file(text: Option<&str>, file: Option<&Path>) -> Result<Option<String>, Failure> {
    match (text, file) {
        (Some(text), _) => Ok(Some(text.to_owned())),
        (None, Some(path)) => Ok(Some(read_text(path)?.trim_end_matches(['\r', '\n']).to_owned())),
        (None, None) => Ok(None),
    }
}

/// A JSON body from a file or stdin.
pub(crate) fn body<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{} is no such body: {error}", shown(path))))
}

/// A password from the first line of a file, or of stdin with `-`.
pub(crate) fn password_file(path: &Path) -> Result<String, Failure> {
    let text = read_text(path)?;
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => Err(Failure::usage(format!("the first line of {} is empty; put the password there", shown(path)))),
    }
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(SIZE_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(SIZE_MAX + 1).read_to_string(&mut text))
    };
    match read {
        Ok(size) if size as u64 > SIZE_MAX => Err(Failure::usage(format!("{} is larger than 2 MB", shown(path)))),
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

/// True where somebody can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a new password twice, unseen.
pub(crate) fn ask_new_password(whose: &str) -> Result<String, Failure> {
    let first = ask_unseen(&format!("Password for {whose}: "))?;
    if ask_unseen("The same again: ")? != first {
        return Err(Failure::usage("the two passwords differ; try again"));
    }
    Ok(first)
}

fn ask_unseen(prompt: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::Local { code: "terminal_error", detail: format!("the terminal: {error}") };
    let mut screen = io::stderr();
    write!(screen, "{prompt}").and_then(|()| screen.flush()).map_err(failed)?;
    enable_raw_mode().map_err(failed)?;
    let typed = read_unseen();
    disable_raw_mode().map_err(failed)?;
    writeln!(screen).map_err(failed)?;
    typed.map_err(failed)?.ok_or_else(|| Failure::usage("no password given"))
}

/// `None` where the person gives up.
fn read_unseen() -> io::Result<Option<String>> {
    let mut typed = String::new();
    loop {
        let Event::Key(key) = read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match key.code {
            KeyCode::Enter => return Ok(Some(typed)),
            KeyCode::Esc => return Ok(None),
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(None),
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(c) => typed.push(c),
            _ => {}
        }
    }
}

/// Asks before something that cannot be taken back; `--yes` answers it.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !can_ask() {
        return Err(Failure::usage(format!("{question} Say --yes where nobody can be asked")));
    }
    let failed = |error: io::Error| Failure::Local { code: "terminal_error", detail: format!("the terminal: {error}") };
    let mut screen = io::stderr();
    write!(screen, "{question} [y/N] ").and_then(|()| screen.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" | "s" | "sim" => Ok(()),
        _ => Err(Failure::usage("not confirmed; nothing was done")),
    }
}
