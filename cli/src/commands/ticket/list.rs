//! `medreq ticket list`: the queue, filtered as the API filters.

use clap::Args;
use medreq::{
    client::TicketFilter,
    domain::{
        reason::{Kind, Priority, Status},
        ticket::Identifier,
    },
};

use super::text;
use crate::{
    commands::paging::{Paging, tell_more},
    context::Context,
    failure::Failure,
    values::{When, code, identifier, when},
};

/// The queue, least time left first: tickets that are not at an end, unless --status or --all-statuses says more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq ticket list --status open,claimed --ward UTI
  medreq ticket list --overdue --pharmacy CENTRAL --all
  medreq ticket list --from 2026-11-24 --to 2026-11-25 --all-statuses --sort created_at --json
  medreq ticket list --q midazolam --from -24h --all-statuses")]
pub(super) struct TicketList {
    /// Any of these, by commas [default: all but delivered, resolved, rejected and cancelled]
    #[arg(long, value_parser = code!(Status), value_delimiter = ',')]
    status: Vec<Status>,
    /// Also those at an end: delivered, resolved, rejected, cancelled
    #[arg(long, conflicts_with = "status")]
    all_statuses: bool,
    /// Any of these, by commas
    #[arg(long, value_parser = code!(Kind), value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Any of these, by commas
    #[arg(long, value_parser = code!(Priority), value_delimiter = ',')]
    priority: Vec<Priority>,
    /// In any of these wards, by commas
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    ward: Vec<String>,
    /// For any of these cabinets, by commas
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    cabinet: Vec<String>,
    /// In the queue of any of these pharmacies, by commas
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pharmacy: Vec<String>,
    /// With any of these medications, by commas
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    medication: Vec<String>,
    /// Worked by this user
    #[arg(long, value_name = "USERNAME")]
    assignee: Option<String>,
    /// Asked for by this user
    #[arg(long, value_name = "USERNAME")]
    requester: Option<String>,
    /// Words in number, places, names, medications, identifiers or note
    #[arg(long, short = 'q', visible_alias = "query", value_name = "WORDS")]
    q: Option<String>,
    /// With this id of another system
    #[arg(long, value_name = "SYSTEM=VALUE", value_parser = identifier)]
    identifier: Option<Identifier>,
    /// Past due and not at an end
    #[arg(long)]
    overdue: bool,
    /// Created at or after
    #[arg(long, value_name = "TIME", value_parser = when, allow_hyphen_values = true)]
    from: Option<When>,
    /// Created before
    #[arg(long, value_name = "TIME", value_parser = when, allow_hyphen_values = true)]
    to: Option<When>,
    /// Order, such as due_at or created_at
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    sort: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

impl TicketList {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let unfinished_only = self.status.is_empty() && !self.all_statuses;
        let filter = TicketFilter {
            status: if unfinished_only { unfinished() } else { self.status },
            kind: self.kind,
            priority: self.priority,
            ward: self.ward,
            cabinet: self.cabinet,
            pharmacy: self.pharmacy,
            medication: self.medication,
            assignee: self.assignee,
            requester: self.requester,
            q: self.q,
            identifier: self.identifier,
            overdue: self.overdue,
            from: context.instant_if(self.from).await?,
            to: context.instant_if(self.to).await?,
            sort: self.sort,
            limit: self.paging.limit,
            cursor: self.paging.cursor,
        };
        let tickets =
            if self.paging.everything { client.all_tickets(&filter).await? } else { client.tickets(&filter).await? };
        context.output.show(&tickets, |tickets| text::list(&tickets.items, &context.output))?;
        tell_more(&context.output, &tickets);
        if unfinished_only && tickets.items.is_empty() {
            context.output.hint("none that is not at an end; --all-statuses lists the others too");
        }
        Ok(())
    }
}

fn unfinished() -> Vec<Status> {
    Status::ALL.iter().copied().filter(|status| !status.is_terminal()).collect()
}
