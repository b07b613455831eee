//! Settings from several places, the later over the earlier, each knowing where it comes from. A value is never in an error of an unknown key:
//! somebody may have put a secret there.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{Config, DEFAULT};

/// Read where no other file is named.
pub const SITE_FILE: &str = "/etc/medreq/medreq.toml";

const PREFIX: &str = "MEDREQ_";

/// Variables that are older or handier than the nested ones, which win over them.
const SHORT: [(&str, &str); 8] = [
    ("MEDREQ_CA_FILE", "client.ca_file"),
    ("MEDREQ_URL", "client.url"),
    ("MEDREQ_TOKEN_FILE", "client.token_file"),
    ("MEDREQ_ON_BEHALF_OF", "client.on_behalf_of"),
    ("MEDREQ_DECIMAL_SEPARATOR", "client.decimal_separator"),
    ("MEDREQ_DATA_DIR", "server.data_dir"),
    ("MEDREQ_LOG", "server.log_filter"),
    ("MEDREQ_LOG_FORMAT", "server.log_format"),
];

/// Settings that are paths: in a file they are relative to it.
const PATHS: [&str; 8] = [
    "client.ca_file",
    "client.token_file",
    "gateway.ca_file",
    "kafka.password_file",
    "mongo.password_file",
    "server.data_dir",
    "server.tls_certificate",
    "server.tls_key",
];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The embedded file.
    Default,
    /// A file of the site.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("the configuration {} cannot be read: {source}; check the path and that this user may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not TOML.
    #[error("the configuration {} is no TOML{}: {detail}; `medreq config default` shows how it looks", path.display(), at(*line))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: Option<usize>,
        /// What the parser said.
        detail: String,
    },
    /// There is no such setting.
    #[error("{from}: there is no setting {key}; {advice}")]
    Unknown {
        /// Where it stands.
        from: Source,
        /// The key, with its table.
        key: String,
        /// What to do.
        advice: String,
    },
    /// A value that the setting cannot have.
    #[error("{from}: {key}: {detail}")]
    Invalid {
        /// Where it stands.
        from: Source,
        /// The key, with its table.
        key: String,
        /// What is wrong, and what it may be.
        detail: String,
    },
}

fn at(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" in line {line}"))
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// As TOML has it.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
}

/// All settings by `table.key`. The defaults say which keys there are and of which type.
#[derive(Debug, Clone)]
pub struct Layers(BTreeMap<String, Setting>);

impl Default for Layers {
    fn default() -> Self {
        let tables: Table = DEFAULT.parse().expect("the embedded file is TOML: every start and every test reads it");
        let settings = tables.into_iter().flat_map(|(table, keys)| {
            let Value::Table(keys) = keys else { unreachable!("the embedded file has no key outside of a table") };
            keys.into_iter()
                .map(move |(key, value)| (format!("{table}.{key}"), Setting { value, source: Source::Default }))
        });
        Self(settings.collect())
    }
}

