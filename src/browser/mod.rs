//! The browser layer: carries out the core's commands and reports what happens. It decides nothing.

mod driver;
mod events;
mod gathering;
mod handle;
mod hooks;
mod object;
mod options;
mod peer_connection;
mod peers;
mod probe;
mod request;
mod source;
mod timer;
mod value;
mod wakeups;
