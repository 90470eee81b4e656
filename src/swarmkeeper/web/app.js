import { el, effect, render, signal, Fragment, useEffect, useRef, useLayoutEffect, useMemo, useState } from "./runtime.js";
// src/main.tsx

// src/state.ts
var session = signal(void 0);
var may = (action) => session.value?.may.includes(action) ?? false;
var ROLES = {
  "task.erase": "",
  task: "client, operator, ",
  bot: "operator, ",
  "kill.manage": "operator, ",
  approval: "approver, ",
  audit: "auditor, ",
  redaction: "auditor, "
};
var rolesFor = (action) => `${ROLES[action] ?? ROLES[action.split(".")[0]] ?? ""}admin`;
var whyNot = (action) => may(action) ? void 0 : `Your role may not ${action}; these may: ${rolesFor(action)}.`;
function kept(name, otherwise) {
  try {
    return localStorage.getItem(`swarmkeeper.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}
function keep(name, value) {
  try {
    localStorage.setItem(`swarmkeeper.${name}`, value);
  } catch {
  }
}
var theme = signal(kept("theme", "system"));
var letters = signal(kept("letters", "on") === "on");
var utc = signal(kept("zone", "local") === "utc");
function keepChoices() {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    keep("theme", theme.value);
  });
  effect(() => keep("letters", letters.value ? "on" : "off"));
  effect(() => keep("zone", utc.value ? "utc" : "local"));
}

// src/words.ts
var TASKS = {
  CREATED: { tone: "wait", word: "created" },
  PLANNED: { tone: "wait", word: "planned" },
  IN_PROGRESS: { tone: "run", word: "in progress" },
  COMPLETED: { tone: "eye", word: "completed" },
  FAILED: { tone: "bad", word: "failed" },
  ARCHIVED: { tone: "ok", word: "archived" }
};
var ITEMS = {
  BLOCKED: { tone: "wait", word: "blocked" },
  READY: { tone: "wait", word: "ready" },
  LEASED: { tone: "run", word: "running" },
  WAITING: { tone: "hold", word: "waits" },
  IN_REVIEW: { tone: "eye", word: "in review" },
  SUCCEEDED: { tone: "ok", word: "done" },
  FAILED: { tone: "bad", word: "failed" },
  CANCELLED: { tone: "plain", word: "cancelled" },
  SKIPPED: { tone: "plain", word: "skipped" }
};
var OUTCOMES = {
  accepted: { tone: "ok", word: "accepted" },
  rejected: { tone: "bad", word: "rejected" },
  failed: { tone: "bad", word: "failed" },
  cancelled: { tone: "plain", word: "cancelled" },
  expired: { tone: "bad", word: "expired" }
};
var plain = (word) => ({ tone: "plain", word: word.toLowerCase().replaceAll("_", " ") });
var lookOfItem = (status) => ITEMS[status] ?? plain(status);
var lookOfEnding = (ending) => ending === "succeeded" ? { tone: "ok", word: "succeeded" } : ["failed", "expired", "timed_out"].includes(ending) ? { tone: "bad", word: ending.replace("_", " ") } : ["deferred", "asked"].includes(ending) ? { tone: "hold", word: ending } : plain(ending);
function lookOfTask(task) {
  if (task.outcome !== null) {
    const outcome = OUTCOMES[task.outcome] ?? plain(task.outcome);
    return task.status === "ARCHIVED" && task.outcome === "accepted" ? { tone: "ok", word: "archived" } : outcome;
  }
  if (task.holds.includes("paused")) return { tone: "hold", word: "paused" };
  if (task.holds.includes("budget")) return { tone: "hold", word: "at its budget" };
  if (task.holds.length) return { tone: "hold", word: "waits for a person" };
  return TASKS[task.status] ?? plain(task.status);
}
var ORDER = ["bad", "hold", "run", "eye", "wait", "plain", "ok"];
var worse = (a, b) => ORDER.indexOf(a) - ORDER.indexOf(b);
function span(ms) {
  const seconds = Math.max(0, ms) / 1e3;
  if (seconds < 1) return `${Math.round(seconds * 1e3)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} m`;
  return `${Math.floor(hours / 24)} d`;
}
var since = (time, now3) => time ? span(now3 - Date.parse(time)) : "–";
var until = (time, now3) => time ? span(Date.parse(time) - now3) : "–";
function moment(time) {
  if (!time) return "–";
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return "–";
  const shown = inZone(at), two = (n) => String(n).padStart(2, "0");
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][shown.getUTCMonth()];
  return `${shown.getUTCDate()} ${month} ${two(shown.getUTCHours())}:${two(shown.getUTCMinutes())}:${two(shown.getUTCSeconds())} ${zone(at)}`;
}
var minutesAhead = (at) => utc.value ? 0 : -at.getTimezoneOffset();
var inZone = (at) => new Date(at.getTime() + minutesAhead(at) * 6e4);
function zone(at) {
  const minutes = minutesAhead(at);
  if (minutes === 0) return "UTC";
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}
function money(micro) {
  if (micro === void 0 || micro === null) return "–";
  const digits = String(Math.trunc(Math.abs(micro))).padStart(7, "0");
  const [whole2, part] = [digits.slice(0, -6), digits.slice(-6)];
  const shown = whole2 === "0" ? part.slice(0, 4).replace(/0{1,2}$/, "") : part.slice(0, 2);
  return `${micro < 0 ? "−" : ""}$${grouped(whole2)}.${shown.padEnd(2, "0")}`;
}
var grouped = (digits) => String(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
var safe = (text) => text.replace(
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
  (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`
);
var shortId = (id2) => id2.replace(/\b([a-z]{3})_[0-9A-Za-z]{14,}([0-9A-Za-z]{6})\b/g, "$1_…$2");
var EXACT = "";
var INTEGERS = new RegExp(`"${EXACT}(-?\\d+)"`, "g");
function head(value, max = 64 * 1024) {
  const text = typeof value === "string" ? value.replace(new RegExp(`^${EXACT}`), "") : (JSON.stringify(value, null, 2) ?? "null").replace(INTEGERS, "$1");
  return text.length > max ? { text: safe(text.slice(0, max)), cut: true } : { text: safe(text), cut: false };
}
var counted = (n, what) => `${grouped(n)} ${what}${n === 1 ? "" : "s"}`;
var VERDICTS = { accept: "ok", rework: "hold", reject: "bad" };
var lookOfVerdict = (decision) => ({ tone: VERDICTS[decision] ?? "plain", word: safe(decision) });
function together(items, like2) {
  const found2 = /* @__PURE__ */ new Map();
  for (const each of items) {
    const name = like2(each), there = found2.get(name);
    if (there) there.push(each);
    else found2.set(name, [each]);
  }
  return found2;
}
var near = (items, at) => items[Math.max(0, Math.min(at, items.length - 1))];

// src/api.ts
var ApiError = class extends Error {
  constructor(status, code, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
  status;
  code;
  retryAfter;
  get signedOut() {
    return this.status === 401;
  }
  get forbidden() {
    return this.status === 403;
  }
  /** Whether the server, or the way to it, is in trouble: the same call may succeed later. */
  get disconnected() {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
};
var BASE = new URL("../", document.baseURI);
var TIMEOUT_MS = 2e4;
async function call(method, path, asked2 = {}) {
  const url = new URL(`./${path}`, BASE);
  for (const [name, value] of Object.entries(asked2.query ?? {})) {
    if (value === void 0 || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(each));
  }
  const headers = { accept: "application/json", ...asked2.headers };
  if (method !== "GET") headers["content-type"] = "application/json";
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
      signal: stop.signal,
      ...method === "GET" || method === "DELETE" ? {} : { body: JSON.stringify(asked2.body ?? {}) }
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server does not answer.");
  } finally {
    clearTimeout(timer);
  }
  const etag = response.headers.get("etag") ?? "";
  if (response.status === 304 || response.status === 204) return { status: response.status, body: void 0, etag };
  let body;
  try {
    if (asked2.bytes && response.ok) return { status: response.status, body: new Uint8Array(await response.arrayBuffer()), etag };
    const said2 = await response.text();
    body = asked2.text && response.ok ? said2 : exactly(said2);
  } catch {
    throw new ApiError(response.ok ? 0 : response.status, "unreadable", "The answer is not from this API: is a proxy in between?");
  }
  if (!response.ok) {
    const problem2 = body;
    const after = Number(response.headers.get("retry-after")) || 0;
    throw new ApiError(response.status, problem2.code ?? "error", problem2.detail ?? problem2.title ?? "The call was refused.", after);
  }
  return { status: response.status, body, etag };
}
function exactly(text) {
  return JSON.parse(/\d{16}/.test(text) ? text.replace(/"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g, (found2) => found2[0] === '"' || Number.isSafeInteger(Number(found2)) ? found2 : `"${EXACT}${found2}"`) : text);
}
var get = async (path, query) => (await call("GET", path, query ? { query } : {})).body;
async function act(path, body = {}) {
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return (await call("POST", path, { body, headers: { "idempotency-key": key } })).body;
}
var id = encodeURIComponent;
var api = {
  session: () => get("session"),
  signIn: async (credential) => {
    const headers = credential.includes(".") ? { authorization: `Bearer ${credential}` } : { "x-api-key": credential };
    return (await call("POST", "session", { headers })).body;
  },
  redeem: async (token2) => (await call("POST", "session:redeem", { headers: { authorization: `Bearer ${token2}` } })).body,
  signOut: () => call("DELETE", "session"),
  /** Return the task with its explanation; null if it has not changed since the answer with this ETag. */
  task: async (task, etag = "") => {
    const answer = await call("GET", `tasks/${id(task)}`, {
      query: { explain: true },
      headers: etag ? { "if-none-match": etag } : {}
    });
    return answer.status === 304 ? null : { task: answer.body, etag: answer.etag };
  },
  subtask: (task, key) => get(`tasks/${id(task)}/subtasks/${id(key)}`),
  steer: (task, verb, reason = "") => act(`tasks/${id(task)}:${verb}`, reason ? { reason } : {}),
  approval: (approval) => get(`approvals/${id(approval)}`),
  approve: (approval, comment) => act(`approvals/${id(approval.id)}:approve`, { subject_hash: approval.subject_hash, ...comment ? { comment } : {} }),
  reject: (approval, reason) => act(`approvals/${id(approval.id)}:reject`, { reason }),
  answer: (approval, answer) => act(`approvals/${id(approval.id)}:answer`, { answer }),
  needed: () => get("approvals", { order: "expires", page_size: 100 }),
  queuesSeen: () => get("queues", { page_size: 100 }),
  rows: (query) => get("tasks", { view: "row", ...query }),
  explain: (task) => get(`tasks/${id(task)}:explain`),
  searched: (q) => get("tasks", { q, view: "row", page_size: 8 })
};
async function whole(path, pages2) {
  const items = [];
  let token2 = "";
  for (let page = 0; page < pages2; page++) {
    const found2 = await get(path, { page_size: 500, page_token: token2 });
    items.push(...found2.items);
    token2 = found2.next_page_token;
    if (!token2) break;
  }
  return { items, more: token2 !== "" };
}
var lists = {
  rows: (filter, pageSize, pageToken) => get("tasks", { ...filter, view: "row", page_size: pageSize, page_token: pageToken }),
  count: ({ order_by: _, ...filter }) => get("tasks:count", filter),
  labels: (key) => get("tasks:labels", { key, page_size: 500 }),
  bulk: (action, of, dryRun, reason = "") => act("tasks:bulk", { action, ...of, dry_run: dryRun, ...reason ? { reason } : {} }),
  /** How far an operation is, and what was refused first. */
  operation: (operation) => get(`operations/${id(operation)}`, { outcome: "refused", page_size: 100 }),
  bots: () => whole("bots", 4),
  leases: (bot) => get(`bots/${id(bot)}/leases`, { page_size: 200 }),
  steerBot: (bot, verb) => act(`bots/${id(bot)}:${verb}`),
  kills: () => get("kills", { page_size: 500 }),
  kill: async (body) => (await call("PUT", "kills", { body })).body,
  lift: (kill) => call("DELETE", `kills/${id(kill)}`),
  costsByBot: () => get("costs", { by: "bot" }),
  queues: () => whole("queues", 4)
};

// src/frame.tsx

// src/keys.ts
var layers = [];
var help = signal(false);
var pending = "";
var pendingTimer = 0;
function useKeys(keys, alone = false) {
  const layer = useRef({ keys, alone }).current;
  layer.keys = keys;
  layer.alone = alone;
  useLayoutEffect(() => {
    layers.push(layer);
    return () => {
      layers.splice(layers.indexOf(layer), 1);
    };
  }, []);
}
function listed() {
  const seen = /* @__PURE__ */ new Map();
  for (const layer of [...layers].reverse()) {
    for (const [keys, each] of Object.entries(layer.keys)) if (each.does && !seen.has(keys)) seen.set(keys, { keys, ...each });
  }
  return [...seen.values()];
}
function find(keys) {
  const alone = layers.filter((layer) => layer.alone).at(-1);
  if (alone) return alone.keys[keys]?.run;
  return layers.filter((layer) => layer.keys[keys]).at(-1)?.keys[keys].run;
}
var typesInto = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) && !(target instanceof HTMLInputElement && target.type === "checkbox"));
function listen() {
  addEventListener("keydown", (event) => {
    if (event.altKey || event.defaultPrevented) return;
    if (event.ctrlKey || event.metaKey) {
      if (!event.shiftKey) run(`Ctrl ${event.key}`, event);
      return;
    }
    const key = event.key === " " ? "Space" : event.key;
    if (key === "Escape") {
      run("Escape", event);
      return;
    }
    if (typesInto(event.target)) return;
    if ((key === "Enter" || key === "Space") && event.target instanceof Element && event.target.closest("a, button, summary, input, [role=button]")) return;
    if (key.length === 1 && !letters.value) return;
    const keys = pending ? `${pending} ${key}` : key;
    pending = "";
    clearTimeout(pendingTimer);
    if (run(keys, event)) return;
    if (layers.some((layer) => Object.keys(layer.keys).some((each) => each.startsWith(`${key} `)))) {
      pending = key;
      pendingTimer = setTimeout(() => {
        pending = "";
      }, 1500);
    }
  });
}
function run(keys, event) {
  const action = find(keys);
  if (!action) return false;
  event.preventDefault();
  action();
  return true;
}

// src/live.ts

// src/stream.ts
var PAUSES_S = [1, 2, 4, 8, 15, 30];
var SILENT_MS = 45e3;
var ENDED = [401, 403];
var Stream = class {
  constructor(address2, tell) {
    this.address = address2;
    this.tell = tell;
  }
  address;
  tell;
  cursor = "";
  failures = 0;
  timer = 0;
  stop;
  /** Begin, or try again at once. */
  begin() {
    clearTimeout(this.timer);
    if (!this.stop) void this.follow();
  }
  /** End; the next time begins with how things are then. */
  end() {
    clearTimeout(this.timer);
    this.stop?.abort();
    this.stop = void 0;
    this.cursor = "";
    this.failures = 0;
  }
  async follow() {
    const stop = this.stop = new AbortController();
    let status = 0, silent = 0;
    const heard = () => {
      clearTimeout(silent);
      silent = setTimeout(() => stop.abort(), SILENT_MS);
    };
    try {
      heard();
      const headers = { accept: "text/event-stream" };
      if (this.cursor) headers["last-event-id"] = this.cursor;
      const response = await fetch(this.address, { headers, cache: "no-store", credentials: "same-origin", redirect: "error", signal: stop.signal });
      status = response.status;
      if (response.ok && response.body && this.stop === stop) {
        this.tell({ live: true });
        const reader2 = response.body.pipeThrough(new TextDecoderStream()).getReader();
        const messages = new Messages((data) => {
          if (this.stop === stop) this.changed(JSON.parse(data));
        });
        for (; ; ) {
          const { done, value } = await reader2.read();
          if (done || this.stop !== stop) break;
          heard();
          this.failures = 0;
          messages.add(value);
        }
      } else if (status === 400 && this.stop === stop) {
        this.cursor = "";
      }
    } catch {
    } finally {
      clearTimeout(silent);
    }
    if (this.stop !== stop) return;
    this.stop = void 0;
    const ended3 = ENDED.includes(status);
    const pause = 1e3 * PAUSES_S[Math.min(this.failures++, PAUSES_S.length - 1)];
    this.tell({ live: false, status: status < 400 ? 0 : status, retryAt: ended3 ? 0 : Date.now() + pause });
    if (!ended3) this.timer = setTimeout(() => this.begin(), pause);
  }
  changed(change) {
    this.cursor = change.cursor;
    this.tell({ change });
  }
};
var Messages = class {
  constructor(found2) {
    this.found = found2;
  }
  found;
  rest = "";
  add(piece) {
    const whole2 = (this.rest + piece).split(/\r?\n\r?\n/);
    this.rest = whole2.pop();
    for (const message of whole2) {
      const data = message.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, ""));
      if (data.length) this.found(data.join("\n"));
    }
  }
};

// src/live.ts
var EVERY_MS = 3e3;
var SELDOM_MS = 6e4;
var REFUSED_MS = 1e4;
var GAP_MS = 500;
var LONG_GAP_MS = 2e3;
var SLOW_READ_MS = 100;
var BUSY_TASKS = 10;
var TOGETHER_MS = 600;
var PAUSES_S2 = [1, 2, 4, 8, 15, 30];
var SKELETON_AFTER_MS = 150;
var connection = signal({ live: true, failures: 0, retryAt: 0 });
var streaming = signal(false);
var counts = signal(null);
var approvalsOpen = signal(null);
var listeners = /* @__PURE__ */ new Set();
var ask;
var lost = false;
function hear(told) {
  if ("change" in told) {
    const { change } = told;
    counts.value = change.counts;
    approvalsOpen.value = change.approvals_open;
    if (change.tasks.length || change.also.length) for (const listener of [...listeners]) listener(change);
  } else if (told.live) {
    streaming.value = true;
    answered();
    for (const listener of [...listeners]) listener(lost ? "all" : "live");
    lost = false;
  } else {
    streaming.value = false;
    lost = told.status !== 401;
    if (told.status === 401) session.value = null;
    else for (const listener of [...listeners]) listener("all");
  }
}
function followChanges() {
  if (!ask) {
    const worker = sharedWorker();
    if (worker) {
      worker.port.onmessage = ({ data }) => hear(data);
      ask = (asked2) => worker.port.postMessage(asked2);
      addEventListener("pagehide", () => ask("bye"));
      addEventListener("pageshow", (event) => {
        if (event.persisted) ask("begin");
      });
    } else {
      const stream = new Stream(new URL("../changes", document.baseURI).href, hear);
      ask = (asked2) => asked2 === "begin" ? stream.begin() : stream.end();
    }
  }
  ask("begin");
}
function stopFollowing() {
  ask?.("end");
  streaming.value = false;
  counts.value = approvalsOpen.value = null;
}
function tryNow() {
  ask?.("begin");
  for (const listener of [...listeners]) listener("all");
}
function sharedWorker() {
  try {
    return new SharedWorker(scriptUrl("worker.js"), { type: "module", name: "swarmkeeper" });
  } catch {
    return void 0;
  }
}
var policy;
function scriptUrl(name) {
  const url = new URL(name, document.baseURI).href;
  const types = globalThis.trustedTypes;
  policy ??= types?.createPolicy("swarmkeeper", { createScriptURL: (text) => text });
  return policy ? policy.createScriptURL(url) : url;
}
var pending2 = signal(0);
var ofTask = (task) => (change) => change.tasks === "many" || change.tasks.includes(task);
var ofTasks = (change) => change.tasks === "many" || change.tasks.length > 0;
var ofAlso = (...kinds) => (change) => change.also.some((each) => kinds.includes(each));
function useRead(key, read2, options = {}) {
  const made = useMemo(() => reader(read2, options), [key]);
  useEffect(() => {
    made.begin();
    return made.end;
  }, [made]);
  return made;
}
function reader(read2, { on = () => true, every = EVERY_MS, seldom = SELDOM_MS, gap: least = GAP_MS }) {
  const state = signal({ data: void 0, error: void 0, slow: false, at: 0 });
  let timer = 0, due = 0, ended3 = false, reading;
  let busy = false;
  let missed = false;
  let gap = least, readAt = 0;
  function plan(pause) {
    const at = Date.now() + pause;
    if (ended3 || timer && due <= at) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(() => {
      timer = 0;
      void again();
    }, pause);
  }
  async function once2() {
    clearTimeout(timer);
    timer = 0;
    missed = false;
    const begun = readAt = Date.now(), first = state.peek().at === 0 && !state.peek().error;
    if (first) pending2.value++;
    const slow = setTimeout(() => {
      state.value = { ...state.value, slow: true };
    }, SKELETON_AFTER_MS);
    let pause = streaming.peek() ? seldom : every;
    try {
      const data = await read2(state.peek().data);
      if (!ended3) state.value = { data, error: void 0, slow: false, at: Date.now() };
      answered();
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError(-1, "fault", String(thrown));
      if (error.signedOut) session.value = null;
      pause = failed(error, every);
      if (!ended3) state.value = { ...state.value, error, slow: false };
    } finally {
      clearTimeout(slow);
      if (first) pending2.value--;
      reading = void 0;
    }
    gap = Math.max(least, Date.now() - begun > SLOW_READ_MS ? LONG_GAP_MS : GAP_MS);
    plan(missed ? Math.min(pause, busy ? LONG_GAP_MS + TOGETHER_MS : gap) : pause);
  }
  function again() {
    if (ended3) return Promise.resolve();
    if (document.hidden) {
      missed = true;
      return Promise.resolve();
    }
    reading ??= once2();
    return reading;
  }
  function heard(change) {
    if (change === "live" && !state.peek().error && (reading || timer && due - Date.now() <= every)) return;
    const told = typeof change === "object";
    if (told && !on(change)) return;
    missed = true;
    busy = told && (change.tasks === "many" || change.tasks.length > BUSY_TASKS);
    if (busy) gap = Math.max(least, LONG_GAP_MS);
    const left = readAt + gap - Date.now();
    if (!reading) plan(left <= 0 ? 0 : busy ? left + TOGETHER_MS : left);
  }
  const shown = () => {
    if (!document.hidden && (missed || !streaming.peek())) void again();
  };
  const online = () => void again();
  return {
    state,
    /** Read again, after what was done meanwhile. */
    again: async () => {
      await reading;
      await again();
    },
    begin: () => {
      listeners.add(heard);
      document.addEventListener("visibilitychange", shown);
      addEventListener("online", online);
      void again();
    },
    end: () => {
      ended3 = true;
      clearTimeout(timer);
      listeners.delete(heard);
      document.removeEventListener("visibilitychange", shown);
      removeEventListener("online", online);
    }
  };
}
function answered() {
  if (!connection.peek().live) connection.value = { live: true, failures: 0, retryAt: 0 };
}
function failed(error, every) {
  if (!error.disconnected) return Math.max(every, REFUSED_MS, error.retryAfter * 1e3);
  const { failures: failures2, retryAt } = connection.peek();
  const left = retryAt - Date.now();
  if (left > 0) return left;
  const pause = 1e3 * Math.max(error.retryAfter, PAUSES_S2[Math.min(failures2, PAUSES_S2.length - 1)]);
  connection.value = { live: false, failures: failures2 + 1, retryAt: Date.now() + pause };
  return pause;
}
var now = signal(Date.now());
function tick() {
  setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, 1e3);
}
var said = signal("");
function say(text) {
  said.value = said.peek() === text ? `${text} ` : text;
}

