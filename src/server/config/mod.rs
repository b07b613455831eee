//! What can be configured, for the server and for its command line: one file format, whose defaults and documentation are `default.toml`.
//! It holds no secret and reads no environment by itself.
//!
//! A new key is a field here and a commented line in `default.toml`: the file must parse into the structs and the structs take nothing else,
//! so neither can lack what the other has.

mod layers;

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use axum::http::Uri;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error as _};

pub use self::layers::{ConfigError, Layers, SITE_FILE, Setting, Source};
use super::auth::PublicUrl;

/// The commented defaults.
pub const DEFAULT: &str = include_str!("default.toml");

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Of commands that ask a server.
    pub client: ClientConfig,
    /// Of `up` and the other verbs on the server itself.
    pub server: ServerConfig,
    /// What one server bears.
    pub limits: Limits,
    /// Who reads them.
    pub metrics: MetricsConfig,
    /// The hosts behind a node that is a gateway alone.
    pub gateway: GatewayConfig,
    /// Of stack mode.
    pub mongo: MongoConfig,
    /// Of stack mode.
    pub kafka: KafkaConfig,
}

/// `[client]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The server.
    pub url: String,
    /// The only root that a server's certificate may come from, in PEM form; without it the system's roots count.
    #[serde(deserialize_with = "unless_empty")]
    pub ca_file: Option<PathBuf>,
    /// Where an access token is.
    #[serde(deserialize_with = "unless_empty")]
    pub token_file: Option<PathBuf>,
    /// The user to act for.
    #[serde(deserialize_with = "unless_empty")]
    pub on_behalf_of: Option<String>,
    /// `,` or `.`.
    #[serde(deserialize_with = "separator")]
    pub decimal_separator: char,
}

/// `[server]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where the data lies.
    #[serde(deserialize_with = "unless_empty")]
    pub data_dir: Option<PathBuf>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The certificate in PEM form, with those that lead to its root.
    #[serde(deserialize_with = "unless_empty")]
    pub tls_certificate: Option<PathBuf>,
    /// Its private key in PEM form.
    #[serde(deserialize_with = "unless_empty")]
    pub tls_key: Option<PathBuf>,
    /// The origin that users type.
    #[serde(deserialize_with = "unless_empty")]
    pub public_url: Option<PublicUrl>,
    /// The hospital's zone at the first start.
    #[serde(deserialize_with = "unless_empty")]
    pub time_zone: Option<ZoneName>,
    /// Where everything is kept.
    pub storage: Storage,
    /// What this node does.
    #[serde(deserialize_with = "roles")]
    pub roles: Vec<NodeRole>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_filter: String,
    /// Room on the data's disk below which `/readyz` warns, in MiB.
    pub disk_free_min_mib: u32,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[limits]`: counts are of one server, at the same time, unless they say otherwise.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest body in bytes, imports aside.
    #[serde(deserialize_with = "count")]
    pub body_max_bytes: usize,
    /// Longest time until an answer begins, imports and adoption aside.
    #[serde(rename = "request_timeout_seconds", deserialize_with = "seconds")]
    pub request_timeout: Duration,
    /// Requests.
    #[serde(deserialize_with = "count")]
    pub requests_at_once: usize,
    /// Connections.
    #[serde(deserialize_with = "count")]
    pub connections: usize,
    /// Connections of one address.
    #[serde(deserialize_with = "count")]
    pub connections_per_address: usize,
    /// Connections of a trusted proxy or of this machine: many people may sit behind it.
    #[serde(deserialize_with = "count")]
    pub connections_per_proxy: usize,
    /// How long headers may take: a slow client must not hold a place for ever.
    #[serde(rename = "headers_timeout_seconds", deserialize_with = "seconds")]
    pub headers_timeout: Duration,
    /// How long a client may leave an answer unread.
    #[serde(rename = "unread_timeout_seconds", deserialize_with = "seconds")]
    pub unread_timeout: Duration,
    /// Live streams.
    #[serde(deserialize_with = "count")]
    pub streams: usize,
    /// Requests of strangers: a share of all places, so that known callers always find one.
    #[serde(deserialize_with = "count")]
    pub open_requests_at_once: usize,
    /// The same of one address, so that no stranger takes the share of all.
    #[serde(deserialize_with = "count")]
    pub open_requests_per_address: usize,
    /// Requests of a stranger's address at once, after a quiet time.
    pub open_burst: NonZeroU32,
    /// The same per second in the long run.
    pub open_per_second: NonZeroU32,
    /// Requests of a person by one app at once, after a quiet time.
    pub caller_burst: NonZeroU32,
    /// The same per second in the long run.
    pub caller_per_second: NonZeroU32,
}

/// `[gateway]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Hosts that sign people in.
    #[serde(deserialize_with = "origins")]
    pub auth: Vec<Uri>,
    /// Hosts that serve tickets.
    #[serde(deserialize_with = "origins")]
    pub tickets: Vec<Uri>,
    /// The certificate of the authority of hosts that are reached by https.
    #[serde(deserialize_with = "unless_empty")]
    pub ca_file: Option<PathBuf>,
}

