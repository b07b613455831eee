//! Where the engines of stack mode are, secrets included. A password comes from a private file or the environment, and is never printed.

use std::path::Path;

use medreq::server::{config::Config, kafka::KafkaSettings, node::StackSettings};

use crate::{failure::Failure, input};

/// What the configuration and the secrets say together.
pub(crate) fn settings(config: &Config) -> Result<StackSettings, Failure> {
    let (mongo, kafka) = (&config.mongo, &config.kafka);
    let password = secret("MEDREQ_MONGO_PASSWORD", mongo.password_file.as_deref())?;
    let mongo_url = match password {
        None => mongo.url.clone(),
        Some(password) => with_password(&mongo.url, &password).ok_or_else(|| {
            Failure::usage(
                "mongo.url names no user beside whom the password could stand; write mongodb://USER@HOST/…, without a password",
            )
        })?,
    };
    let mut client = Vec::new();
    for setting in &kafka.client {
        let (name, value) = setting.split_once('=').ok_or_else(|| {
            Failure::usage("kafka.client: a setting is name=value, such as security.protocol=SASL_SSL")
        })?;
        client.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    if let Some(password) = secret("MEDREQ_KAFKA_PASSWORD", kafka.password_file.as_deref())? {
        client.push(("sasl.password".to_owned(), password));
    }
    Ok(StackSettings {
        mongo_url,
        mongo_database: mongo.database.clone(),
        kafka: KafkaSettings {
            brokers: kafka.brokers.join(","),
            prefix: kafka.prefix.clone(),
            partitions: kafka.partitions,
            replication: kafka.replication.get(),
            client,
        },
    })
}

fn secret(variable: &str, file: Option<&Path>) -> Result<Option<String>, Failure> {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => Ok(Some(value)),
        _ => file.map(input::password_file).transpose(),
    }
}

/// Puts a password beside the user of an address, written as an address must have it; `None` where there is no user, or a password already.
fn with_password(url: &str, password: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (user, hosts) = rest.split_once('@')?;
    if user.is_empty() || user.contains([':', '/']) {
        return None;
    }
    let escaped: String = password
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    Some(format!("{scheme}://{user}:{escaped}@{hosts}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stands_in_the_address_as_it_must_be_written() {
        let put = |url| with_password(url, "p@ss:/ç");
        assert_eq!(
            put("mongodb://medreq@a,b:27018/?replicaSet=rs0").as_deref(),
            Some("mongodb://medreq:p%40ss%3A%2F%C3%A7@a,b:27018/?replicaSet=rs0")
        );
        for url in ["mongodb://a/?x", "mongodb://medreq:old@a", "mongodb://@a", "a/b@c"] {
            assert_eq!(put(url), None, "{url}");
        }
    }
}