// src/parts.tsx
var GLYPHS = {
  ok: el("path", { d: "M3 8.5 6.5 12 13 4.5" }),
  bad: el("path", { d: "M4 4l8 8M12 4l-8 8" }),
  run: el("circle", { cx: "8", cy: "8", r: "5", class: "filled" }),
  wait: el("circle", { cx: "8", cy: "8", r: "5" }),
  hold: el("path", { d: "M5.5 3v10M10.5 3v10" }),
  eye: el(Fragment, null, el("path", { d: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8Z" }), el("circle", { cx: "8", cy: "8", r: "1.8" })),
  plain: el("path", { d: "M4 8h8" })
};
var Glyph = ({ tone }) => el("svg", { class: `glyph tone-${tone}`, viewBox: "0 0 16 16", width: "14", height: "14", "aria-hidden": "true" }, GLYPHS[tone]);
var State = ({ look }) => el("span", { class: `state tone-${look.tone}` }, el(Glyph, { tone: look.tone }), " ", look.word);
function Progress({ done, total, failed: failed2 = 0, use }) {
  const part = (n) => total ? 100 * Math.min(n, total) / total : 0;
  return el("span", { class: "progress" },
  el("svg", { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
  el("rect", { class: "track", width: "100", height: "6" }),
  el("rect", { class: use ? "load" : "done", width: part(done), height: "6" }),
  el("rect", { class: "failed", x: part(done), width: part(failed2), height: "6" })), total ? `${done}/${total}` : "–");
}
var Labels = ({ labels }) => el(Fragment, null, Object.entries(labels).map(([name, value]) => el("span", { class: "label", key: name }, safe(name), ":", safe(value))));
function Command({ text }) {
  const code = useRef(null);
  const [copied, setCopied] = useState(false);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      say("Copied.");
      setTimeout(() => setCopied(false), 1500);
    } catch {
      if (code.current) getSelection()?.selectAllChildren(code.current);
      say("Selected: copy it with the keys of your system.");
    }
  }
  return el("span", { class: "command" },
  el("code", { ref: code }, safe(text)),
  el("button", { type: "button", class: "small", onClick: () => void copy(), "aria-label": `Copy: ${text}` }, copied ? "copied" : "copy"));
}
var Key = ({ children }) => el("kbd", null, children);
function When({ time }) {
  return time ? el("time", { dateTime: time, title: time }, moment(time)) : el(Fragment, null, "–");
}
function Ago({ time }) {
  return time ? el("time", { dateTime: time, title: moment(time) }, span(now.value - Date.parse(time))) : el(Fragment, null, "–");
}
var Skeleton = ({ rows }) => el("div", { class: "skeleton", "aria-hidden": "true" }, Array.from({ length: rows }, (_, row) => el("i", { key: row, class: `w${row * 7 % 4}` })));
function Trouble({ read: read2, what }) {
  if (read2.error) return el(Refused, { error: read2.error, what, stale: read2.data !== void 0, at: read2.at });
  if (read2.data === void 0 && read2.slow) return el(Fragment, null,
  el("p", { class: "hidden-text", role: "status" }, "Reading ", what, "."),
  el(Skeleton, { rows: 8 }));
  return null;
}
function Refused({ error, what, stale, at }) {
  if (error.disconnected && stale) return null;
  return el("div", { class: `trouble ${error.forbidden ? "forbidden" : ""}`, role: "alert" },
  el("strong", null, error.forbidden ? `You may not see ${what}.` : error.status === 404 ? `${what.replace("the ", "No such ").replace(/s$/, "")}.` : `${what[0].toUpperCase()}${what.slice(1)} cannot be read.`), " ", safe(error.message), " ",
  el("code", null, error.code), stale && el(Fragment, null, " What is below was read ",
  el(When, { time: new Date(at).toISOString() }), "."));
}
var NotDone = ({ error }) => el("div", { class: "trouble", role: "alert" },
el("strong", null, "Not done."), " ", safe(error.message), " ",
el("code", null, error.code));
function Disconnected() {
  if (connection.value.live) return null;
  const left = Math.max(0, Math.ceil((connection.value.retryAt - now.value) / 1e3));
  return el("div", { class: "disconnected" },
  el(Glyph, { tone: "bad" }), " The server does not answer. ", left > 0 ? `Next try in ${left} s.` : "Trying now.", " Actions are off until then.", " ",
  el("button", { type: "button", class: "small", onClick: tryNow }, "Try now"));
}
function Act({ action, run: run2, submits, children, kind, busy, keys }) {
  const why = whyNot(action);
  return el("button", { type: submits ? "submit" : "button", class: kind ?? "quiet", disabled: Boolean(why || busy) || !connection.value.live, title: why, "data-action": action, onClick: run2, "aria-keyshortcuts": keys?.toUpperCase() }, children, keys && el(Key, null, keys));
}
function Value({ value, name }) {
  const [whole2, setWhole] = useState(false);
  const shown = head(value, whole2 ? 1 << 20 : 16 * 1024);
  return el("div", { class: "value" },
  el("pre", { tabIndex: 0, role: "region", "aria-label": name }, shown.text), shown.cut && !whole2 && el("button", { type: "button", class: "small", onClick: () => setWhole(true) }, "Show more"));
}
function Dialog({ title, close, children, bare: bare2, ahead: ahead2 }) {
  const box = useRef(null);
  useKeys({ Escape: { does: "", run: close } }, true);
  useLayoutEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return el(
    "dialog",
    {
      ref: box,
      class: bare2 ? "bare" : "",
      "aria-label": title,
      onCancel: (event) => {
        event.preventDefault();
        close();
      },
      onClick: (event) => {
        if (event.target === box.current) close();
      },
      onKeyDown: (event) => {
        if (ahead2 && event.target === box.current && event.key.length === 1 && !event.ctrlKey && !event.metaKey) ahead2(event.key);
      }
    },
    !bare2 && el("header", null, el("h2", null, title), el("button", { type: "button", class: "small", onClick: close }, "Close")),
    children
  );
}
function useAct() {
  const [busy, setBusy] = useState(false), [problem2, setProblem] = useState(null);
  async function run2(what, done) {
    if (busy) return void 0;
    setBusy(true);
    setProblem(null);
    try {
      const answer = await what();
      if (done) say(done);
      return answer;
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError(-1, "fault", String(thrown));
      setProblem(error);
      say(error.message);
      return void 0;
    } finally {
      setBusy(false);
    }
  }
  return { busy, problem: problem2, run: run2 };
}
var Fact = ({ name, children }) => el("div", null, el("dt", null, name), el("dd", null, children));
var Table = ({ name, columns, caption, children }) => el("div", { class: "scroll-x", tabIndex: 0, role: "region", "aria-label": name },
el("table", null, caption && el("caption", null, caption),
el("thead", null,
el("tr", null, columns.map((each, at) => each ? el("th", { scope: "col", key: at, class: each[0] === "#" ? "num" : "" }, each.replace("#", "")) : el("td", { key: at })))),
el("tbody", null, children)));
var NothingFits = ({ title, drops, children }) => el("div", { class: "empty" },
el("h2", null, title), children,
el("p", { class: "acts" }, drops.map(({ name, drop }) => el("button", { type: "button", class: "small", key: name, onClick: drop }, "Drop ", safe(name)))));
var drafts = /* @__PURE__ */ new Map();
function useDraft(name) {
  const key = `${session.value?.key_id} ${name}`;
  const [text, setText] = useState(drafts.get(key) ?? "");
  return [text, (next) => {
    drafts.set(key, next);
    setText(next);
  }];
}

// src/route.ts
function parse(hash) {
  const text = hash.replace(/^#\/?/, "");
  const at = text.indexOf("?");
  const path = (at < 0 ? text : text.slice(0, at)).split("/").filter(Boolean).map(decoded);
  return { path, query: new URLSearchParams(at < 0 ? "" : text.slice(at + 1)) };
}
function written(path, query) {
  const rest = new URLSearchParams(query).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${rest ? `?${rest}` : ""}`;
}
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
var now2 = () => typeof location === "undefined" ? "" : location.hash;
var route = signal(parse(now2()));
function follow() {
  addEventListener("hashchange", () => {
    route.value = parse(now2());
  });
}
function go(to, replace = false) {
  if (replace) history.replaceState(null, "", to);
  else location.hash = to;
  route.value = parse(to);
}
var asked = (name) => route.value.query.get(name) ?? "";
function address(changes) {
  const query = new URLSearchParams(route.value.query);
  for (const [name, value] of Object.entries(changes)) if (value) query.set(name, value);
  else query.delete(name);
  return written(route.value.path, query);
}
var put = (changes, replace = true) => go(address(changes), replace);

// src/frame.tsx
var PAGES = [
  { path: "inbox", name: "Inbox", keys: "g i" },
  { path: "tasks", name: "Tasks", keys: "g t" },
  { path: "bots", name: "Bots", keys: "g b" },
  { path: "queues", name: "Queues", keys: "g q" },
  { path: "evaluations", name: "Evaluations", keys: "g e" },
  { path: "costs", name: "Costs", keys: "g c" },
  { path: "audit", name: "Audit", keys: "g a" },
  { path: "simulate", name: "Simulate", keys: "g m" },
  { path: "settings", name: "Settings", keys: "g s" }
];
var THEMES = {
  system: { next: "light", sign: "◐" },
  light: { next: "dark", sign: "○" },
  dark: { next: "system", sign: "●" }
};
var CTRL = /Mac|iP/.test(navigator.platform) ? "⌘" : "Ctrl";
var palette = signal(null);
var ahead = signal("");
async function signOut() {
  try {
    await api.signOut();
  } finally {
    session.value = null;
  }
}
function Frame({ pages: pages2, page, id: id2, children }) {
  const who = session.value;
  const open = () => {
    ahead.value = "";
    palette.value = listed().filter(({ keys }) => !/^(g |Ctrl|Escape)/.test(keys));
  };
  useKeys({
    "Ctrl k": { does: "search, or run a command", run: open },
    ...Object.fromEntries(pages2.map((each) => [each.keys, { does: `go to ${each.name}`, run: () => go(`#/${each.path}`) }])),
    "?": { does: "show the keys", run: () => {
      help.value = true;
    } }
  });
  const name = pages2.find(({ path }) => path === page)?.name ?? "Not here";
  const count = approvalsOpen.value, { live } = connection.value;
  useTold(`${name}${id2 ?? ""}`, () => id2 ? "" : name);
  useTold(live, () => live ? "Live again." : "Connection lost. Actions are off.");
  useTold(count, (before) => count === null || before === null ? "" : count === 0 ? "Nothing needs you." : `${needs(count)} you.`);
  useEffect(() => {
    document.title = `${count ? `(${count}) ` : ""}${name}${id2 ? ` ${id2}` : ""} · swarmkeeper`;
  }, [count, name, id2]);
  const here = useRef(null);
  useEffect(() => here.current?.scrollIntoView({ block: "nearest", inline: "nearest" }), [page]);
  const next = THEMES[theme.value];
  return el("div", { class: "frame" }, el("a", { class: "skip", href: "#main", onClick: (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  } }, "Skip to the content"),
  el("nav", { class: "rail", "aria-label": "Pages" },
  el("a", { class: "brand", href: "#/inbox" }, "swarmkeeper"),
  el("ul", null, pages2.map((each) => el("li", { key: each.path },
  el("a", { href: `#/${each.path}`, ...page === each.path ? { "aria-current": "page", ref: here } : {} }, each.name, each.path === "inbox" && Boolean(count) && el("span", { class: "badge", "aria-label": `${needs(count)} you` }, count))))),
  el("div", { class: "who" },
  el("span", null, safe(who.person_name ?? who.owner ?? `key …${who.key_id.slice(-5)}`), " · ", who.role),
  el("span", null, "tenant ", safe(who.tenant)),
  el("button", { type: "button", class: "small", onClick: () => void signOut() }, "Sign out"))),
  el("header", { class: "top" },
  el("div", { class: "crumb" }, id2 ? el(Fragment, null,
  el("a", { href: `#/${page}` }, name), " / ",
  el("code", null, safe(id2))) : name),
  el("button", { type: "button", class: "search", onClick: open, "aria-keyshortcuts": "Control+K", "aria-haspopup": "dialog" },
  el("svg", { viewBox: "0 0 16 16", width: "14", height: "14", "aria-hidden": "true" },
  el("circle", { cx: "7", cy: "7", r: "4.5" }),
  el("path", { d: "M10.5 10.5 14 14" })),
  el("span", null, "Search or run a command"),
  el(Key, null, CTRL, " K")),
  el("span", { class: `dot ${live ? "live" : "lost"}` }, !live ? "no answer" : streaming.value ? "live" : "each 3 s"),
  el("button", { type: "button", class: "small zone", onClick: () => {
    utc.value = !utc.value;
  }, "aria-label": `Times in ${utc.value ? "UTC" : "local time"}. Change to ${utc.value ? "local time" : "UTC"}` }, utc.value ? "UTC" : zone(new Date(now.value))),
  el("button", { type: "button", class: "small", onClick: () => {
    help.value = true;
  }, "aria-label": "Keys" }, "?"), el("button", { type: "button", class: "small", onClick: () => {
    theme.value = next.next;
  }, "aria-label": `Theme: ${theme.value}. Change to ${next.next}` }, next.sign)),
  el("main", { id: "main", tabIndex: -1, "aria-busy": pending2.value > 0 },
  el(Disconnected, null), children),
  el("p", { class: "hidden-text", role: "status", "aria-live": "polite" }, said), help.value && el(Help, null));
}
var needs = (count) => count === 1 ? "1 needs" : `${count} need`;
function useTold(value, text) {
  const before = useRef(value);
  useEffect(() => {
    const told = before.current !== value && text(before.current);
    before.current = value;
    if (told) say(told);
  }, [value]);
}
function Help() {
  const keys = listed();
  const close = () => {
    help.value = false;
  };
  return el(Dialog, { title: "Keys", close },
  el("dl", { class: "keys" }, keys.map(({ keys: each, does }) => el("div", { key: each },
  el("dt", null, each.split(" ").map((key) => el(Key, { key }, key))),
  el("dd", null, does)))),
  el("label", { class: "choice" },
  el("input", { type: "checkbox", checked: letters.value, onChange: (event) => {
    letters.value = event.currentTarget.checked;
  } }), " single letters are keys"), el("label", { class: "choice" }, el("input", { type: "checkbox", checked: utc.value, onChange: (event) => {
    utc.value = event.currentTarget.checked;
  } }), " times in UTC"));
}

// src/later.tsx
function later(load, name) {
  const found2 = signal(void 0);
  const failed2 = signal(false);
  let loading = false;
  async function begin2() {
    loading = true;
    failed2.value = false;
    pending2.value++;
    try {
      found2.value = (await load())[name];
    } catch {
      failed2.value = true;
      loading = false;
    } finally {
      pending2.value--;
    }
  }
  return function Later(props) {
    const Found = found2.value;
    if (Found) return el(Found, { ...props });
    if (failed2.value) {
      return el("div", { class: "trouble", role: "alert" },
      el("strong", null, "This page cannot be loaded."), " The server does not answer, or was upgraded.", " ",
      el("button", { type: "button", class: "small", onClick: () => void begin2() }, "Try again"), " ",
      el("button", { type: "button", class: "small", onClick: () => location.reload() }, "Reload all"));
    }
    if (!loading) void begin2();
    return el(Skeleton, { rows: 8 });
  };
}

// src/pages/inbox.tsx

// src/query.ts
var STATUSES = ["CREATED", "PLANNED", "IN_PROGRESS", "COMPLETED", "FAILED", "ARCHIVED"];
var OUTCOMES2 = ["accepted", "rejected", "failed", "cancelled", "expired"];
var SORTS = { newest: "-created_at", oldest: "created_at", priority: "priority" };
var NAMES = ["status", "outcome", "label", "skill", "error", "after", "before", "sort"];
var TOKEN = /(?:"[^"]*"?|[^ \t\r\n\u00a0"])+/g;
var TIME = /^((?:19|20)\d\d)-(\d\d)-(\d\d)(T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?$/;
var FIRST_TASK = "swarmkeeper submit Hello --skill greeting --no-review";
function understood(line) {
  const filter = { q: "", status: [], outcome: [], label: [], skill: [], order_by: "-created_at" };
  const problems = [], words = [], seen = /* @__PURE__ */ new Set();
  for (const raw of tokens(line)) {
    const word = bare(raw), at = word.indexOf(":");
    if (raw.startsWith('"') || at < 0) words.push(word);
    else {
      const problem2 = take(filter, word.slice(0, at).toLowerCase(), word.slice(at + 1), seen);
      if (problem2) problems.push(`${word}: ${problem2}`);
    }
  }
  filter.q = words.filter(Boolean).join(" ");
  if (filter.q && filter.order_by === "priority") {
    problems.push("sort:priority: tasks with words in their titles are sorted by time");
    filter.order_by = "-created_at";
  }
  return { filter, problems };
}
function take(filter, name, value, seen) {
  if (["after", "before", "sort"].includes(name)) {
    if (seen.has(name)) return `${name}: is there already`;
    seen.add(name);
  }
  switch (name) {
    case "status":
      return anyOf(filter.status, value.toUpperCase().replaceAll("-", "_"), STATUSES, "a status");
    case "outcome":
      return anyOf(filter.outcome, value.toLowerCase(), OUTCOMES2, "an outcome");
    case "label": {
      const sign = value.indexOf(value.includes("=") ? "=" : ":");
      if (sign < 1) return "a label is written as label:name=value";
      once(filter.label, `${value.slice(0, sign)}:${value.slice(sign + 1)}`);
      return void 0;
    }
    case "skill":
      if (!value) return "a skill is written as skill:name";
      once(filter.skill, value);
      return void 0;
    case "error":
      if (!value) return "words of an error are written as error:word";
      filter.error = filter.error ? `${filter.error} ${value}` : value;
      return void 0;
    case "after":
    case "before": {
      const time = moment2(value);
      if (!time) return "a time is written as 2026-11-29 or 2026-11-29T06:00Z";
      filter[`created_${name}`] = time;
      return void 0;
    }
    case "sort": {
      const order = Object.hasOwn(SORTS, value.toLowerCase()) ? SORTS[value.toLowerCase()] : void 0;
      if (!order) return `sort by ${Object.keys(SORTS).join(", ")}`;
      filter.order_by = order;
      return void 0;
    }
    default:
      return `write ${NAMES.map((each) => `${each}:`).join(", ")} or, to search for it in titles, put it in quotes`;
  }
}
function anyOf(chosen, value, allowed, what) {
  if (!allowed.includes(value)) return `${what} is one of ${allowed.join(", ").toLowerCase()}`;
  once(chosen, value);
  return void 0;
}
function once(values, value) {
  if (!values.includes(value)) values.push(value);
}
function moment2(text) {
  const found2 = TIME.exec(text);
  if (!found2) return void 0;
  const [, year, month, day, rest] = found2;
  const noon = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day), 12));
  if (noon.getUTCMonth() !== Number(month) - 1 || noon.getUTCDate() !== Number(day)) return void 0;
  return new Date(rest ? text : `${text}T00:00:00`).toISOString();
}
var tokens = (line) => line.match(TOKEN) ?? [];
var bare = (word) => word.replaceAll('"', "");
var same = (a, b) => bare(a).toLowerCase() === bare(b).toLowerCase();
function toggled(line, word) {
  const all = tokens(line).map((each) => each.split('"').length % 2 ? each : `${each}"`), rest = all.filter((each) => !same(each, word));
  return (rest.length < all.length ? rest : [...all, word]).join(" ");
}
var has = (line, word) => tokens(line).some((each) => same(each, word));
var filterWord = (name, value) => `${name}:${/[ \t\r\n\u00a0]/.test(value) ? `"${value}"` : value}`;

