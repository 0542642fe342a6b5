//! What std would bring to WebAssembly: an allocator, and an end for what must never happen.

#[global_allocator]
static ALLOCATOR: crate::heap::Heap = crate::heap::Heap::new();

/// A panic is a bug of this package and never follows from input. The trap reaches JavaScript as a
/// `WebAssembly.RuntimeError` with its stack.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
