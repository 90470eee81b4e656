import { Fragment, el, useEffect, useMemo, useRef, useState } from "./runtime.js";
import { lists, useKeys, counts, ofTasks, say, useRead, Chips, Command, Key, NothingFits, Trouble, FIRST_TASK, has, STATUSES, toggled, tokens, understood, asked, go, put, Windowed, counted, grouped, ApiError, Act, Dialog, NotDone, may, whyNot, safe, shortId, filterWord, NAMES, OUTCOMES, SORTS, Ago, Labels, Progress, State, lookOfTask, money, span } from "./app.js";
// src/pages/tasks.tsx

// src/pages/tasks/bulk.tsx
var LOOK_MS = 400;
var DONE = { retry: "retried", cancel: "cancelled", pause: "paused", resume: "resumed", archive: "archived" };
var ACTIONS = Object.keys(DONE);
var capital = (word) => word[0].toUpperCase() + word.slice(1);
var FIRST = ACTIONS[0];
var tasks = (n) => counted(n, "task");
function useOperation(operation) {
  const [state, setState] = useState({ of: operation });
  useEffect(() => {
    let gone = !operation;
    void (async () => {
      while (!gone) {
        try {
          const found = await lists.operation(operation);
          if (gone) return;
          setState({ of: operation, found });
          if (found.state === "ended") return;
        } catch (error) {
          if (!(error instanceof ApiError) || gone) throw error;
          setState((before) => ({ ...before, of: operation, error }));
          if (!error.disconnected) return;
        }
        await new Promise((done) => setTimeout(done, LOOK_MS));
      }
    })();
    return () => {
      gone = true;
    };
  }, [operation]);
  return state.of === operation ? { found: state.found, error: state.error } : { found: void 0, error: void 0 };
}
function Refusals({ found, titles }) {
  const more = found.progress.refused - found.items.length;
  if (!found.progress.refused) return null;
  return el("div", { class: "refusals", role: "region", "aria-label": "Refused" },
  el("ul", null, found.items.map((item) => el("li", { key: item.task_id },
  el("a", { href: `#/tasks/${item.task_id}` }, safe(titles(item.task_id) ?? shortId(item.task_id))), " ",
  el("span", null, safe(item.detail ?? item.code ?? ""))))), more > 0 && el("p", null, "and ", grouped(more), " more"));
}
function Bulk({ of, name, titles, close, begun }) {
  const [action, setAction] = useState(null);
  const [dry, setDry] = useState("");
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const { found, error } = useOperation(dry);
  const wanted = useRef(null);
  const ask = async (chosen, dryRun) => {
    setProblem(null);
    setBusy(true);
    try {
      const { id } = await lists.bulk(chosen, of, dryRun, reason.trim());
      if (!dryRun) begun(id);
      else if (wanted.current === chosen) setDry(id);
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      setProblem(thrown);
    } finally {
      setBusy(false);
    }
  };
  const choose = (chosen) => {
    setAction(wanted.current = chosen);
    setDry("");
    void ask(chosen, true);
  };
  const known = found?.state === "ended" && found.action === action ? found : void 0;
  return el(Dialog, { title: `With ${name}`, close }, el("form", { class: "bulk", onSubmit: (event) => {
    event.preventDefault();
    if (action && known?.progress.done && !busy) void ask(action, false);
  } },
  el("fieldset", null,
  el("legend", { class: "hidden-text" }, "What to do"), ACTIONS.map((each) => el("label", { key: each, title: whyNot(`task.${each}`) },
  el("input", { type: "radio", name: "action", value: each, autofocus: each === FIRST, disabled: !may(`task.${each}`), checked: action === each, onChange: () => choose(each) }), " ", each))),
  el("div", { "aria-live": "polite", class: "told" }, !action && el("p", { class: "none" }, "Choose with the arrow keys. Nothing is done before you have seen what would come of it."), action && !known && !problem && !error && el("p", null, "Asking what would come of it", found ? ` (${grouped(found.progress.total - found.progress.left)} of ${grouped(found.progress.total)})` : "", " …"), known && el("p", null,
  el("b", null, tasks(known.progress.done)), " would be ", DONE[known.action], known.progress.refused > 0 && el(Fragment, null, ", ",
  el("b", null, grouped(known.progress.refused)), " refused"), ".", "filter" in of && " It is done to what fits when it begins.")), (problem ?? error) && el(NotDone, { error: problem ?? error }),
  el("label", { class: "reason" }, "Reason, stored with each task (optional)",
  el("input", { type: "text", value: reason, maxLength: 500, onInput: (event) => setReason(event.currentTarget.value) })),
  el("div", { class: "acts" },
  el("button", { type: "submit", class: "main", disabled: !known?.progress.done || busy }, action && known ? `${capital(action)} ${tasks(known.progress.done)}` : "Do it"),
  el("button", { type: "button", onClick: close }, "Leave it")), known && el(Refusals, { found: known, titles })));
}
function Outcome({ operation, titles, close }) {
  const { found, error } = useOperation(operation);
  const progress = found?.progress, ended = found?.state === "ended";
  const told = found && ended ? `${tasks(found.progress.done)} ${DONE[found.action]}, ${grouped(found.progress.refused)} refused.` : "";
  useEffect(() => {
    if (told) say(told);
  }, [told]);
  return el(Dialog, { title: !found ? "Operation" : `${capital(found.action)} ${tasks(found.progress.total)}${found.dry_run ? " (dry run)" : ""}`, close }, error && !found && el(NotDone, { error }), progress && el(Fragment, null,
  el("progress", { max: progress.total, value: progress.total - progress.left, "aria-label": "Progress" }),
  el("p", null, ended ? el("b", null, told) : `${grouped(progress.total - progress.left)} of ${grouped(progress.total)}. It goes on at the server, also when this page is closed.`),
  el(Refusals, { found, titles })),
  el("p", { class: "none" },
  el("code", null, safe(operation))));
}
var BulkButton = ({ run }) => el(Act, { action: "task.cancel", keys: "b", run }, "Act on them");

