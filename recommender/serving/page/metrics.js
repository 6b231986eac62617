// The metrics of a version: a line per metric, a column per model, one cut-off at a time.

import { element } from "./dom.js";
import { counted, metric } from "./words.js";

const CUSTOMARY = 10; // places
const FIRST = "als";

/**
 * Make the table, and the choice of the cut-off where there are several.
 *
 * @param {Array<{model: string, metric: string, k: number, value: ?number, low: ?number, high: ?number,
 *   visitors: number}>} metrics
 * @returns {HTMLElement}
 */
export function metricsTable(metrics) {
  if (metrics.length === 0) return element("p", { class: "empty" }, "No visitor had a holdout: the models were not judged.");
  const cutoffs = [...new Set(metrics.map((row) => row.k))].sort((a, b) => a - b);
  const nearest = cutoffs.reduce((best, k) => (Math.abs(k - CUSTOMARY) < Math.abs(best - CUSTOMARY) ? k : best));
  const place = element("div", {}, tableAt(metrics, nearest));
  const choice = element(
    "select",
    { id: "cutoff", on: { change: () => place.replaceChildren(tableAt(metrics, Number(choice.value))) } },
    cutoffs.map((k) => element("option", { value: k, selected: k === nearest }, k)),
  );
  const visitors = Math.max(...metrics.map((row) => row.visitors));
  const told = `Judged by what ${counted(visitors, "held-out visitor")} did next; in brackets the 95 % interval, where there is one.`;
  return element(
    "div",
    {},
    element("p", { class: "hint" }, told),
    element("div", { class: "field row" }, element("label", { for: "cutoff" }, "Places that are looked at"), choice),
    place,
  );
}

/** Make the table at one cut-off. */
function tableAt(metrics, k) {
  const rows = metrics.filter((row) => row.k === k);
  const models = [...new Set(rows.map((row) => row.model))].sort((a, b) => (b === FIRST) - (a === FIRST) || a.localeCompare(b));
  const names = [...new Set(rows.map((row) => row.metric))];
  const cells = new Map(rows.map((row) => [`${row.metric} ${row.model}`, row]));
  const lines = names.map((name) =>
    element("tr", {}, element("th", { scope: "row" }, name), models.map((model) => cell(cells.get(`${name} ${model}`)))),
  );
  const head = [`metric@${k}`, ...models].map((name) => element("th", { scope: "col" }, name));
  const table = element("table", { class: "metrics" }, element("thead", {}, element("tr", {}, head)), element("tbody", {}, lines));
  return element("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": `Metrics at ${k} places` }, table);
}

function cell(row) {
  if (!row) return element("td", { class: "number" }, "–");
  const has = row.low !== null && row.low !== undefined;
  const interval = has ? element("span", { class: "interval" }, `(${metric(row.low)} to ${metric(row.high)})`) : null;
  return element("td", { class: "number" }, metric(row.value), " ", interval);
}
