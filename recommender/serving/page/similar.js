// What is like an item: a list beside a recommendation, and a view of its own.

import { ask } from "./api.js";
import { element, given } from "./dom.js";
import { anyPicture, itemLink, picture } from "./item.js";
import { counted, score } from "./words.js";

/**
 * Ask what is like an item, and list it.
 *
 * @param {string} item the id
 * @param {Object} state the page's, see state.js
 * @param {AbortSignal} signal
 * @returns {Promise<{node: HTMLElement, answer: Object}>}
 */
export async function similarItems(item, state, signal) {
  const answer = await ask(["items", item, "similar"], { k: state.places }, signal);
  if (answer.items.length === 0) {
    const sentence = "No item is known to be like this one: the model has learned nothing of it.";
    return { node: element("p", { class: "empty" }, sentence), answer };
  }
  const pictured = anyPicture(answer.items);
  const rows = answer.items.map((each) =>
    element(
      "li",
      {},
      pictured && picture(each),
      itemLink(each, state),
      element("span", { class: "number" }, element("span", { class: "only-read-out" }, "similarity "), score(each.similarity)),
    ),
  );
  return { node: element("ol", { class: pictured ? "alike pictured" : "alike" }, rows), answer };
}

/** Show an item by itself; see `VIEWS` in explorer.js. */
export async function itemView(state, signal) {
  if (!state.item) {
    return { node: element("p", { class: "empty" }, "No item is chosen: open one from a visitor's lists."), title: "Item" };
  }
  const { node, answer } = await similarItems(state.item, state, signal);
  const known = answer.title ?? null;
  const heading = element("h2", { tabindex: -1 }, known ? given(known) : ["Item ", given(state.item)]);
  const back = element("button", { class: "quiet", type: "button", on: { click: () => history.back() } }, "Back");
  return {
    node: element(
      "section",
      { class: "card" },
      heading,
      known && element("p", { class: "id" }, "Item ", given(state.item)),
      element("h3", {}, "Similar items"),
      element("p", { class: "hint" }, "By the cosine of their factors: 1 is the same taste, 0 none in common."),
      node,
      back,
    ),
    title: `Item ${state.item}`,
    said: `${counted(answer.items.length, "item")} similar to item ${state.item}`,
    version: answer.version,
    focus: heading,
  };
}
