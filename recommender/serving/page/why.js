// Why an item is recommended: what each item of the history adds to its score, as bars and as numbers.

import { ask } from "./api.js";
import { element } from "./dom.js";
import { itemLink } from "./item.js";
import { count, score, signed } from "./words.js";

const MOST_BARS = 10;

/**
 * Ask why a visitor is recommended an item.
 *
 * @param {Object} state the page's, see state.js; its visitor
 * @param {{itemid, score: number}} item as it is in the list
 * @param {AbortSignal} signal
 * @returns {Promise<{node: HTMLElement, answer: Object}>}
 */
export async function why(state, item, signal) {
  const answer = await ask(["visitors", state.visitor, "explain", String(item.itemid)], {}, signal);
  const shares = [...largest(answer.shares), ...(answer.popularity ? [{ popularity: true, share: answer.popularity }] : [])];
  if (shares.length === 0) return { node: element("p", { class: "empty" }, "The visitor has no history that could explain it."), answer };
  const node = element(
    "div",
    {},
    element("p", { class: "hint" }, "What each item of the visitor's history adds to the score. The longer the bar, the more."),
    bars(shares, state),
    sum(score(answer.score), score(item.score)),
  );
  return { node, answer };
}

/** Say what the shares add up to, and that the model's own factors gave the list another score, where they did. */
function sum(now, listed) {
  const other = now === listed ? "" : `; the list was made with the model's own factors of this visitor, which give ${listed}`;
  return element("p", { class: "sum" }, "Together ", element("strong", {}, now), `, as the history gives it${other}.`);
}

/**
 * Keep the shares that matter most, and add the others up.
 *
 * @param {Array<{share: number}>} shares in any order
 * @returns {Array} at most MOST_BARS of them, largest first, and `{ others, share }` where some were added up
 */
export function largest(shares) {
  const bySize = [...shares].sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
  const fits = bySize.length <= MOST_BARS + 1;
  const kept = (fits ? bySize : bySize.slice(0, MOST_BARS)).sort((a, b) => b.share - a.share);
  if (fits) return kept;
  const others = bySize.slice(MOST_BARS);
  return [...kept, { others: others.length, share: others.reduce((sum, each) => sum + each.share, 0) }];
}

/** Draw the shares from a common zero: what adds to the right of it, what takes away to the left. */
function bars(shares, state) {
  const most = Math.max(0, ...shares.map((each) => each.share));
  const least = Math.min(0, ...shares.map((each) => each.share));
  const span = most - least || 1;
  const zero = -least / span;
  const rows = shares.map((each) => {
    const bar = element("span", { class: each.share < 0 ? "takes" : "adds" });
    bar.style.setProperty("--from", `${(zero + Math.min(0, each.share) / span) * 100}%`);
    bar.style.setProperty("--width", `${(Math.abs(each.share) / span) * 100}%`);
    const drawn = element("span", { class: "track", "aria-hidden": "true" }, bar);
    drawn.style.setProperty("--zero", `${zero * 100}%`);
    return element("li", {}, name(each, state), drawn, element("span", { class: "number" }, signed(each.share)));
  });
  return element("ul", { class: "bars" }, rows);
}

function name(share, state) {
  if (share.popularity) return element("span", { class: "named" }, "the item's popularity");
  if (share.others) return element("span", { class: "named" }, `${count(share.others)} other items`);
  const kinds = share.events?.length ? element("span", { class: "kinds" }, share.events.join(", ")) : null;
  return element("span", { class: "named" }, itemLink(share, state), kinds);
}
