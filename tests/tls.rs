//! TLS of the server itself, as hospital IT sets it up: by files, which are renewed while it runs.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Server, eventually, medreq};

/// An authority of a hospital's own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = dir.join(format!("{name}.pem"));
        fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// Puts a new pair for this machine in the place of what the files held, the key first.
    fn certify(&self, certificate: &Path, key: &Path) {
        let pair = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&pair, &self.issuer).unwrap();
        for (path, text) in [(key, pair.serialize_pem()), (certificate, signed.pem())] {
            let new = path.with_extension("new");
            fs::write(&new, text).unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
            fs::rename(&new, path).unwrap();
        }
    }
}

/// What a command says that reaches the server and trusts this authority; the text of the failure where it does not.
fn reach(server: &Server, token: &str, authority: Option<&Authority>) -> Result<(), String> {
    let mut command = server.medreq(token);
    if let Some(authority) = authority {
        command.env("MEDREQ_CA_FILE", &authority.file);
    }
    let output = command.args(["ticket", "list"]).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
}

#[test]
fn it_serves_https_by_itself_and_takes_up_a_renewed_certificate() {
    let home = TempDir::new().unwrap();
    let (certificate, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    let [first, second] = ["first", "second"].map(|name| Authority::new(home.path(), name));
    first.certify(&certificate, &key);
    let files = ["--tls-certificate", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let dir = home.path().join("data");
    let server = Server::start(&dir, &[&files[..], &["--demo"]].concat());
    let manifest: Value = serde_json::from_slice(&fs::read(dir.join("demo.json")).unwrap()).unwrap();
    assert_eq!(manifest["url"], server.url);
    let token = server.token(manifest["users"][0]["username"].as_str().unwrap());
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);

    reach(&server, &token, Some(&first)).unwrap();
    for stranger in [None, Some(&second)] {
        let told = reach(&server, &token, stranger).unwrap_err();
        assert!(told.contains("certificate that is not trusted") && told.contains("MEDREQ_CA_FILE"), "{told}");
    }

    // Neither a client that speaks no TLS nor one that says nothing keeps others waiting or gets an answer.
    let address = server.url.strip_prefix("https://").unwrap();
    let _silent: Vec<_> = (0..32).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut plain = TcpStream::connect(address).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    reach(&server, &token, Some(&first)).unwrap();

    // Half of a renewal changes nothing.
    let whole = fs::read(&certificate).unwrap();
    fs::write(&certificate, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let log = dir.with_extension("log");
    eventually("that the broken file is told", || {
        fs::read_to_string(&log).unwrap().contains("the one before stays in use").then_some(())
    });
    reach(&server, &token, Some(&first)).unwrap();
    fs::write(&certificate, whole).unwrap();
    second.certify(&certificate, &key);
    eventually("the renewed certificate", || reach(&server, &token, Some(&second)).ok());
    assert!(reach(&server, &token, Some(&first)).is_err());

    let began = Instant::now();
    let (status, _) = server.end(Signal::TERM);
    assert!(status.success() && began.elapsed() < Duration::from_secs(15), "{status}");
}

#[test]
fn what_keeps_tls_from_being_served_is_told_before_anything_is_made() {
    let home = TempDir::new().unwrap();
    let (certificate, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    let authority = Authority::new(home.path(), "authority");
    authority.certify(&certificate, &key);
    let dir = home.path().join("data");
    let told = |certificate: &Path, key: &Path| {
        let mut command = medreq();
        let output = command.args(["up", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&dir);
        let output = output.arg("--tls-certificate").arg(certificate).arg("--tls-key").arg(key).output().unwrap();
        assert!(!output.status.success() && !dir.exists());
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = home.path().join("missing.pem");
    for (text, expected) in [
        (told(&missing, &key), "missing.pem: No such file"),
        (told(&key, &key), "key.pem holds no certificate in PEM form"),
        (told(&certificate, &certificate), "cert.pem holds no private key in PEM form"),
        (told(&authority.file, &key), "do not go together"),
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let text = told(&certificate, &key);
    assert!(text.contains("key.pem can be read by everybody; give it the mode 0600"), "{text}");
    let alone = medreq().args(["up", "--tls-key", key.to_str().unwrap()]).output().unwrap();
    assert_eq!(alone.status.code(), Some(2));
}
