//! `medreq serve`: what a service manager runs. Everything by the configuration; the roles say which part of the work this node does.

use std::path::PathBuf;

use clap::Args;
use medreq::server::{
    config::{Config, NodeRole, Storage},
    gateway::{self, GatewayOptions},
    http::{Edge, Upstreams},
    node::{self, NodeOptions},
    up::{Profile, Ready},
};

use super::up::{Node, NodeFlags, embedded, print_ready, stop_by_signal};
use crate::{context::Context, failure::Failure, paths::DataDir, stack};

/// Serve as the configuration says, in the foreground: all of it, or one part on each of several machines
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  medreq serve --config /etc/medreq/medreq.toml
  medreq serve --config gateway.toml --roles gateway

With server.storage = \"stack\" everything is in MongoDB behind Kafka, as [mongo] and [kafka] say; several such nodes
work side by side. Each decides its share of the commands where its roles hold `processor`. Engines that
do not answer are waited for, and /readyz says which; what is certainly wrong stops the start.

There, roles may also stand on machines of their own: `auth` signs people in and needs no Kafka, `tickets` serves
/v1, `processor` decides. A node answers 421 for what it does not serve; one with the role `gateway` hands that on
to the hosts of [gateway] instead.

A node that is the gateway alone hands requests on to the hosts of [gateway] in its configuration, to the
next where one does not answer. It needs no data directory. Those hosts name its address in their
server.trusted_proxies.

INT or TERM ends it within 15 seconds, open streams included.")]
pub(crate) struct Serve {
    #[command(flatten)]
    data_dir: DataDir,
    #[command(flatten)]
    node: NodeFlags,
    /// What this node does, parted by commas: gateway, auth, tickets, processor [default: all of them]
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<NodeRole>,
}

impl Serve {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let roles = if self.roles.is_empty() { &context.config.server.roles } else { &self.roles };
        if roles.as_slice() == [NodeRole::Gateway] {
            return gateway_alone(context, &self.node).await;
        }
        if context.config.server.storage == Storage::Stack {
            let data_dir = self.data_dir.resolve(context)?;
            return stack_node(context, data_dir, &self.node, roles.clone()).await;
        }
        if !NodeRole::ALL.iter().all(|role| roles.contains(role)) {
            return Err(Failure::usage(
                "one data directory is served by one node with all roles; only the gateway may stand elsewhere: --roles gateway",
            ));
        }
        let data_dir = self.data_dir.resolve(context)?;
        embedded(context, data_dir, self.node, Profile::Site).await
    }
}

async fn stack_node(
    context: &Context,
    data_dir: PathBuf,
    node: &NodeFlags,
    roles: Vec<NodeRole>,
) -> Result<(), Failure> {
    let config = &context.config;
    let Node { listen, tls, trusted_proxies } = node.settle(context)?;
    let options = NodeOptions {
        roles,
        listen,
        tls,
        public_url: node.public_url.clone().or_else(|| config.server.public_url.clone()),
        time_zone: node.time_zone.clone().or_else(|| config.server.time_zone.clone()).map(String::from),
        edge: Edge::new(&trusted_proxies, config.metrics.allow.clone(), config.limits),
        upstreams: upstreams(config),
        gateway_ca_file: config.gateway.ca_file.clone(),
        data_dir,
        disk_free_min: u64::from(config.server.disk_free_min_mib) << 20,
        stack: stack::settings(config)?,
    };
    node::serve(options, stop_by_signal()?, print_ready)
        .await
        .map_err(|error| Failure::Local { code: error.code(), detail: error.to_string() })
}

fn upstreams(config: &Config) -> Upstreams {
    Upstreams { auth: config.gateway.auth.clone(), tickets: config.gateway.tickets.clone() }
}

async fn gateway_alone(context: &Context, node: &NodeFlags) -> Result<(), Failure> {
    let Node { listen, tls, trusted_proxies } = node.settle(context)?;
    let config = &context.config;
    let options = GatewayOptions {
        listen,
        tls,
        edge: Edge::new(&trusted_proxies, config.metrics.allow.clone(), config.limits),
        upstreams: upstreams(config),
        ca_file: config.gateway.ca_file.clone(),
    };
    let ready = |url| print_ready(Ready { url, setup_link: None, greeting: None });
    gateway::serve(options, stop_by_signal()?, ready)
        .await
        .map_err(|error| Failure::Local { code: error.code(), detail: error.to_string() })
}
