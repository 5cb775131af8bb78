//! How many groups are wanted.

use std::str::FromStr;

/// A number of groups, or numbers to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum K {
    One(usize),
    Range(usize, usize),
}

impl FromStr for K {
    type Err = String;

    fn from_str(text: &str) -> Result<K, String> {
        let number = |text: &str| match text.parse::<usize>() {
            Ok(0) | Err(_) => Err(format!(
                "`{text}` is no number of groups; `8` is, and so is `2..20`"
            )),
            Ok(n) => Ok(n),
        };
        let Some((from, to)) = text.split_once("..") else {
            return Ok(K::One(number(text)?));
        };
        let (from, to) = (number(from)?, number(to.trim_start_matches('='))?);
        if from > to {
            return Err(format!(
                "{from} is more than {to}; `{to}..{from}` is a range"
            ));
        }
        Ok(K::Range(from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_groups_are_read() {
        assert_eq!("8".parse(), Ok(K::One(8)));
        assert_eq!("2..20".parse(), Ok(K::Range(2, 20)));
        assert_eq!("2..=20".parse(), Ok(K::Range(2, 20)));
        for wrong in ["0", "", "x", "5..2", "..", "-3"] {
            assert!(wrong.parse::<K>().is_err(), "{wrong}");
        }
    }
}
