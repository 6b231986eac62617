// What a visitor did, newest first.

import { element } from "./dom.js";
import { itemLink } from "./item.js";
import { moment } from "./words.js";

/**
 * Make the table of a visitor's events.
 *
 * @param {Array<{itemid, event: string, timestamp: number, title: ?string}>} events newest first; timestamp in ms, UTC
 * @param {Object} state the page's, see state.js
 * @returns {HTMLElement}
 */
export function historyTable(events, state) {
  if (events.length === 0) return element("p", { class: "empty" }, "No event of this visitor is stored.");
  const rows = events.map((event) =>
    element(
      "tr",
      {},
      element("td", {}, event.event),
      element("td", { class: "item" }, itemLink(event, state)),
      element("td", { class: "when" }, when(event.timestamp)),
    ),
  );
  const head = ["Event", "Item", "When"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "table",
    { class: "history" },
    element("caption", { class: "only-read-out" }, "The visitor's events, newest first"),
    element("thead", {}, element("tr", {}, head)),
    element("tbody", {}, rows),
  );
}

/** Make a moment, which may be broken between day and time, but nowhere else; a number where it is in no calendar. */
function when(timestamp) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return element("span", {}, String(timestamp));
  const [day, ...time] = moment(timestamp).split(" ");
  return element("time", { datetime: date.toISOString() }, element("span", {}, day), " ", element("span", {}, time.join(" ")));
}
