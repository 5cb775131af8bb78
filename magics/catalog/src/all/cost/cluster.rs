//! `%cost cluster`: what the machines cost, from OpenCost or Kubecost, or from what this machine has.

use mlk8s_llm::allocation::{Allocation, Allocations, this_machine};
use mlk8s_llm::local::Rates;

use super::{Cost, chart, exact_dollars};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::view::{Column, Table, View};

/// Where the two are in a cluster that was set up by their documentation.
const USUAL: [&str; 2] = [
    "http://opencost.opencost:9003",
    "http://kubecost-cost-analyzer.kubecost:9090/model",
];
/// Things with a row and a colour of their own.
const SHOWN: usize = 12;

impl Cost {
    /// The costs of the cluster since the wanted time, and their sum.
    pub(super) fn cluster(&self, call: &mut Call) -> Result<(Vec<View>, f64), MagicError> {
        let named = self
            .opencost
            .clone()
            .or_else(|| std::env::var("MLK8S_OPENCOST").ok());
        let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let places: Vec<String> = match &named {
            Some(url) => vec![url.trim_end_matches('/').to_owned()],
            None if in_cluster => USUAL.map(str::to_owned).to_vec(),
            None => Vec::new(),
        };
        let client = call.session.models.client()?;
        let mut why = "no OpenCost was named".to_owned();
        for place in &places {
            match client.fetch(&self.question(place)) {
                Ok(answer) => {
                    let costs = Allocations::read(&answer).map_err(|why| {
                        MagicError::new(ErrorKind::Endpoint, format!("`{place}` sent no allocation: {why}"))
                            .with_hint("`--opencost` takes the address up to `/allocation`, for Kubecost with `/model`")
                    })?;
                    return Ok(self.shown(&costs, place));
                }
                Err(error) if named.is_some() => return Err(error.into()),
                Err(error) => why = error.to_string(),
            }
        }
        self.machine(call, &why)
    }

    fn question(&self, place: &str) -> String {
        let now = chrono::Utc::now();
        let begin = chrono::DateTime::from_timestamp_millis(self.since.ms).unwrap_or(now);
        let day = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        format!(
            "{place}/allocation?window={},{}&aggregate={}&step=1d&includeIdle=true",
            day(begin),
            day(now),
            self.aggregate.replace([' ', '&', '#'], "")
        )
    }

    fn shown(&self, costs: &Allocations, place: &str) -> (Vec<View>, f64) {
        let sums = costs.sums();
        let all = costs.together();
        let mut rows: Vec<Vec<String>> = sums.iter().take(SHOWN).map(row).collect();
        rows.push(row(&all));
        let table = Table {
            title: format!(
                "the cluster since {}, by {}",
                self.since.text, self.aggregate
            ),
            columns: columns(&self.aggregate),
            rows,
            note: format!("from {place}; `__idle__` is what was paid for and not used"),
        };
        let names: Vec<String> = sums
            .iter()
            .take(SHOWN)
            .map(|one| one.name.clone())
            .collect();
        (
            vec![View::Table(table), View::Chart(chart::days(costs, &names))],
            all.total(),
        )
    }

    /// Without anybody who counts: what this machine has, at default rates, for the time that was asked about.
    fn machine(&self, call: &Call, why: &str) -> Result<(Vec<View>, f64), MagicError> {
        let rates = Rates::open(call.session.models.state())
            .map_err(|error| MagicError::new(ErrorKind::Input, error.to_string()))?;
        let hours = (chrono::Utc::now().timestamp_millis() - self.since.ms) as f64 / 3_600_000.0;
        // Since 1970 it did not run.
        let hours = hours.min(uptime_hours().unwrap_or(hours));
        let machine = this_machine();
        let bill = rates.bill(&[(machine, hours)]);
        let own = Allocation {
            name: format!(
                "{:.1} cores, {:.1} GiB, {} GPUs for {hours:.1} hours",
                machine.cores, machine.ram_gib, machine.gpus
            ),
            cpu: bill.cpu,
            ram: bill.ram,
            gpu: bill.gpu,
            storage: bill.storage,
            other: 0.0,
        };
        let table = Table {
            title: format!(
                "this machine since {}, at most since it was started",
                self.since.text
            ),
            columns: columns("what"),
            rows: vec![row(&own)],
            note: format!(
                "{why}; `--opencost URL` or `MLK8S_OPENCOST` names one; here by what the machine has, at {}",
                rates.source
            ),
        };
        Ok((vec![View::Table(table)], own.total()))
    }
}

fn columns(what: &str) -> Vec<Column> {
    std::iter::once(Column::text(what))
        .chain(["CPU", "memory", "GPU", "storage", "other", "together"].map(Column::number))
        .collect()
}

fn row(one: &Allocation) -> Vec<String> {
    vec![
        one.name.clone(),
        exact_dollars(one.cpu),
        exact_dollars(one.ram),
        exact_dollars(one.gpu),
        exact_dollars(one.storage),
        exact_dollars(one.other),
        exact_dollars(one.total()),
    ]
}

/// How long the machine has been up.
fn uptime_hours() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(seconds / 3600.0)
}
