//! The sequences of a batch in groups, each padded to its longest.

use candle_core::{Device, Result, Tensor};

use super::UNSEEN;

/// Sequences up to this length are similar, whatever their lengths.
const SHORT: usize = 16;

/// The sequences of a batch in groups of similar length.
pub(super) struct Batch {
    pub(super) groups: Vec<Group>,
    /// For each token, its row among those of all groups.
    pub(super) back: Tensor,
}

/// Sequences of similar length.
pub(super) struct Group {
    pub(super) n: usize,
    pub(super) longest: usize,
    /// For each sequence and position, the token there; where it has none, its first.
    pub(super) tokens: Tensor,
    /// What is added to scores, n × 1 × 1 × longest, where some are shorter than others.
    pub(super) padding: Option<Tensor>,
}

impl Batch {
    /// Groups the sequences of a batch, which stand one after the other; `most` scores a head come of a group at most, unless it is one sequence.
    pub(super) fn of(lengths: &[usize], most: usize, device: &Device) -> Result<Self> {
        let mut n_tokens = 0;
        let starts: Vec<usize> = lengths
            .iter()
            .map(|length| {
                n_tokens += length;
                n_tokens - length
            })
            .collect();
        let mut back = vec![0_u32; n_tokens];
        let mut groups = Vec::new();
        let mut row = 0;
        for members in similar(lengths, most) {
            let longest = lengths[members[0]];
            let mut tokens = Vec::with_capacity(members.len() * longest);
            let mut padding = Vec::with_capacity(members.len() * longest);
            for member in &members {
                for place in 0..longest {
                    let is_there = place < lengths[*member];
                    let token = starts[*member] + if is_there { place } else { 0 };
                    tokens.push(token as u32);
                    padding.push(if is_there { 0.0 } else { UNSEEN });
                    if is_there {
                        back[token] = row;
                    }
                    row += 1;
                }
            }
            let n = members.len();
            let is_ragged = members.iter().any(|member| lengths[*member] < longest);
            let padding = is_ragged
                .then(|| Tensor::from_vec(padding, (n, 1, 1, longest), device))
                .transpose()?;
            groups.push(Group {
                n,
                longest,
                tokens: Tensor::from_vec(tokens, n * longest, device)?,
                padding,
            });
        }
        let back = Tensor::from_vec(back, n_tokens, device)?;
        Ok(Self { groups, back })
    }
}

/// Numbers of sequences of similar length, the longest first, with at most `most` scores a head and group, or one sequence.
pub(super) fn similar(lengths: &[usize], most: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).filter(|at| lengths[*at] > 0).collect();
    order.sort_by_key(|at| std::cmp::Reverse(lengths[*at]));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let fits = |group: &[usize], at: usize| {
        let longest = lengths[group[0]];
        let is_similar = longest <= SHORT || 4 * lengths[at] >= 3 * longest;
        is_similar && (group.len() + 1) * longest * longest <= most
    };
    for at in order {
        match groups.last_mut() {
            Some(group) if fits(group, at) => group.push(at),
            _ => groups.push(vec![at]),
        }
    }
    groups
}
