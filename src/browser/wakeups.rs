//! The events after which the clock must be looked at anew, whatever the timers say.

use super::object;
use crate::core::session::Input;
use js_sys::Function;
use wasm_bindgen::prelude::*;
use web_sys::EventTarget;

const ON_WINDOW: [&str; 3] = ["online", "offline", "pageshow"];
/// `resume`: the page was frozen (Page Lifecycle).
const ON_DOCUMENT: [&str; 2] = ["visibilitychange", "resume"];

/// Listens until dropped.
pub struct Wakeups {
    listener: Closure<dyn FnMut(JsValue)>,
}

impl Wakeups {
    pub fn new(mut heard: impl FnMut(Input) + 'static) -> Self {
        let listener = Closure::new(move |event: JsValue| {
            let input = match object::text(&event, "type").as_deref() {
                Some("online") => Input::Online,
                Some("offline") => Input::Offline,
                Some("visibilitychange") if document_is_hidden() => return,
                _ => Input::Woke,
            };
            heard(input);
        });
        let wakeups = Self { listener };
        wakeups.each(|target, event, listener| {
            let _ = target.add_event_listener_with_callback(event, listener);
        });
        wakeups
    }

    fn each(&self, act: impl Fn(&EventTarget, &str, &Function)) {
        let listener = self.listener.as_ref().unchecked_ref();
        let global = js_sys::global();
        for event in ON_WINDOW {
            act(global.unchecked_ref(), event, listener);
        }
        // A worker has no document.
        let document = object::get(&global, "document");
        if document.is_object() {
            for event in ON_DOCUMENT {
                act(document.unchecked_ref(), event, listener);
            }
        }
    }
}

impl Drop for Wakeups {
    fn drop(&mut self) {
        self.each(|target, event, listener| {
            let _ = target.remove_event_listener_with_callback(event, listener);
        });
    }
}

fn document_is_hidden() -> bool {
    object::text(
        &object::get(&js_sys::global(), "document"),
        "visibilityState",
    )
    .as_deref()
        == Some("hidden")
}

/// Whether the browser knows that there is no network.
pub fn is_offline() -> bool {
    object::get(&object::get(&js_sys::global(), "navigator"), "onLine").as_bool() == Some(false)
}
