// The inbox is home: what needs a person, soonest end first; what is stuck, by cause; what failed within a day, by error;
// what is open for longest. On the right is what is chosen in the address.

import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { api, type Page, type QueueSeen, type TaskFound } from "../api.ts";
import { useKeys } from "../keys.ts";
import { approvalsOpen, counts, now, useRead } from "../live.ts";
import { Command, Glyph, Key, Skeleton, Trouble } from "../parts.tsx";
import { FIRST_TASK } from "../query.ts";
import { go, route, written } from "../route.ts";
import { may } from "../state.ts";
import { grouped, safe, since, until, type Tone, near } from "../words.ts";
import { failures, longest, paused, stuck, type Cause } from "./inbox/causes.ts";

const DAY_MS = 86_400_000;
const SEEN_MAX = 100; // tasks that are looked at: the oldest open ones, and the newest failed ones
const LONGEST_MAX = 3;
const OPEN = ["CREATED", "PLANNED", "IN_PROGRESS", "COMPLETED"];
const GAP_MS = 5_000; // three reads of what changes all the time
export const KINDS: Record<string, string> = { plan: "Approve a plan", final: "Approve a result", rounds: "More rounds?", question: "A bot asks", budget: "Raise a budget?" };

interface Seen { queues: Page<QueueSeen> | null; open: Page<TaskFound>; failed: Page<TaskFound> }

async function read(): Promise<Seen> {
  const [queues, open, failed] = await Promise.all([
    may("skill.read") ? api.queuesSeen() : null,
    api.rows({ status: OPEN, order_by: "created_at", page_size: SEEN_MAX }),
    api.rows({ status: ["FAILED"], order_by: "-created_at", page_size: SEEN_MAX }),
  ]);
  return { queues, open, failed };
}

export interface PaneProps { approval: string | null; cause: Cause | undefined; decided: () => void }
interface Entry { key: string; href: string; opens: string | undefined }

