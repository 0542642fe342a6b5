// How busy the page's main thread is while something is done. Runs in the page.
//
// A message to itself comes back as soon as the thread has nothing else to do. When one comes late, something else ran, for
// so long. It works in every browser, and sees what the browser's own code does on that thread as well.

/** ms by which a message must be late to count. Below it is what messages themselves take. */
const LATE = 0.1;

/** ms after the end of it, for what it leaves behind. */
const AFTERWARDS = 50;

/** Does `act` and returns `{ms, busy, longest}`: how long it took, how long the thread was kept busy, how long at a time. */
export async function watched(act) {
  const { port1, port2 } = new MessageChannel();
  let busy = 0;
  let longest = 0;
  let last = performance.now();
  port1.onmessage = () => {
    const now = performance.now();
    const late = now - last;
    if (late > LATE) {
      busy += late;
      longest = Math.max(longest, late);
    }
    last = now;
    port2.postMessage(0);
  };
  port2.postMessage(0);
  // Some messages to begin with.
  await new Promise((resolve) => setTimeout(resolve, 20));
  busy = longest = 0;
  const began = performance.now();
  await act();
  const ms = performance.now() - began;
  await new Promise((resolve) => setTimeout(resolve, AFTERWARDS));
  port1.close();
  return { ms, busy, longest };
}
