//! What the hours of one's own machines cost.

use std::path::Path;

use crate::price::PriceError;
use crate::price::fields::{self, Fields};

/// The file of a user's rates, in the folder of settings.
pub const RATES_FILE: &str = "rates.json";

/// What an hour of each resource costs, in US dollars.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// A processor core.
    pub cpu_core_hour: f64,
    /// A GiB of memory.
    pub ram_gib_hour: f64,
    /// A GPU.
    pub gpu_hour: f64,
    /// A GiB of storage.
    pub storage_gib_hour: f64,
    /// The electricity, where the user pays for that instead.
    pub power: Option<Power>,
    /// Where the rates are from.
    pub source: String,
}

impl Default for Rates {
    /// `OpenCost`'s rates for machines without a price list, which are those of GCP in us-central1.
    fn default() -> Self {
        Self {
            cpu_core_hour: 0.031_611,
            ram_gib_hour: 0.004_237,
            gpu_hour: 0.95,
            storage_gib_hour: 0.000_054_794_52,
            power: None,
            source: "OpenCost defaults (GCP us-central1)".into(),
        }
    }
}

impl Rates {
    /// The rates in a folder's [`RATES_FILE`]. What it leaves out is as in `OpenCost`'s defaults, and so is everything
    /// when there is no such file.
    pub fn open(dir: &Path) -> Result<Self, PriceError> {
        let path = dir.join(RATES_FILE);
        match path.try_exists() {
            Ok(true) => Self::parse(&path.display().to_string(), &fields::text(&path)?),
            Ok(false) => Ok(Self::default()),
            Err(source) => Err(PriceError::Read { path, source }),
        }
    }

    fn parse(file: &str, text: &str) -> Result<Self, PriceError> {
        let mut fields = Fields::parse(file, text)?;
        let usual = Self::default();
        let rates = Self {
            cpu_core_hour: fields
                .amount("cpu_core_hour")?
                .unwrap_or(usual.cpu_core_hour),
            ram_gib_hour: fields.amount("ram_gib_hour")?.unwrap_or(usual.ram_gib_hour),
            gpu_hour: fields.amount("gpu_hour")?.unwrap_or(usual.gpu_hour),
            storage_gib_hour: fields
                .amount("storage_gib_hour")?
                .unwrap_or(usual.storage_gib_hour),
            power: fields.object("power")?.map(Power::parse).transpose()?,
            source: fields.text("source")?.unwrap_or_else(|| file.to_owned()),
        };
        fields.finish()?;
        Ok(rates)
    }

    /// What a machine costs for some hours at these rates, the electricity aside.
    pub fn hours_cost(&self, machine: &Machine, hours: f64) -> f64 {
        self.bill(&[(*machine, hours)]).total()
    }

    /// What several machines cost, each for its hours. The hours of a resource are summed first and priced once.
    pub fn bill(&self, machines: &[(Machine, f64)]) -> Bill {
        let sum = |amount: fn(&Machine) -> f64| {
            machines
                .iter()
                .map(|(machine, hours)| amount(machine) * hours)
                .sum()
        };
        let (cores, ram, gpus, storage): (f64, f64, f64, f64) = (
            sum(|m| m.cores),
            sum(|m| m.ram_gib),
            sum(|m| m.gpus),
            sum(|m| m.storage_gib),
        );
        Bill {
            cpu: cores * self.cpu_core_hour,
            ram: ram * self.ram_gib_hour,
            gpu: gpus * self.gpu_hour,
            storage: storage * self.storage_gib_hour,
        }
    }
}

/// The electricity of a machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// What it draws.
    pub watts: f64,
    /// What a kilowatt-hour costs, in US dollars.
    pub usd_per_kwh: f64,
}

impl Power {
    /// What the electricity of some hours costs, in US dollars.
    pub fn hours_cost(&self, hours: f64) -> f64 {
        self.watts / 1000.0 * hours * self.usd_per_kwh
    }

    fn parse(mut fields: Fields) -> Result<Self, PriceError> {
        let power = Self {
            watts: fields.required("watts", Fields::amount)?,
            usd_per_kwh: fields.required("usd_per_kwh", Fields::amount)?,
        };
        fields.finish()?;
        Ok(power)
    }
}

