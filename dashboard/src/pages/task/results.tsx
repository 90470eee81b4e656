// What came of a task: what evaluators said of it as a whole, and the outputs by key.

import { useState } from "preact/hooks";
import type { Subtask, Task } from "../../api.ts";
import { ofTask, useRead } from "../../live.ts";
import { Trouble } from "../../parts.tsx";
import { may } from "../../state.ts";
import { safe } from "../../words.ts";
import { calls } from "./calls.ts";
import { OffLimits } from "./feeds.tsx";
import { Payload } from "./payload.tsx";
import { Trail } from "./trail.tsx";

const LISTED_MAX = 200;

export function Results({ task, subtasks }: { task: Task; subtasks: readonly Subtask[] }) {
  const reading = useRead(`verdicts ${task.id}`, () => calls.verdicts(task.id), { on: ofTask(task.id) });
  const seen = reading.state.value, said = (seen.data?.items ?? []).filter((each) => each.subject === null);
  const ready = task.result ? Object.keys(task.result) : subtasks.filter((each) => each.status === "SUCCEEDED").map((each) => each.key);
  return (
    <section class="results" aria-label="Results">
      {(said.length > 0 || seen.error) && <section class="card"><h3>Verdicts on the task</h3><Trouble read={seen} what="the verdicts" /><Trail said={said} /></section>}
      {!may("output.read") ? <OffLimits what="outputs" who="a client, an operator, an approver or an admin" /> : (
        <section class="card">
          <h3>{task.result ? "Result" : "Outputs so far: the result is there when all is done"}</h3>
          {!ready.length && <p class="none">There are none yet.</p>}
          {ready.slice(0, LISTED_MAX).map((key, at) => <Output key={key} task={task.id} subtask={key} open={at === 0} />)}
          {ready.length > LISTED_MAX && <p class="none">{ready.length - LISTED_MAX} more: choose them in the plan.</p>}
        </section>
      )}
    </section>
  );
}

/** An output is read when it is opened. */
function Output({ task, subtask, open: begins }: { task: string; subtask: string; open: boolean }) {
  const [open, setOpen] = useState(begins);
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary><b>{safe(subtask)}</b></summary>
      {open && <Payload task={task} subtask={subtask} name={`Output of ${subtask}`} />}
    </details>
  );
}
