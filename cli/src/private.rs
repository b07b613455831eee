//! New files for secrets that are shown once. They are readable by their owner alone, and never replace another file.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use medreq::server::files::sync_entry;

use crate::failure::Failure;

/// A new file that only its owner reads; it goes again where nothing was written into it.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    path: PathBuf,
    file: File,
    empty: bool,
}

impl PrivateFile {
    /// Makes it; one that exists is refused.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| Failure::file(path, &error))?;
        Ok(Self { path: path.to_owned(), file, empty: true })
    }

    /// Writes a line, which is on the disk when this returns.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.empty = false;
        writeln!(self.file, "{text}")
            .and_then(|()| self.file.sync_all())
            .and_then(|()| sync_entry(&self.path))
            .map_err(|error| Failure::file(&self.path, &error))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        if self.empty {
            // It is only in the way of the next attempt, which would say so.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