impl Layers {
    /// Lays a file over what is there.
    ///
    /// # Errors
    /// Where it cannot be read, is no TOML, or holds what is no setting.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        self.text(path, &text)
    }

    fn text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let from = Source::File(path.to_owned());
        let tables: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            line: error.span().map(|span| 1 + text[..span.start].matches('\n').count()),
            detail: error.message().to_owned(),
        })?;
        for (table, keys) in tables {
            let Value::Table(keys) = keys else { return Err(self.unknown(&from, &table)) };
            for (key, value) in keys {
                let key = format!("{table}.{key}");
                let value = match value.as_str() {
                    Some(file) if PATHS.contains(&key.as_str()) && !file.is_empty() => {
                        beside(path, file).map(Value::String).ok_or_else(|| not_unicode(&from, &key))?
                    }
                    _ => value,
                };
                self.put(&key, value, from.clone())?;
            }
        }
        Ok(())
    }

    /// Lays environment variables over what is there: the short ones, then the nested ones. An empty one says nothing; one of a single level
    /// that is not known is somebody else's.
    ///
    /// # Errors
    /// Where a nested one names no setting, or a value is none.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        let (mut short, mut nested) = (Vec::new(), Vec::new());
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX) && !value.is_empty()) else {
                continue;
            };
            if let Some((_, key)) = SHORT.iter().find(|(known, _)| *known == name) {
                short.push((name.to_owned(), (*key).to_owned(), value));
            } else if let Some((table, key)) = name[PREFIX.len()..].split_once("__") {
                nested.push((name.to_owned(), format!("{table}.{key}").to_ascii_lowercase(), value));
            }
        }
        for (name, key, value) in short.into_iter().chain(nested) {
            let from = Source::Variable(name);
            let value = value.into_string().map_err(|_| not_unicode(&from, &key))?;
            self.put_text(&key, &value, from)?;
        }
        Ok(())
    }

    /// Lays a flag over what is there, where it was given.
    ///
    /// # Errors
    /// Where the setting cannot have this value.
    pub fn flag(&mut self, flag: &'static str, key: &str, value: Option<&str>) -> Result<(), ConfigError> {
        match value.filter(|value| !value.is_empty()) {
            Some(value) => self.put_text(key, value, Source::Flag(flag)),
            None => Ok(()),
        }
    }

    /// All settings, read into their types.
    ///
    /// # Errors
    /// Where a value is not what its setting takes.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut tables = Table::new();
        for (name, setting) in &self.0 {
            let (table, key) = name.split_once('.').expect("every name was made of a table and a key");
            let table = tables.entry(table).or_insert_with(|| Value::Table(Table::new()));
            table.as_table_mut().expect("only tables are put there").insert(key.to_owned(), setting.value.clone());
        }
        let read: Result<Config, _> = serde_path_to_error::deserialize(Value::Table(tables));
        read.map_err(|error| {
            let path = error.path().to_string();
            let key = path.split('[').next().unwrap_or_default().to_owned();
            let from = self.0.get(&key).map_or(Source::Default, |setting| setting.source.clone());
            ConfigError::Invalid { from, key, detail: error.inner().message().to_owned() }
        })
    }

    /// All settings by name.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// Where a setting comes from.
    ///
    /// # Panics
    /// Where there is no such setting.
    #[must_use]
    pub fn source(&self, key: &str) -> &Source {
        &self.0[key].source
    }

    fn put_text(&mut self, key: &str, text: &str, from: Source) -> Result<(), ConfigError> {
        let Some(setting) = self.0.get(key) else { return Err(self.unknown(&from, key)) };
        let value = match &setting.value {
            Value::Integer(_) => {
                text.parse().map(Value::Integer).map_err(|_| invalid(&from, key, "it is a whole number"))
            }
            Value::Boolean(_) => {
                text.parse().map(Value::Boolean).map_err(|_| invalid(&from, key, "it is true or false"))
            }
            Value::Array(_) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
            }
            _ => Ok(Value::String(text.to_owned())),
        };
        self.put(key, value?, from)
    }

    fn put(&mut self, key: &str, value: Value, source: Source) -> Result<(), ConfigError> {
        match self.0.get_mut(key) {
            None => Err(self.unknown(&source, key)),
            Some(setting) if !setting.value.same_type(&value) => {
                let (wanted, given) = (setting.value.type_str(), value.type_str());
                Err(invalid(&source, key, &format!("it is of type {wanted}, not {given}")))
            }
            Some(setting) => {
                *setting = Setting { value, source };
                Ok(())
            }
        }
    }

    fn unknown(&self, from: &Source, key: &str) -> ConfigError {
        let last = key.rsplit('.').next().unwrap_or(key);
        let elsewhere = self.0.keys().find(|known| known.rsplit('.').next() == Some(last));
        let advice = match elsewhere.and_then(|known| known.split_once('.')) {
            Some((table, key)) => format!("{key} stands below [{table}]"),
            None => "`medreq config default` lists them all".to_owned(),
        };
        ConfigError::Unknown { from: from.clone(), key: key.to_owned(), advice }
    }
}

fn beside(file: &Path, path: &str) -> Option<String> {
    let dir = file.parent().unwrap_or_else(|| Path::new(""));
    dir.join(path).into_os_string().into_string().ok()
}

fn invalid(from: &Source, key: &str, detail: &str) -> ConfigError {
    ConfigError::Invalid { from: from.clone(), key: key.to_owned(), detail: detail.to_owned() }
}

