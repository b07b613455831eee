//! `medreq restore`: puts a backup in the place of embedded data. Refuses while a server runs; keeps what was there.

use std::path::PathBuf;

use clap::Args;
use medreq::server::sqlite::{owner, restore::restore};
use serde_json::json;

use crate::{context::Context, failure::Failure, paths::DataDir};

/// Restore a backup of embedded data; all sessions end
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  medreq restore /backups/20300115T100000Z-1a2b3c4d --data-dir /var/lib/medreq
  medreq restore /backups/20300115T100000Z-1a2b3c4d --data-dir /var/lib/medreq --replace

The backup is verified first. With --replace the data that was there is kept within the directory.")]
pub(crate) struct Restore {
    /// The backup's directory
    backup: PathBuf,
    #[command(flatten)]
    data_dir: DataDir,
    /// Also where data lies already; it is kept aside
    #[arg(long)]
    replace: bool,
}

impl Restore {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let data_dir = self.data_dir.resolve(context)?;
        owner::act_as_owner(&data_dir).map_err(|error| Failure::file(&data_dir, &error))?;
        let restored = restore(&self.backup, &data_dir, self.replace)?;
        let report = json!({ "data_dir": data_dir, "epoch": restored.epoch, "aside": restored.aside });
        context.output.show(&report, |_| {
            let mut text = format!("restored into {}; everyone must sign in again", data_dir.display());
            if let Some(aside) = &restored.aside {
                text.push_str(&format!("\nwhat was there is kept in {}", aside.display()));
            }
            text
        })
    }
}
