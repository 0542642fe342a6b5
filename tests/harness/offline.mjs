// A page's network, switched off and on by the browser, as a lost connection does.

/** Resolves once the page was told by its `offline` or `online` event. */
export async function setOffline(page, offline) {
  await page.evaluate((type) => {
    globalThis.network = new Promise((resolve) => addEventListener(type, () => resolve(), { once: true }));
  }, offline ? "offline" : "online");
  await page.setOfflineMode(offline);
  await page.evaluate(() => globalThis.network);
}
