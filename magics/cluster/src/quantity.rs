//! Quantities as Kubernetes writes them, such as `500m`, `1.5Gi` and `2e3`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The number that `text` stands for; `None` when it is no quantity.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    // `1E` is a suffix, `1E3` an exponent: what reads as a number is one.
    let value = text.parse::<f64>().ok().or_else(|| {
        SUFFIXES.iter().find_map(|(suffix, factor)| {
            let number = text.strip_suffix(suffix)?;
            Some(number.parse::<f64>().ok()? * factor)
        })
    });
    value.filter(|value| value.is_finite())
}

/// Cores, or 0 where nothing is said.
pub(crate) fn cores(quantity: Option<&Quantity>) -> f64 {
    quantity
        .and_then(|quantity| parse(&quantity.0))
        .unwrap_or_default()
        .max(0.0)
}

/// Bytes, or 0 where nothing is said.
pub(crate) fn bytes(quantity: Option<&Quantity>) -> u64 {
    cores(quantity).ceil() as u64
}

/// `bytes` as Kubernetes writes it, in the largest unit that keeps it whole.
pub(crate) fn written(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    let unit = UNITS
        .iter()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(
        || bytes.to_string(),
        |(name, size)| format!("{}{name}", bytes / size),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_writes_is_read() {
        let cases = [
            ("500m", 0.5),
            ("1.5Gi", 1_610_612_736.0),
            ("2", 2.0),
            ("2e3", 2000.0),
            ("1E", 1e18),
            ("1E3", 1000.0),
            ("100k", 100_000.0),
            ("128974848", 128_974_848.0),
            ("250u", 0.00025),
        ];
        for (text, value) in cases {
            let read = parse(text).unwrap();
            assert!((read - value).abs() <= value * 1e-12, "{text}: {read}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "Gi", "1.5GB", "inf", "NaN", "one"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_are_written_in_whole_units() {
        assert_eq!(written(6 << 30), "6Gi");
        assert_eq!(written(1536 << 20), "1536Mi");
        assert_eq!(written(1000), "1000");
    }
}
