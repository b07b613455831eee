//! Small private files: written whole or not at all, readable by their owner alone.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Replaces a file atomically; it is 0600 from its first byte on, and on the disk under its name when this returns. Who writes the same
/// file takes turns: each begins with what a killed one left.
///
/// # Errors
/// As the system's; the old file is then still there, or the new one that a loss of power may undo.
pub fn replace_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let written = write_synced(&fresh, content).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // It may not exist; the error that counts is the first.
        let _ = fs::remove_file(&fresh);
    }
    written.and_then(|()| sync_entry(path))
}

/// Waits until a file's name is on the disk, too.
///
/// # Errors
/// As the system's.
pub fn sync_entry(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    sync_dir(dir.unwrap_or(Path::new(".")))
}

/// Waits until a directory's entries are on the disk.
///
/// # Errors
/// As the system's.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Makes an empty file that only its owner may read, unless there is a file of this name.
///
/// # Errors
/// As the system's.
pub fn create_private(path: &Path) -> io::Result<()> {
    match fs::File::options().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // A left-over of a killed process keeps its old mode.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_secret_is_never_readable_by_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let left = dir.path().join("secret.new");
        for file in [&path, &left] {
            fs::write(file, "old, and longer than the new one").unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        }
        replace_private(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
