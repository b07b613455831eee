//! Directory files into the catalogue. One at a time: a second import is told, not kept waiting.

use std::{fs::File, sync::Arc};

use super::{ImportError, ImportOptions, Imports, Job, Progress, blocking, encoding, malformed};
use crate::{
    api::imports::ImportReport,
    server::catalog::{self, Format},
};

impl Imports {
    /// Imports a directory file.
    pub(super) async fn directory(
        &self,
        job: Job<'_>,
        file: File,
        options: &ImportOptions,
        mut progress: Progress,
    ) -> Result<ImportReport, ImportError> {
        let format: Option<Format> =
            options.format.as_deref().map(|name| name.parse().map_err(|why| malformed("format", why))).transpose()?;
        let options = catalog::ImportOptions { format, encoding: encoding(options)?, dry_run: options.dry_run };
        let store = Arc::clone(self.catalog.store());
        let import = move || Ok(ImportReport::from(store.import(file, options, |at| progress(at.rows))?));
        let report = blocking(import).await?;
        self.note(&job, &report).await?;
        Ok(report)
    }
}

impl From<catalog::ImportError> for ImportError {
    fn from(error: catalog::ImportError) -> Self {
        match error {
            catalog::ImportError::UnknownFormat => Self::Format(error.to_string()),
            catalog::ImportError::NoGoodRow(report) => Self::NoGoodRow(Box::new((*report).into())),
            catalog::ImportError::Read(error) => Self::Read(error),
            catalog::ImportError::Running => Self::Running,
            catalog::ImportError::Store(error) => Self::Store(error),
        }
    }
}
