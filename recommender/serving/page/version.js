// The version that is served: what it is, how good it was found to be, and how the service does.

import { ask, Failure, notReady } from "./api.js";
import { keptVersions } from "./compare.js";
import { element, facts } from "./dom.js";
import { itemLink } from "./item.js";
import { drawn, largest, metricsTable, modelName, servedModel } from "./metrics.js";
import { linkTo } from "./state.js";
import { count, counted, duration, metric, moment, versionName } from "./words.js";

const NUMBERS = ["This model", "The other", "Difference", "95 % interval"];

/** Show the service's status; see `VIEWS` in explorer.js. */
export async function versionView(state, signal) {
  const [status, kept] = await Promise.all([ask(["status"], {}, signal), keptVersions(signal)]);
  if (!status.version) return without(status);
  const hidden = status.hidden ? await hiddenItems(signal) : [];
  const heading = element("h2", { tabindex: -1 }, "The version that is served");
  const node = element(
    "div",
    {},
    element("section", { class: "card" }, heading, reloadFailure(status), element("h3", {}, "Is it good?"), ...verdict(status.gate)),
    kept.length > 1 && element("section", { class: "card" }, element("h3", {}, "Versions over time"), ...overTime(kept, status.gate, state)),
    element("section", { class: "card" }, element("h3", {}, "Metrics"), metricsTable(status.metrics ?? [], servedModel(status.gate))),
    hidden.length > 0 && element("section", { class: "card" }, element("h3", {}, "Hidden items"), ...hiddenList(hidden, state)),
    element("section", { class: "card" }, element("h3", {}, "Version"), versionFacts(status)),
    element("section", { class: "card" }, element("h3", {}, "Service"), serviceFacts(status)),
  );
  const said = `Run ${status.version.run} is served, ${duration(status.age_seconds)} old.`;
  return { node, title: "Version", said, version: status.version, focus: heading };
}

/** Say why nothing is served. */
function without(status) {
  if (!refusal(status)) throw notReady();
  const heading = element("h2", { tabindex: -1 }, "No version is served");
  const said = `The version that was to be served was refused: ${refusal(status)}`;
  const node = element("section", { class: "card" }, heading, element("p", { class: "failure" }, said), serviceFacts(status));
  return { node, title: "Version", said, focus: heading };
}

function refusal(status) {
  const error = status.last_reload?.error;
  return error?.sentence ?? error;
}

/** Say that a newer version was refused, where one was. */
function reloadFailure(status) {
  const sentence = refusal(status);
  if (!sentence) return null;
  return element("p", { class: "notice" }, "A newer version was refused, and this one goes on being served: ", sentence);
}

function versionFacts(status) {
  const { version, previous } = status;
  return facts([
    ["Run", version.run],
    ["Number", version.number ? count(version.number) : "none: a copied folder"],
    ["Made", `${moment(version.created_at)}, ${duration(status.age_seconds)} ago`],
    ["Channel", status.channel ?? "none"],
    ["Version before", previous ? versionName(previous) : "none is kept"],
    ...Object.entries(status.counts ?? {}).map(([name, value]) => [name[0].toUpperCase() + name.slice(1), count(value)]),
  ]);
}

function serviceFacts(status) {
  const reload = status.last_reload;
  return facts([
    ["Last change of version", reload?.at ? `${moment(reload.at)}${reload.error ? ", refused" : ""}` : "none yet"],
    ["Versions refused", status.failures === undefined ? null : count(status.failures)],
    ["Worker processes", status.workers === undefined ? null : count(status.workers)],
    ["Running for", status.uptime_seconds === undefined ? null : duration(status.uptime_seconds)],
  ]);
}

async function hiddenItems(signal) {
  const answer = await ask(["items", "hidden"], { limit: 100 }, signal).catch((failure) => {
    if (failure instanceof Failure) return { items: [] };
    throw failure;
  });
  return answer.items;
}

function hiddenList(items, state) {
  const hint = "These items are in no list until they are shown again, by python -m recommender unhide or when their time comes.";
  return [element("p", { class: "hint" }, hint), element("ul", {}, items.map((item) => element("li", {}, itemLink(item, state))))];
}

