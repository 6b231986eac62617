// What is shown where the service did not answer as hoped: one sentence, what to do, and a way on.

import { keepToken } from "./api.js";
import { element } from "./dom.js";

/**
 * Say what went wrong.
 *
 * @param {Failure} failure of api.js
 * @param {Function} again asks once more
 * @returns {HTMLElement}
 */
export function failureNote(failure, again) {
  if (failure.status === 409) return element("p", { class: "empty" }, failure.message); // as it must be, and no mistake
  if (failure.status === 401) return tokenForm(failure, again);
  const note = element("div", { class: "failure" }, element("p", {}, element("strong", {}, failure.message)), element("p", {}, failure.advice));
  if (failure.mayPass) note.append(element("button", { class: "second", type: "button", on: { click: again } }, "Try again"));
  note.append(element("p", { class: "id" }, failure.id));
  return note;
}

/** Ask for the token, which is kept until the tab is closed. */
function tokenForm(failure, again) {
  const field = element("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const entered = (event) => {
    event.preventDefault();
    keepToken(field.value);
    again();
  };
  return element(
    "form",
    { class: "failure", on: { submit: entered } },
    element("p", {}, element("strong", {}, "This service answers only to those who have its token.")),
    element("div", { class: "field" }, element("label", { for: "token" }, "Token"), field),
    element("button", { type: "submit" }, "Use it"),
    element("p", { class: "id" }, failure.id),
  );
}
