//! Colours: ten for communities that people with colour-blindness can tell apart, and grey for the rest.

/// Paul Tol's bright scheme, then four that stay apart from it, in the order of the communities' sizes.
pub(crate) const COMMUNITIES: [&str; 10] = [
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99",
    "#7b6fd0", "#9a6b3f",
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