/// `[mongo]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MongoConfig {
    /// Where it is, without a password.
    pub url: String,
    /// Where its user's password is.
    #[serde(deserialize_with = "unless_empty")]
    pub password_file: Option<PathBuf>,
    /// The hospital's database.
    pub database: String,
}

/// `[kafka]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers to begin with.
    pub brokers: Vec<String>,
    /// Before the topics' names.
    pub prefix: String,
    /// Partitions of the commands' topic.
    pub partitions: NonZeroU16,
    /// Copies of each record.
    pub replication: NonZeroU16,
    /// Further settings of librdkafka, as `name=value`.
    pub client: Vec<String>,
    /// Where the password of SASL is.
    #[serde(deserialize_with = "unless_empty")]
    pub password_file: Option<PathBuf>,
}

/// Where everything is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// In the data directory.
    Embedded,
    /// In MongoDB, behind Kafka.
    Stack,
}

/// A part of the work that a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// The single entry.
    Gateway,
    /// Signs people in.
    Auth,
    /// Serves tickets.
    Tickets,
    /// Decides what the log holds.
    Processor,
}

impl NodeRole {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gateway, Self::Auth, Self::Tickets, Self::Processor];
}

impl FromStr for NodeRole {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        let refuse =
            |_: serde::de::value::Error| format!("{name:?} is no role; there are gateway, auth, tickets and processor");
        Self::deserialize(serde::de::value::StrDeserializer::new(name)).map_err(refuse)
    }
}

/// `[metrics]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Networks that may read `/metrics` beside this machine itself.
    #[serde(deserialize_with = "networks")]
    pub allow: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        Layers::default().config().expect("the embedded defaults are valid: every start and every test reads them")
    }
}

impl Default for Limits {
    fn default() -> Self {
        Config::default().limits
    }
}

/// The IANA name of a zone that this build knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneName(String);

impl From<ZoneName> for String {
    fn from(zone: ZoneName) -> Self {
        zone.0
    }
}

impl FromStr for ZoneName {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        let found =
            jiff::tz::TimeZone::get(name).map_err(|_| format!("{name:?} is not a zone such as America/Sao_Paulo"))?;
        Ok(Self(found.iana_name().unwrap_or(name).to_owned()))
    }
}

fn unless_empty<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
}

fn separator<'de, D: Deserializer<'de>>(deserializer: D) -> Result<char, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "." => Ok('.'),
        "," => Ok(','),
        other => Err(D::Error::custom(format_args!("{other:?} is no decimal separator; use \",\" or \".\""))),
    }
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    usize::try_from(NonZeroU32::deserialize(deserializer)?.get()).map_err(D::Error::custom)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Ok(Duration::from_secs(NonZeroU32::deserialize(deserializer)?.get().into()))
}

fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Uri>, D::Error> {
    let origin = |text: String| {
        let refuse = |_| D::Error::custom(format_args!("{text:?} is no origin such as http://10.0.0.5:8080"));
        text.parse().map_err(refuse)
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(origin).collect()
}

fn roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NodeRole>, D::Error> {
    let roles = Vec::<String>::deserialize(deserializer)?;
    roles.iter().map(|name| name.parse().map_err(D::Error::custom)).collect()
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: String| {
        let single = || text.parse::<IpAddr>().map(IpNet::from);
        let refuse = |_| D::Error::custom(format_args!("{text:?} is no address or network such as 10.1.0.0/16"));
        text.parse::<IpNet>().or_else(|_| single()).map_err(refuse)
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(network).collect()
}
