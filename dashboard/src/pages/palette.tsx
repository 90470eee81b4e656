// The palette: pages, what the page can do, ids, and tasks by words of their titles. It follows the ARIA pattern of a
// combobox with a list box: the field keeps the focus, the arrows choose, Enter carries out, Escape closes.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, type TaskFound } from "../api.ts";
import { ahead, palette, type PAGES } from "../frame.tsx";
import { Key, State } from "../parts.tsx";
import { go, written } from "../route.ts";
import { may } from "../state.ts";
import { lookOfTask, safe } from "../words.ts";

interface Entry { group: string; name: string; keys?: string; task?: TaskFound; run: () => void }

const TYPING_MS = 150;
const IDS: [RegExp, string, (id: string) => string][] = [
  [/^tsk_\w+$/, "the task", (id) => `#/tasks/${id}`],
  [/^apr_\w+$/, "the decision", (id) => written(["inbox"], { approval: id })],
  [/^bot_\w+$/, "the bot", (id) => `#/bots?bot=${id}`],
];

export function Palette({ pages }: { pages: typeof PAGES }) {
  const field = useRef<HTMLInputElement>(null), list = useRef<HTMLDivElement>(null);
  const [text, setText] = useState(ahead.peek());
  const [at, setAt] = useState(0);
  const [found, setFound] = useState<{ of: string; tasks: TaskFound[]; problem: string }>({ of: "", tasks: [], problem: "" });
  const close = () => { palette.value = null; };
  useLayoutEffect(() => field.current!.focus(), []);

  const wanted = text.trim();
  const searched = wanted.length > 1 && may("task.read");
  const latest = useRef("");
  latest.current = wanted;
  useEffect(() => {
    if (!searched) return;
    const timer = setTimeout(() => {
      api.searched(wanted).then(
        (page) => ({ of: wanted, tasks: page.items, problem: "" }),
        (error: unknown) => ({ of: wanted, tasks: [], problem: error instanceof ApiError ? error.message : String(error) }),
      ).then((answer) => { if (latest.current === wanted) setFound(answer); }, () => undefined);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [wanted]);

  const words = wanted.toLowerCase().split(/\s+/);
  const fits = (name: string) => words.every((word) => name.toLowerCase().includes(word));
  const entries: Entry[] = [];
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
  const carryOut = (entry: Entry | undefined) => {
    if (!entry) return;
    close();
    setTimeout(entry.run); // when the dialog has given the focus back
  };
  function typed(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setAt((chosen + step + entries.length) % Math.max(1, entries.length));
    else if (event.key === "Enter" && !event.isComposing) carryOut(entries[chosen]);
    else return;
    event.preventDefault();
  }
  const groups = [...new Set(entries.map(({ group }) => group))];
  return (
    <>
      <input
        ref={field} role="combobox" aria-label="Search or run a command" aria-expanded="true" aria-controls="found" aria-autocomplete="list"
        {...(entries.length ? { "aria-activedescendant": `found-${chosen}` } : {})}
        value={text} autocomplete="off" spellcheck={false} placeholder="A page, an action, words of a title, or an id"
        onInput={(event) => { setText(event.currentTarget.value); setAt(0); }} onKeyDown={typed}
      />
      <div id="found" class="found" role="listbox" aria-label="Found" ref={list}>
        {groups.map((group) => (
          <div role="group" aria-label={group} key={group}>
            <h3 aria-hidden="true">{group}</h3>
            {entries.map((entry, index) => entry.group === group && (
              <div role="option" id={`found-${index}`} key={index} aria-selected={index === chosen} onMouseDown={(event) => event.preventDefault()} onClick={() => carryOut(entry)}>
                <span>{safe(entry.name)}</span>
                {entry.task && <State look={lookOfTask(entry.task)} />}
                {entry.keys && <span>{entry.keys.split(" ").map((key) => <Key key={key}>{key}</Key>)}</span>}
              </div>
            ))}
          </div>
        ))}
      </div>
      {found.problem && searched && <p class="trouble">Words cannot be searched: {safe(found.problem)}</p>}
      <p class="hidden-text" role="status">{searched && found.of !== wanted ? "" : entries.length === 1 ? "1 found" : `${entries.length} found`}</p>
    </>
  );
}
