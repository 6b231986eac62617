// Build elements. All that comes from the service becomes a text node or an attribute here; nothing is parsed as HTML.

/**
 * Make an element.
 *
 *     element("a", { href: "#view=version", class: "quiet" }, "Version ", 12)
 *     element("button", { type: "button", on: { click: again } }, "Try again")
 *
 * @param {string} name of the element
 * @param {Object} attributes by name; null, undefined and false: not there; `on`: listeners by event
 * @param {...(Node|string|number|null|Array)} children in order; strings and numbers become text, null and false nothing
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  const { on = {}, ...others } = attributes;
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  for (const [key, value] of Object.entries(others)) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => ![null, undefined, false].includes(child)));
  return made;
}

/** Return the words of an id or a title, which may be written from right to left. */
export function given(text, attributes = {}) {
  return element("span", { dir: "auto", ...attributes }, String(text));
}

/**
 * Make a list of names and values; a value of null leaves its line out.
 *
 * @param {Array<[string, (Node|string|number|null)]>} lines
 * @returns {HTMLElement}
 */
export function facts(lines) {
  const told = lines.filter(([, value]) => value !== null && value !== undefined);
  return element(
    "dl",
    { class: "facts" },
    told.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

/** Make the line that is shown while something is asked for. */
export function loading() {
  return element("p", { class: "loading" }, "Loading …");
}