// src/pages/inbox/causes.ts
var OPEN_LINE = "status:created status:planned status:in_progress status:completed";
var found = (q) => written(["tasks"], { q });
var WHO = { plan: "planner", execute: "bot", review: "evaluator" };
var SOON_S = { bots_at_capacity: 60, rate_limited: 60, queued: 300, concurrency: 300 };
function stuck(queues) {
  const long = queues.filter(({ why, waiting, oldest_seconds }) => why && waiting && (oldest_seconds ?? 0) >= (SOON_S[why.reason] ?? 0));
  const groups = together(long, ({ why }) => `${why.reason} ${why.fix ?? why.detail}`);
  return [...groups].map(([key, of]) => {
    const waiting = sum(of.map((each) => each.waiting)), least = of.some((each) => each.waiting_at_least);
    const { reason, detail, fix } = of[0].why, [skill] = of[0].skills;
    const one = skill !== void 0 && of.every(({ skills }) => skills.length === 1 && skills[0] === skill);
    return {
      key,
      tone: reason === "killed" ? "bad" : "wait",
      title: titled(reason, of[0]),
      detail,
      fix,
      tasks: [],
      count: `${waiting}${least ? " or more wait" : waiting === 1 ? " waits" : " wait"}`,
      waiting,
      since: earliest(of.map((each) => each.oldest_at)),
      more: one ? { href: found(`${OPEN_LINE} ${filterWord("skill", skill)}`), name: `Open tasks that need ${safe(skill)}` } : { href: "#/queues", name: "All queues" }
    };
  }).sort((a, b) => b.waiting - a.waiting);
}
function titled(reason, queue) {
  const skills = queue.skills.map(safe).join(", "), who = WHO[queue.kind] ?? "bot", of = skills && ` for ${skills}`;
  switch (reason) {
    case "no_bot_registered":
    case "no_capable_bot":
      return skills ? `No ${who} can ${skills}` : `No ${who} is here`;
    case "assigned_bot_away":
      return `${safe(queue.assign_to ?? "The bot")} is away`;
    case "bot_not_asking":
      return `No ${who} asks for work${of}`;
    case "draining":
      return `Each ${who}${of} is drained`;
    case "bots_at_capacity":
      return `Each ${who}${of} is busy`;
    case "killed":
      return `Killed: ${skills || who}`;
    case "budget":
      return "The tenant is at its budget";
    case "rate_limited":
      return `At the rate limit${of}`;
    case "overloaded":
      return "The server is overloaded";
    default:
      return `${reason[0].toUpperCase()}${reason.slice(1).replaceAll("_", " ")}${of}`;
  }
}
function paused(open) {
  const tasks = open.filter((task) => task.holds.includes("paused"));
  if (!tasks.length) return [];
  return [{
    key: "paused",
    tone: "hold",
    title: tasks.length === 1 ? `Paused: ${safe(tasks[0].title)}` : `${tasks.length} tasks are paused`,
    count: "until somebody resumes",
    since: earliest(tasks.map((task) => task.updated_at)),
    detail: "Bots get no work of it until somebody resumes it.",
    fix: `swarmkeeper task resume ${tasks[0].id}`,
    tasks,
    more: null
  }];
}
function longest(open) {
  return open.filter((task) => task.outcome === null && !task.holds.some((hold) => hold !== "budget")).map((task) => ({
    key: task.id,
    tone: task.progress.failed ? "bad" : lookOfTask(task).tone,
    title: safe(task.title),
    since: task.created_at,
    count: `${task.progress.done} of ${task.progress.total} done${task.progress.failed ? `, ${task.progress.failed} failed` : ""}`,
    detail: "",
    fix: null,
    tasks: [task],
    more: { href: `#/tasks/${task.id}`, name: "Open the task" },
    explain: task.id
  }));
}
var ALIKE_WORDS = 6;
var ALIKE_MAX = 120;
function alike(task) {
  const said2 = task.error?.message || task.failure?.detail || (task.outcome ?? "failed");
  return said2.split("\n")[0].split(/\s+/).slice(0, ALIKE_WORDS).join(" ").replace(/\d+/g, "…").slice(0, ALIKE_MAX);
}
function like(task, said2) {
  const words = said2.match(/(?<![^\s(["'])[A-Za-z_]{2,}(?![^\s)\]"':;,.])/g) ?? [];
  if (said2.length === ALIKE_MAX) words.pop();
  return task.error?.message && words.length ? ` error:"${words.join(" ")}"` : task.failure ? ` error:${task.failure.code}` : "";
}
function failures(tasks, since2) {
  const groups = together(tasks.filter((task) => Date.parse(ended(task)) >= since2), alike);
  const after = new Date(since2).toISOString().slice(0, 16);
  return [...groups].map(([words, of]) => ({
    key: `failed ${words}`,
    tone: "bad",
    title: safe(words),
    count: of.length === 1 ? safe(of[0].title) : `${of.length} tasks`,
    since: of.map(ended).sort().at(-1),
    detail: of[0].error?.message ?? of[0].failure?.detail ?? "",
    fix: of.length === 1 ? `swarmkeeper task retry ${of[0].id}` : null,
    tasks: of,
    more: { href: found(`status:failed${like(of[0], words)} after:${after}Z`), name: "All that failed so, of the tasks of a day" }
  })).sort((a, b) => b.tasks.length - a.tasks.length || b.since.localeCompare(a.since));
}
var ended = (task) => task.ended_at ?? task.updated_at;
var sum = (numbers) => numbers.reduce((all, each) => all + each, 0);
var earliest = (times) => times.filter((time) => time !== null).sort()[0] ?? null;

// src/pages/inbox.tsx
var DAY_MS = 864e5;
var SEEN_MAX = 100;
var LONGEST_MAX = 3;
var OPEN = ["CREATED", "PLANNED", "IN_PROGRESS", "COMPLETED"];
var GAP_MS2 = 5e3;
var KINDS = { plan: "Approve a plan", final: "Approve a result", rounds: "More rounds?", question: "A bot asks", budget: "Raise a budget?" };
async function read() {
  const [queues, open, failed2] = await Promise.all([
    may("skill.read") ? api.queuesSeen() : null,
    api.rows({ status: OPEN, order_by: "created_at", page_size: SEEN_MAX }),
    api.rows({ status: ["FAILED"], order_by: "-created_at", page_size: SEEN_MAX })
  ]);
  return { queues, open, failed: failed2 };
}
function Inbox({ pane: Pane2 }) {
  const asked2 = useRead("approvals", async () => may("approval.read") ? api.needed() : null);
  const looked = useRead("inbox", read, { gap: GAP_MS2 });
  const needs2 = asked2.state.value, seen = looked.state.value;
  const approvals = needs2.data?.items ?? [];
  const causes = seen.data ? [...stuck(seen.data.queues?.items ?? []), ...paused(seen.data.open.items)] : [];
  const failed2 = seen.data ? failures(seen.data.failed.items, now.value - DAY_MS) : [];
  const asking = new Set(approvals.map((each) => each.task_id));
  const all = seen.data ? longest(seen.data.open.items) : [], open = all.filter((each) => !asking.has(each.key)).slice(0, LONGEST_MAX);
  const query = route.value.query;
  const chosen = query.get("approval") ?? query.get("row");
  const entries = [
    ...approvals.map((each) => ({ key: each.id, href: written(["inbox"], { approval: each.id }), opens: `#/tasks/${each.task_id}` })),
    ...[...causes, ...failed2, ...open].map((each) => ({ key: each.key, href: hrefOf(each), opens: each.tasks.length === 1 ? `#/tasks/${each.tasks[0].id}` : each.more?.href }))
  ];
  const at = entries.findIndex((each) => each.key === chosen);
  const step = (to) => {
    const entry = near(entries, to);
    if (entry) go(entry.href, true);
  };
  useEffect(() => {
    if (needs2.data) approvalsOpen.value ??= needs2.data.open;
  }, [needs2.data]);
  useEffect(() => document.querySelector(".list [aria-current]")?.scrollIntoView({ block: "nearest" }), [chosen]);
  useKeys({
    j: { does: "next", run: () => step(at + 1) },
    k: { does: "previous", run: () => step(at - 1) },
    Enter: { does: "open the task", run: () => {
      const to = entries[at]?.opens;
      if (to) go(to);
    } },
    Escape: { does: "", run: () => {
      if (chosen) go("#/inbox", true);
    } }
  });
  const decided = () => {
    void asked2.again();
    const next = approvals.find((each) => each.id !== chosen);
    go(next ? entries.find((each) => each.key === next.id).href : "#/inbox", true);
  };
  const known = needs2.data !== void 0 && seen.data !== void 0;
  const nothing = known && !approvals.length && !causes.length && !failed2.length;
  const rows = (of) => of.map((each) => el(Row, { key: each.key, href: hrefOf(each), chosen: each.key === chosen, tone: each.tone, title: each.title, age: since(each.since, now.value), small: each.count, code: each.fix }));
  return el("div", { class: `inbox ${chosen ? "with-decision" : ""}` },
  el("h1", { class: "hidden-text" }, "Inbox"),
  el("div", { class: "list" },
  el(Trouble, { read: needs2, what: "the approvals" }), nothing && el(Quiet, { open: seen.data.open, queues: seen.data.queues }), needs2.data === null && el("p", { class: "none" }, "What needs a decision is shown to whose role has approval.read: approver, operator, viewer, auditor, admin."), approvals.length > 0 && el(Part, { id: "needs", name: "Needs you", column: "ends in" }, approvals.map((each) => el(
    Row,
    {
      key: each.id,
      href: written(["inbox"], { approval: each.id }),
      chosen: each.id === chosen,
      tone: "hold",
      title: safe(each.task_title ?? each.question),
      age: until(each.expires_at, now.value),
      small: `${KINDS[each.kind] ?? each.kind}${each.asker ? ` (${safe(nameOf(each.asker))})` : ""}${each.task_title ? `: ${safe(each.question)}` : ""} · for ${since(each.opened_at, now.value)}`
    }
  )), needs2.data.open > approvals.length && el("li", { class: "none" }, "and ", needs2.data.open - approvals.length, needs2.data.open_at_least ? " or more" : "", " that end later")),
  el(Trouble, { read: seen, what: "what is stuck" }), !seen.data && seen.slow && el(Skeleton, { rows: 4 }), causes.length > 0 && el(Part, { id: "stuck", name: "Stuck", column: "oldest" }, rows(causes)), failed2.length > 0 && el(Part, { id: "failed", name: "Failed within a day", column: "newest" }, rows(failed2)), open.length > 0 && el(Part, { id: "longest", name: "Open for longest", column: "for" }, rows(open)), seen.data?.queues === null && el("p", { class: "none" }, "Which queues are stuck is shown to whose role has skill.read: operator, approver, viewer, auditor, admin.")),
  el("div", { class: "decision" }, chosen ? el(Pane2, { key: chosen, approval: query.get("approval"), cause: [...causes, ...failed2, ...all].find((each) => each.key === chosen), decided }) : known && entries.length > 0 && el("p", { class: "none" }, "Choose a row: ",
  el(Key, null, "j"), " ",
  el(Key, null, "k"))));
}
var hrefOf = (cause) => written(["inbox"], { row: cause.key });
var nameOf = (asker) => /^key_\w+$/.test(asker) ? `key …${asker.slice(-5)}` : asker;
function Part({ id: id2, name, column, children }) {
  return el("section", { "aria-labelledby": id2 }, el("h2", { id: id2 }, name, " ", el("span", { "aria-hidden": "true" }, column)), el("ul", null, children));
}
var Row = ({ href, chosen, tone, title, age, small, code }) => el("li", null,
el("a", { class: "entry", href, "aria-current": chosen ? "true" : void 0 },
el(Glyph, { tone }),
el("b", null, title),
el("span", { class: "num" }, age),
el("small", null, small, code && el(Fragment, null, " · ",
el("code", null, safe(code))))));
function Quiet({ open, queues }) {
  const tasks = counts.value?.open_tasks ?? open.items.length;
  const leased = queues?.items.reduce((all, each) => all + each.leased, 0) ?? 0;
  return el("section", { "aria-label": "Quiet", class: "all-quiet" },
  el("p", null,
  el(Glyph, { tone: "ok" }), " Nothing needs you. ", tasks === 0 ? "No task is open." : `${grouped(tasks)} ${tasks === 1 ? "task is" : "tasks are"} open, ${leased ? `bots work on ${grouped(leased)} of their parts` : "no bot is at work"}.`), tasks === 0 && el("p", { class: "none" }, "Submit one, and it shows here: ",
  el(Command, { text: FIRST_TASK })));
}

// src/pages/signin.tsx
var problem = signal("");
var ended2 = signal(false);
function SignIn() {
  const field = useRef(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => field.current.focus(), []);
  async function submit(event) {
    event.preventDefault();
    const credential = field.current.value.trim();
    if (!credential) return;
    setBusy(true);
    try {
      session.value = await api.signIn(credential);
      problem.value = "";
    } catch (error) {
      problem.value = error instanceof ApiError ? error.message : String(error);
      setBusy(false);
      field.current?.select();
    }
  }
  return el("main", { class: "sign-in" },
  el("form", { onSubmit: (event) => void submit(event), autocomplete: "off" },
  el("h1", null, "swarmkeeper"),
  el("label", { for: "credential" }, "API key or token"),
  el("input", { id: "credential", ref: field, type: "password", required: true, autocomplete: "off", spellcheck: false, "aria-describedby": "hint", "aria-invalid": problem.value ? "true" : void 0 }), !isSecureContext && el("p", { class: "trouble", role: "alert" },
  el("strong", null, "Nobody can sign in at this address:"), " who listens on the way could read the session. Use https, or a tunnel:", " ",
  el("code", null, "ssh -L ", location.port || "7700", ":127.0.0.1:", location.port || "7700", " ", location.hostname), ", then open ",
  el("code", null, "127.0.0.1:", location.port || "7700", "/ui/"), " here."), ended2.value && !problem.value && el("p", { role: "status" }, "You are signed out. Sign in, and go on where you were."), problem.value && el("p", { class: "trouble", role: "alert" }, problem.value),
  el("button", { type: "submit", class: "main", disabled: busy }, "Sign in"),
  el("p", { id: "hint", class: "hint" },
  el("code", null, "swarmkeeper dev"), " prints a link that signs in. A key comes from ",
  el("code", null, "swarmkeeper key create --role admin"), ", a token from your identity provider.")));
}

// src/chips.tsx
function Chips({ chips, toggle }) {
  const [chosen, setChosen] = useState(0);
  const stop = Math.min(chosen, chips.length - 1);
  const step = (event) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by) return;
    const next = (stop + by + chips.length) % chips.length;
    setChosen(next);
    event.currentTarget.children[next].focus();
  };
  return el("div", { class: "chips", role: "toolbar", "aria-label": "Filters", onKeyDown: step }, chips.map((each, index) => el("button", { type: "button", key: each.id, class: "chip", tabIndex: index === stop ? 0 : -1, "aria-pressed": each.pressed, onClick: () => {
    setChosen(index);
    toggle(each.id);
  } }, el(Glyph, { tone: each.tone }), " ", each.word, " ", each.number !== void 0 && el("b", { class: "num" }, grouped(each.number)))));
}

// src/plan.ts
var GRAPH_MAX = 200;
function edgesOf(subtasks) {
  return subtasks.flatMap((subtask) => (subtask.depends_on ?? []).map((each) => typeof each === "string" ? { from: each, to: subtask.key, when: "success" } : { from: each.key, to: subtask.key, when: each.when ?? "success" }));
}
var nodesOf = (subtasks) => subtasks.map((each) => ({
  key: each.key,
  status: each.status ?? "",
  note: [each.attempt > 1 ? `try ${each.attempt}` : "", each.bot ?? (each.required_skills ?? []).join(", ")].filter(Boolean).join(" · ")
}));
var Graph = later(() => import("./graph.js"), "Graph");

// src/ranks.ts
function ranksOf(count, edges) {
  const rank = new Int32Array(count);
  const waits = new Int32Array(count);
  const next = Array.from({ length: count }, () => []);
  for (const [from, to] of edges) {
    next[from].push(to);
    waits[to]++;
  }
  const free = [];
  for (let node = 0; node < count; node++) if (waits[node] === 0) free.push(node);
  for (let at = 0; at < free.length; at++) {
    const from = free[at];
    for (const to of next[from]) {
      if (rank[to] <= rank[from]) rank[to] = rank[from] + 1;
      if (--waits[to] === 0) free.push(to);
    }
  }
  return rank;
}

// src/windowed.tsx
var ROW = 34;
var ROW_NARROW = 68;
var BEYOND = 8;
var screen = matchMedia("(max-width: 760px)");
var narrow = signal(screen.matches);
screen.addEventListener("change", () => {
  narrow.value = screen.matches;
});
function Windowed({ count, row, chosen, label, headRow, total, nearEnd, seen }) {
  const box = useRef(null), body = useRef(null);
  const [view, setView] = useState([0, 40]);
  const rowHeight = narrow.value ? ROW_NARROW : ROW;
  function look() {
    const element = box.current;
    if (!element) return;
    const top = Math.max(0, element.scrollTop - body.current.offsetTop);
    const begin3 = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
    const end2 = Math.ceil((top + element.clientHeight) / rowHeight) + BEYOND;
    setView((before) => before[0] === begin3 && before[1] === end2 ? before : [begin3, end2]);
    seen?.(begin3 + BEYOND);
    if (end2 >= count - 20) nearEnd();
  }
  useEffect(() => {
    const resized = new ResizeObserver(look);
    resized.observe(box.current);
    return () => resized.disconnect();
  });
  useEffect(look, [count, rowHeight]);
  useEffect(() => {
    const element = box.current;
    if (chosen < 0) return;
    const top = body.current.offsetTop + chosen * rowHeight, above = body.current.offsetTop;
    if (top - above < element.scrollTop) element.scrollTop = top - above;
    else if (top + rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = top + rowHeight - element.clientHeight;
  }, [chosen]);
  const begin2 = Math.min(view[0], count), end = Math.min(view[1], count);
  const rows = [];
  for (let index = begin2; index < end; index++) rows.push(row(index));
  return el("div", { class: "windowed", ref: box, onScroll: look, role: "table", "aria-label": label, "aria-rowcount": total < 0 ? -1 : total + 1 }, headRow,
  el("div", { role: "rowgroup", ref: body, class: "rows", style: { height: `${count * rowHeight}px` } },
  el("div", { class: "moved", role: "presentation", style: { transform: `translateY(${begin2 * rowHeight}px)` } }, rows)));
}

// src/main.tsx
var Tasks = later(() => import("./tasks.js"), "Tasks");
var Bots = later(() => import("./fleet.js"), "Bots");
var Queues = later(() => import("./fleet.js"), "Queues");
var TaskPage = later(() => import("./task.js"), "TaskPage");
var Palette = later(() => import("./palette.js"), "Palette");
var Pane = later(() => import("./decision.js"), "Pane");
var SHOWN = {
  inbox: () => el(Inbox, { pane: Pane }),
  tasks: (id2) => id2 ? el(TaskPage, { key: id2, id: id2 }) : el(Tasks, null),
  bots: () => el(Bots, null),
  queues: () => el(Queues, null)
};
var SELDOM = {
  Audit: () => import("./audit.js"),
  Costs: () => import("./costs.js"),
  Evaluations: () => import("./evaluations.js"),
  Settings: () => import("./settings.js"),
  Simulate: () => import("./simulate.js")
};
for (const [name, load] of Object.entries(SELDOM)) {
  const Page = later(load, name);
  SHOWN[name.toLowerCase()] = () => el(Page, { key: name });
}
var pages = PAGES.filter(({ path }) => SHOWN[path]);
function App() {
  if (session.value === void 0) return el("p", { class: "begin", role: "status" }, problem.value || "Reading who you are.");
  if (session.value === null) return el(SignIn, null);
  const [page = "inbox", id2] = route.value.path;
  return el(Frame, { pages, page, id: id2 }, pages.some(({ path }) => path === page) ? SHOWN[page](id2) : el("div", { class: "empty" },
  el("h1", null, "There is no such page."),
  el("p", null,
  el("a", { href: "#/inbox" }, "Go to the inbox"))), palette.value && el(Dialog, { bare: true, title: "Search", ahead: (sign) => {
    ahead.value += sign;
  }, close: () => {
    palette.value = null;
  } }, el(Palette, { pages })));
}
async function begin(token2) {
  try {
    session.value = token2 ? await api.redeem(token2) : await api.session();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.disconnected) {
      problem.value = "The server does not answer. Trying again.";
      setTimeout(() => void begin(token2), 2e3);
      return;
    }
    if (token2) problem.value = error.message;
    session.value = token2 ? await api.session().catch(() => null) : null;
  }
}
keepChoices();
follow();
listen();
tick();
effect(() => {
  if (session.value) {
    ended2.value = true;
    followChanges();
  } else if (session.value === null) stopFollowing();
});
render(el(App, null), document.getElementById("app"));
var token = /^#t=([\w-]+)$/.exec(location.hash)?.[1];
if (token) go("#/inbox", true);
void begin(token);
export {
  Act,
  Ago,
  ApiError,
  BASE,
  Chips,
  Command,
  Dialog,
  Disconnected,
  EXACT,
  FIRST_TASK,
  Fact,
  Frame,
  GRAPH_MAX,
  Glyph,
  Graph,
  Inbox,
  KINDS,
  Key,
  Labels,
  NAMES,
  NotDone,
  NothingFits,
  OUTCOMES2 as OUTCOMES,
  PAGES,
  Progress,
  Refused,
  SKELETON_AFTER_MS,
  SORTS,
  STATUSES,
  Skeleton,
  State,
  Table,
  Trouble,
  Value,
  When,
  Windowed,
  act,
  address,
  ahead,
  api,
  approvalsOpen,
  asked,
  call,
  connection,
  counted,
  counts,
  edgesOf,
  exactly,
  filterWord,
  follow,
  followChanges,
  get,
  go,
  grouped,
  has,
  head,
  help,
  inZone,
  keep,
  keepChoices,
  kept,
  later,
  letters,
  listed,
  listen,
  lists,
  lookOfEnding,
  lookOfItem,
  lookOfTask,
  lookOfVerdict,
  may,
  moment,
  money,
  nameOf,
  near,
  nodesOf,
  now,
  ofAlso,
  ofTask,
  ofTasks,
  palette,
  parse,
  pending2 as pending,
  put,
  ranksOf,
  rolesFor,
  route,
  safe,
  said,
  say,
  scriptUrl,
  session,
  shortId,
  since,
  span,
  stopFollowing,
  streaming,
  theme,
  tick,
  together,
  toggled,
  tokens,
  tryNow,
  understood,
  until,
  useAct,
  useDraft,
  useKeys,
  useRead,
  utc,
  whole,
  whyNot,
  worse,
  written,
  zone
};
