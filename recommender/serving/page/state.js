// What is shown is in the address, behind "#": a link can be passed on, and the back button works.

export const DEFAULT_PLACES = 10;
const MOST_EVENTS = 20; // that are tried in "what if"
const VIEWS = ["lists", "compare", "item", "version"];
const MOST_PLACES = 1000;

/**
 * Read the address.
 *
 *     readState("#visitor=42&item=7") // { view: "lists", visitor: "42", item: "7", places: 10, filter: "", other: "", did: [] }
 *
 * @param {string} hash the part of the address from "#" on
 * @returns {{view: string, visitor: string, item: string, places: number, filter: string, other: string,
 *   did: Array<{event: string, itemid: string}>}} filter: of the list; other: the version to compare with; did: what is
 *   tried in "what if"; view: lists, compare, item or version;
 *   visitor, item: ids, empty: none; in `lists` the item is the one that is opened
 */
export function readState(hash) {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  const view = found.get("view");
  const places = Number(found.get("k"));
  return {
    view: VIEWS.includes(view) ? view : "lists",
    visitor: found.get("visitor") ?? "",
    item: found.get("item") ?? "",
    places: Number.isInteger(places) && places >= 1 && places <= MOST_PLACES ? places : DEFAULT_PLACES,
    filter: found.get("filter") ?? "",
    other: found.get("with") ?? "",
    did: found.getAll("did").slice(0, MOST_EVENTS).map(eventOf),
  };
}

/** Return the event that "view:12" says; an id may have a colon too. */
function eventOf(text) {
  const [event, ...rest] = text.split(":");
  return { event, itemid: rest.join(":") };
}

/** Return the address of a state: what `readState` reads. */
export function linkTo(state) {
  const told = new URLSearchParams();
  if (state.visitor) told.set("visitor", state.visitor);
  if (state.view !== "lists") told.set("view", state.view);
  if (state.item && ["lists", "item"].includes(state.view)) told.set("item", state.item);
  if (state.places !== DEFAULT_PLACES) told.set("k", state.places);
  if (state.filter && state.view === "lists") told.set("filter", state.filter);
  if (state.other && state.view === "compare") told.set("with", state.other);
  if (state.view === "lists") for (const { event, itemid } of state.did ?? []) told.append("did", `${event}:${itemid}`);
  return `#${told}`;
}
