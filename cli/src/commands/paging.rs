//! Pages of lists: one page as asked for, or all of them as one list.

use clap::Args;
use medreq::{api::List, client::ClientError};
use serde::Serialize;

use crate::{failure::Failure, output::Output};

/// How much of a list.
#[derive(Debug, Clone, Args)]
pub(super) struct Paging {
    /// At most this many, 200 at most
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
    /// Go on where the page before ended: its `next`
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<String>,
    /// Everything, page after page
    #[arg(long = "all", conflicts_with_all = ["limit", "cursor"])]
    pub(super) everything: bool,
}

impl Paging {
    /// Fetches the page, or all of them.
    pub(super) async fn fetch<T, F, R>(&self, mut page: F) -> Result<List<T>, ClientError>
    where
        F: FnMut(Option<usize>, Option<String>) -> R,
        R: Future<Output = Result<List<T>, ClientError>>,
    {
        if !self.everything {
            return page(self.limit, self.cursor.clone()).await;
        }
        let mut all = page(Some(200), None).await?;
        while let Some(next) = all.next.take() {
            let more = page(Some(200), Some(next)).await?;
            all.items.extend(more.items);
            all.next = more.next;
        }
        Ok(all)
    }

    /// Fetches, prints and says whether there is more.
    pub(super) async fn show<T, F, R>(&self, output: Output, page: F, table: fn(&[T]) -> String) -> Result<(), Failure>
    where
        T: Serialize,
        F: FnMut(Option<usize>, Option<String>) -> R,
        R: Future<Output = Result<List<T>, ClientError>>,
    {
        let list = self.fetch(page).await?;
        output.show(&list, |list| table(&list.items))?;
        tell_more(&output, &list);
        Ok(())
    }
}

/// Says on stderr that there is more.
pub(super) fn tell_more<T>(output: &Output, list: &List<T>) {
    if let Some(next) = &list.next {
        let of = list.total.map(|total| format!(" of {total}")).unwrap_or_default();
        output.hint(&format!("{}{of} shown; the rest: --all, or --cursor {next}", list.items.len()));
    }
}
