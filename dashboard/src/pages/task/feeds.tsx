// What happened with a task, newest first: its events and its audit records; and the messages about it.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError, type Page } from "../../api.ts";
import { ofTask, pending, useRead } from "../../live.ts";
import { Act, NotDone, Trouble, Value, When, useAct, useDraft, Fact } from "../../parts.tsx";
import { may } from "../../state.ts";
import { grouped, safe, shortId } from "../../words.ts";
import { calls, type AuditRecord } from "./calls.ts";

const KEPT = 2_000; // newer ones that are kept; of more, only the newest page is

interface FeedProps<T> {
  name: string; id: string; what: string;
  read: (asked: { after?: string | undefined; page_token?: string }) => Promise<Page<T>>;
  place: (item: T) => string; // where the server goes on
  row: (item: T) => ComponentChildren;
}

/** A list whose newest items come by themselves, and older ones on request. */
function Feed<T>({ name, id, what, read, place, row }: FeedProps<T>) {
  const reading = useRead(`${name} ${id}`, async (before: Page<T> | undefined): Promise<Page<T>> => {
    const newest = before?.items[0];
    if (!newest) return read({});
    const fresh: T[] = [];
    let token = "";
    do {
      const page = await read({ after: place(newest), page_token: token });
      fresh.push(...page.items);
      token = page.next_page_token;
    } while (token && fresh.length < KEPT);
    return token ? read({}) : { ...before, items: [...fresh, ...before.items] };
  }, { on: ofTask(id) });
  const [older, setOlder] = useState<Page<T> | null>(null);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const seen = reading.state.value;
  const token = (older ?? seen.data)?.next_page_token;
  async function more(): Promise<void> {
    pending.value++;
    setProblem(null);
    try {
      const page = await read({ page_token: token! });
      setOlder({ ...page, items: [...(older?.items ?? []), ...page.items] });
    } catch (thrown) {
      setProblem(thrown as ApiError);
    }
    pending.value--;
  }
  const items = [...(seen.data?.items ?? []), ...(older?.items ?? [])];
  return (
    <section class="feed" aria-label={name}>
      <Trouble read={seen} what={what} />
      {seen.data && !items.length && <p class="none">There are none yet.</p>}
      <ol>{items.map(row)}</ol>
      {problem && <NotDone error={problem} />}
      {token && <button type="button" class="small" onClick={() => void more()}>Show older</button>}
    </section>
  );
}

// What helps nobody who reads what happened: ids and hashes that the event has for programs.
const FOR_PROGRAMS = ["task_id", "audit_id", "work_id", "sha256", "bytes", "lease_id", "tries"];

