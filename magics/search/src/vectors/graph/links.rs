//! Lists of links between nodes, each with a check of its own.

/// Words of a list of the lowest layer: links and a check.
pub(super) const BASE: usize = 32;
/// Words of a list of the layers above.
pub(super) const UPPER: usize = 16;
/// Fills a list that is not full.
pub(super) const NONE: u32 = u32::MAX;

/// A list that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// The lists of a layer, one for each node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links<'a> {
    words: &'a [u32],
    width: usize,
}

impl<'a> Links<'a> {
    pub(super) fn new(words: &'a [u32], width: usize) -> Self {
        Self { words, width }
    }

    /// Nodes of the layer.
    pub(super) fn len(self) -> usize {
        self.words.len() / self.width
    }

    /// The links of a node, all of which are nodes of the layer.
    pub(super) fn of(self, node: u32) -> Result<&'a [u32], Broken> {
        let list = self.raw(node).ok_or(Broken)?;
        let (check, links) = list.split_last().ok_or(Broken)?;
        if *check != seal(node, links) {
            return Err(Broken);
        }
        let n = links.iter().position(|&link| link == NONE);
        let links = &links[..n.unwrap_or(links.len())];
        // A check is no proof, and a link beyond the end would be one beyond memory.
        if links.iter().all(|&link| (link as usize) < self.len()) {
            Ok(links)
        } else {
            Err(Broken)
        }
    }

    /// The whole list of a node, unchecked.
    pub(super) fn raw(self, node: u32) -> Option<&'a [u32]> {
        let start = node as usize * self.width;
        self.words.get(start..start + self.width)
    }
}

/// Replaces the list of a node; links beyond its room are left out.
pub(super) fn write(words: &mut [u32], width: usize, node: u32, links: &[u32]) {
    let start = node as usize * width;
    let list = &mut words[start..start + width];
    let n = links.len().min(width - 1);
    list[..n].copy_from_slice(&links[..n]);
    list[n..].fill(NONE);
    list[width - 1] = seal(node, &list[..width - 1]);
}

/// `n` empty lists.
pub(super) fn empty(n: usize, width: usize) -> Vec<u32> {
    let mut words = vec![NONE; n * width];
    for node in 0..n {
        let list = &mut words[node * width..(node + 1) * width];
        list[width - 1] = seal(node as u32, &list[..width - 1]);
    }
    words
}

/// A weighted sum of a list: any change of one word changes it.
fn seal(node: u32, links: &[u32]) -> u32 {
    let first = u64::from(node).wrapping_mul(KEYS[BASE - 1]);
    let sum = links.iter().zip(&KEYS).fold(first, |sum, (&link, key)| {
        sum.wrapping_add(u64::from(link).wrapping_mul(*key))
    });
    (sum >> 32) as u32
}

const KEYS: [u64; BASE] = {
    let mut keys = [0; BASE];
    let mut i = 0;
    while i < BASE {
        keys[i] = scatter(i as u64 + 1) | 1;
        i += 1;
    }
    keys
};

/// Turns numbers into ones that look random (the finaliser of `SplitMix64`; Steele, Lea & Flood 2014).
pub(super) const fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_of_a_list_is_seen() {
        for width in [BASE, UPPER] {
            let mut words = empty(9, width);
            write(&mut words, width, 5, &[3, 1, 8]);
            assert_eq!(Links::new(&words, width).of(5).unwrap(), [3, 1, 8]);
            assert_eq!(Links::new(&words, width).of(4).unwrap(), [0_u32; 0]);
            assert_eq!(Links::new(&words, width).of(9), Err(Broken));
            for bit in 0..32 * width {
                let mut damaged = words.clone();
                damaged[5 * width + bit / 32] ^= 1 << (bit % 32);
                assert_eq!(Links::new(&damaged, width).of(5), Err(Broken), "{bit}");
            }
            write(&mut words, width, 5, &[9]);
            assert_eq!(Links::new(&words, width).of(5), Err(Broken), "no such node");
        }
    }
}
