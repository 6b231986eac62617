// An item as it looks everywhere: picture, title, id.

import { element, given } from "./dom.js";
import { linkTo } from "./state.js";

/** Return what an item is called: its title, else its id. */
export function itemName(item) {
  return item.title || `Item ${item.itemid}`;
}

/** Return the address of a picture if it is one that a page may show: http, https, a drawing itself, or beside the page. */
export function pictureAddress(picture) {
  if (!picture) return null;
  try {
    const address = new URL(picture, document.baseURI);
    const may = ["http:", "https:"].includes(address.protocol) || address.href.startsWith("data:image/");
    return may ? address.href : null;
  } catch {
    return null;
  }
}

/**
 * Return an item's picture, or an empty place where it has none or it cannot be shown.
 *
 * @param {{itemid, title: ?string, picture: ?string}} item
 */
export function picture(item) {
  const place = element("span", { class: "picture" });
  const address = pictureAddress(item.picture);
  if (!address) return place;
  const image = element("img", {
    alt: `Picture of ${itemName(item)}`,
    loading: "lazy",
    decoding: "async",
    referrerpolicy: "no-referrer",
    on: { error: () => image.remove() },
  });
  image.src = address;
  place.append(image);
  return place;
}

/** Return whether any of the items has a picture, so that a place is kept for each. */
export function anyPicture(items) {
  return items.some((item) => pictureAddress(item.picture));
}

/** Return an item's id where its name does not already say it. */
export function itemId(item) {
  return item.title ? given(item.itemid, { class: "id" }) : null;
}

let hidden = new Set();

/** Say which items are hidden from all lists; they are marked wherever they are named. */
export function tellHidden(items) {
  hidden = new Set(items.map((item) => String(item.itemid)));
}

/** Return the mark of a hidden item, null for others. */
export function hiddenMark(itemid) {
  return hidden.has(String(itemid)) ? element("span", { class: "badge" }, "hidden") : null;
}

/** Return an item as a link to its own view. */
export function itemLink(item, state) {
  const href = linkTo({ ...state, view: "item", item: String(item.itemid) });
  return element("span", { class: "named" }, element("a", { href }, given(itemName(item))), itemId(item), hiddenMark(item.itemid));
}
