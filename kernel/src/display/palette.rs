//! Colours: ten for communities that people with colour-blindness can tell apart, and grey for the rest.

/// Paul Tol's bright scheme, then four chosen so that any two differ by 12 or more in CIE Lab, also as people with
/// protanopia, deuteranopia or tritanopia see them (Machado, Oliveira and Fernandes 2009); in the order of the
/// communities' sizes.
pub(crate) const COMMUNITIES: [&str; 10] = [
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#8f8fef", "#9c8516",
    "#9ce2bf", "#bfe29c",
];

/// Every further community.
pub(crate) const REST: &str = "#a9afb6";

/// The colour of a community, numbered from 0 by size.
pub(crate) fn colour(community: u32) -> &'static str {
    COMMUNITIES.get(community as usize).copied().unwrap_or(REST)
}

/// The place of a community's colour in the list that ends with the grey.
pub(crate) fn place(community: u32) -> usize {
    (community as usize).min(COMMUNITIES.len())
}