// src/pages/tasks/line.tsx

// src/pages/tasks/complete.ts
var MOST = 8;
function wordAt(line, at) {
  return /^[ ]|^$/.test(line.slice(at)) ? /(?:"[^"]*"?|[^ "])*$/.exec(line.slice(0, at))[0] : "";
}
function labelAsked(line, at) {
  const found = /^label:([^=]*)(=?)/i.exec(wordAt(line, at).replaceAll('"', ""));
  return found ? found[2] ? found[1] : "" : void 0;
}
function offers(line, at, labels) {
  const word = wordAt(line, at), typed = word.replaceAll('"', "").toLowerCase();
  if (!typed || word.startsWith('"')) return [];
  const colon = typed.indexOf(":"), name = typed.slice(0, colon), value = typed.slice(colon + 1);
  const found = colon < 0 ? NAMES.map((each) => [`${each}:`, ""]) : name === "status" ? STATUSES.map((each) => [`status:${each.toLowerCase()}`, ""]) : name === "outcome" ? OUTCOMES.map((each) => [`outcome:${each}`, ""]) : name === "sort" ? Object.keys(SORTS).map((each) => [`sort:${each}`, ""]) : name !== "label" ? [] : value.includes("=") ? labels.map(({ key, value: text, tasks: tasks2 }) => [filterWord("label", `${key}=${text}`), counted(tasks2, "task")]) : [...new Set(labels.map(({ key }) => key))].map((key) => [`label:${key}=`, ""]);
  return found.filter(([each]) => each.replaceAll('"', "").toLowerCase().startsWith(typed) && each !== word).slice(0, MOST).map(([each, hint]) => ({
    line: line.slice(0, at - word.length) + each + (/[:=]$/.test(each) ? "" : " ") + line.slice(at).trimStart(),
    word: each,
    hint
  }));
}