/// What a machine has, or the part of it that was used.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Machine {
    /// Processor cores.
    pub cores: f64,
    /// Memory.
    pub ram_gib: f64,
    /// GPUs.
    pub gpus: f64,
    /// Storage.
    pub storage_gib: f64,
}

/// What machines cost, by resource, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bill {
    /// Processor cores.
    pub cpu: f64,
    /// Memory.
    pub ram: f64,
    /// GPUs.
    pub gpu: f64,
    /// Storage.
    pub storage: f64,
}

impl Bill {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.cpu + self.ram + self.gpu + self.storage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Machine = Machine {
        cores: 0.0,
        ram_gib: 0.0,
        gpus: 0.0,
        storage_gib: 0.0,
    };

    /// Equal to a billionth of a dollar.
    fn check(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
    }

    #[test]
    fn one_gpu_for_a_day_and_a_volume() {
        let rates = Rates::default();
        check(
            rates.hours_cost(&Machine { gpus: 1.0, ..NONE }, 24.0),
            22.80,
        );
        check(
            rates.hours_cost(&Machine { gpus: 1.0, ..NONE }, 36.0),
            34.20,
        );
        check(
            rates.hours_cost(
                &Machine {
                    storage_gib: 1000.0,
                    ..NONE
                },
                24.0,
            ),
            1.315_068_48,
        );
        check(rates.hours_cost(&Machine { gpus: 4.0, ..NONE }, 0.0), 0.0);
    }

    #[test]
    fn a_cluster_bill_is_exact() {
        let node = Machine {
            cores: 16.0,
            ram_gib: 64.0,
            gpus: 1.0,
            storage_gib: 500.0,
        };
        let head = Machine {
            cores: 4.0,
            ram_gib: 16.0,
            gpus: 0.0,
            storage_gib: 2000.0,
        };
        let bill = Rates::default().bill(&[
            (node, 24.0),
            (node, 24.0),
            (head, 24.0),
            (node, 1.5),
            (head, 0.25),
        ]);
        // 16 · 49.5 + 4 · 24.25 = 889 core-hours, 64 · 49.5 + 16 · 24.25 = 3556 GiB-hours of memory, 49.5 GPU-hours,
        // 500 · 49.5 + 2000 · 24.25 = 73 250 GiB-hours of storage.
        check(bill.cpu, 28.102_179);
        check(bill.ram, 15.066_772);
        check(bill.gpu, 47.025);
        check(bill.storage, 4.013_698_59);
        assert_eq!(format!("{:.8}", bill.total()), "94.20764959");
        check(Rates::default().bill(&[]).total(), 0.0);
    }

    #[test]
    fn electricity_is_priced_by_the_kilowatt_hour() {
        check(
            Power {
                watts: 350.0,
                usd_per_kwh: 0.30,
            }
            .hours_cost(36.0),
            3.78,
        );
    }

    #[test]
    fn the_user_sets_rates() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Rates::open(dir.path()).unwrap(), Rates::default());
        let text = r#"{ "gpu_hour": 0.5, "power": { "watts": 350, "usd_per_kwh": 0.3 } }"#;
        std::fs::write(dir.path().join(RATES_FILE), text).unwrap();
        let rates = Rates::open(dir.path()).unwrap();
        assert_eq!((rates.gpu_hour, rates.cpu_core_hour), (0.5, 0.031_611));
        assert_eq!(
            rates.power,
            Some(Power {
                watts: 350.0,
                usd_per_kwh: 0.3
            })
        );
        assert!(rates.source.ends_with(RATES_FILE));
    }

    #[test]
    fn errors_name_file_and_field() {
        for (text, message) in [
            (r#"{ "gpu": 1 }"#, "`rates.json`: field `gpu` is unknown"),
            (
                r#"{ "gpu_hour": -1 }"#,
                "`rates.json`: field `gpu_hour` must be a number from zero up: -1",
            ),
            (
                r#"{ "power": { "watts": 1 } }"#,
                "`rates.json`: field `power.usd_per_kwh` is missing",
            ),
            (
                r#"{ "power": 350 }"#,
                "`rates.json`: field `power` must be an object: 350",
            ),
        ] {
            assert_eq!(
                Rates::parse(RATES_FILE, text).unwrap_err().to_string(),
                message
            );
        }
    }
}
