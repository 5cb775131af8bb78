//! Memory that nobody needs any more, given back to the system.
#![expect(unsafe_code, reason = "the allocator is asked through C")]

/// Gives pages back that the allocator keeps for later: after a load and after a burst of requests they are some tens of
/// megabytes, which the pod's limit counts. Does nothing where the allocator is not that of GNU.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim(3) may be called at any time from any thread.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;
    use crate::meters::resident_bytes;

    #[test]
    fn freed_memory_leaves_the_process() {
        const PIECES: usize = 400_000;
        let mut pieces: Vec<Box<[u8; 512]>> = (0..PIECES).map(|_| Box::new([1; 512])).collect();
        // What is left at the end keeps the allocator from giving back by itself.
        pieces.drain(..PIECES - 1);
        let before = resident_bytes().unwrap();
        give_back();
        let after = resident_bytes().unwrap();
        assert_eq!(pieces.len(), 1);
        assert!(after + 100_000_000 < before, "{before} {after}");
    }
}
