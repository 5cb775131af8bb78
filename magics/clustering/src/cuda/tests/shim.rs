//! A stand-in for the card: the same kernel sources, built for the CPU, and lanes that run as late or as early as is
//! allowed, so that a missing wait shows.
#![expect(unsafe_code, reason = "the kernels are C++ code that is loaded")]

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::ffi::{CString, c_void};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use mlk8s_card::{Kernels, Sources};

use super::super::engine::{Argument, Engine, Lane, Launch, Mark, Numbers, Place, Product};
use super::super::error::CudaError;

/// The kernels, for the processor.
static KERNELS: Sources = Sources::new(
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/cuda/shim/shim.cpp"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/cuda/kernels"),
);

fn kernels() -> &'static Kernels {
    KERNELS.kernels()
}

/// Work that a lane has been given.
enum Work {
    Launch(Launch, Vec<u64>),
    Fill(Place, u8, usize),
    Copy(Place, *const u32, usize),
    Product(Product),
    Mark(u64),
    Follow(u64),
}

#[derive(Default)]
struct Lanes {
    queues: [VecDeque<Work>; 2],
    /// The last setting of each mark, counted from 1; 0 is none.
    set: [u64; Mark::COUNT],
    settings: u64,
    reached: HashSet<u64>,
}

/// How the stand-in behaves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Habits {
    /// In which order threads run; see the shim.
    pub(super) order: u32,
    /// Lanes that run as soon as they can: compute, copy. The others run when someone waits.
    pub(super) early: [bool; 2],
    /// Bytes of memory.
    pub(super) memory: Option<u64>,
    /// Whether it is a Hopper.
    pub(super) hopper: bool,
}

/// The stand-in.
pub(super) struct Shim {
    habits: Habits,
    lanes: RefCell<Lanes>,
    taken: Cell<u64>,
}

/// A card without hardware.
pub(super) fn card(habits: Habits) -> Rc<dyn Engine> {
    Rc::new(Shim {
        habits,
        lanes: RefCell::default(),
        taken: Cell::new(0),
    })
}

impl Shim {
    fn push(&self, lane: Lane, work: Work) {
        self.lanes.borrow_mut().queues[lane as usize].push_back(work);
        for lane in [Lane::Copy, Lane::Compute] {
            while self.habits.early[lane as usize] && self.step(lane) {}
        }
    }

    /// Does the next work of a lane; `false` where there is none, or it waits.
    fn step(&self, lane: Lane) -> bool {
        let mut lanes = self.lanes.borrow_mut();
        let Some(work) = lanes.queues[lane as usize].pop_front() else {
            return false;
        };
        match work {
            Work::Mark(setting) => _ = lanes.reached.insert(setting),
            Work::Follow(setting) if !lanes.reached.contains(&setting) => {
                lanes.queues[lane as usize].push_front(work);
                return false;
            }
            Work::Follow(_) => {}
            Work::Launch(launch, values) => launch_now(launch, values, self.habits.order),
            // SAFETY: the memory belongs to a `Memory`, or is pinned and rests.
            Work::Fill(place, byte, bytes) => unsafe {
                std::ptr::write_bytes(place.0 as *mut u8, byte, bytes);
            },
            Work::Copy(place, from, words) => unsafe {
                std::ptr::copy_nonoverlapping(from, place.0 as *mut u32, words);
            },
            Work::Product(product) => multiply(&product),
        }
        true
    }

    /// Runs a lane until `done`, and the other one only as far as that needs.
    fn run(&self, lane: Lane, done: impl Fn(&Lanes) -> bool) {
        let other = if lane == Lane::Compute {
            Lane::Copy
        } else {
            Lane::Compute
        };
        while !done(&self.lanes.borrow()) {
            if !self.step(lane) {
                assert!(self.step(other), "the lanes wait for each other for ever");
            }
        }
    }

    fn drain(&self, lane: Lane) {
        self.run(lane, |lanes| lanes.queues[lane as usize].is_empty());
    }
}

fn launch_now(launch: Launch, mut values: Vec<u64>, order: u32) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut pointers: Vec<*mut c_void> = values
        .iter_mut()
        .map(|value| (&raw mut *value).cast())
        .collect();
    let name = CString::new(launch.kernel).expect("a name");
    let (grid, shared) = (launch.grid, launch.shared);
    // SAFETY: as on the card, arguments are what the kernel takes.
    let status = unsafe {
        (kernels().launch)(
            name.as_ptr(),
            grid.0,
            grid.1,
            launch.threads,
            shared,
            pointers.as_mut_ptr(),
            order,
        )
    };
    assert_eq!(status, 0, "no kernel {}", launch.kernel);
}

