//! Rows on the card: all of them, or a part after the other through two slots.
#![expect(
    unsafe_code,
    reason = "memory that the driver pinned is reached by its address"
)]

use std::ops::Range;
use std::rc::Rc;

use rayon::prelude::*;

use super::engine::{Argument, Engine, Lane, Launch, Mark, Memory, Place};
use super::error::CudaError;
use super::plan::Plan;
use crate::watch::Watch;

/// Some of the rows, on the card.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// The first of them.
    pub(super) first: usize,
    /// How many there are.
    pub(super) rows: usize,
    /// Where they stand.
    pub(super) place: Place,
}

/// How rows become what the kernels read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    /// 4-byte numbers of a row on the host.
    pub(super) columns: usize,
    /// The same on their way: a multiple of four where kernels read 16 bytes at a time.
    pub(super) sent: usize,
    /// Numbers of a row as the kernels read them.
    pub(super) width: usize,
    /// Whether they are bf16; else they have 4 bytes.
    pub(super) half: bool,
    /// Whether rows are scaled to length 1.
    pub(super) unit: bool,
}

impl Form {
    /// Bytes of a row as the kernels read it.
    pub(super) fn bytes(&self) -> usize {
        self.width * if self.half { 2 } else { 4 }
    }
}

/// Rows of the host that passes over them find on the card.
pub(super) struct Stream<'a> {
    engine: Rc<dyn Engine>,
    /// Bits of the rows, row-major.
    host: &'a [u32],
    form: Form,
    n_rows: usize,
    plan: Plan,
    staging: Staging,
    /// Rows as they arrive; where they are resident and need no rounding, they arrive where they stay.
    slots: Option<[Memory; 2]>,
    /// Rows as the kernels read them: all of them, or those of the present chunk; `None` where the slots are that.
    values: Option<Memory>,
}

