// The version that is served: what it is, how good it was found to be, and how the service does.

import { ask, notReady } from "./api.js";
import { element, facts } from "./dom.js";
import { metricsTable } from "./metrics.js";
import { count, counted, duration, metric, moment, versionName } from "./words.js";

const NUMBERS = ["This model", "The other", "Difference", "95 % interval"];

/** Show the service's status; see `VIEWS` in explorer.js. */
export async function versionView(state, signal) {
  const status = await ask(["status"], {}, signal);
  if (!status.version) return without(status);
  const heading = element("h2", { tabindex: -1 }, "The version that is served");
  const node = element(
    "div",
    {},
    element("section", { class: "card" }, heading, reloadFailure(status), versionFacts(status)),
    element("section", { class: "card" }, element("h3", {}, "Verdict of the gate"), ...verdict(status.gate)),
    element("section", { class: "card" }, element("h3", {}, "Metrics"), metricsTable(status.metrics ?? [])),
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

/** Return the gate's verdict: the sentence, then what was compared. */
function verdict(gate) {
  if (!gate) return [element("p", { class: "empty" }, "No verdict is stored with this version.")];
  const reasons = gate.reasons ?? [];
  const judged = `on ${gate.metric}, ${counted(gate.visitors, "held-out visitor")}`;
  const sentence = reasons.length ? `Not blessed, ${judged}, and published anyway.` : `Blessed, ${judged}.`;
  const told = reasons.map((reason) => element("li", {}, reason.sentence));
  return [
    element("p", { class: reasons.length ? "notice" : "sum" }, sentence),
    told.length ? element("ul", {}, told) : null,
    gate.compared?.length ? compared(gate) : null,
  ];
}

/** Make the table of the models that the candidate was compared with. */
function compared(gate) {
  const head = ["Compared with", ...NUMBERS, "Verdict"];
  const rows = gate.compared.map((each) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, each.model),
      [metric(each.candidate), metric(each.other), metric(each.difference)].map((value) => element("td", { class: "number" }, value)),
      element("td", { class: "number" }, each.low === null ? "–" : `${metric(each.low)} to ${metric(each.high)}`),
      element("td", {}, each.passed ? "passed" : "failed"),
    ),
  );
  const heads = head.map((name) => element("th", { scope: "col", class: NUMBERS.includes(name) && "number" }, name));
  const table = element("table", {}, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, rows));
  return element("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Comparisons of the gate" }, table);
}
