//! What the errors of a compilation teach about the variables of a cell.

use std::collections::BTreeSet;

use super::{Compiled, Composed, Hints};

/// Learns from errors in what the kernel wrote around a cell which variables it uses up and which cannot be kept; says
/// whether that is something new.
pub(super) fn learn(
    compiled: &Compiled,
    composed: &Composed,
    file: &str,
    hints: &mut Hints,
    used_up: &mut BTreeSet<String>,
) -> bool {
    let mut learned = false;
    let errors = compiled.diagnostics.iter().filter(|one| one.is_error());
    for error in errors {
        let mut puts = error.places().filter_map(|span| {
            composed
                .kept_at(span.outermost(file)?.byte_start)
                .map(|put| (span.is_primary, put))
        });
        let Some((is_primary, (name, is_old))) = puts.next() else {
            continue;
        };
        let is_move = matches!(error.number(), "E0382" | "E0381" | "E0507");
        if is_move && !is_primary {
            continue;
        }
        if is_move {
            learned |= if is_old {
                hints.moved.insert(name.to_owned())
            } else {
                used_up.insert(name.to_owned()) & hints.unkept.insert(name.to_owned())
            };
            continue;
        }
        // What is borrowed and the one that borrows both occur; the one that borrows is named last.
        let (name, is_old) = puts
            .map(|(_, put)| put)
            .find(|(other, old)| *other != name && !old)
            .unwrap_or((name, is_old));
        learned |= if is_old {
            hints.moved.insert(name.to_owned())
        } else {
            hints.unkept.insert(name.to_owned())
        };
    }
    learned
}