function about(data: Record<string, unknown>): string {
  return Object.entries(data)
    .filter(([name, value]) => !FOR_PROGRAMS.includes(name) && value !== null && typeof value !== "object" && !(name === "actor" && value === data.bot))
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${shortId(String(value).slice(0, 80))}`).join(" · ");
}

export const Events = ({ id }: { id: string }) => (
  <Feed name="Events" id={id} what="the events" read={(asked) => calls.events(id, asked)} place={(each) => each.id} row={(each) => (
    <li key={each.id}><When time={each.time} /><b>{safe(each.type.replace(/^io\.swarmkeeper\./, "").replace(/\.v\d+$/, ""))}</b><span>{safe(about(each.data))}</span></li>
  )} />
);

/** Args: `item`: only records about this subtask, plan or review. */
export function AuditRecords({ id, item }: { id: string; item?: string }) {
  if (!may("audit.read")) return <OffLimits what="the audit log" who="an auditor or an admin" />;
  return <Feed name="Audit records" id={id} what="the audit log" read={(asked) => calls.audit(id, { ...asked, resource: item })} place={(each) => String(each.index)} row={(each) => <Recorded key={each.index} record={each} />} />;
}

function Recorded({ record }: { record: AuditRecord }) {
  const { actor, decision, payload, resource } = record;
  return (
    <li>
      <When time={record.timestamp} />
      <span><b>{safe(record.action)}</b> {record.outcome !== "accepted" && <span class="error">{safe(record.outcome)}</span>}</span>
      <details>
        <summary>{[shortId(actor.person ?? actor.id), typeof payload === "object" && payload ? about(payload as Record<string, unknown>) : ""].filter(Boolean).map(safe).join(" · ")}</summary>
        <dl class="facts">
          <div><dt>record</dt><dd class="num">{grouped(record.index)}</dd></div>
          <Fact name="actor">{safe(actor.type)} <code>{safe(actor.id)}</code></Fact>
          {resource && <Fact name="on"><code>{safe(resource)}</code></Fact>}
          {decision && <Fact name="by rule">{safe([decision.effect, decision.policy, ...decision.reasons].join(" · "))}</Fact>}
          <Fact name="hash"><code>{record.hash}</code></Fact>
        </dl>
        {record.erased ? <p class="none">What it said was erased.</p> : <Value value={payload} name={`What record ${record.index} says`} />}
      </details>
    </li>
  );
}

/** In place of what a role may not see, who may. */
export const OffLimits = ({ what, who }: { what: string; who: string }) => (
  <div class="trouble forbidden"><strong>Your role may not read {what}.</strong> Ask {who}.</div>
);

const MESSAGES_MAX = 2_000;

export function Messages({ id }: { id: string }) {
  const reading = useRead(`messages ${id}`, async (before: { items: Awaited<ReturnType<typeof calls.messages>>["items"] } | undefined) => {
    let items = before?.items ?? [];
    for (;;) { // the API has the oldest first
      const page = await calls.messages(id, items[items.length - 1]?.id ?? "");
      items = [...items, ...page.items].slice(-MESSAGES_MAX);
      if (!page.next_page_token) return { items };
    }
  }, { on: ofTask(id) });
  const seen = reading.state.value;
  return (
    <section class="feed" aria-label="Messages">
      <Send id={id} sent={reading.again} />
      <Trouble read={seen} what="the messages" />
      {seen.data && !seen.data.items.length && <p class="none">There are none yet.</p>}
      <ol>
        {[...(seen.data?.items ?? [])].reverse().map((each) => (
          <li key={each.id}><When time={each.timestamp} /><span>{safe(shortId(each.from_bot))} to {each.to_bot === null ? "all its bots" : safe(shortId(each.to_bot))}</span><Value value={each.payload} name={`Message of ${each.timestamp}`} /></li>
        ))}
      </ol>
    </section>
  );
}

/** What was typed as the payload of a message: a JSON object as it is, any other text as `text`. */
export function payloadOf(typed: string): Record<string, unknown> {
  if (!typed.trim().startsWith("{")) return { text: typed };
  try {
    return JSON.parse(typed) as Record<string, unknown>;
  } catch (error) {
    throw new ApiError(-1, "malformed", `This is no JSON object: ${(error as Error).message}`);
  }
}

function Send({ id, sent }: { id: string; sent: () => Promise<void> }) {
  const [text, setText] = useDraft(`message ${id}`), [to, setTo] = useState("");
  const { busy, problem, run } = useAct();
  const send = () => void run(async () => {
    await calls.send(id, payloadOf(text), to.trim());
    setText("");
    await sent();
  }, "Sent.");
  return (
    <form class="send" onSubmit={(event) => { event.preventDefault(); if (text.trim() && may("task.message")) send(); }}>
      <label for="to">To the bot (its name; empty: all that work on the task)</label>
      <input id="to" type="text" maxLength={128} value={to} onInput={(event) => setTo(event.currentTarget.value)} />
      <label for="message">Message (text, or a JSON object)</label>
      <textarea id="message" rows={2} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      <div><Act action="task.message" busy={busy || !text.trim()} run={send}>Send</Act></div>
      {problem && <NotDone error={problem} />}
    </form>
  );
}
