//! An upload on its way in: kept in a file without a name until it is whole. It must never outlive the request, however that ends.

use std::{fs::File, io, path::Path};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::ImportError;
use crate::server::{hex::hex, ports::StoreError};

/// An upload that is being received.
pub struct Spool {
    file: tokio::fs::File,
    hash: Sha256,
    bytes: u64,
    most: u64,
}

/// An upload that came whole.
pub struct Upload {
    /// At its beginning.
    pub(super) file: File,
    /// SHA-256 of the content, in hexadecimal.
    pub(super) sha256: String,
    /// Length.
    pub(super) bytes: u64,
}

impl Spool {
    /// Makes room in a directory for at most so many bytes.
    ///
    /// # Errors
    /// Where the directory cannot be written.
    pub fn open(dir: &Path, most: u64) -> Result<Self, ImportError> {
        // Without a name from the start: nobody else can open it, and a killed server leaves nothing behind.
        let file = tempfile::tempfile_in(dir).map_err(stored)?;
        Ok(Self { file: tokio::fs::File::from_std(file), hash: Sha256::new(), bytes: 0, most })
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`ImportError::TooLarge`], or where the disk is full.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), ImportError> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.most {
            return Err(ImportError::TooLarge(self.most));
        }
        self.hash.update(piece);
        self.file.write_all(piece).await.map_err(stored)
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where the disk is full.
    pub async fn finish(mut self) -> Result<Upload, ImportError> {
        self.file.flush().await.map_err(stored)?;
        self.file.rewind().await.map_err(stored)?;
        let sha256 = hex(&self.hash.finalize());
        Ok(Upload { file: self.file.into_std().await, sha256, bytes: self.bytes })
    }
}

fn stored(error: io::Error) -> ImportError {
    ImportError::Store(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull,
        _ => StoreError::Unavailable(format!("an upload could not be kept: {error}")),
    })
}
