//! Documents that are made from the program are fresh.

use crate::workspace::root;

#[test]
fn the_reference_of_magics_is_fresh() {
    let path = root().join("docs/magics.md");
    let fresh = mlk8s_catalog::reference::reference();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == fresh,
        "docs/magics.md is stale: run `UPDATE_EXPECT=1 cargo devbox test reference`"
    );
}
