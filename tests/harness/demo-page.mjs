// The demo page as a test reads it.

export const text = (page, id) => page.$eval(`#${id}`, (element) => element.textContent.trim());

export const state = (page, id) => page.$eval(`#${id}`, (element) => element.dataset.state);

export const count = async (page, id) => Number((await text(page, id)).replaceAll(",", ""));

/** Clicks as soon as the page lets it and the button stands still. */
export const click = (page, id) => page.locator(`#${id}:not([disabled])`).click();

/** The kinds of the log's lines, newest first. */
export const kinds = (page) => page.$$eval("#log li", (lines) => lines.map((line) => line.dataset.kind));
