//! `medreq user reset-link`: one-time links by which people set a password of their own. A link goes to the terminal or into a private file.

use std::path::PathBuf;

use clap::Args;

use crate::{context::Context, failure::Failure, private::PrivateFile};

/// Make one-time links by which people set a password of their own
///
/// Each works once and for 24 hours, and until the password is set otherwise. Give it to its owner alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq user reset-link joana
  medreq user reset-link joana bia caio --out links.csv")]
pub(super) struct ResetLinks {
    /// The usernames
    #[arg(value_name = "USERNAME", required = true)]
    usernames: Vec<String>,
    /// Write them into this new CSV file, readable by you alone, in place of printing them
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ResetLinks {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let mut file = self.out.as_deref().map(PrivateFile::create).transpose()?;
        for (done, username) in self.usernames.iter().enumerate() {
            let link = client.reset_link(username).await?;
            // Each is out before the next is made: none is lost where a later one fails.
            match &mut file {
                Some(file) => {
                    if done == 0 {
                        file.line("username,url,expires_at")?;
                    }
                    file.line(&format!("{},{},{}", link.username, link.url, link.expires_at))?;
                }
                None if context.output.json => context.output.json_line(&link)?,
                None => {
                    let until = context.shown_zone().await.minute(link.expires_at);
                    context.output.line(&format!("{}  {}  (once, until {until})", link.username, link.url))?;
                }
            }
        }
        if let Some(file) = &file {
            context.output.hint(&format!("{} links are in {}", self.usernames.len(), file.path().display()));
        }
        Ok(())
    }
}
