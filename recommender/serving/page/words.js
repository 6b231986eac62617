// Numbers, times and sources in words. Times are UTC, as in the log.

const SECONDS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

const SOURCES = {
  als: "by the model",
  fold_in: "from the history",
  item_to_item: "goes with the history",
  popular: "popular",
};

/** Return a whole number with its thousands: 12345 -> "12,345". */
export function count(value) {
  return new Intl.NumberFormat("en").format(value);
}

/** Return "1 item", "2 items". */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Return a score with three digits that matter, but no digit before the point is lost: 0.01372 -> "0.0137". */
export function score(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const whole = Number.isInteger(value) || Math.abs(value) >= 100;
  const digits = whole ? { maximumFractionDigits: 0 } : { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
  return new Intl.NumberFormat("en", digits).format(value).replace("-", "−");
}

/** Return what something adds: with its sign. */
export function signed(value) {
  return value > 0 ? `+${score(value)}` : score(value);
}

/** Return a metric: four digits behind the point. */
export function metric(value) {
  return value === null || value === undefined ? "–" : value.toFixed(4).replace("-", "−");
}

/** Return a moment as "2026-11-24 02:18 UTC"; given as ms since epoch, or as text of ISO 8601. */
export function moment(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** Return seconds in the largest unit of which there is one: 7300 -> "2 hours". */
export function duration(seconds) {
  const [unit, size] = SECONDS.find(([, each]) => seconds >= each) ?? SECONDS.at(-1);
  return counted(Math.max(0, Math.floor(seconds / size)), unit);
}

/** Return where an item of a list comes from. */
export function source(name) {
  return SOURCES[name] ?? String(name);
}

/** Name a version: "version 12, run 2026-11-24"; a copied folder has no number. */
export function versionName(version) {
  return version.number ? `version ${count(version.number)}, run ${version.run}` : `run ${version.run}`;
}
