//! The loop: terminal events, loads and ticks in, effects out. Paints only when something changed, restores the terminal on every way out.

use std::time::Duration;

use anyhow::Context as _;
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use jiff::{Timestamp, tz::TimeZone};
use medreq::{
    client::{Client, ClientError, TicketFilter},
    domain::reason::Status,
};
use tokio::sync::mpsc;

use crate::{
    model::{Effect, Message, Model},
    view::view,
};

const RELOAD: Duration = Duration::from_secs(5);

/// Shows the live queue until the user leaves it.
///
/// # Errors
/// Where the server does not know the caller, or there is no terminal.
pub async fn run(client: Client) -> anyhow::Result<()> {
    let me = client.whoami().await?;
    let site = client.site().await.ok().and_then(|site| TimeZone::get(&site.time_zone).ok());
    let model = Model::new(me.username.to_string(), site.unwrap_or_else(TimeZone::system), Timestamp::now());
    let mut terminal = ratatui::try_init().context("the console needs a terminal")?;
    let ended = queue(&client, model, &mut terminal).await;
    ratatui::restore();
    ended
}

async fn queue(client: &Client, mut model: Model, terminal: &mut ratatui::DefaultTerminal) -> anyhow::Result<()> {
    let (send, mut messages) = mpsc::channel(64);
    std::thread::spawn(move || read_keys(&send));
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut reload = tokio::time::interval(RELOAD);
    loop {
        terminal.draw(|frame| view(&model, frame))?;
        let message = tokio::select! {
            Some(message) = messages.recv() => message,
            _ = reload.tick() => Message::Refresh,
            _ = tick.tick() => Message::Tick(Timestamp::now()),
            else => Message::Quit,
        };
        match model.update(message) {
            Effect::None => {}
            Effect::Load => {
                let loaded = load(client).await;
                model.update(loaded);
            }
            Effect::Quit => return Ok(()),
        }
    }
}

async fn load(client: &Client) -> Message {
    let open = Status::ALL.iter().copied().filter(|status| !status.is_terminal() && *status != Status::Dispatched);
    let filter = TicketFilter { status: open.collect(), limit: Some(200), ..TicketFilter::default() };
    match client.tickets(&filter).await {
        Ok(page) => Message::Loaded { tickets: page.items, total: page.total, at: Timestamp::now() },
        Err(ClientError::Problem(problem)) => Message::Failed(problem.detail.clone()),
        Err(error) => Message::Failed(error.to_string()),
    }
}

/// Ends when the console does: then nobody receives.
fn read_keys(send: &mpsc::Sender<Message>) {
    while let Ok(event) = crossterm::event::read() {
        let Event::Key(key) = event else {
            // A resize paints anew by the next message.
            if send.blocking_send(Message::Move(0)).is_err() {
                return;
            }
            continue;
        };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        let message = match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Message::Quit,
            KeyCode::Char('q') => Message::Quit,
            KeyCode::Char('r') => Message::Refresh,
            KeyCode::Up | KeyCode::Char('k') => Message::Move(-1),
            KeyCode::Down | KeyCode::Char('j') => Message::Move(1),
            KeyCode::PageUp => Message::Move(-10),
            KeyCode::PageDown => Message::Move(10),
            _ => continue,
        };
        if send.blocking_send(message).is_err() {
            return;
        }
    }
}
