// Counters that are filters: one stop of the tab key, then the arrow keys.

import { useState } from "preact/hooks";
import { Glyph } from "./parts.tsx";
import { grouped, type Look } from "./words.ts";

export interface Chip extends Look { id: string; number: number | undefined; pressed: boolean }

export function Chips({ chips, toggle }: { chips: Chip[]; toggle: (id: string) => void }) {
  const [chosen, setChosen] = useState(0);
  const stop = Math.min(chosen, chips.length - 1);
  const step = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by) return;
    const next = (stop + by + chips.length) % chips.length;
    setChosen(next);
    ((event.currentTarget as HTMLElement).children[next] as HTMLElement).focus();
  };
  return (
    <div class="chips" role="toolbar" aria-label="Filters" onKeyDown={step}>
      {chips.map((each, index) => (
        <button type="button" key={each.id} class="chip" tabIndex={index === stop ? 0 : -1} aria-pressed={each.pressed} onClick={() => { setChosen(index); toggle(each.id); }}>
          <Glyph tone={each.tone} /> {each.word} {each.number !== undefined && <b class="num">{grouped(each.number)}</b>}
        </button>
      ))}
    </div>
  );
}