// src/pages/tasks/line.tsx
var EXAMPLE = "status:failed label:team=money after:2026-11-01 invoice   ( / )";
function Line({ line, show, field, problems }) {
  const [typed, setTyped] = useState(null);
  const [active, setActive] = useState(-1);
  const labels = useRef(/* @__PURE__ */ new Map());
  const [, setRead] = useState(0);
  useEffect(() => {
    if (field.current && document.activeElement !== field.current) field.current.value = line;
  }, [line]);
  const asked2 = typed ? labelAsked(typed.text, typed.at) : void 0;
  useEffect(() => {
    if (asked2 === void 0 || labels.current.has(asked2)) return;
    labels.current.set(asked2, []);
    lists.labels(asked2).then((page) => {
      labels.current.set(asked2, page.items);
      setRead((n) => n + 1);
    }, () => labels.current.delete(asked2));
  }, [asked2]);
  const offered = typed ? offers(typed.text, typed.at, labels.current.get(asked2 ?? "") ?? []) : [];
  const chosen = offered[active];
  const look = () => {
    setTyped({ text: field.current.value, at: field.current.selectionStart ?? field.current.value.length });
    setActive(-1);
  };
  const take = (text) => {
    field.current.value = text;
    field.current.focus();
    look();
  };
  const keys = (event) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step && offered.length) {
      event.preventDefault();
      setActive((at) => (at + step + offered.length + (at < 0 && step < 0 ? 1 : 0)) % offered.length);
    } else if ((event.key === "Enter" || event.key === "Tab") && chosen && !event.shiftKey) {
      event.preventDefault();
      take(chosen.line);
    } else if (event.key === "Escape" && offered.length) {
      event.preventDefault();
      event.stopPropagation();
      setTyped(null);
    }
  };
  return el("form", { role: "search", class: "line", onSubmit: (event) => {
    event.preventDefault();
    setTyped(null);
    show(field.current.value.trim());
    field.current.blur();
  } }, el("label", { class: "hidden-text", for: "query" }, "Query"), el(
    "input",
    {
      id: "query",
      ref: field,
      type: "search",
      defaultValue: line,
      spellcheck: false,
      autocomplete: "off",
      placeholder: EXAMPLE,
      role: "combobox",
      list: void 0,
      "aria-expanded": offered.length > 0,
      "aria-controls": "offers",
      "aria-autocomplete": "list",
      "aria-activedescendant": chosen ? `offer-${active}` : void 0,
      "aria-describedby": problems.length ? "query-problem" : void 0,
      onInput: look,
      onKeyDown: keys,
      onBlur: () => setTyped(null)
    }
  ),
  el("ul", { id: "offers", role: "listbox", "aria-label": "Completions", hidden: !offered.length }, offered.map((each, at) => el("li", { key: each.word, id: `offer-${at}`, role: "option", "aria-selected": at === active, onMouseDown: (event) => {
    event.preventDefault();
    take(each.line);
  } },
  el("code", null, safe(each.word)), " ",
  el("small", null, each.hint)))), problems.length > 0 && el("p", { id: "query-problem", class: "trouble", role: "alert" }, "Not understood, and left out: ", problems.map(safe).join("; "), "."));
}

// src/pages/tasks/rows.ts
var PAGE = 200;
var EMPTY_MAX = 50;
var Rows = class {
  constructor(read) {
    this.read = read;
  }
  read;
  all = [];
  token;
  // of what follows; undefined: nothing was read yet, "": it was the last page
  places = [];
  reading;
  get more() {
    return Boolean(this.token);
  }
  /** Read the first page anew, and the one in which the row with this number is. */
  async renew(at) {
    this.put(-1, await this.some(PAGE, ""));
    for (const place of [...this.places].reverse()) {
      const after = this.all.findIndex((row) => row.id === place.after);
      if (after >= 0 && after < at) {
        this.put(after, await this.some(PAGE, place.token));
        return;
      }
    }
  }
  /** Read what follows, if anything does. */
  next(size = PAGE) {
    this.reading ??= this.following(size).finally(() => {
      this.reading = void 0;
    });
    return this.reading;
  }
  async following(size) {
    const token = this.token, last = this.all.at(-1);
    if (!token || !last) return;
    const page = await this.some(size, token);
    if (this.token !== token) return;
    this.places.push({ after: last.id, token });
    const there = new Set(this.all.map((row) => row.id));
    this.all = [...this.all, ...page.items.filter((row) => !there.has(row.id))];
    this.token = page.next_page_token;
  }
  /** Put a page in place of what was known after the row `after`; −1: from the beginning. */
  put(after, page) {
    const there = new Set(page.items.map((row) => row.id));
    const before = this.all.slice(0, after + 1).filter((row) => !there.has(row.id));
    if (!page.next_page_token) {
      this.all = [...before, ...page.items];
      this.token = "";
      return;
    }
    const last = page.items.at(-1)?.id;
    const end = this.all.findIndex((row) => row.id === last);
    const rest = this.all.slice(Math.max(end, after) + 1).filter((row) => !there.has(row.id));
    this.all = [...before, ...page.items, ...rest];
    if (!rest.length) this.token = page.next_page_token;
  }
  async some(size, token) {
    let page = await this.read(size, token);
    for (let tries = 0; !page.items.length && page.next_page_token && tries < EMPTY_MAX; tries++) {
      page = await this.read(size, page.next_page_token);
    }
    return page;
  }
};

