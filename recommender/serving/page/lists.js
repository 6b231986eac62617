// A visitor: the list that is served, why each item is there, the history, and what another event would change.

import { changes, markOf, ranksOf } from "./compare.js";
import { choices, whatIf } from "./controls.js";
import { ask, Failure, notReady, sameVersion, together } from "./api.js";
import { element, given } from "./dom.js";
import { failureNote } from "./failures.js";
import { historyTable } from "./history.js";
import { anyPicture, itemId, itemLink, itemName, picture } from "./item.js";
import { similarItems } from "./similar.js";
import { linkTo } from "./state.js";
import { why } from "./why.js";
import { counted, score, source, versionName } from "./words.js";

const MOST_EVENTS = 50;
const COMPUTED = ["fold_in", "item_to_item"];

/** Show a visitor's lists; see `VIEWS` in explorer.js. */
export async function listsView(state, signal) {
  if (!state.visitor) {
    const sentence = "Type the id of a visitor above, or take a random one: the list that is served, why, and the history appear here.";
    const { version } = await ask(["status"], {}, signal);
    if (!version) throw notReady();
    return { node: element("p", { class: "empty" }, sentence), title: "Recommendations", version };
  }
  const [served, past, status, tried] = await answersFor(state, signal);
  const list = tried ?? served;
  const heading = element("h2", { tabindex: -1 }, "Visitor ", given(state.visitor));
  const told = sentence(list, tried !== null && COMPUTED.includes(tried.source));
  const rows = new Rows(list, state, signal, tried && ranksOf(served.items));
  const opened = rows.open(state.item);
  return {
    node: element(
      "div",
      { class: "two" },
      element("section", { class: "card" }, heading, notice(list, told), choices(state, status), element("h3", {}, "Recommendations"), rows.node),
      element(
        "div",
        { class: "cards" },
        element("section", { class: "card" }, element("h3", {}, "What if"), whatIf(state, status), tried && element("p", { class: "sum" }, effect(served, tried))),
        element("section", { class: "card" }, element("h3", {}, "History"), latest(past.events), historyTable(past.events, state)),
      ),
    ),
    title: `Visitor ${state.visitor}`,
    said: `${counted(list.items.length, "recommendation")}. ${told}`,
    version: list.version,
    focus: opened ?? heading,
    update: (next) => rows.open(next.item),
  };
}

/** Ask for the list, the history, the status, and the list after what is tried, if anything is; of one version. */
function answersFor(state, signal) {
  const filter = state.filter || null;
  const body = { visitorid: state.visitor, events: state.did, k: state.places, ...(filter && { filter }) };
  const all = () =>
    Promise.all([
      ask(["visitors", state.visitor, "recommendations"], { k: state.places, filter }, signal),
      ask(["visitors", state.visitor, "history"], { limit: MOST_EVENTS }, signal).catch(noHistory),
      ask(["status"], {}, signal),
      state.did.length ? ask(["recommendations"], {}, signal, body) : null,
    ]);
  return together(all, ([list, ...others]) => others.every((other) => !other?.version || sameVersion(list, other)));
}

/** Say what the events that are tried change. */
function effect(served, tried) {
  if (tried.unknown_items) return `${counted(tried.unknown_items, "item")} of what you added ${tried.unknown_items === 1 ? "is" : "are"} not in this version.`;
  const found = changes(served.items, tried.items);
  return `The list changes: ${counted(found.gained.length, "item")} new, ${found.lost.length} gone, ${found.up.length + found.down.length} moved.`;
}

function noHistory(failure) {
  if (failure instanceof Failure && failure.status === 404) return { events: [] };
  throw failure;
}

/** Say that there may be more events than are shown. */
function latest(events) {
  return events.length < MOST_EVENTS ? null : element("p", { class: "hint" }, `The latest ${MOST_EVENTS} events.`);
}

/** Say where the list comes from. */
function sentence(list, tried) {
  if (!list.known) return "This visitor is unknown to the version that is served: these are the popular items.";
  if (list.source === "published") return `This is the list that was published for the visitor (${versionName(list.version)}).`;
  if (tried) return "This list was computed just now, from the stored history and what you added under What if.";
  if (COMPUTED.includes(list.source)) return "This list was computed just now from the history that is stored for the visitor.";
  return "Nothing is known of this visitor's taste: these are the popular items.";
}

