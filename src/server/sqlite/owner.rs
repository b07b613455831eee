//! Acting as a data directory's owner: a file that root made beside the service's own would be unreadable to it.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::Command,
};

/// Replaces this process by itself under the directory owner's ids, where it runs as root and another owns the directory;
/// returns where nothing was to do. Call it first, before threads and files are opened.
///
/// # Errors
/// Where the system refuses to start the program again.
pub fn act_as_owner(dir: &Path) -> io::Result<()> {
    let Ok(found) = fs::metadata(dir) else {
        return Ok(());
    };
    if !rustix::process::geteuid().is_root() || found.uid() == 0 {
        return Ok(());
    }
    start_again_as(found.uid(), found.gid()).map(|never| match never {})
}

fn start_again_as(uid: u32, gid: u32) -> io::Result<Infallible> {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "medreq".into());
    let program = std::env::current_exe()?;
    // Setting the uid from root also drops root's supplementary groups.
    Err(Command::new(program).arg0(name).args(arguments).uid(uid).gid(gid).exec())
}
