// What is asked before a task is cancelled or archived, and what of it can be changed.

import type { Task } from "../../api.ts";
import { useState } from "preact/hooks";
import { Dialog } from "../../parts.tsx";
import { money } from "../../words.ts";

export type Verb = "pause" | "resume" | "cancel" | "retry" | "archive" | "change";

interface Props { verb: Verb; task: Task; close: () => void; run: (reason: string) => void; change: (changes: Record<string, unknown>) => void }

export function Ask({ verb, task, close, run, change }: Props) {
  return verb === "change" ? <Change task={task} close={close} change={change} /> : <Reason verb={verb} close={close} run={run} />;
}

function Reason({ verb, close, run }: Pick<Props, "verb" | "close" | "run">) {
  const [reason, setReason] = useState("");
  const name = `${verb[0]!.toUpperCase()}${verb.slice(1)}`;
  return (
    <Dialog title={`${name} this task?`} close={close}>
      <form class="reason" onSubmit={(event) => { event.preventDefault(); run(reason.trim()); }}>
        <label for="why">Reason (kept in the audit log)</label>
        <textarea id="why" autofocus rows={3} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        <button type="submit" class="danger">{name} the task</button>
      </form>
    </Dialog>
  );
}

const NAMES: Record<string, string> = { cost_micro_usd: "Money (millionths of a dollar)", tokens: "Tokens", attempts: "Attempts", subtasks: "Subtasks" };

/** Only what was changed is sent, so that two people who change different things do not undo each other. */
function Change({ task, close, change }: Pick<Props, "task" | "close" | "change">) {
  const limits = Object.entries(task.budget?.limit ?? {}).filter(([name]) => NAMES[name]);
  const was: Record<string, string> = { priority: String(task.priority), ...Object.fromEntries(limits.map(([name, limit]) => [name, String(limit)])) };
  const [now, setNow] = useState(was);
  const changed = Object.keys(was).filter((name) => now[name] !== was[name]);
  function send(): void {
    const budget = Object.fromEntries(changed.filter((name) => name !== "priority").map((name) => [name, Number(now[name])]));
    change({ ...(now.priority === was.priority ? {} : { priority: Number(now.priority) }), ...(Object.keys(budget).length ? { budget } : {}) });
  }
  const field = (name: string, label: string, least: number, most: number, note = "") => (
    <p key={name}>
      <label for={`set-${name}`}>{label}</label>
      <input id={`set-${name}`} autofocus={name === "priority"} type="number" required min={least} max={most} step={1} value={now[name]} onInput={(event) => setNow({ ...now, [name]: event.currentTarget.value })} />
      {note && <small>{note}</small>}
    </p>
  );
  return (
    <Dialog title="Change this task" close={close}>
      <form class="reason" onSubmit={(event) => { event.preventDefault(); send(); }}>
        {field("priority", "Priority (0 to 9; 9 goes first)", 0, 9)}
        {limits.map(([name]) => field(name, `Limit: ${NAMES[name]}`, 1, Number.MAX_SAFE_INTEGER, `${name === "cost_micro_usd" ? `${money(Number(now[name]) || 0)}; ` : ""}used ${name === "cost_micro_usd" ? money(task.budget?.spent[name] ?? 0) : task.budget?.spent[name] ?? 0}`))}
        {!limits.length && <p class="none">It has no budget that could be changed.</p>}
        <button type="submit" class="main" disabled={!changed.length}>Change the task</button>
      </form>
    </Dialog>
  );
}
