//! What the tagger looks at: hashed features of a word, its neighbours and the tags before it.

/// Bits of a feature's hash that are kept: features that share them share their weights.
pub(crate) const KEY_BITS: u32 = 24;

/// Number of features of one word in one context.
pub(crate) const N_FEATURES: usize = 50;

/// How many of [`N_FEATURES`] do not depend on the tags before the word.
pub(crate) const N_STATIC: usize = 39;

/// What a word looks like, worked out once per word.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    word: u32,
    suffix: [u32; 5],
    prefix: [u32; 3],
    shape: u32,
    /// Classes the training text gave the word, or 0: see `Model::lexicon`
    known: u32,
    /// Classes it gave the word without -s, -ed or -ing, with that ending
    stem: u32,
}

/// Stands before and after the sentence.
const EDGE: Look = Look {
    word: 1,
    suffix: [1; 5],
    prefix: [1; 3],
    shape: 1,
    known: 1 << 31,
    stem: 1 << 31,
};

impl Look {
    /// Looks at a word; `folded` is room to work in, `lexicon` gives the classes of a key.
    pub(crate) fn of(word: &str, folded: &mut Vec<char>, lexicon: impl Fn(u32) -> u32) -> Self {
        fold(word, folded);
        let mut look = Self {
            shape: shape(word),
            ..Self::default()
        };
        let mut hash = START;
        for (i, &c) in folded.iter().enumerate() {
            hash = mix(hash, c as u32);
            if let Some(prefix) = look.prefix.get_mut(i) {
                *prefix = hash;
            }
        }
        look.word = mix(hash, END);
        look.known = lexicon(key(0, look.word, 0));
        look.stem = stem(folded, &lexicon);
        let mut hash = 0x85eb_ca6b;
        for (suffix, &c) in look.suffix.iter_mut().zip(folded.iter().rev()) {
            hash = mix(hash, c as u32);
            *suffix = hash;
        }
        look
    }

    /// The same word as if it had not been seen.
    pub(crate) fn veiled(self) -> Self {
        Self {
            word: 0,
            known: 0,
            ..self
        }
    }

    /// The key of a word in the lexicon.
    pub(crate) fn key(word: &str, folded: &mut Vec<char>) -> u32 {
        fold(word, folded);
        lexicon_key(folded, None)
    }
}

const START: u32 = 0x9e37_79b9;
const END: u32 = 77;

fn lexicon_key(letters: &[char], last: Option<char>) -> u32 {
    let hash = letters
        .iter()
        .chain(last.iter())
        .fold(START, |hash, &c| mix(hash, c as u32));
    key(0, mix(hash, END), 0)
}

/// Classes of what is left without -s, -ed or -ing, and which of them it was.
fn stem(word: &[char], lexicon: &impl Fn(u32) -> u32) -> u32 {
    let n = word.len();
    let (ending, cut) = match word {
        [.., 'i', 'n', 'g'] if n > 5 => (3, 3),
        [.., 'e', 'd'] if n > 4 => (2, 2),
        [.., 's', 's'] => (0, 0),
        [.., 's'] if n > 3 => (1, 1),
        _ => (0, 0),
    };
    if ending == 0 {
        return 0;
    }
    let base = &word[..n - cut];
    let mut classes = lexicon(lexicon_key(base, None));
    if ending == 1 {
        if let [rest @ .., 'i', 'e'] = base {
            classes |= lexicon(lexicon_key(rest, Some('y')));
        } else if let [rest @ .., 'e'] = base {
            classes |= lexicon(lexicon_key(rest, None));
        }
    } else {
        classes |= lexicon(lexicon_key(base, Some('e')));
        if let [rest @ .., a, b] = base
            && a == b
        {
            classes |= lexicon(lexicon_key(&[rest, &[*a]].concat(), None));
        }
    }
    classes << 3 | ending
}

/// Lower case, digits as one digit, typographic and treebank spellings of punctuation as plain ones.
fn fold(word: &str, folded: &mut Vec<char>) {
    folded.clear();
    match word {
        "``" | "''" | "“" | "”" | "„" => folded.push('"'),
        "-LRB-" | "-lrb-" => folded.push('('),
        "-RRB-" | "-rrb-" => folded.push(')'),
        "-LSB-" | "-lsb-" => folded.push('['),
        "-RSB-" | "-rsb-" => folded.push(']'),
        _ => folded.extend(word.chars().map(|c| match c {
            'A'..='Z' => c.to_ascii_lowercase(),
            '0'..='9' => '0',
            '’' | '‘' | '`' => '\'',
            '–' | '—' | '‐' | '‑' => '-',
            _ if c.is_ascii() => c,
            _ => c.to_lowercase().next().unwrap_or(c),
        })),
    }
}

