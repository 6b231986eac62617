// The page: it reads the address, shows the view that it names, and asks the service for what that needs.

import { ask, Failure } from "./api.js";
import { compareView } from "./compare.js";
import { element, given, loading } from "./dom.js";
import { failureNote } from "./failures.js";
import { itemLink, tellHidden } from "./item.js";
import { listsView } from "./lists.js";
import { itemView } from "./similar.js";
import { DEFAULT_PLACES, linkTo, readState } from "./state.js";
import { versionView } from "./version.js";
import { moment, versionName } from "./words.js";

/**
 * The views: (state, signal) -> a promise of
 *   node: what is shown; title: of the page; said: what a screen reader says; version: that the answers came from;
 *   focus: what gets the focus where it was lost; update(state): goes to a state of the same visitor without asking
 *   for everything again. Only node and title must be there.
 */
const VIEWS = { lists: listsView, compare: compareView, item: itemView, version: versionView };
const PATIENCE = 150; // ms before "Loading" is shown
const TYPING = 200; // ms after the last key until what is typed is searched for
const PAUSE = 3_000; // ms before a service that is not ready is asked again

const content = document.getElementById("content");
const said = document.getElementById("said");
const found = document.getElementById("found");
const search = document.getElementById("search");

let shown = null; // { state, view, signal } that is on the page; its signal ends what it still asks for
let wanted = new AbortController();
let again = 0; // the timer that asks once more
let searched = new AbortController();
let typed = null; // the visitor that the field was set to; what is typed since then is left alone

/** Show what the address names. */
async function show() {
  const state = readState(location.hash);
  clearTimeout(again);
  tellControls(state);
  // Where something else was asked for since, the page may be about to change: then the lists are asked for anew.
  if (shown?.view.update && shown.signal === wanted.signal && sameLists(shown.state, state)) {
    shown.view.update(state);
    shown.state = state;
    return;
  }
  wanted.abort();
  wanted = new AbortController();
  const { signal } = wanted;
  const first = shown === null;
  const timer = setTimeout(() => content.replaceChildren(loading()), PATIENCE);
  content.setAttribute("aria-busy", "true");
  try {
    if (first || state.view === "version") await askHidden(signal);
    const view = await VIEWS[state.view](state, signal);
    if (!signal.aborted) put(state, view, first);
  } catch (failure) {
    if (signal.aborted) return;
    if (!(failure instanceof Failure)) throw failure;
    put(state, failed(failure), first);
    if (failure.notReady) again = setTimeout(show, PAUSE);
  } finally {
    clearTimeout(timer);
  }
}

/** Return whether two states show the same lists, and only another item is opened. */
function sameLists(before, after) {
  const bare = (state) => linkTo({ ...state, item: "" });
  return after.view === "lists" && bare(before) === bare(after);
}

/** Put a view on the page. */
function put(state, view, first) {
  const hadFocus = content.contains(document.activeElement);
  content.replaceChildren(view.node);
  content.removeAttribute("aria-busy");
  shown = { state, view, signal: wanted.signal };
  document.title = view.title === "Recommendations" ? view.title : `${view.title} – Recommendations`;
  if (said.textContent !== view.said) said.textContent = view.said ?? "";
  if (view.version) tellVersion(view.version);
  if ((hadFocus || (state.item && !first)) && view.focus) view.focus.focus();
}

function failed(failure) {
  const node = element("section", { class: "card" }, failureNote(failure, show));
  return { node, title: "Failed", said: `${failure.message} ${failure.advice}` };
}

function tellVersion(version) {
  document.getElementById("version").textContent = `Served: ${versionName(version)}, made ${moment(version.created_at)}`;
}

/** Let the form and the links say what the address says. */
function tellControls(state) {
  if (state.visitor !== typed) search.elements.visitor.value = state.visitor;
  typed = state.visitor;
  const { places } = search.elements;
  const offered = [...places.options].some((option) => option.value === String(state.places));
  if (!offered) places.add(new Option(state.places));
  places.value = String(state.places);
  for (const link of document.querySelectorAll("nav a")) {
    const { view } = link.dataset;
    link.href = linkTo({ ...state, view, item: "" });
    if (view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Go to a visitor: in the view that compares if that is open, else to the lists. */
function go(visitor) {
  const state = readState(location.hash);
  const view = state.view === "compare" ? "compare" : "lists";
  const places = Number(search.elements.places.value) || DEFAULT_PLACES;
  const hash = linkTo({ ...state, view, visitor, item: "", places, did: [] });
  if (hash === location.hash) {
    shown = null; // asked for anew
    show();
  } else location.hash = hash;
}

/** Ask which items are hidden; a service that does not say it has none to mark. */
async function askHidden(signal) {
  const answer = await ask(["items", "hidden"], { limit: 1000 }, signal).catch((failure) => {
    if (failure instanceof Failure) return { items: [] };
    throw failure;
  });
  tellHidden(answer.items);
}

/** Show visitors and items that begin like what is typed, or have it in the title. */
async function suggest(text) {
  searched.abort();
  searched = new AbortController();
  const { signal } = searched;
  try {
    await new Promise((done) => setTimeout(done, TYPING));
    signal.throwIfAborted();
    tellFound(text ? await ask(["search"], { q: text, limit: 8 }, signal) : null);
  } catch (failure) {
    if (!signal.aborted && !(failure instanceof Failure)) throw failure;
  }
}

function tellFound(answer) {
  const state = readState(location.hash);
  const visitors = (answer?.visitors ?? []).map((visitor) => element("a", { href: linkTo({ ...state, view: "lists", visitor, item: "", did: [] }) }, given(visitor)));
  const items = (answer?.items ?? []).map((item) => itemLink(item, state));
  const line = (name, links) => links.length > 0 && element("p", {}, element("span", { class: "hint" }, name), links);
  found.replaceChildren(...[line("Visitors", visitors), line("Items", items)].filter(Boolean));
}

search.elements.visitor.addEventListener("input", () => suggest(search.elements.visitor.value.trim()));

search.addEventListener("submit", (event) => {
  event.preventDefault();
  searched.abort();
  found.replaceChildren();
  go(search.elements.visitor.value.trim());
});

search.elements.places.addEventListener("change", () => {
  const { visitor } = readState(location.hash);
  if (visitor) go(visitor);
});

document.getElementById("random").addEventListener("click", async () => {
  wanted.abort();
  wanted = new AbortController();
  const { signal } = wanted;
  try {
    const { visitorid } = await ask(["visitors", "random"], {}, signal);
    go(String(visitorid));
  } catch (failure) {
    if (signal.aborted) return;
    if (!(failure instanceof Failure)) throw failure;
    put(readState(location.hash), failed(failure), false);
  }
});

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address holds the state
  content.focus();
});

window.addEventListener("hashchange", () => {
  searched.abort();
  found.replaceChildren();
  show();
});
show();
