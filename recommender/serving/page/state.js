// What is shown is in the address, behind "#": a link can be passed on, and the back button works.

export const DEFAULT_PLACES = 10;
const VIEWS = ["lists", "compare", "item", "version"];
const MOST_PLACES = 1000;

/**
 * Read the address.
 *
 *     readState("#visitor=42&item=7") // { view: "lists", visitor: "42", item: "7", places: 10 }
 *
 * @param {string} hash the part of the address from "#" on
 * @returns {{view: string, visitor: string, item: string, places: number}} view: lists, compare, item or version;
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
  };
}

/** Return the address of a state: what `readState` reads. */
export function linkTo(state) {
  const told = new URLSearchParams();
  if (state.visitor) told.set("visitor", state.visitor);
  if (state.view !== "lists") told.set("view", state.view);
  if (state.item && ["lists", "item"].includes(state.view)) told.set("item", state.item);
  if (state.places !== DEFAULT_PLACES) told.set("k", state.places);
  return `#${told}`;
}
