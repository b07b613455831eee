//! Where data is by default. One answer for every verb on the server itself; makes nothing.

use std::path::PathBuf;

use clap::Args;

use crate::{context::Context, failure::Failure};

/// `--data-dir` of the verbs that open the store.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataDir {
    /// The server's data directory [env: MEDREQ_DATA_DIR] [default: that of the configuration, else medreq in the XDG data home]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl DataDir {
    /// The flag, the configuration, or the default.
    pub(crate) fn resolve(&self, context: &Context) -> Result<PathBuf, Failure> {
        self.resolve_or(context, || Ok(data_home()?.join("medreq")))
    }

    /// The flag, the configuration, or another default.
    pub(crate) fn resolve_or(
        &self,
        context: &Context,
        default: impl FnOnce() -> Result<PathBuf, Failure>,
    ) -> Result<PathBuf, Failure> {
        let configured = || context.config.server.data_dir.clone();
        self.data_dir.clone().or_else(configured).map_or_else(default, Ok)
    }
}

/// The demo's own directory, beside the default one.
pub(crate) fn demo_dir() -> Result<PathBuf, Failure> {
    Ok(data_home()?.join("medreq-demo"))
}

fn data_home() -> Result<PathBuf, Failure> {
    xdg("XDG_DATA_HOME", ".local/share")
        .ok_or_else(|| Failure::usage("neither HOME nor XDG_DATA_HOME is set; say --data-dir DIR"))
}

/// The XDG state home, where logins are; `None` where there is no home either.
pub(crate) fn state_home() -> Option<PathBuf> {
    xdg("XDG_STATE_HOME", ".local/state")
}

/// A base directory of XDG: a relative one is ignored, as its specification says.
fn xdg(name: &str, under_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(name).or_else(|| absolute("HOME").map(|home| home.join(under_home)))
}