/// What cuBLAS computes, number by number.
fn multiply(product: &Product) {
    let read = |place: Place, at: usize| -> f32 {
        // SAFETY: the places hold as many numbers.
        unsafe {
            match product.numbers {
                Numbers::F32 => *(place.0 as *const f32).add(at),
                Numbers::Tf32 => f32::from_bits(
                    (*(place.0 as *const u32).add(at)).wrapping_add(0x1000) & 0xffff_e000,
                ),
                Numbers::Bf16 => f32::from_bits(u32::from(*(place.0 as *const u16).add(at)) << 16),
            }
        }
    };
    for row in 0..product.n_rows {
        for cluster in 0..product.k {
            let terms = (0..product.ld).map(|column| {
                read(product.rows, row * product.ld + column)
                    * read(product.centroids, cluster * product.ld + column)
            });
            // SAFETY: as above.
            unsafe {
                *(product.products.0 as *mut f32).add(row * product.k + cluster) = terms.sum();
            };
        }
    }
}

impl Engine for Shim {
    fn allocate(&self, bytes: usize) -> Result<Place, CudaError> {
        let free = self.free()?;
        if bytes as u64 > free {
            return Err(CudaError::OutOfMemory {
                wanted: bytes as u64,
                free,
            });
        }
        self.taken.set(self.taken.get() + bytes as u64);
        // SAFETY: given back in `release`.
        Ok(Place(unsafe { (kernels().allocate)(bytes) } as u64))
    }

    fn release(&self, place: Place, bytes: usize) {
        self.drain(Lane::Compute);
        self.drain(Lane::Copy);
        self.taken.set(self.taken.get() - bytes as u64);
        // SAFETY: from `allocate`, once.
        unsafe { (kernels().release)(place.0 as *mut c_void, bytes) };
    }

    fn free(&self) -> Result<u64, CudaError> {
        Ok(self
            .habits
            .memory
            .unwrap_or(1 << 40)
            .saturating_sub(self.taken.get()))
    }

    fn pinned(&self, words: usize) -> Result<*mut u32, CudaError> {
        // SAFETY: given back in `unpin`.
        Ok(unsafe { (kernels().allocate)(words * 4) }.cast())
    }

    fn unpin(&self, start: *mut u32, words: usize) {
        self.drain(Lane::Copy);
        // SAFETY: from `pinned`, once.
        unsafe { (kernels().release)(start.cast(), words * 4) };
    }

    fn fill(&self, place: Place, byte: u8, bytes: usize) -> Result<(), CudaError> {
        self.push(Lane::Compute, Work::Fill(place, byte, bytes));
        Ok(())
    }

    fn write(&self, place: Place, host: &[u8]) -> Result<(), CudaError> {
        self.drain(Lane::Compute);
        // SAFETY: the memory belongs to a `Memory` that is as large.
        unsafe { std::ptr::copy_nonoverlapping(host.as_ptr(), place.0 as *mut u8, host.len()) };
        Ok(())
    }

    fn read(&self, place: Place, host: &mut [u8]) -> Result<(), CudaError> {
        self.drain(Lane::Compute);
        // SAFETY: the memory belongs to a `Memory` that is as large.
        unsafe {
            std::ptr::copy_nonoverlapping(place.0 as *const u8, host.as_mut_ptr(), host.len());
        };
        Ok(())
    }

    fn send(&self, place: Place, from: *const u32, words: usize) -> Result<(), CudaError> {
        self.push(Lane::Copy, Work::Copy(place, from, words));
        Ok(())
    }

    fn mark(&self, lane: Lane, mark: Mark) -> Result<(), CudaError> {
        let setting = {
            let mut lanes = self.lanes.borrow_mut();
            lanes.settings += 1;
            let setting = lanes.settings;
            lanes.set[mark.number()] = setting;
            setting
        };
        self.push(lane, Work::Mark(setting));
        Ok(())
    }

    fn follow(&self, lane: Lane, mark: Mark) -> Result<(), CudaError> {
        let setting = self.lanes.borrow().set[mark.number()];
        if setting > 0 {
            self.push(lane, Work::Follow(setting));
        }
        Ok(())
    }

    fn wait(&self, mark: Mark) -> Result<(), CudaError> {
        let setting = self.lanes.borrow().set[mark.number()];
        let lane = if matches!(mark, Mark::Copied(_)) {
            Lane::Copy
        } else {
            Lane::Compute
        };
        self.run(lane, |lanes| {
            setting == 0 || lanes.reached.contains(&setting)
        });
        Ok(())
    }

    fn launch(&self, launch: Launch, arguments: &[Argument]) -> Result<(), CudaError> {
        self.push(
            Lane::Compute,
            Work::Launch(
                launch,
                arguments.iter().map(|argument| argument.0).collect(),
            ),
        );
        Ok(())
    }

    fn product(&self, product: &Product) -> Result<(), CudaError> {
        self.push(Lane::Compute, Work::Product(*product));
        Ok(())
    }

    fn has_tensor_cores(&self) -> bool {
        true
    }

    fn has_hopper(&self) -> bool {
        self.habits.hopper
    }

    fn multiprocessors(&self) -> usize {
        1
    }
}
