//! `medreq backup`: copies of embedded data, made while it serves, and their proof. On-the-server verbs; they never change the data.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use medreq::server::sqlite::{Proof, backup, owner};
use serde_json::json;

use crate::{context::Context, failure::Failure, paths::DataDir};

/// Back up embedded data, also while it serves
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  medreq backup create --data-dir /var/lib/medreq --to /backups
  medreq backup list --to /backups
  medreq backup verify /backups/20300115T100000Z-1a2b3c4d")]
pub(crate) struct Backup {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make one
    #[command(after_help = "Example:\n  medreq backup create --data-dir /var/lib/medreq --to /backups")]
    Create {
        #[command(flatten)]
        data_dir: DataDir,
        /// Where backups are kept, each in a directory of its own
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// List them, oldest first
    #[command(after_help = "Example:\n  medreq backup list --to /backups --json")]
    List {
        /// Where backups are kept
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Prove one: checksums, integrity, every ticket rebuilt from its events, the chain of the audit log, accounts that read
    #[command(after_help = "Example:\n  medreq backup verify /backups/20300115T100000Z-1a2b3c4d")]
    Verify {
        /// The backup's directory
        backup: PathBuf,
    },
}

impl Backup {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let output = &context.output;
        match self.verb {
            Verb::Create { data_dir, to } => {
                let data_dir = data_dir.resolve(context)?;
                owner::act_as_owner(&data_dir).map_err(|error| Failure::file(&data_dir, &error))?;
                let made = backup::create(&data_dir, &to, &[])?;
                output.show(&described(&made), |_| made.path.display().to_string())
            }
            Verb::List { to } => {
                let found = backup::list(&to)?;
                let items: Vec<_> = found.iter().map(described).collect();
                let list = json!({ "total": items.len(), "items": items, "next": null });
                output.show(&list, |_| found.iter().map(line).collect::<Vec<_>>().join("\n"))
            }
            Verb::Verify { backup } => {
                let (found, proof) = backup::verify(&backup)?;
                let mut report = described(&found);
                report["tickets"] = proof.tickets.into();
                report["events"] = proof.events.into();
                report["audit_entries"] = proof.audit.map(|(entries, _)| entries).into();
                report["users"] = proof.users.into();
                report["clients"] = proof.clients.into();
                report["ok"] = true.into();
                output.show(&report, |_| proven(&found, &proof))
            }
        }
    }
}

impl From<backup::BackupError> for Failure {
    fn from(error: backup::BackupError) -> Self {
        Self::Local { code: error.code(), detail: error.to_string() }
    }
}

fn proven(backup: &backup::Backup, proof: &Proof) -> String {
    let audit = match proof.audit {
        Some((entries, _)) => format!("{entries} audit entries chained"),
        None => "the audit log is from before it was chained".to_owned(),
    };
    let heads = backup.manifest.counts.as_ref().map_or_else(String::new, |counts| {
        format!("\nheads: events {}, audit {}", backup.manifest.head_hash, counts.audit_hash)
    });
    format!(
        "ok: {} tickets rebuilt from {} events, {audit}, {} users, {} clients{heads}",
        proof.tickets, proof.events, proof.users, proof.clients
    )
}

fn line(backup: &backup::Backup) -> String {
    format!("{}  {}  {} KiB", backup.manifest.created_at, backup.path.display(), backup.size() >> 10)
}

fn described(backup: &backup::Backup) -> serde_json::Value {
    json!({ "path": backup.path, "size_bytes": backup.size(), "manifest": backup.manifest })
}