/// Capitals, digits and marks of a word in a few bits.
fn shape(word: &str) -> u32 {
    let mut chars = word.chars();
    let first = chars.next().unwrap_or(' ');
    let (mut upper, mut lower, mut digit, mut mark) = (
        first.is_uppercase(),
        first.is_lowercase(),
        first.is_numeric(),
        !first.is_alphanumeric(),
    );
    let capital = upper;
    let (mut long, mut inner) = (false, false);
    for c in chars {
        long = true;
        inner |= c.is_uppercase();
        upper |= c.is_uppercase();
        lower |= c.is_lowercase();
        digit |= c.is_numeric();
        mark |= !c.is_alphanumeric();
    }
    [capital, upper, lower, digit, mark, long, inner]
        .iter()
        .fold(2, |bits, &bit| bits << 1 | u32::from(bit))
}

/// Fills the first [`N_STATIC`] keys: what does not depend on tags.
pub(crate) fn static_keys(looks: &[Look], i: usize, keys: &mut [u32; N_FEATURES]) {
    let at = |offset: isize| {
        i.checked_add_signed(offset)
            .and_then(|i| looks.get(i))
            .unwrap_or(&EDGE)
    };
    let (w, a, a2, b, b2) = (at(0), at(-1), at(-2), at(1), at(2));
    let first = u32::from(i == 0) + 1;
    let both = |x: u32, y: u32| mix(x, y);
    keys[..N_STATIC].copy_from_slice(&[
        key(1, w.word, w.shape),
        key(2, w.word, 0),
        key(3, w.suffix[0], 0),
        key(4, w.suffix[1], 0),
        key(5, w.suffix[2], 0),
        key(6, w.suffix[3], 0),
        key(7, w.suffix[4], 0),
        key(8, w.prefix[0], 0),
        key(9, w.prefix[1], 0),
        key(10, w.prefix[2], 0),
        key(11, w.shape, first),
        key(12, w.suffix[1], w.shape),
        key(13, w.suffix[2], both(w.shape, first)),
        key(14, w.known, w.shape),
        key(15, w.known, both(w.shape, a.shape)),
        key(16, a.word, 0),
        key(17, a.suffix[2], 0),
        key(18, a2.word, 0),
        key(19, b.word, 0),
        key(20, b.suffix[2], 0),
        key(21, b.suffix[1], 0),
        key(22, b2.word, 0),
        key(23, b.known, 0),
        key(24, w.known, b.known),
        key(25, both(w.known, a.known), b.known),
        key(26, both(w.known, b.known), b2.known),
        key(27, w.word, b.known),
        key(28, w.word, a.known),
        key(29, w.word, b.word),
        key(30, w.word, a.word),
        key(31, b.shape, w.shape),
        key(32, both(w.suffix[2], b.known), w.shape),
        key(33, both(w.suffix[2], a.known), w.shape),
        key(34, b.suffix[2], w.known),
        key(35, w.word, both(a2.known, a.known)),
        key(36, w.stem, 0),
        key(37, w.stem, b.known),
        key(38, w.stem, a.known),
        key(39, w.stem, both(a.known, b.known)),
    ]);
}

/// Fills the other keys: what depends on the two tags before the word.
pub(crate) fn tag_keys(
    looks: &[Look],
    i: usize,
    before: u32,
    before2: u32,
    keys: &mut [u32; N_FEATURES],
) {
    let at = |offset: isize| {
        i.checked_add_signed(offset)
            .and_then(|i| looks.get(i))
            .unwrap_or(&EDGE)
    };
    let (w, b) = (at(0), at(1));
    let (t, t2) = (before + 1, (before2 + 1) * 32 + before + 1);
    keys[N_STATIC..].copy_from_slice(&[
        key(40, t, 0),
        key(41, t2, 0),
        key(42, t, w.word),
        key(43, t, w.suffix[2]),
        key(44, t, w.known),
        key(45, t2, w.known),
        key(46, t, mix(w.known, b.known)),
        key(47, t2, w.suffix[1]),
        key(48, t, mix(b.word, w.known)),
        key(49, t, w.stem),
        key(50, t, mix(w.stem, b.known)),
    ]);
}

/// One feature: which kind it is and the two things it joins.
fn key(template: u32, x: u32, y: u32) -> u32 {
    let mut hash = mix(mix(template.wrapping_mul(0x9e37_79b1), x), y);
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(0x2c1b_3c6d);
    hash ^= hash >> 12;
    hash >> (32 - KEY_BITS)
}

/// One round of `MurmurHash3`.
fn mix(hash: u32, value: u32) -> u32 {
    let value = value
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593);
    (hash ^ value)
        .rotate_left(13)
        .wrapping_mul(5)
        .wrapping_add(0xe654_6b64)
}