function notice(list, told) {
  return element("p", { class: list.known && list.source !== "popular" ? "hint" : "notice" }, told);
}

/** The recommendations, of which at most one is opened. */
class Rows {
  #list;
  #state;
  #signal;
  #before;
  #rows = new Map(); // item id -> { button, panel }

  constructor(list, state, signal, before = null) {
    this.#before = before; // item id -> rank in the list that this one is compared with
    this.#list = list;
    this.#state = state;
    this.#signal = signal;
    const pictured = anyPicture(list.items);
    const rows = list.items.map((item) => this.#row(item, pictured));
    this.node = rows.length
      ? element("ol", { class: pictured ? "list pictured" : "list" }, rows)
      : element("p", { class: "empty" }, "There is nothing to recommend: every item is left out by the rules.");
  }

  /** Open an item and close the others; an id that is not here closes all. Return its button. */
  open(itemid) {
    for (const [id, row] of this.#rows) {
      const opened = id === itemid;
      row.button.setAttribute("aria-expanded", String(opened));
      row.panel.hidden = !opened;
      if (opened && !row.panel.hasChildNodes()) this.#fill(row);
    }
    return this.#rows.get(itemid)?.button ?? null;
  }

  #row(item, pictured) {
    const id = String(item.itemid);
    const panel = element("div", { class: "panel", id: `why-${item.rank}`, hidden: true });
    const button = element(
      "button",
      { class: "opens", type: "button", "aria-expanded": "false", "aria-controls": panel.id, on: { click: () => this.#toggle(id) } },
      given(itemName(item)),
    );
    this.#rows.set(id, { item, button, panel });
    return element(
      "li",
      { "data-item": id },
      element("span", { class: "rank" }, item.rank),
      pictured && picture(item),
      element("span", { class: "named" }, button, itemId(item), this.#before && markOf(this.#before.get(id), item.rank)),
      element("span", { class: `source ${item.source}` }, source(item.source)),
      element("span", { class: "number", title: `score ${item.score}` }, element("span", { class: "only-read-out" }, "score "), score(item.score)),
      panel,
    );
  }

  #toggle(id) {
    const opened = this.#rows.get(id).button.getAttribute("aria-expanded") === "true";
    location.hash = linkTo({ ...this.#state, item: opened ? "" : id });
  }

  #fill({ item, panel }) {
    const id = String(item.itemid);
    const parts = [
      ["Why", () => this.#why(item, id)],
      ["Similar items", () => similarItems(id, this.#state, this.#signal)],
    ];
    for (const [title, asked] of parts) {
      const place = element("div", { "aria-busy": "true" });
      panel.append(element("section", {}, element("h4", {}, title), place));
      this.#put(place, asked);
    }
    panel.append(element("p", {}, itemLink({ ...item, title: "Show this item by itself" }, this.#state).firstChild));
  }

  async #put(place, asked) {
    try {
      const { node, answer } = await asked();
      place.replaceChildren(!answer || sameVersion(answer, this.#list) ? node : overtaken(answer.version));
    } catch (failure) {
      if (this.#signal.aborted) return; // nobody waits for it any more
      if (!(failure instanceof Failure)) throw failure;
      place.replaceChildren(failureNote(failure, () => this.#put(place, asked)));
    } finally {
      place.removeAttribute("aria-busy");
    }
  }

  #why(item, id) {
    if (item.source !== "popular" && this.#list.known) return why(this.#state, item, this.#signal);
    const sentence = `It is here because it is popular, with a popularity of ${score(item.score)}; nothing that the visitor did leads to it.`;
    return { node: element("p", { class: "empty" }, sentence) };
  }
}

/** Say that another version is served since the list was shown: what it says does not belong to that list. */
function overtaken(version) {
  const button = element("button", { class: "second", type: "button", on: { click: () => location.reload() } }, "Show it");
  return element("div", {}, element("p", { class: "notice" }, `Another version is served since then: ${versionName(version)}.`), button);
}
