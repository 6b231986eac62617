// What may be chosen beside a visitor's list: a filter by what the shop knows of the items, and events that are tried.

import { element, given } from "./dom.js";
import { linkTo } from "./state.js";

const KINDS = ["view"]; // where the service does not name any

/** Go to another state. */
function go(state) {
  location.hash = linkTo(state);
}

/** Return the values that a filter such as "category:shoes,in_stock:true" asks for, by attribute. */
function wanted(filter) {
  const conditions = filter.split(",").filter(Boolean).map((condition) => condition.split(":"));
  return Object.fromEntries(conditions.map(([name, ...value]) => [name, value.join(":")]));
}

/**
 * Make a choice for each attribute that has few values.
 *
 * @param {Object} state the page's, see state.js
 * @param {{attributes: Object<string, Array<string>>}} status of the service
 * @returns {?HTMLElement} null where there is nothing to choose
 */
export function choices(state, status) {
  const chosen = wanted(state.filter);
  const fields = Object.entries(status.attributes ?? {}).map(([name, values], place) => {
    const options = values.map((value) => element("option", { value, selected: chosen[name] === value }, value));
    const select = element("select", { id: `filter-${place}`, on: { change: () => changed(name, select.value) } }, element("option", { value: "" }, "any"), options);
    return element("div", { class: "field" }, element("label", { for: select.id }, name.replaceAll("_", " ")), select);
  });
  function changed(name, value) {
    const all = Object.entries({ ...chosen, [name]: value }).filter(([, each]) => each);
    go({ ...state, item: "", filter: all.map((pair) => pair.join(":")).join(",") });
  }
  return fields.length ? element("div", { class: "choices", role: "group", "aria-label": "Filter" }, fields) : null;
}

/**
 * Make the form that adds events to a visitor's history, only to look at the list that they lead to.
 *
 * @param {Object} state the page's, see state.js
 * @param {{event_kinds: Array<string>}} status of the service
 * @returns {HTMLElement}
 */
export function whatIf(state, status) {
  const kinds = status.event_kinds?.length ? status.event_kinds : KINDS;
  const kind = element("select", { id: "kind" }, kinds.map((name) => element("option", {}, name)));
  const item = element("input", { id: "tried", type: "text", maxlength: 256, required: true, autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const add = (event) => {
    event.preventDefault();
    go({ ...state, item: "", did: [...state.did, { event: kind.value, itemid: item.value.trim() }] });
  };
  const form = element(
    "form",
    { class: "what-if", on: { submit: add } },
    element("div", { class: "field" }, element("label", { for: "kind" }, "Event"), kind),
    element("div", { class: "field" }, element("label", { for: "tried" }, "Id of an item"), item),
    element("button", { class: "second", type: "submit" }, "Try"),
  );
  const hint = element("p", { class: "hint" }, "Add an event of this visitor and see how the list changes. Nothing is stored.");
  if (state.did.length === 0) return element("div", { class: "tried" }, hint, form);
  const rows = state.did.map(({ event, itemid }, place) => {
    const without = state.did.filter((_, other) => other !== place);
    const remove = element("button", { class: "quiet", type: "button", "aria-label": `Remove ${event} ${itemid}`, on: { click: () => go({ ...state, item: "", did: without }) } }, "Remove");
    return element("li", {}, element("span", {}, event, " ", given(itemid)), remove);
  });
  return element("div", { class: "tried" }, hint, element("ul", {}, rows), form);
}
