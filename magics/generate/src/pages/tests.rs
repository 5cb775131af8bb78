//! Pages under random use, against what has to hold at any time.

use std::collections::HashMap;

use super::{Digest, Pages};
use crate::PAGE;

/// A sequence as a user of pages sees it: its tokens and the pages it holds.
struct Holder {
    tokens: Vec<u32>,
    pages: Vec<u32>,
}

/// Starts with as many shared pages as there are, writes the rest, and publishes the full ones.
fn start(pages: &mut Pages, tokens: Vec<u32>, contents: &mut HashMap<u32, Vec<u32>>) -> Holder {
    let mut held = Vec::new();
    let mut before = Digest::START;
    let mut shares = true;
    for (place, chunk) in tokens.chunks(PAGE).enumerate() {
        let full = chunk.len() == PAGE;
        let digest = before.then(chunk);
        let found = (full && shares)
            .then(|| pages.share(before, digest, chunk))
            .flatten();
        if let Some(page) = found {
            assert_eq!(
                contents[&page],
                tokens[..(place + 1) * PAGE],
                "a wrong page is shared"
            );
            held.push(page);
        } else {
            shares = false;
            let Some(page) = pages.take() else { break };
            contents.insert(page, tokens[..place * PAGE + chunk.len()].to_vec());
            held.push(page);
            if full {
                pages.publish(page, before, digest, chunk);
            }
        }
        before = digest;
    }
    Holder {
        tokens,
        pages: held,
    }
}

fn check(pages: &Pages, holders: &[Holder], contents: &HashMap<u32, Vec<u32>>) {
    let mut counts = vec![0; pages.total()];
    let mut written = vec![0; pages.total()];
    for holder in holders {
        for (place, &page) in holder.pages.iter().enumerate() {
            counts[page as usize] += 1;
            let end = holder.tokens.len().min((place + 1) * PAGE);
            assert_eq!(
                contents[&page],
                holder.tokens[..end],
                "a held page was overwritten"
            );
            written[page as usize] += usize::from(pages.known[page as usize].is_none());
        }
    }
    assert_eq!(counts, pages.holders);
    assert!(written.iter().all(|&n| n <= 1), "a page has two writers");
    let held = counts.iter().filter(|&&n| n > 0).count();
    assert_eq!(held + pages.available(), pages.total());
    for &page in pages.free.iter().chain(pages.idle.values()) {
        assert_eq!(pages.holders[page as usize], 0);
    }
    for (digest, &page) in &pages.by_digest {
        assert_eq!(pages.known[page as usize].as_ref().unwrap().digest, *digest);
    }
}

#[test]
fn any_order_of_use_keeps_counts_and_contents_right() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut pages = Pages::new(40, seed % 4 != 0);
        let mut contents = HashMap::new();
        let mut holders: Vec<Holder> = Vec::new();
        for _ in 0..400 {
            if rng.u32(..5) < 3 {
                // Few different beginnings, so that many sequences share some and diverge later.
                let n_tokens = rng.usize(1..6 * PAGE);
                let stem = rng.u32(..3);
                let turn = rng.usize(..=n_tokens);
                let tail = rng.u32(..4);
                let tokens = (0..n_tokens)
                    .map(|place| if place < turn { stem } else { 100 + tail })
                    .collect();
                holders.push(start(&mut pages, tokens, &mut contents));
            } else if !holders.is_empty() {
                let holder = holders.swap_remove(rng.usize(..holders.len()));
                pages.release(&holder.pages);
            }
            check(&pages, &holders, &contents);
        }
        for holder in holders.drain(..) {
            pages.release(&holder.pages);
        }
        check(&pages, &[], &contents);
        assert_eq!(pages.available(), pages.total());
    }
}

#[test]
fn the_page_used_longest_ago_goes_first_and_ends_before_beginnings() {
    let mut pages = Pages::new(4, true);
    let mut contents = HashMap::new();
    let old = start(&mut pages, vec![1; 2 * PAGE], &mut contents);
    let new = start(&mut pages, vec![2; 2 * PAGE], &mut contents);
    pages.release(&old.pages);
    pages.release(&new.pages);
    let taken: Vec<_> = (0..4).map(|_| pages.take().unwrap()).collect();
    assert_eq!(
        taken,
        [old.pages[1], old.pages[0], new.pages[1], new.pages[0]]
    );
    assert_eq!(pages.take(), None);
}

#[test]
fn equal_digests_do_not_mix_texts() {
    let mut pages = Pages::new(2, true);
    let page = pages.take().unwrap();
    let digest = Digest::START.then(&[1; PAGE]);
    pages.publish(page, Digest::START, digest, &[1; PAGE]);
    assert_eq!(pages.peek(Digest::START, digest, &[1; PAGE]), Some(false));
    assert_eq!(pages.share(Digest::START, digest, &[2; PAGE]), None);
    assert_eq!(pages.share(digest, digest, &[1; PAGE]), None);
}

#[test]
fn a_digest_depends_on_every_token_before() {
    let long = Digest::START.then(&[1; PAGE]).then(&[2; PAGE]);
    assert_ne!(long, Digest::START.then(&[2; PAGE]));
    assert_ne!(long, Digest::START.then(&[2; PAGE]).then(&[1; PAGE]));
    assert_eq!(long, Digest::START.then(&[1; PAGE]).then(&[2; PAGE]));
}
