//! What the k-means on a card asks of the card: memory, two lanes of work, launches.
//!
//! Everything above this trait is the same whether a card or, in tests, the CPU runs the kernels.

use std::rc::Rc;

use super::error::CudaError;

/// Work on one lane runs in order; the lanes run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Kernels, products, and what the host reads.
    Compute,
    /// Rows on their way to the card.
    Copy,
}

/// A point in a lane's work that the other lane or the host can wait for; each can be set again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The rows in this half of the staging memory are on the card.
    Copied(usize),
    /// The rows in this slot of the card are no longer needed.
    Used(usize),
}

impl Mark {
    /// All marks, by [`Mark::number`].
    pub(super) const COUNT: usize = 4;

    /// A number below [`Mark::COUNT`].
    pub(super) fn number(self) -> usize {
        match self {
            Mark::Copied(half) => half,
            Mark::Used(slot) => 2 + slot,
        }
    }
}

/// How a kernel is started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch {
    /// Name in the kernel sources.
    pub(super) kernel: &'static str,
    /// Blocks.
    pub(super) grid: (u32, u32),
    /// Threads of a block.
    pub(super) threads: u32,
    /// Bytes of dynamic shared memory of a block.
    pub(super) shared: u32,
}

impl Launch {
    /// `blocks` × `threads`, no dynamic shared memory.
    pub(super) fn of(kernel: &'static str, blocks: usize, threads: u32) -> Launch {
        Launch {
            kernel,
            grid: (u32::try_from(blocks).unwrap_or(u32::MAX).max(1), 1),
            threads,
            shared: 0,
        }
    }
}

/// A value for a kernel: its bits, in the low bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argument(pub(super) u64);

impl From<u32> for Argument {
    fn from(value: u32) -> Argument {
        Argument(u64::from(value))
    }
}

impl From<u64> for Argument {
    fn from(value: u64) -> Argument {
        Argument(value)
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Argument {
        Argument(u64::from(value.to_bits()))
    }
}

impl From<Place> for Argument {
    fn from(place: Place) -> Argument {
        Argument(place.0)
    }
}

/// An address on the card; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(pub(super) u64);

impl Place {
    /// No memory: kernels read it as a null pointer.
    pub(super) const NONE: Place = Place(0);

    /// `bytes` further on.
    pub(super) fn offset(self, bytes: usize) -> Place {
        Place(self.0 + bytes as u64)
    }
}

/// What the numbers of a matrix product are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// f32, multiplied as they are.
    F32,
    /// f32, rounded to TF32 for the multiplication.
    Tf32,
    /// bf16.
    Bf16,
}

/// `products` (f32, rows × k, row-major) = rows × (centroids)ᵀ, both row-major with `ld` numbers a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    pub(super) rows: Place,
    pub(super) centroids: Place,
    pub(super) products: Place,
    pub(super) n_rows: usize,
    pub(super) k: usize,
    pub(super) ld: usize,
    pub(super) numbers: Numbers,
}

/// A card, or what stands for it in tests.
pub(super) trait Engine {
    /// Takes memory on the card; [`CudaError::OutOfMemory`] where there is not enough.
    fn allocate(&self, bytes: usize) -> Result<Place, CudaError>;
    /// Gives it back, once the work that uses it has ended.
    fn release(&self, place: Place, bytes: usize);
    /// Bytes that can still be taken.
    fn free(&self) -> Result<u64, CudaError>;
    /// Memory of the host from which copies run beside the computation, in words of 4 bytes.
    fn pinned(&self, words: usize) -> Result<*mut u32, CudaError>;
    /// Gives it back, once the copies from it have ended.
    fn unpin(&self, start: *mut u32, words: usize);
    /// Sets each byte of memory, on the compute lane.
    fn fill(&self, place: Place, byte: u8, bytes: usize) -> Result<(), CudaError>;
    /// Copies to the card on the compute lane; `host` may be reused at once.
    fn write(&self, place: Place, host: &[u8]) -> Result<(), CudaError>;
    /// Copies from the card, after all work of the compute lane so far.
    fn read(&self, place: Place, host: &mut [u8]) -> Result<(), CudaError>;
    /// Starts a copy on the copy lane from memory of [`Engine::pinned`], which must rest until a mark behind it.
    fn send(&self, place: Place, from: *const u32, words: usize) -> Result<(), CudaError>;
    /// Sets a mark behind the work of a lane so far.
    fn mark(&self, lane: Lane, mark: Mark) -> Result<(), CudaError>;
    /// Lets a lane wait for a mark that has been set (no wait, if it never was).
    fn follow(&self, lane: Lane, mark: Mark) -> Result<(), CudaError>;
    /// Lets the host wait for a mark.
    fn wait(&self, mark: Mark) -> Result<(), CudaError>;
    /// Starts a kernel on the compute lane.
    fn launch(&self, launch: Launch, arguments: &[Argument]) -> Result<(), CudaError>;
    /// Starts a matrix product on the compute lane.
    fn product(&self, product: &Product) -> Result<(), CudaError>;
    /// Whether the tensor cores know TF32 and bf16 (compute capability 8.0).
    fn has_tensor_cores(&self) -> bool;
    /// Whether the kernels for Hopper are there (compute capability 9.0).
    fn has_hopper(&self) -> bool;
    /// Multiprocessors of the card.
    fn multiprocessors(&self) -> usize;
}

/// Memory on the card.
pub(super) struct Memory {
    engine: Rc<dyn Engine>,
    place: Place,
    bytes: usize,
}

impl Memory {
    /// Takes room for `count` values of type `T`; it holds anything.
    pub(super) fn of<T>(engine: &Rc<dyn Engine>, count: usize) -> Result<Memory, CudaError> {
        let bytes = (count * size_of::<T>()).max(16);
        Ok(Memory {
            engine: engine.clone(),
            place: engine.allocate(bytes)?,
            bytes,
        })
    }

    /// Takes room for values and copies them there.
    pub(super) fn holding<T: bytemuck::NoUninit>(
        engine: &Rc<dyn Engine>,
        values: &[T],
    ) -> Result<Memory, CudaError> {
        let memory = Memory::of::<T>(engine, values.len())?;
        memory.write(values)?;
        Ok(memory)
    }

    /// Where it starts.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Where value `index` of type `T` stands.
    pub(super) fn at<T>(&self, index: usize) -> Place {
        self.place.offset(index * size_of::<T>())
    }

    /// Sets all of its bytes.
    pub(super) fn fill(&self, byte: u8) -> Result<(), CudaError> {
        self.engine.fill(self.place, byte, self.bytes)
    }

    /// Writes values at the start.
    pub(super) fn write<T: bytemuck::NoUninit>(&self, values: &[T]) -> Result<(), CudaError> {
        let host: &[u8] = bytemuck::cast_slice(values);
        if host.is_empty() {
            return Ok(());
        }
        self.engine
            .write(self.place, &host[..host.len().min(self.bytes)])
    }

    /// Reads `count` values from value `first` on.
    pub(super) fn read<T: bytemuck::Pod>(
        &self,
        first: usize,
        count: usize,
    ) -> Result<Vec<T>, CudaError> {
        let mut values = vec![T::zeroed(); count];
        if count > 0 {
            self.engine
                .read(self.at::<T>(first), bytemuck::cast_slice_mut(&mut values))?;
        }
        Ok(values)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.engine.release(self.place, self.bytes);
    }
}
