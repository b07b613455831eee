//! Files that must be on the disk when we say so: copied, hashed, synced. It never leaves one readable to others.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path},
};

use sha2::{Digest, Sha256};

pub(super) use crate::server::files::sync_dir;
use crate::server::hex::hex;

/// Size and SHA-256 of what was read.
pub(super) struct Sum {
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// Reads a file through, passing it on.
fn read_through(file: &Path, pass_on: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Sum> {
    let mut source = File::open(file)?;
    let mut buffer = vec![0; 256 * 1024];
    let (mut size, mut hash) = (0_u64, Sha256::new());
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            return Ok(Sum { size, sha256: hex(&hash.finalize()) });
        }
        hash.update(&buffer[..read]);
        pass_on(&buffer[..read])?;
        size += read as u64;
    }
}

/// Size and hash of a file.
pub(super) fn sum(file: &Path) -> io::Result<Sum> {
    read_through(file, &mut |_| Ok(()))
}

/// Copies a file to a new one that only its owner may read, and waits until it is on the disk.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<Sum> {
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let sum = read_through(from, &mut |bytes| target.write_all(bytes))?;
    target.sync_all()?;
    Ok(sum)
}

/// Writes a new file that only its owner may read, and waits until it is on the disk.
pub(super) fn write(to: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    target.write_all(bytes)?;
    target.sync_all()
}

/// Makes directories that only their owner may enter; those that exist stay as they are.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// True for a relative path that stays below where it is put.
pub(super) fn stays_below(name: &str) -> bool {
    let mut components = Path::new(name).components().peekable();
    components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
}

/// The files at and below a path, relative to `root`, sorted; nothing where there is none. Links are not followed.
pub(super) fn files_below(root: &Path, name: &str) -> io::Result<Vec<String>> {
    let path = root.join(name);
    let found = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        found => found?,
    };
    if !found.is_dir() {
        return Ok(if found.is_file() { vec![name.to_owned()] } else { vec![] });
    }
    let mut files = vec![];
    for entry in fs::read_dir(&path)? {
        if let Ok(entry) = entry?.file_name().into_string() {
            files.extend(files_below(root, &format!("{name}/{entry}"))?);
        }
    }
    files.sort();
    Ok(files)
}
