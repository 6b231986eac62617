// What is like an item: a list beside a recommendation, and a view of its own.

import { ask } from "./api.js";
import { element, given } from "./dom.js";
import { anyPicture, hiddenMark, itemLink, picture } from "./item.js";
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
  const empty = "No item is known to be like this one: the model has learned nothing of it.";
  return { node: listed(answer, state, empty, (each) => ["similarity ", score(each.similarity)]), answer };
}

/** Ask what is bought with an item, and list it. */
async function boughtTogether(item, state, signal) {
  const answer = await ask(["items", item, "bought-together"], { k: state.places }, signal);
  return listed(answer, state, "Nothing was bought with this item, as far as is known.", (each) => ["bought together by ", counted(each.visitors, "visitor")]);
}

/** List the items of an answer, each with the words that are only read out and a number. */
function listed(answer, state, empty, numbered) {
  if (answer.items.length === 0) return element("p", { class: "empty" }, empty);
  const pictured = anyPicture(answer.items);
  const rows = answer.items.map((each) => {
    const [words, number] = numbered(each);
    const told = element("span", { class: "number" }, element("span", { class: "only-read-out" }, words), number);
    return element("li", {}, pictured && picture(each), itemLink(each, state), told);
  });
  return element("ol", { class: pictured ? "alike pictured" : "alike" }, rows);
}

/** Show an item by itself; see `VIEWS` in explorer.js. */
export async function itemView(state, signal) {
  if (!state.item) {
    return { node: element("p", { class: "empty" }, "No item is chosen: open one from a visitor's lists."), title: "Item" };
  }
  const [{ node, answer }, together] = await Promise.all([similarItems(state.item, state, signal), boughtTogether(state.item, state, signal)]);
  const known = answer.title ?? null;
  const heading = element("h2", { tabindex: -1 }, known ? given(known) : ["Item ", given(state.item)]);
  const back = element("button", { class: "quiet", type: "button", on: { click: () => history.back() } }, "Back");
  return {
    node: element(
      "section",
      { class: "card" },
      heading,
      hiddenMark(state.item) && element("p", { class: "notice" }, "This item is hidden: no list has it until it is shown again."),
      element("div", { class: "shown" }, anyPicture([answer]) && picture(answer), known && element("p", { class: "id" }, "Item ", given(state.item))),
      element("h3", {}, "Similar items"),
      element("p", { class: "hint" }, "The larger the number, the more alike. Of a matrix model it is a cosine: 1 is the same taste."),
      node,
      element("h3", {}, "Bought together"),
      element("p", { class: "hint" }, "How many visitors bought both within a day."),
      together,
      back,
    ),
    title: `Item ${state.item}`,
    said: `${counted(answer.items.length, "item")} similar to item ${state.item}`,
    version: answer.version,
    focus: heading,
  };
}