/** Draw what the versions that are kept were judged by, newest first, each with a way to compare it. */
function overTime(kept, gate, state) {
  const [name, k] = (gate?.metric ?? "ndcg@10").split("@");
  const judged = kept.map((each) => [each, each.metrics.find((row) => row.model === servedModel(each.gate) && row.metric === name && row.k === Number(k))]);
  const most = largest(judged.map(([, row]) => row).filter(Boolean));
  const rows = judged.map(([each, row]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, each.channel === "candidate" ? "candidate" : `version ${count(each.number)}`, each.is_served && element("span", { class: "badge" }, "served")),
      element("td", { class: "when" }, moment(each.created_at)),
      element("td", { class: "drawn" }, row ? [metric(row.value), drawn(row, most)] : "not judged"),
      element("td", {}, !each.is_served && element("a", { href: linkTo({ ...state, view: "compare", other: each.channel === "candidate" ? "candidate" : String(each.number) }), "aria-label": `Compare ${versionName(each)}` }, "Compare")),
    ),
  );
  const heads = ["Version", "Made", `${name}@${k}`, "Lists"].map((head) => element("th", { scope: "col" }, head));
  const table = element("table", { class: "over-time" }, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows));
  const hint = "Higher is better. Each version was judged by the visitors of its own log: a small difference between nights says little.";
  return [element("p", { class: "hint" }, hint), element("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Versions over time" }, table)];
}

/** Say in plain words how the model did against another one. */
function plainly(each, served) {
  const other = modelName(each.model, served);
  const is = each.low === null || each.low === undefined ? "so far" : each.low > 0 ? "certainly" : each.high < 0 ? "certainly" : "not certainly";
  const times = each.other > 0 && each.candidate > each.other ? `, ${(each.candidate / each.other).toFixed(1)} times as good` : "";
  if (is === "not certainly") return `No certain difference from ${other}: ${metric(each.candidate)} against ${metric(each.other)}.`;
  const better = each.difference >= 0 ? "Better" : "Worse";
  return `${better} than ${other}${times}: ${metric(each.candidate)} against ${metric(each.other)}${is === "certainly" ? ", and not by chance" : ""}.`;
}

/** Return the gate's verdict: the sentence, then what was compared. */
function verdict(gate) {
  if (!gate) return [element("p", { class: "empty" }, "No verdict is stored with this version.")];
  const reasons = gate.reasons ?? [];
  const judged = `on ${gate.metric}, ${counted(gate.visitors, "held-out visitor")}`;
  const sentence = reasons.length ? `Not blessed, ${judged}, and published anyway.` : `Blessed, ${judged}.`;
  const told = reasons.map((reason) => element("li", {}, reason.sentence));
  return [
    element("p", { class: reasons.length ? "verdict failed" : "verdict passed" }, element("span", { "aria-hidden": "true" }, reasons.length ? "✗" : "✓"), " ", sentence),
    element("p", { class: "hint" }, "The gate takes visitors whose next choices were held back, and compares how well each model's lists have them. A model that loses to popular items, or is proven worse than the live model, is not blessed."),
    gate.choice ? element("p", {}, `Which model: ${gate.choice}.`) : null,
    gate.compared?.length ? element("ul", {}, gate.compared.map((each) => element("li", {}, plainly(each, servedModel(gate))))) : null,
    told.length ? element("ul", {}, told) : null,
    gate.compared?.length ? element("details", {}, element("summary", {}, "The numbers of the verdict"), compared(gate)) : null,
  ];
}

/** Make the table of the models that the candidate was compared with. */
function compared(gate) {
  const head = ["Compared with", ...NUMBERS, "Verdict"];
  const rows = gate.compared.map((each) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, modelName(each.model, servedModel(gate))),
      [metric(each.candidate), metric(each.other), metric(each.difference)].map((value) => element("td", { class: "number" }, value)),
      element("td", { class: "number" }, each.low === null ? "–" : `${metric(each.low)} to ${metric(each.high)}`),
      element("td", {}, each.passed ? "passed" : "failed"),
    ),
  );
  const heads = head.map((name) => element("th", { scope: "col", class: NUMBERS.includes(name) && "number" }, name));
  const table = element("table", {}, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows));
  return element("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Comparisons of the gate" }, table);
}
