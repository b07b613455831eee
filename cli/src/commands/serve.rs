//! `medreq serve`: what a service manager runs. Everything by the configuration; the roles say which part of the work this node does.

use clap::Args;
use medreq::server::{
    config::NodeRole,
    gateway::{self, GatewayOptions},
    http::{Edge, Upstreams},
    up::{Profile, Ready},
};

use super::up::{Node, NodeFlags, embedded, print_ready, stop_by_signal};
use crate::{context::Context, failure::Failure, paths::DataDir};

/// Serve as the configuration says, in the foreground: all of it, or one part on each of several machines
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  medreq serve --config /etc/medreq/medreq.toml
  medreq serve --config gateway.toml --roles gateway

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
        if !NodeRole::ALL.iter().all(|role| roles.contains(role)) {
            return Err(Failure::usage(
                "one data directory is served by one node with all roles; only the gateway may stand elsewhere: --roles gateway",
            ));
        }
        let data_dir = self.data_dir.resolve(context)?;
        embedded(context, data_dir, self.node, Profile::Site).await
    }
}

async fn gateway_alone(context: &Context, node: &NodeFlags) -> Result<(), Failure> {
    let Node { listen, tls, trusted_proxies } = node.settle(context)?;
    let config = &context.config;
    let options = GatewayOptions {
        listen,
        tls,
        edge: Edge::new(&trusted_proxies, config.metrics.allow.clone(), config.limits),
        upstreams: Upstreams { auth: config.gateway.auth.clone(), tickets: config.gateway.tickets.clone() },
        ca_file: config.gateway.ca_file.clone(),
    };
    let ready = |url| print_ready(Ready { url, setup_link: None, greeting: None });
    gateway::serve(options, stop_by_signal()?, ready)
        .await
        .map_err(|error| Failure::Local { code: error.code(), detail: error.to_string() })
}
