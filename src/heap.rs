//! The allocator of the WebAssembly module: blocks whose sizes are powers of two, and a list of those given back for
//! each size. It is a tenth of what a general one takes; a session holds a few kilobytes, so the rounding costs little.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::memory_grow;
use core::cell::UnsafeCell;
use core::ptr::{null_mut, with_exposed_provenance_mut};

/// A page of WebAssembly's memory, in bytes.
const PAGE: usize = 65_536;
/// The smallest block: no type needs more than this alignment, and a block given back has room for a pointer.
const SMALLEST: usize = 16;

/// A block that was given back. It holds the one that was given back before it.
struct Free(*mut Free);

struct State {
    /// The block given back last, by the size's logarithm.
    free: [*mut Free; usize::BITS as usize],
    /// What was never given out, of the pages taken last.
    next: usize,
    end: usize,
}

pub struct Heap(UnsafeCell<State>);

// SAFETY: the module is built without threads, so there is one user at a time.
unsafe impl Sync for Heap {}

impl Heap {
    pub const fn new() -> Self {
        Self(UnsafeCell::new(State {
            free: [null_mut(); usize::BITS as usize],
            next: 0,
            end: 0,
        }))
    }
}

/// The size of the block that serves a layout.
fn block(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(SMALLEST);
    1 << (usize::BITS - (size - 1).leading_zeros())
}

// SAFETY: a block is given out once until it is given back, is as large as its layout, and lies at a multiple of
// `SMALLEST`, for pages do and all blocks are multiples of it. Only `memory_grow` tells where memory is.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no reference to the state outlives a call, and no call is made from within another.
        let state = unsafe { &mut *self.0.get() };
        let size = block(layout);
        if let Some(free) = state.free.get_mut(size.trailing_zeros() as usize)
            && !free.is_null()
        {
            let given = *free;
            // SAFETY: `dealloc` wrote it, and nobody else has had the block since.
            *free = unsafe { (*given).0 };
            return given.cast();
        }
        if state.end - state.next < size {
            let pages = size.div_ceil(PAGE);
            let first = memory_grow::<0>(pages);
            if first == usize::MAX {
                return null_mut();
            }
            state.next = first * PAGE;
            state.end = state.next + pages * PAGE;
        }
        let given = state.next;
        state.next += size;
        with_exposed_provenance_mut(given)
    }

    unsafe fn dealloc(&self, given: *mut u8, layout: Layout) {
        // SAFETY: as above.
        let state = unsafe { &mut *self.0.get() };
        if let Some(free) = state.free.get_mut(block(layout).trailing_zeros() as usize) {
            let given: *mut Free = given.cast();
            // SAFETY: the block was given out by `alloc`, and is large enough.
            unsafe { given.write(Free(*free)) };
            *free = given;
        }
    }
}
