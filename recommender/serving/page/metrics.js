// The metrics of a version: a line per metric, a column per model, one cut-off at a time; each number is drawn, too.

import { element } from "./dom.js";
import { counted, metric } from "./words.js";

const CUSTOMARY = 10; // places
const HIGHER = "higher is better";
const LOWER = "lower is better";
const NEITHER = "neither high nor low is good by itself";

/** What a metric asks, and which way is better. */
const MEANING = {
  ndcg: ["Are the items that visitors chose next in the list, and near the top?", HIGHER],
  recall: ["Which share of what visitors chose next is in the list?", HIGHER],
  precision: ["Which share of the places is something that visitors chose next?", HIGHER],
  map: ["Like ndcg, but falls faster with the place.", HIGHER],
  mrr: ["How near to the top is the first item that visitors chose?", HIGHER],
  hit_rate: ["How many visitors chose at least one item of their list?", HIGHER],
  coverage: ["Which share of the catalogue does anybody get to see?", HIGHER],
  novelty: ["How unusual are the shown items? One more: half as popular.", NEITHER],
  gini: ["Do a few items get most places? 0: all the same; 1: one has all.", LOWER],
  overlap: ["How much do the lists of two visitors have in common?", LOWER],
  short_lists: ["Which share of the lists is too short?", LOWER],
};
const ARROWS = { [HIGHER]: "↑", [LOWER]: "↓", [NEITHER]: "↔" };
const MODELS = {
  als: "this model",
  popular: "popular items",
  recent_popular: "recently popular",
  item_to_item: "item to item",
  live: "the live model",
};

/** Return the model that a version serves: the one that its gate has chosen. */
export function servedModel(gate) {
  return gate?.model ?? "als";
}

/** Return what a model is called, beside the one that is served. */
export function modelName(model, served) {
  if (model === served) return MODELS.als;
  return model === "als" ? "ALS, not chosen" : (MODELS[model] ?? model);
}

/**
 * Make the table, and the choice of the cut-off where there are several.
 *
 * @param {Array<{model: string, metric: string, k: number, value: ?number, low: ?number, high: ?number,
 *   visitors: number}>} metrics
 * @param {string} served the model that is served
 * @returns {HTMLElement}
 */
export function metricsTable(metrics, served) {
  if (metrics.length === 0) return element("p", { class: "empty" }, "No visitor had a holdout: the models were not judged.");
  const cutoffs = [...new Set(metrics.map((row) => row.k))].sort((a, b) => a - b);
  const nearest = cutoffs.reduce((best, k) => (Math.abs(k - CUSTOMARY) < Math.abs(best - CUSTOMARY) ? k : best));
  const place = element("div", {}, tableAt(metrics, nearest, served));
  const choice = element(
    "select",
    { id: "cutoff", on: { change: () => place.replaceChildren(tableAt(metrics, Number(choice.value), served)) } },
    cutoffs.map((k) => element("option", { value: k, selected: k === nearest }, k)),
  );
  const visitors = Math.max(...metrics.map((row) => row.visitors));
  const told = `Judged by what ${counted(visitors, "held-out visitor")} did next. The dot is the value, the line the range that it lies in with 95 % certainty. If two lines do not overlap, the models differ.`;
  return element(
    "div",
    {},
    element("p", { class: "hint" }, told),
    element("div", { class: "field row" }, element("label", { for: "cutoff" }, "Places that are looked at"), choice),
    place,
  );
}

/** Make the table at one cut-off. */
function tableAt(metrics, k, served) {
  const rows = metrics.filter((row) => row.k === k);
  const models = [...new Set(rows.map((row) => row.model))].sort((a, b) => (b === served) - (a === served) || a.localeCompare(b));
  const own = new Set(rows.map((row) => row.metric));
  const names = [...Object.keys(MEANING).filter((name) => own.has(name)), ...[...own].filter((name) => !(name in MEANING))];
  const lines = names.map((name) => {
    const cells = new Map(rows.filter((row) => row.metric === name).map((row) => [row.model, row]));
    const most = largest([...cells.values()]);
    return element("tr", {}, element("th", { scope: "row" }, name, meaning(name)), models.map((model) => cell(cells.get(model), most, modelName(model, served))));
  });
  const head = [`metric@${k}`, ...models.map((model) => modelName(model, served))].map((name) => element("th", { scope: "col" }, name));
  const table = element("table", { class: "metrics" }, element("thead", {}, element("tr", {}, head)), element("tbody", {}, lines));
  return element("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": `Metrics at ${k} places` }, table);
}

/** Return the largest number that is drawn, of several rows. */
export function largest(rows) {
  return Math.max(0, ...rows.map((row) => row.high ?? row.value ?? 0)) || 1;
}

/** Say what a metric asks, and which way is better; nothing of one that the shop has added. */
function meaning(name) {
  if (!(name in MEANING)) return null;
  const [question, direction] = MEANING[name];
  const arrow = element("span", { "aria-hidden": "true" }, ARROWS[direction]);
  return element("span", { class: "meaning" }, question, " ", element("strong", {}, arrow, ` ${direction}`));
}

/** Make a cell; it names its model on a narrow screen, where the head of the table does not stand above it. */
function cell(row, most, model) {
  const name = element("span", { class: "of-model" }, model);
  if (!row) return element("td", { class: "number" }, name, "–");
  const has = row.low !== null && row.low !== undefined;
  const interval = has ? element("span", { class: "interval" }, `(${metric(row.low)} to ${metric(row.high)})`) : null;
  return element("td", { class: "number" }, name, metric(row.value), " ", interval, drawn(row, most));
}

/** Draw a value, and its interval if it has one, on a line from 0 to the largest number beside it. */
export function drawn(row, most) {
  if (row.value === null || row.value === undefined) return null;
  const part = (value) => `${(Math.max(0, value) / most) * 100}%`;
  const line = element("span", { class: "range", "aria-hidden": "true" }, element("span", { class: "dot" }));
  line.style.setProperty("--at", part(row.value));
  if (row.low !== null && row.low !== undefined) {
    line.prepend(element("span", { class: "whisker" }));
    line.style.setProperty("--from", part(row.low));
    line.style.setProperty("--width", part(row.high - Math.max(0, row.low)));
  }
  return line;
}
