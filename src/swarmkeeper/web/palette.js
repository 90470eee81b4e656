import { Fragment, el, useEffect, useLayoutEffect, useRef, useState } from "./runtime.js";
import { api, ApiError, ahead, palette, Key, State, go, written, may, lookOfTask, safe } from "./app.js";
// src/pages/palette.tsx
var TYPING_MS = 150;
var IDS = [
  [/^tsk_\w+$/, "the task", (id) => `#/tasks/${id}`],
  [/^apr_\w+$/, "the decision", (id) => written(["inbox"], { approval: id })],
  [/^bot_\w+$/, "the bot", (id) => `#/bots?bot=${id}`]
];
function Palette({ pages }) {
  const field = useRef(null), list = useRef(null);
  const [text, setText] = useState(ahead.peek());
  const [at, setAt] = useState(0);
  const [found, setFound] = useState({ of: "", tasks: [], problem: "" });
  const close = () => {
    palette.value = null;
  };
  useLayoutEffect(() => field.current.focus(), []);
  const wanted = text.trim();
  const searched = wanted.length > 1 && may("task.read");
  const latest = useRef("");
  latest.current = wanted;
  useEffect(() => {
    if (!searched) return;
    const timer = setTimeout(() => {
      api.searched(wanted).then(
        (page) => ({ of: wanted, tasks: page.items, problem: "" }),
        (error) => ({ of: wanted, tasks: [], problem: error instanceof ApiError ? error.message : String(error) })
      ).then((answer) => {
        if (latest.current === wanted) setFound(answer);
      }, () => void 0);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [wanted]);
  const words = wanted.toLowerCase().split(/\s+/);
  const fits = (name) => words.every((word) => name.toLowerCase().includes(word));
  const entries = [];
  for (const [pattern, what, place] of IDS) {
    if (pattern.test(wanted) && (what !== "the bot" || pages.some(({ path }) => path === "bots"))) entries.push({ group: "By id", name: `Open ${what} ${wanted}`, run: () => go(place(wanted)) });
  }
  for (const page of pages) if (fits(page.name)) entries.push({ group: "Pages", name: page.name, keys: page.keys, run: () => go(`#/${page.path}`) });
  for (const action of palette.value ?? []) if (fits(action.does)) entries.push({ group: "On this page", name: action.does, keys: action.keys, run: action.run });
  if (searched) {
    for (const task of found.tasks) entries.push({ group: "Tasks", name: task.title, task, run: () => go(`#/tasks/${task.id}`) });
    entries.push({ group: "Tasks", name: `List all tasks with “${wanted}”`, run: () => go(written(["tasks"], { q: wanted })) });
  }
  const chosen = Math.min(at, entries.length - 1);
  useLayoutEffect(() => list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }), [chosen, entries.length]);
  const carryOut = (entry) => {
    if (!entry) return;
    close();
    setTimeout(entry.run);
  };
  function typed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setAt((chosen + step + entries.length) % Math.max(1, entries.length));
    else if (event.key === "Enter" && !event.isComposing) carryOut(entries[chosen]);
    else return;
    event.preventDefault();
  }
  const groups = [...new Set(entries.map(({ group }) => group))];
  return el(Fragment, null, el(
    "input",
    {
      ref: field,
      role: "combobox",
      "aria-label": "Search or run a command",
      "aria-expanded": "true",
      "aria-controls": "found",
      "aria-autocomplete": "list",
      ...entries.length ? { "aria-activedescendant": `found-${chosen}` } : {},
      value: text,
      autocomplete: "off",
      spellcheck: false,
      placeholder: "A page, an action, words of a title, or an id",
      onInput: (event) => {
        setText(event.currentTarget.value);
        setAt(0);
      },
      onKeyDown: typed
    }
  ),
  el("div", { id: "found", class: "found", role: "listbox", "aria-label": "Found", ref: list }, groups.map((group) => el("div", { role: "group", "aria-label": group, key: group },
  el("h3", { "aria-hidden": "true" }, group), entries.map((entry, index) => entry.group === group && el("div", { role: "option", id: `found-${index}`, key: index, "aria-selected": index === chosen, onMouseDown: (event) => event.preventDefault(), onClick: () => carryOut(entry) },
  el("span", null, safe(entry.name)), entry.task && el(State, { look: lookOfTask(entry.task) }), entry.keys && el("span", null, entry.keys.split(" ").map((key) => el(Key, { key }, key)))))))), found.problem && searched && el("p", { class: "trouble" }, "Words cannot be searched: ", safe(found.problem)),
  el("p", { class: "hidden-text", role: "status" }, searched && found.of !== wanted ? "" : entries.length === 1 ? "1 found" : `${entries.length} found`));
}
export {
  Palette
};
