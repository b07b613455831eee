//! The registry of checks. Each looks at one thing, says what it saw and what to do; none repairs.

use std::{
    fs,
    io::ErrorKind,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    Check, Severity, Site,
    Status::{self, Failed, Ok, Skipped, Warning},
};

/// Every check, in the order in which it is reported.
pub(crate) const REGISTRY: &[fn(&Site) -> Check] = &[
    data_dir_file_system,
    data_dir_writable,
    disk_space,
    fsync_latency,
    memory,
    open_files,
    listen_address,
    clock,
    time_zone,
];

const GIB: u64 = 1 << 30;

fn check(id: &'static str, severity: Severity, status: Status, evidence: impl Into<String>, remedy: &str) -> Check {
    let remedy = if status == Ok { String::new() } else { remedy.to_owned() };
    Check { id, severity, status, evidence: evidence.into(), remedy }
}

/// The nearest directory that exists: what the data directory will be made in.
fn existing_parent(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|dir| dir.is_dir()).map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn data_dir_file_system(site: &Site) -> Check {
    const ID: &str = "data_dir.file_system";
    let dir = existing_parent(&site.data_dir);
    let Result::Ok(found) = rustix::fs::statfs(&dir) else {
        return check(
            ID,
            Severity::Required,
            Skipped,
            dir.display().to_string(),
            "look at the directory's mount by hand",
        );
    };
    // Magic numbers of statfs(2).
    let (status, name) = match found.f_type {
        0x0102_1994 => (Failed, "tmpfs"),
        0x6969 => (Failed, "nfs"),
        _ => (Ok, "local"),
    };
    let remedy = "choose a data directory on a local disk (ext4 or XFS): memory is lost at power-off, and SQLite's locks are not safe on NFS";
    check(ID, Severity::Required, status, format!("{} is on {name}", dir.display()), remedy)
}

fn data_dir_writable(site: &Site) -> Check {
    let dir = existing_parent(&site.data_dir);
    let writable = rustix::fs::access(&dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    let status = if writable.is_ok() { Ok } else { Failed };
    let remedy = "run as the directory's owner, or change its owner with chown";
    check("data_dir.writable", Severity::Required, status, dir.display().to_string(), remedy)
}

fn disk_space(site: &Site) -> Check {
    const ID: &str = "data_dir.space";
    let Result::Ok(found) = rustix::fs::statvfs(existing_parent(&site.data_dir)) else {
        return check(ID, Severity::Required, Skipped, "no figure", "look at it with df");
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let status = if free < GIB {
        Failed
    } else if free < 5 * GIB {
        Warning
    } else {
        Ok
    };
    check(ID, Severity::Required, status, format!("{} MiB free", free >> 20), "free at least 5 GiB, backups included")
}

/// Every acknowledged request waits for one fsync: a slow disk is a slow hospital.
fn fsync_latency(site: &Site) -> Check {
    const ID: &str = "data_dir.fsync";
    let file = existing_parent(&site.data_dir).join(format!(".medreq-preflight-{}", std::process::id()));
    let measured = measure_fsync(&file);
    // The probe may never have been made; what matters is that none is left.
    let _ = fs::remove_file(&file);
    match measured {
        Result::Ok(median) => {
            let status = if median > Duration::from_millis(50) { Warning } else { Ok };
            let evidence = format!("median {} µs over 20 writes", median.as_micros());
            check(ID, Severity::Recommended, status, evidence, "use an SSD with power-loss protection")
        }
        Err(error) => check(ID, Severity::Recommended, Skipped, error.to_string(), "make the directory writable first"),
    }
}

fn measure_fsync(file: &Path) -> std::io::Result<Duration> {
    use std::io::Write as _;
    let mut probe = fs::File::options().write(true).create_new(true).open(file)?;
    let mut times = Vec::with_capacity(20);
    for _ in 0..20 {
        let start = std::time::Instant::now();
        probe.write_all(&[0; 4096])?;
        probe.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Result::Ok(times[times.len() / 2])
}

fn memory(_: &Site) -> Check {
    const ID: &str = "memory.available";
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    });
    let Some(kib) = available else {
        return check(ID, Severity::Recommended, Skipped, "no /proc/meminfo", "512 MiB should be available");
    };
    let status = if kib < 512 << 10 { Warning } else { Ok };
    check(ID, Severity::Recommended, status, format!("{} MiB available", kib >> 10), "have at least 512 MiB available")
}

fn open_files(_: &Site) -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let status = if limit.is_some_and(|limit| limit < 4096) { Warning } else { Ok };
    let evidence = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let remedy = "raise the limit of open files to 4096 or more (ulimit -n, LimitNOFILE=)";
    check("limits.open_files", Severity::Recommended, status, evidence, remedy)
}

fn listen_address(site: &Site) -> Check {
    const ID: &str = "listen.free";
    let evidence = site.listen.to_string();
    match TcpListener::bind(site.listen) {
        Result::Ok(_) => check(ID, Severity::Required, Ok, evidence, ""),
        Err(error) => {
            let remedy = match error.kind() {
                ErrorKind::AddrInUse => "stop what listens there (ss -ltnp shows it), or choose another --listen",
                ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE; choose a port above",
                _ => "choose an address of this machine",
            };
            check(ID, Severity::Required, Failed, format!("{evidence}: {error}"), remedy)
        }
    }
}

/// Tokens and due times are worthless on a clock that was never set.
fn clock(_: &Site) -> Check {
    const BUILT_AFTER: i64 = 1_750_000_000;
    let now = Timestamp::now();
    let status = if now.as_second() > BUILT_AFTER { Ok } else { Failed };
    let remedy = "set the clock and keep it set (timedatectl set-ntp true)";
    check("clock.set", Severity::Required, status, now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), remedy)
}

fn time_zone(_: &Site) -> Check {
    let zone = fs::read_link("/etc/localtime").map(|link| link.display().to_string());
    let (status, evidence) = zone.map_or((Warning, "no /etc/localtime".to_owned()), |zone| (Ok, zone));
    check(
        "clock.time_zone",
        Severity::Recommended,
        status,
        evidence,
        "set it, for example: timedatectl set-timezone America/Sao_Paulo",
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{exit_code, preflight};

    fn site(data_dir: &Path, port: u16) -> Site {
        Site { data_dir: data_dir.to_owned(), listen: (Ipv4Addr::LOCALHOST, port).into() }
    }

    fn found(checks: &[Check], id: &str) -> Status {
        checks.iter().find(|check| check.id == id).unwrap().status
    }

    #[test]
    fn a_port_in_use_is_named_and_fails_the_report() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let checks = preflight(&site(Path::new("/"), taken.local_addr().unwrap().port()));
        assert_eq!(found(&checks, "listen.free"), Failed);
        assert_eq!(exit_code(&checks), 3);
    }

    #[test]
    fn the_clock_is_shown_as_people_read_it() {
        let shown = clock(&site(Path::new("/"), 0)).evidence;
        assert!(shown.ends_with('Z') && shown.parse::<Timestamp>().is_ok(), "{shown}");
    }

    #[test]
    fn data_in_memory_is_refused() {
        if Path::new("/dev/shm").is_dir() {
            assert_eq!(data_dir_file_system(&site(Path::new("/dev/shm/medreq/data"), 0)).status, Failed);
        }
    }

    #[test]
    fn nothing_is_left_behind_and_every_trouble_has_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let checks = preflight(&site(&dir.path().join("not/yet/there"), 0));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(checks.iter().all(|check| (check.status == Ok) == check.remedy.is_empty()), "{checks:?}");
    }
}