// src/pages/tasks/table.tsx
var COLUMNS = ["Mark", "State", "Title", "Progress", "Labels", "Bot", "Cost", "Took", "Changed"];
var Head = () => el("div", { role: "rowgroup", class: "head" },
el("div", { role: "row", class: "task-row", "aria-rowindex": 1 }, COLUMNS.map((name) => el("span", { role: "columnheader", key: name, class: `c-${name.toLowerCase()}` }, name === "Mark" ? el("span", { class: "hidden-text" }, "Mark") : name))));
var errorOf = (task) => (task.error?.message ?? task.failure?.detail ?? "").split("\n", 1)[0];
function Row({ task, index, chosen, stop, marked, choose, mark }) {
  const error = errorOf(task);
  return el("div", { role: "row", "aria-rowindex": index + 2, class: `task-row ${chosen ? "chosen" : ""} ${marked ? "marked" : ""}`, "aria-current": chosen ? "true" : void 0 },
  el("span", { role: "cell", class: "c-mark" },
  el("input", { type: "checkbox", tabIndex: -1, checked: marked, "aria-label": `Mark ${safe(task.title)}`, onClick: (event) => {
    event.preventDefault();
    mark(index, event.shiftKey);
  } })),
  el("span", { role: "cell", class: "c-state" },
  el(State, { look: lookOfTask(task) })),
  el("span", { role: "cell", class: "c-title" },
  el("a", { href: `#/tasks/${task.id}`, tabIndex: stop ? 0 : -1, onFocus: () => choose(index), "data-chosen": chosen }, safe(task.title)), error && el("small", { title: safe(error) }, safe(error))),
  el("span", { role: "cell", class: "c-progress" },
  el(Progress, { ...task.progress }), task.round > 1 && el("small", null, " round ", task.round)),
  el("span", { role: "cell", class: "c-labels" },
  el(Labels, { labels: task.labels })),
  el("span", { role: "cell", class: "c-bot" }, task.last_bot === null ? "–" : safe(task.last_bot)),
  el("span", { role: "cell", class: "c-cost" }, money(task.usage?.cost_micro_usd)),
  el("span", { role: "cell", class: "c-took" }, !task.started_at ? "–" : task.ended_at ? span(Date.parse(task.ended_at) - Date.parse(task.started_at)) : el(Ago, { time: task.started_at })),
  el("span", { role: "cell", class: "c-changed" },
  el(Ago, { time: task.updated_at }), " ago"));
}

