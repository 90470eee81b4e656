// One command on all marked tasks: first a dry run, which says what would be refused; then the operation, which goes on
// at the server. It is in the address, so that a reload shows how far it is.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, lists, type BulkAction, type Operation } from "../../api.ts";
import { say } from "../../live.ts";
import { Act, Dialog, NotDone } from "../../parts.tsx";
import { may, whyNot } from "../../state.ts";
import { counted, grouped, safe, shortId } from "../../words.ts";

const LOOK_MS = 400;
const DONE: Record<BulkAction, string> = { retry: "retried", cancel: "cancelled", pause: "paused", resume: "resumed", archive: "archived" };
const ACTIONS = Object.keys(DONE) as BulkAction[];
const capital = (word: string) => word[0]!.toUpperCase() + word.slice(1);
const FIRST = ACTIONS[0];
const tasks = (n: number) => counted(n, "task");

/** Follow an operation to its end. */
function useOperation(operation: string): { found: Operation | undefined; error: ApiError | undefined } {
  const [state, setState] = useState<{ of: string; found?: Operation; error?: ApiError }>({ of: operation });
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
    return () => { gone = true; };
  }, [operation]);
  return state.of === operation ? { found: state.found, error: state.error } : { found: undefined, error: undefined };
}

type Titles = (task: string) => string | undefined;

function Refusals({ found, titles }: { found: Operation; titles: Titles }) {
  const more = found.progress.refused - found.items.length;
  if (!found.progress.refused) return null;
  return (
    <div class="refusals" role="region" aria-label="Refused">
      <ul>
        {found.items.map((item) => (
          <li key={item.task_id}><a href={`#/tasks/${item.task_id}`}>{safe(titles(item.task_id) ?? shortId(item.task_id))}</a> <span>{safe(item.detail ?? item.code ?? "")}</span></li>
        ))}
      </ul>
      {more > 0 && <p>and {grouped(more)} more</p>}
    </div>
  );
}

/** Choose what to do with the marked tasks, see what would come of it, and begin it. */
export function Bulk({ of, name, titles, close, begun }: { of: Parameters<typeof lists.bulk>[1]; name: string; titles: Titles; close: () => void; begun: (operation: string) => void }) {
  const [action, setAction] = useState<BulkAction | null>(null);
  const [dry, setDry] = useState("");
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const { found, error } = useOperation(dry);
  const wanted = useRef<BulkAction | null>(null);

  const ask = async (chosen: BulkAction, dryRun: boolean): Promise<void> => {
    setProblem(null);
    setBusy(true);
    try {
      const { id } = await lists.bulk(chosen, of, dryRun, reason.trim());
      if (!dryRun) begun(id);
      else if (wanted.current === chosen) setDry(id); // else another action was chosen meanwhile
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      setProblem(thrown);
    } finally {
      setBusy(false);
    }
  };
  const choose = (chosen: BulkAction) => { setAction(wanted.current = chosen); setDry(""); void ask(chosen, true); };
  const known = found?.state === "ended" && found.action === action ? found : undefined;
  return (
    <Dialog title={`With ${name}`} close={close}>
      <form class="bulk" onSubmit={(event) => { event.preventDefault(); if (action && known?.progress.done && !busy) void ask(action, false); }}>
        <fieldset>
          <legend class="hidden-text">What to do</legend>
          {ACTIONS.map((each) => (
            <label key={each} title={whyNot(`task.${each}`)}>
              <input type="radio" name="action" value={each} autofocus={each === FIRST} disabled={!may(`task.${each}`)} checked={action === each} onChange={() => choose(each)} /> {each}
            </label>
          ))}
        </fieldset>
        <div aria-live="polite" class="told">
          {!action && <p class="none">Choose with the arrow keys. Nothing is done before you have seen what would come of it.</p>}
          {action && !known && !problem && !error && <p>Asking what would come of it{found ? ` (${grouped(found.progress.total - found.progress.left)} of ${grouped(found.progress.total)})` : ""} …</p>}
          {known && <p><b>{tasks(known.progress.done)}</b> would be {DONE[known.action]}{known.progress.refused > 0 && <>, <b>{grouped(known.progress.refused)}</b> refused</>}.{"filter" in of && " It is done to what fits when it begins."}</p>}
        </div>
        {(problem ?? error) && <NotDone error={(problem ?? error)!} />}
        <label class="reason">Reason, stored with each task (optional)<input type="text" value={reason} maxLength={500} onInput={(event) => setReason(event.currentTarget.value)} /></label>
        <div class="acts">
          <button type="submit" class="main" disabled={!known?.progress.done || busy}>{action && known ? `${capital(action)} ${tasks(known.progress.done)}` : "Do it"}</button>
          <button type="button" onClick={close}>Leave it</button>
        </div>
        {known && <Refusals found={known} titles={titles} />}
      </form>
    </Dialog>
  );
}

/** How far an operation is, and what came of it. */
export function Outcome({ operation, titles, close }: { operation: string; titles: Titles; close: () => void }) {
  const { found, error } = useOperation(operation);
  const progress = found?.progress, ended = found?.state === "ended";
  const told = found && ended ? `${tasks(found.progress.done)} ${DONE[found.action]}, ${grouped(found.progress.refused)} refused.` : "";
  useEffect(() => { if (told) say(told); }, [told]);
  return (
    <Dialog title={!found ? "Operation" : `${capital(found.action)} ${tasks(found.progress.total)}${found.dry_run ? " (dry run)" : ""}`} close={close}>
      {error && !found && <NotDone error={error} />}
      {progress && (
        <>
          <progress max={progress.total} value={progress.total - progress.left} aria-label="Progress" />
          <p>{ended ? <b>{told}</b> : `${grouped(progress.total - progress.left)} of ${grouped(progress.total)}. It goes on at the server, also when this page is closed.`}</p>
          <Refusals found={found} titles={titles} />
        </>
      )}
      <p class="none"><code>{safe(operation)}</code></p>
    </Dialog>
  );
}

export const BulkButton = ({ run }: { run: () => void }) => <Act action="task.cancel" keys="b" run={run}>Act on them</Act>;
