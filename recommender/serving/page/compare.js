// The same visitor in two versions: the list that is served, and the one before, the candidate's, or any that is kept.

import { ask, Failure, sameVersion, together } from "./api.js";
import { element, given } from "./dom.js";
import { itemLink } from "./item.js";
import { linkTo } from "./state.js";
import { counted, moment, score, source, versionName } from "./words.js";

/**
 * Say what became of each item of two lists.
 *
 *     changes([{ itemid: 1, rank: 1 }, { itemid: 2, rank: 2 }], [{ itemid: 2, rank: 1 }, { itemid: 3, rank: 2 }])
 *     // { lost: [1], gained: [3], up: [2], down: [], same: [] }
 *
 * @param {Array<{itemid, rank: number}>} before best first
 * @param {Array<{itemid, rank: number}>} after best first
 * @returns {Object} the ids, as text, that are lost, gained, moved up or down, or at the same place
 */
export function changes(before, after) {
  const ranks = ranksOf(before);
  const now = ranksOf(after);
  const found = { lost: [], gained: [], up: [], down: [], same: [] };
  for (const [id, rank] of now) found[kind(ranks.get(id), rank)].push(id);
  for (const id of ranks.keys()) if (!now.has(id)) found.lost.push(id);
  return found;
}

/** Return the ranks by id, as text. */
export function ranksOf(items) {
  return new Map(items.map((item) => [String(item.itemid), item.rank]));
}

function kind(before, after) {
  if (before === undefined) return "gained";
  if (after === undefined) return "lost";
  if (after === before) return "same";
  return after < before ? "up" : "down";
}

/** Show a visitor's list in both versions; see `VIEWS` in explorer.js. */
export async function compareView(state, signal) {
  if (!state.visitor) {
    const sentence = "Type the id of a visitor above, or take a random one: the list of the version that is served is laid beside that of the version before.";
    return { node: element("p", { class: "empty" }, sentence), title: "Compare" };
  }
  const heading = element("h2", { tabindex: -1 }, "Visitor ", given(state.visitor), " in two versions");
  const path = ["visitors", state.visitor, "recommendations"];
  const other = state.other || "previous";
  const kept = await keptVersions(signal);
  const both = () =>
    Promise.all([
      ask(path, { k: state.places }, signal),
      ask(path, { k: state.places, version: other }, signal).catch(noPrevious),
    ]);
  const [served, second] = await together(both, ([now, previous]) => !previous || !sameVersion(now, previous));
  const isNewer = other === "candidate";
  const [before, after] = isNewer && second ? [served, second] : [second, served];
  const names = isNewer ? ["Live", "Candidate"] : ["Before", "Now"];
  const choice = choose(kept, other, state);
  const common = { title: `Visitor ${state.visitor} in two versions`, version: served.version, focus: heading };
  if (!before) {
    const sentence = isNewer
      ? "There is no candidate: stage 4 makes one if stage4.publish.channel is candidate."
      : "There is no version before this one: the service keeps the previous version once it has taken over a new one.";
    return { ...common, node: element("section", { class: "card" }, heading, choice, element("p", { class: "notice" }, sentence)), said: sentence };
  }
  const said = summary(changes(before.items, after.items), after.items.length);
  const node = element(
    "div",
    {},
    element("section", { class: "card" }, heading, choice, element("p", { class: "sum" }, said), unknown(before, after)),
    element(
      "div",
      { class: "two even" },
      listOf(names[1], after, ranksOf(before.items), state, (rank, other) => mark(kind(other, rank), other, rank)),
      listOf(names[0], before, ranksOf(after.items), state, (rank, other) => mark(kind(rank, other), rank, other)),
    ),
  );
  return { ...common, node, said };
}

/** Ask which versions may be compared with; a service that does not say has only the one before. */
export function keptVersions(signal) {
  return ask(["versions"], {}, signal).then(
    ({ versions }) => versions,
    (failure) => {
      if (failure instanceof Failure) return [];
      throw failure;
    },
  );
}

/** Make the choice of the version to compare with. */
function choose(kept, other, state) {
  const named = kept
    .filter((each) => !each.is_served)
    .map((each) => (each.channel === "candidate" ? ["candidate", `candidate, run ${each.run}`] : [String(each.number), versionName(each)]));
  if (named.length === 0) return null;
  const options = [["previous", "the version before"], ...named].map(([value, name]) => element("option", { value, selected: value === other }, name));
  const select = element("select", { id: "with", on: { change: () => (location.hash = linkTo({ ...state, other: select.value })) } }, options);
  return element("div", { class: "field row" }, element("label", { for: "with" }, "Compare with"), select);
}

function noPrevious(failure) {
  if (failure.status === 404) return null;
  throw failure;
}

function summary(found, places) {
  const kept = found.same.length + found.up.length + found.down.length;
  const moved = `${found.up.length} moved up, ${found.down.length} moved down`;
  return `${kept} of ${counted(places, "item")} were there before (${moved}); ${found.gained.length} gained, ${found.lost.length} lost.`;
}

/** Say in which of the versions the visitor is unknown. */
function unknown(before, after) {
  const where = [
    [after, "now"],
    [before, "before"],
  ].filter(([list]) => !list.known);
  if (where.length === 0) return null;
  const words = where.map(([, when]) => when).join(" and ");
  return element("p", { class: "notice" }, `The visitor is unknown to the version ${words}: its popular items are shown.`);
}

/** Make a version's list, each item with what became of it in the other. */
function listOf(title, list, others, state, marked) {
  const rows = list.items.map((item) =>
    element(
      "tr",
      {},
      element("td", { class: "number" }, item.rank),
      element("td", {}, itemLink(item, state), element("span", { class: "kinds" }, `${source(item.source)}, ${score(item.score)}`)),
      element("td", {}, marked(item.rank, others.get(String(item.itemid)))),
    ),
  );
  const head = ["Place", "Item", "Change"].map((name) => element("th", { scope: "col", class: name === "Place" && "number" }, name));
  const made = `made ${moment(list.version.created_at)}`;
  return element(
    "section",
    { class: "card" },
    element("h3", {}, `${title}: ${versionName(list.version)}`),
    element("p", { class: "hint" }, made),
    element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows)),
  );
}

/** Return the mark of an item in the later of two lists. */
export function markOf(before, after) {
  return mark(kind(before, after), before, after);
}

/** Return the sign and the words of a change, from the rank before to the rank after. */
function mark(found, before, after) {
  const steps = Math.abs((before ?? 0) - (after ?? 0));
  const [sign, words] = {
    gained: ["+", "gained"],
    lost: ["−", "lost"],
    up: ["▲", `up ${steps}, from ${before} to ${after}`],
    down: ["▼", `down ${steps}, from ${before} to ${after}`],
    same: ["=", "same place"],
  }[found];
  return element("span", { class: `mark ${found}` }, element("span", { "aria-hidden": "true" }, sign), ` ${words}`);
}
