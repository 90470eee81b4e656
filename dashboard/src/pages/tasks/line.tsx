// The query line: a field that completes names and values, of labels too.

import { useEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import { lists, type LabelTally } from "../../api.ts";
import { safe } from "../../words.ts";
import { labelAsked, offers } from "./complete.ts";

const EXAMPLE = "status:failed label:team=money after:2026-11-01 invoice   ( / )";

interface Props { line: string; show: (line: string) => void; field: RefObject<HTMLInputElement | null>; problems: string[] }

export function Line({ line, show, field, problems }: Props) {
  const [typed, setTyped] = useState<{ text: string; at: number } | null>(null); // null: nothing is offered
  const [active, setActive] = useState(-1);
  const labels = useRef(new Map<string, LabelTally[]>());
  const [, setRead] = useState(0);
  useEffect(() => { if (field.current && document.activeElement !== field.current) field.current.value = line; }, [line]);

  const asked = typed ? labelAsked(typed.text, typed.at) : undefined;
  useEffect(() => {
    if (asked === undefined || labels.current.has(asked)) return;
    labels.current.set(asked, []);
    // Without an answer there is just nothing to offer.
    lists.labels(asked).then((page) => { labels.current.set(asked, page.items); setRead((n) => n + 1); }, () => labels.current.delete(asked));
  }, [asked]);
  const offered = typed ? offers(typed.text, typed.at, labels.current.get(asked ?? "") ?? []) : [];
  const chosen = offered[active];

  const look = () => {
    setTyped({ text: field.current!.value, at: field.current!.selectionStart ?? field.current!.value.length });
    setActive(-1);
  };
  const take = (text: string) => {
    field.current!.value = text;
    field.current!.focus();
    look();
  };
  const keys = (event: KeyboardEvent) => {
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
  return (
    <form role="search" class="line" onSubmit={(event) => { event.preventDefault(); setTyped(null); show(field.current!.value.trim()); field.current!.blur(); }}>
      <label class="hidden-text" for="query">Query</label>
      <input
        id="query" ref={field} type="search" defaultValue={line} spellcheck={false} autocomplete="off" placeholder={EXAMPLE} role="combobox" list={undefined}
        aria-expanded={offered.length > 0} aria-controls="offers" aria-autocomplete="list" aria-activedescendant={chosen ? `offer-${active}` : undefined}
        aria-describedby={problems.length ? "query-problem" : undefined}
        onInput={look} onKeyDown={keys} onBlur={() => setTyped(null)}
      />
      <ul id="offers" role="listbox" aria-label="Completions" hidden={!offered.length}>
        {offered.map((each, at) => (
          <li key={each.word} id={`offer-${at}`} role="option" aria-selected={at === active} onMouseDown={(event) => { event.preventDefault(); take(each.line); }}>
            <code>{safe(each.word)}</code> <small>{each.hint}</small>
          </li>
        ))}
      </ul>
      {problems.length > 0 && <p id="query-problem" class="trouble" role="alert">Not understood, and left out: {problems.map(safe).join("; ")}.</p>}
    </form>
  );
}