impl<'a> Stream<'a> {
    /// Takes the memory; resident rows are uploaded.
    pub(super) fn new(
        engine: &Rc<dyn Engine>,
        host: &'a [u32],
        form: Form,
        plan: Plan,
        watch: &dyn Watch,
    ) -> Result<Option<Stream<'a>>, CudaError> {
        let n_rows = host.len() / form.columns;
        let room = if plan.resident {
            n_rows
        } else {
            plan.piece.min(n_rows)
        };
        let words = (room * form.bytes()).div_ceil(4);
        let slot = || Memory::of::<u32>(engine, plan.piece.min(n_rows) * form.sent);
        let stream = Stream {
            values: (plan.resident || form.half)
                .then(|| Memory::of::<u32>(engine, words))
                .transpose()?,
            slots: if plan.resident && !form.half {
                None
            } else {
                Some([slot()?, slot()?])
            },
            staging: Staging::new(engine, plan.piece.min(n_rows) * form.sent)?,
            engine: engine.clone(),
            host,
            form,
            n_rows,
            plan,
        };
        let whole = !plan.resident || stream.through(plan.piece, watch, &mut |_| Ok(()))?;
        Ok(whole.then_some(stream))
    }

    /// Rows.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Gives all rows to `work`, chunk by chunk, in order; `false` when the user stopped it.
    ///
    /// The chunks start at multiples of 256 rows. At most two are under way, so the user is never far.
    pub(super) fn pass(
        &self,
        watch: &dyn Watch,
        work: &mut dyn FnMut(Chunk) -> Result<(), CudaError>,
    ) -> Result<bool, CudaError> {
        match &self.values {
            Some(values) if self.plan.resident => self.over(values, watch, work),
            _ => self.through(self.plan.piece, watch, work),
        }
    }

    fn over(
        &self,
        values: &Memory,
        watch: &dyn Watch,
        work: &mut dyn FnMut(Chunk) -> Result<(), CudaError>,
    ) -> Result<bool, CudaError> {
        for (number, rows) in ranges(self.n_rows, self.plan.chunk).enumerate() {
            let used = Mark::Used(number % 2);
            self.engine.wait(used)?;
            if watch.stopped() {
                return Ok(false);
            }
            work(Chunk {
                first: rows.start,
                rows: rows.len(),
                place: values.place().offset(rows.start * self.form.bytes()),
            })?;
            self.engine.mark(Lane::Compute, used)?;
        }
        Ok(true)
    }

    /// While the card works on a piece, the next one is staged and sent.
    fn through(
        &self,
        piece: usize,
        watch: &dyn Watch,
        work: &mut dyn FnMut(Chunk) -> Result<(), CudaError>,
    ) -> Result<bool, CudaError> {
        let pieces: Vec<Range<usize>> = ranges(self.n_rows, piece).collect();
        self.send(0, &pieces)?;
        for number in 0..pieces.len() {
            if watch.stopped() {
                return Ok(false);
            }
            self.engine
                .follow(Lane::Compute, Mark::Copied(number % 2))?;
            work(self.arrived(number, &pieces[number])?)?;
            self.engine.mark(Lane::Compute, Mark::Used(number % 2))?;
            self.send(number + 1, &pieces)?;
        }
        Ok(true)
    }

    /// Stages and sends a piece, once what stood in its slot and in its half of the staging memory is done with.
    fn send(&self, number: usize, pieces: &[Range<usize>]) -> Result<(), CudaError> {
        let Some(rows) = pieces.get(number) else {
            return Ok(());
        };
        let half = number % 2;
        self.engine.wait(Mark::Copied(half))?;
        self.engine.wait(Mark::Used(half))?;
        let host = &self.host[rows.start * self.form.columns..rows.end * self.form.columns];
        let (from, words) = self.staging.fill(half, host, &self.form);
        self.engine.send(self.landing(half, rows), from, words)?;
        self.engine.mark(Lane::Copy, Mark::Copied(half))
    }

    fn landing(&self, half: usize, rows: &Range<usize>) -> Place {
        match (&self.slots, &self.values) {
            (Some(slots), _) => slots[half].place(),
            (None, Some(values)) => values.at::<u32>(rows.start * self.form.sent),
            (None, None) => Place::NONE,
        }
    }

    /// Scales and rounds a piece that has arrived.
    fn arrived(&self, number: usize, rows: &Range<usize>) -> Result<Chunk, CudaError> {
        let landing = self.landing(number % 2, rows);
        let (count, sent) = (rows.len() as u32, self.form.sent as u32);
        if self.form.unit {
            let launch = Launch::of("normalise_f32", rows.len().div_ceil(8), 256);
            self.engine
                .launch(launch, &[landing.into(), count.into(), sent.into()])?;
        }
        let mut place = landing;
        if let (true, Some(values)) = (self.form.half, &self.values) {
            let first = if self.plan.resident { rows.start } else { 0 };
            place = values.place().offset(first * self.form.bytes());
            let arguments: [Argument; 5] = [
                landing.into(),
                count.into(),
                sent.into(),
                (self.form.width as u32).into(),
                place.into(),
            ];
            self.engine.launch(
                Launch::of(
                    "round_rows",
                    (rows.len() * self.form.width).div_ceil(2048),
                    256,
                ),
                &arguments,
            )?;
        }
        Ok(Chunk {
            first: rows.start,
            rows: rows.len(),
            place,
        })
    }
}

/// Cuts `n_rows` into ranges of `size`.
fn ranges(n_rows: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n_rows)
        .step_by(size)
        .map(move |first| first..(first + size).min(n_rows))
}

/// Two halves of pinned memory of the host.
struct Staging {
    engine: Rc<dyn Engine>,
    start: *mut u32,
    /// 4-byte words of a half.
    words: usize,
}

impl Staging {
    fn new(engine: &Rc<dyn Engine>, words: usize) -> Result<Staging, CudaError> {
        Ok(Staging {
            start: engine.pinned(words * 2)?,
            engine: engine.clone(),
            words,
        })
    }

    /// Copies rows into a half, zeros behind each; says where they are.
    fn fill(&self, half: usize, host: &[u32], form: &Form) -> (*const u32, usize) {
        let words = host.len() / form.columns * form.sent;
        debug_assert!(words <= self.words, "a piece is larger than its half");
        // SAFETY: the half lies within the pinned memory, and the caller has waited for the copy
        // from it, so no one else reads or writes it.
        let into = unsafe {
            std::slice::from_raw_parts_mut(self.start.add(half * self.words), words.min(self.words))
        };
        let rows = (1 << 16) / form.sent + 1;
        into.par_chunks_mut(rows * form.sent)
            .zip(host.par_chunks(rows * form.columns))
            .for_each(|(into, host)| {
                for (into, host) in into
                    .chunks_exact_mut(form.sent)
                    .zip(host.chunks_exact(form.columns))
                {
                    into[..form.columns].copy_from_slice(host);
                    into[form.columns..].fill(0);
                }
            });
        (into.as_ptr(), into.len())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.engine.unpin(self.start, self.words * 2);
    }
}