// src/pages/tasks.tsx
var MARKS_MAX = 1e4;
var FILTERS = [
  { status: "in_progress", tone: "run" },
  { status: "planned", tone: "wait" },
  { status: "created", tone: "wait" },
  { status: "completed", tone: "eye" },
  { status: "failed", tone: "bad" },
  { status: "archived", tone: "ok" }
];
var sum = (numbers, only) => Object.entries(numbers).reduce((all, [status, n]) => !only.length || only.includes(status) ? all + n : all, 0);
var STATUS = /^[A-Z_]+$/;
function useTally(filter) {
  const states = !filter.q && !filter.label.length && !filter.skill.length && !filter.error && !filter.created_after && !filter.created_before;
  const told = states && !filter.outcome.length ? counts.value : null;
  const asked2 = states ? { ...filter, status: [] } : filter;
  const reading = useRead(`count ${told !== null} ${JSON.stringify(asked2)}`, () => told ? Promise.resolve(null) : lists.count(asked2), { on: (change) => told === null && ofTasks(change) });
  const found = reading.state.value.data;
  const by = told ? Object.fromEntries(Object.entries(told).filter(([name]) => STATUS.test(name))) : found?.statuses ?? null;
  return { by, number: by ? sum(by, filter.status) : found?.number ?? null, atLeast: !by && Boolean(found?.at_least) };
}
function Tasks() {
  const line = asked("q"), operation = asked("op");
  const { filter, problems } = useMemo(() => understood(line), [line]);
  const field = useRef(null);
  const held = useRef(void 0);
  if (held.current?.line !== line) held.current = { line, rows: new Rows((size, token) => lists.rows(filter, size, token)), marks: /* @__PURE__ */ new Set(), every: false, last: -1 };
  const { rows, marks, every } = held.current;
  const [chosen, setChosen] = useState(-1);
  const [, setChanged] = useState(0);
  const [asking, setAsking] = useState(false);
  const view = useRef(0);
  const drawn = useRef(/* @__PURE__ */ new WeakMap());
  const changed = () => setChanged((n) => n + 1);
  const reading = useRead(`tasks ${line}`, async () => {
    await rows.renew(view.current);
    return true;
  }, { on: ofTasks });
  const seen = reading.state.value, tasks2 = rows.all;
  const tally = useTally(filter);
  const titles = (task) => rows.all.find((row2) => row2.id === task)?.title;
  const show = (next) => {
    setChosen(-1);
    put({ q: next }, false);
  };
  const nearEnd = () => {
    if (rows.more) rows.next().then(changed, () => void 0);
  };
  const markShown = () => {
    for (const { id } of rows.all) marks.add(id);
  };
  function singly() {
    if (held.current.every) markShown();
    held.current.every = false;
  }
  function mark(index, range = false) {
    const task = rows.all[index];
    if (!task) return;
    singly();
    const on = !marks.has(task.id);
    const [from, to] = range && held.current.last >= 0 ? [Math.min(index, held.current.last), Math.max(index, held.current.last)] : [index, index];
    for (const { id } of rows.all.slice(from, to + 1)) if (range || on) marks.add(id);
    else marks.delete(id);
    held.current.last = index;
    setChosen(index);
    changed();
  }
  function markAll() {
    const all = rows.all.every(({ id }) => marks.has(id));
    if (all && rows.more) held.current.every = true;
    markShown();
    say(all && rows.more ? "All that fit are marked." : `${grouped(marks.size)} marked.${rows.more ? " Again marks all that fit." : ""}`);
    changed();
  }
  async function markAlike(error) {
    const of = held.current;
    singly();
    try {
      while (rows.more && rows.all.length < MARKS_MAX && held.current === of) await rows.next(500);
    } catch {
      say("The server does not answer: only what was read is marked.");
    }
    for (const row2 of rows.all) if (errorOf(row2) === error) marks.add(row2.id);
    say(`${grouped(marks.size)} marked.${rows.more ? ` More than ${grouped(MARKS_MAX)} fit.` : ""}`);
    changed();
  }
  const move = (by, extend = false) => {
    const next = Math.max(0, Math.min(chosen + by, tasks2.length - 1));
    if (extend) singly();
    if (extend) {
      if (chosen >= 0) marks.add(tasks2[chosen].id);
      if (tasks2[next]) marks.add(tasks2[next].id);
      held.current.last = next;
    }
    setChosen(next);
  };
  const alike = () => {
    const task = tasks2[chosen];
    if (task && errorOf(task)) void markAlike(errorOf(task));
  };
  const unmark = () => {
    marks.clear();
    held.current.every = false;
    changed();
  };
  const act = () => {
    if (marks.size) setAsking(true);
  };
  useEffect(() => {
    if (document.activeElement?.closest(".task-row")) document.querySelector('.task-row a[data-chosen="true"]')?.focus({ preventScroll: true });
  }, [chosen]);
  useKeys({
    j: { does: "next task", run: () => move(1) },
    k: { does: "previous task", run: () => move(-1) },
    Enter: { does: "open the task", run: () => {
      const task = tasks2[chosen];
      if (task) go(`#/tasks/${task.id}`);
    } },
    m: { does: "mark the task, or unmark it", run: () => mark(chosen) },
    Space: { does: "the same", run: () => mark(chosen) },
    J: { does: "mark, and go on", run: () => move(1, true) },
    K: { does: "mark, and go back", run: () => move(-1, true) },
    "*": { does: "mark all that are shown; again: all that fit", run: markAll },
    "=": { does: "mark all that failed like this one", run: alike },
    b: { does: "act on all that is marked", run: act },
    "/": { does: "write a query", run: () => field.current.focus() },
    "!": { does: "failed only", run: () => show(toggled(line, "status:failed")) },
    Escape: { does: "take back marks, then filters", run: () => {
      if (document.activeElement === field.current) field.current.blur();
      else if (marks.size) unmark();
      else if (line) show("");
    } }
  });
  const row = (index) => {
    const task = tasks2[index], of = [index, index === chosen, index === Math.max(0, chosen), every || marks.has(task.id)];
    const before = drawn.current.get(task);
    if (before?.of.every((each, at) => each === of[at])) return before.row;
    const made = el(Row, { key: task.id, task, index: of[0], chosen: of[1], stop: of[2], marked: of[3], choose: setChosen, mark });
    drawn.current.set(task, { of, row: made });
    return made;
  };
  const number = tally.number !== null ? `${grouped(tally.number)}${tally.atLeast ? " or more" : ""}` : `${grouped(tasks2.length)}${rows.more ? " and more" : ""}`;
  const many = `${number} that fit`;
  const { order_by: _, ...fits } = filter;
  return el("div", { class: "tasks" },
  el("h1", { class: "hidden-text" }, "Tasks"),
  el("div", { class: "filters" },
  el(Line, { line, show, field, problems }),
  el(
    Chips,
    {
      chips: FILTERS.map(({ status, tone }) => ({ id: `status:${status}`, word: status.replace("_", " "), tone, number: tally.by ? tally.by[status.toUpperCase()] ?? 0 : void 0, pressed: has(line, `status:${status}`) })),
      toggle: (word) => show(toggled(line, word))
    }
  )),
  el(Trouble, { read: { ...seen, data: seen.data && rows }, what: "the tasks" }), seen.data && !tasks2.length && (line ? el(NothingFits, { title: "No task fits.", drops: tokens(line).map((name) => ({ name, drop: () => show(toggled(line, name)) })) }, filter.q && el("p", null, "Words are looked for in titles: each whole, in any order; the last one may be the beginning of a word.")) : el("div", { class: "empty" },
  el("h2", null, "There is no task yet."),
  el("p", null, "Submit one, and it shows here: ",
  el(Command, { text: FIRST_TASK })))), tasks2.length > 0 && el(Windowed, { count: tasks2.length, row, chosen, label: "Tasks", total: rows.more ? -1 : tasks2.length, nearEnd, seen: (begin) => {
    view.current = begin;
  }, headRow: el(Head, null) }), tasks2.length > 0 && el("p", { class: "foot" }, marks.size > 0 ? el(Fragment, null,
  el("b", null, every ? `All ${many} marked` : `${grouped(marks.size)} marked`), !every && rows.more && rows.all.every(({ id }) => marks.has(id)) && el("button", { type: "button", class: "quiet", onClick: markAll }, "Mark all ", many,
  el(Key, null, "*")), " ",
  el(BulkButton, { run: act }), " ",
  el("button", { type: "button", class: "quiet", onClick: unmark }, "Unmark",
  el(Key, null, "Esc"))) : `${number} ${tally.number === 1 ? "task" : "tasks"}`,
  el("span", { class: "hints" },
  el(Key, null, "j"), " ",
  el(Key, null, "k"), " ",
  el(Key, null, "Enter"), " open · ",
  el(Key, null, "m"), " mark · ",
  el(Key, null, "*"), " all", marks.size === 0 && el(Fragment, null, " · ",
  el(Key, null, "="), " failed alike"))), asking && el(Bulk, { of: every ? { filter: line ? fits : { status: STATUSES } } : { ids: [...marks] }, name: every ? `all ${many}` : counted(marks.size, "task"), titles, close: () => setAsking(false), begun: (id) => {
    setAsking(false);
    unmark();
    put({ op: id });
  } }), operation && el(Outcome, { operation, titles, close: () => {
    put({ op: null });
    void reading.again();
  } }));
}
export {
  Tasks
};