export function Inbox({ pane: Pane }: { pane: ComponentType<PaneProps> }) {
  const asked = useRead("approvals", async () => (may("approval.read") ? api.needed() : null));
  const looked = useRead<Seen>("inbox", read, { gap: GAP_MS });
  const needs = asked.state.value, seen = looked.state.value;
  const approvals = needs.data?.items ?? [];
  const causes = seen.data ? [...stuck(seen.data.queues?.items ?? []), ...paused(seen.data.open.items)] : [];
  const failed = seen.data ? failures(seen.data.failed.items, now.value - DAY_MS) : [];
  const asking = new Set(approvals.map((each) => each.task_id));
  const all = seen.data ? longest(seen.data.open.items) : [], open = all.filter((each) => !asking.has(each.key)).slice(0, LONGEST_MAX);
  const query = route.value.query;
  const chosen = query.get("approval") ?? query.get("row");
  const entries: Entry[] = [
    ...approvals.map((each) => ({ key: each.id, href: written(["inbox"], { approval: each.id }), opens: `#/tasks/${each.task_id}` })),
    ...[...causes, ...failed, ...open].map((each) => ({ key: each.key, href: hrefOf(each), opens: each.tasks.length === 1 ? `#/tasks/${each.tasks[0]!.id}` : each.more?.href })),
  ];
  const at = entries.findIndex((each) => each.key === chosen);
  const step = (to: number) => { const entry = near(entries, to); if (entry) go(entry.href, true); };
  useEffect(() => { if (needs.data) approvalsOpen.value ??= needs.data.open; }, [needs.data]); // without a stream of changes
  useEffect(() => document.querySelector(".list [aria-current]")?.scrollIntoView({ block: "nearest" }), [chosen]);
  useKeys({
    j: { does: "next", run: () => step(at + 1) },
    k: { does: "previous", run: () => step(at - 1) },
    Enter: { does: "open the task", run: () => { const to = entries[at]?.opens; if (to) go(to); } },
    Escape: { does: "", run: () => { if (chosen) go("#/inbox", true); } },
  });
  const decided = () => {
    void asked.again();
    const next = approvals.find((each) => each.id !== chosen);
    go(next ? entries.find((each) => each.key === next.id)!.href : "#/inbox", true);
  };
  const known = needs.data !== undefined && seen.data !== undefined;
  const nothing = known && !approvals.length && !causes.length && !failed.length;
  const rows = (of: readonly Cause[]) => of.map((each) => (
    <Row key={each.key} href={hrefOf(each)} chosen={each.key === chosen} tone={each.tone} title={each.title} age={since(each.since, now.value)} small={each.count} code={each.fix} />
  ));
  return (
    <div class={`inbox ${chosen ? "with-decision" : ""}`}>
      <h1 class="hidden-text">Inbox</h1>
      <div class="list">
        <Trouble read={needs} what="the approvals" />
        {nothing && <Quiet open={seen.data!.open} queues={seen.data!.queues} />}
        {needs.data === null && <p class="none">What needs a decision is shown to whose role has approval.read: approver, operator, viewer, auditor, admin.</p>}
        {approvals.length > 0 && (
          <Part id="needs" name="Needs you" column="ends in">
            {approvals.map((each) => (
              <Row key={each.id} href={written(["inbox"], { approval: each.id })} chosen={each.id === chosen} tone="hold"
                title={safe(each.task_title ?? each.question)} age={until(each.expires_at, now.value)}
                small={`${KINDS[each.kind] ?? each.kind}${each.asker ? ` (${safe(nameOf(each.asker))})` : ""}${each.task_title ? `: ${safe(each.question)}` : ""} · for ${since(each.opened_at, now.value)}`} />
            ))}
            {needs.data!.open > approvals.length && <li class="none">and {needs.data!.open - approvals.length}{needs.data!.open_at_least ? " or more" : ""} that end later</li>}
          </Part>
        )}
        <Trouble read={seen} what="what is stuck" />
        {!seen.data && seen.slow && <Skeleton rows={4} />}
        {causes.length > 0 && <Part id="stuck" name="Stuck" column="oldest">{rows(causes)}</Part>}
        {failed.length > 0 && <Part id="failed" name="Failed within a day" column="newest">{rows(failed)}</Part>}
        {open.length > 0 && <Part id="longest" name="Open for longest" column="for">{rows(open)}</Part>}
        {seen.data?.queues === null && <p class="none">Which queues are stuck is shown to whose role has skill.read: operator, approver, viewer, auditor, admin.</p>}
      </div>
      <div class="decision">
        {chosen
          ? <Pane key={chosen} approval={query.get("approval")} cause={[...causes, ...failed, ...all].find((each) => each.key === chosen)} decided={decided} />
          : known && entries.length > 0 && <p class="none">Choose a row: <Key>j</Key> <Key>k</Key></p>}
      </div>
    </div>
  );
}

const hrefOf = (cause: Cause): string => written(["inbox"], { row: cause.key });

/** A key that has no owner is named by its end. */
export const nameOf = (asker: string): string => (/^key_\w+$/.test(asker) ? `key …${asker.slice(-5)}` : asker);

function Part({ id, name, column, children }: { id: string; name: string; column: string; children: preact.ComponentChildren }) {
  return <section aria-labelledby={id}><h2 id={id}>{name} <span aria-hidden="true">{column}</span></h2><ul>{children}</ul></section>;
}

interface RowProps { href: string; chosen: boolean; tone: Tone; title: string; age: string; small: string; code?: string | null }

const Row = ({ href, chosen, tone, title, age, small, code }: RowProps) => (
  <li>
    <a class="entry" href={href} aria-current={chosen ? "true" : undefined}>
      <Glyph tone={tone} /><b>{title}</b><span class="num">{age}</span><small>{small}{code && <> · <code>{safe(code)}</code></>}</small>
    </a>
  </li>
);

function Quiet({ open, queues }: { open: Page<TaskFound>; queues: Page<QueueSeen> | null }) {
  const tasks = counts.value?.open_tasks ?? open.items.length;
  const leased = queues?.items.reduce((all, each) => all + each.leased, 0) ?? 0;
  return (
    <section aria-label="Quiet" class="all-quiet">
      <p><Glyph tone="ok" /> Nothing needs you. {tasks === 0 ? "No task is open." : `${grouped(tasks)} ${tasks === 1 ? "task is" : "tasks are"} open, ${leased ? `bots work on ${grouped(leased)} of their parts` : "no bot is at work"}.`}</p>
      {tasks === 0 && <p class="none">Submit one, and it shows here: <Command text={FIRST_TASK} /></p>}
    </section>
  );
}
