// Ask the service. Addresses are relative to the page, so that both may stand behind a proxy below any path.

const PATIENCE = 15_000; // ms until the service is taken not to answer
const NOT_READY = "NOT_READY";
const TOKEN = "recommender-token";

/** The service did not answer as hoped: an HTTP status (0: no answer), an id, one sentence, and what to do. */
export class Failure extends Error {
  constructor(status, id, sentence) {
    super(asSentence(sentence));
    this.status = status;
    this.id = id;
  }

  get notReady() {
    return this.id === NOT_READY;
  }

  /** Return whether asking again may help. */
  get mayPass() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  get advice() {
    if (this.status === 0) return "Look whether the service runs and you are connected, then try again.";
    if (this.notReady) return "It loads its first version, or is about to stop. This page asks again every few seconds.";
    if (this.status === 401) return "Enter the service's token.";
    if (this.mayPass) return "Wait a moment, then try again. If it goes on, the service's log has the reason.";
    return "Change what you asked for.";
  }
}

/** Return the failure of a service that has no version to answer from. */
export function notReady() {
  return new Failure(503, NOT_READY, "The service is not ready");
}

/** Begin with a capital and end with a full stop. */
function asSentence(text) {
  const trimmed = text.trim();
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** Keep the token that the service asks for, until this tab is closed. */
export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/**
 * Ask for something.
 *
 *     await ask(["visitors", "42", "recommendations"], { k: 10 }, signal)
 *
 * @param {Array<string>} path below /v1, unescaped
 * @param {Object} parameters of the query; null and undefined are left out
 * @param {AbortSignal} signal ends it: the answer is no longer wanted
 * @param {Object} body of a POST; none: a GET
 * @returns {Promise<Object>} the answer
 * @throws {Failure} there is no good answer; a DOMException named AbortError where the signal ended it
 */
export async function ask(path, parameters, signal, body = null) {
  const told = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  const query = new URLSearchParams(told).toString();
  const address = `v1/${path.map(encodeURIComponent).join("/")}`;
  const [status, text] = await fetched(query ? `${address}?${query}` : address, signal, body);
  const answer = parsed(text);
  if (status >= 200 && status < 300 && answer !== null) return answer;
  const { id = `HTTP_${status}`, detail: sentence = `The service answered with status ${status}` } = answer ?? {};
  throw id === NOT_READY ? notReady() : new Failure(status, id, sentence);
}

/**
 * Ask for several things that must come from one version; once more if a new one was taken over in between.
 *
 * @param {Function} asked returns the promise of the answers
 * @param {Function} fit (answers) -> whether they go together
 * @returns {Promise<Array>}
 */
export async function together(asked, fit) {
  const answers = await asked();
  return fit(answers) ? answers : asked();
}

/** Return whether two answers come from the same version. */
export function sameVersion(one, other) {
  return one.version.number === other.version.number && one.version.run === other.version.run;
}

/** Return the status and the text of an answer. */
async function fetched(address, signal, body) {
  const timed = new AbortController();
  const end = () => timed.abort();
  const timer = setTimeout(end, PATIENCE);
  signal.addEventListener("abort", end);
  try {
    signal.throwIfAborted();
    const answer = await fetch(address, { ...sent(body), signal: timed.signal });
    return [answer.status, await answer.text()];
  } catch (failure) {
    signal.throwIfAborted();
    const late = failure.name === "AbortError" ? ` within ${PATIENCE / 1000} seconds` : "";
    throw new Failure(0, "NO_ANSWER", `The service does not answer${late}`);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

/** Return how a request is sent. */
function sent(body) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { Accept: "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  if (body === null) return { headers };
  return { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/** Return what a text says, null where it is no JSON. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