fn not_unicode(from: &Source, key: &str) -> ConfigError {
    invalid(from, key, "it is not UTF-8; choose another name")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn from_file(text: &str) -> Result<Config, String> {
        let mut layers = Layers::default();
        let read = layers.text(Path::new("/etc/medreq/medreq.toml"), text);
        read.and_then(|()| layers.config()).map_err(|error| error.to_string())
    }

    fn from_variables(variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut layers = Layers::default();
        let read = layers.environment(variables.iter().map(|(name, value)| (name.into(), value.into())));
        read.and_then(|()| layers.config()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_file_has_every_setting_of_the_structs_and_no_other() {
        // The structs take no unknown key and demand every key: parsing proves both ways.
        let config = Layers::default().config().unwrap();
        assert_eq!((config.server.listen.port(), config.limits.requests_at_once), (8080, 512));
        let mut layers = Layers::default();
        for key in layers.0.keys().cloned().collect::<Vec<_>>() {
            let without = layers.0.remove(&key).unwrap();
            assert!(layers.config().is_err(), "{key} is in no struct");
            layers.0.insert(key, without);
        }
    }

    #[test]
    fn later_layers_win_and_are_remembered() {
        let mut layers = Layers::default();
        layers.text(Path::new("/etc/m.toml"), "[server]\nlisten = \"10.0.0.1:1\"\ndata_dir = \"data\"").unwrap();
        layers
            .environment([
                ("MEDREQ_SERVER__LISTEN".into(), "10.0.0.1:2".into()),
                ("MEDREQ_LIMITS__STREAMS".into(), "7".into()),
                ("MEDREQ_METRICS__ALLOW".into(), "10.0.0.5, 10.1.0.0/16".into()),
                ("MEDREQ_URL".into(), "http://127.0.0.1:3".into()),
                ("MEDREQ_FOO".into(), "of somebody else".into()),
                ("MEDREQ_SERVER__TIME_ZONE".into(), "".into()),
            ])
            .unwrap();
        layers.flag("--url", "client.url", Some("http://127.0.0.1:4")).unwrap();
        let config = layers.config().unwrap();
        assert_eq!((config.server.listen.port(), config.limits.streams), (2, 7));
        assert_eq!(config.server.data_dir, Some("/etc/data".into()));
        assert!(
            config
                .metrics
                .allow
                .iter()
                .any(|network| network.contains(&"10.1.2.3".parse::<std::net::IpAddr>().unwrap()))
        );
        assert_eq!(config.client.url, "http://127.0.0.1:4");
        assert_eq!(layers.source("server.listen").to_string(), "MEDREQ_SERVER__LISTEN");
        assert_eq!(layers.source("server.data_dir").to_string(), "/etc/m.toml");
        assert_eq!(layers.source("client.url").to_string(), "--url");
        assert_eq!(layers.source("server.time_zone"), &Source::Default);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            (
                "[server]\nlissen = \"x\"",
                "/etc/medreq/medreq.toml: there is no setting server.lissen; `medreq config default`",
            ),
            ("url = \"https://x.example\"", "there is no setting url; url stands below [client]"),
            ("[server]\nstreams = 5", "streams stands below [limits]"),
            ("[server]\nlisten = 8080", "server.listen: it is of type string, not integer"),
            ("[server]\nlisten = \"8080\"", "medreq.toml: server.listen: invalid socket address"),
            ("[server]\ntime_zone = \"Mars\"", "server.time_zone: \"Mars\" is not a zone"),
            ("[server]\ntrusted_proxies = [\"10.0.0.1\", \"proxy\"]", "server.trusted_proxies: invalid IP address"),
            ("[limits]\nstreams = 0", "limits.streams: invalid value: integer `0`"),
            ("[metrics]\nallow = [\"10.0.0.0/99\"]", "metrics.allow: \"10.0.0.0/99\" is no address"),
            ("[client]\ndecimal_separator = \";\"", "use \",\" or \".\""),
            ("[server\n", "is no TOML in line 1"),
        ] {
            let told = from_file(text).unwrap_err();
            assert!(told.contains(expected), "{text}: {told}");
        }
        let told = from_variables(&[("MEDREQ_SERVER__TOKEN", "eyJsecret")]).unwrap_err();
        assert!(
            told.starts_with("MEDREQ_SERVER__TOKEN: there is no setting server.token") && !told.contains("eyJ"),
            "{told}"
        );
        let told = from_variables(&[("MEDREQ_LIMITS__STREAMS", "many")]).unwrap_err();
        assert_eq!(told, "MEDREQ_LIMITS__STREAMS: limits.streams: it is a whole number");
    }

    #[test]
    fn the_nested_name_wins_over_the_short_one() {
        let config = from_variables(&[("MEDREQ_SERVER__DATA_DIR", "/nested"), ("MEDREQ_DATA_DIR", "/short")]).unwrap();
        assert_eq!(config.server.data_dir, Some("/nested".into()));
    }
}
