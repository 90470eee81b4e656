// What is stuck, and what failed, with one row for each cause. It reads nothing: inbox.tsx gives it what was read.

import type { QueueSeen, TaskFound } from "../../api.ts";
import { filterWord } from "../../query.ts";
import { written } from "../../route.ts";
import { lookOfTask, safe, together, type Tone } from "../../words.ts";

export interface Cause {
  key: string; // in the address
  tone: Tone;
  title: string;
  count: string;
  since: string | null;
  detail: string;
  fix: string | null; // a command that helps
  tasks: TaskFound[];
  more: { href: string; name: string } | null; // where there is more of it
  explain?: string; // the task whose explanation says more
}

const OPEN_LINE = "status:created status:planned status:in_progress status:completed";
const found = (q: string): string => written(["tasks"], { q });

const WHO: Record<string, string> = { plan: "planner", execute: "bot", review: "evaluator" };
// Reasons that end by themselves soon are no cause to look: only if the oldest has waited so long.
const SOON_S: Record<string, number> = { bots_at_capacity: 60, rate_limited: 60, queued: 300, concurrency: 300 };

/** Return one row for each cause that keeps queues from being worked on, the one that most waits for first. */
export function stuck(queues: readonly QueueSeen[]): Cause[] {
  const long = queues.filter(({ why, waiting, oldest_seconds }) => why && waiting && (oldest_seconds ?? 0) >= (SOON_S[why.reason] ?? 0));
  const groups = together(long, ({ why }) => `${why!.reason} ${why!.fix ?? why!.detail}`);
  return [...groups].map(([key, of]) => {
    const waiting = sum(of.map((each) => each.waiting)), least = of.some((each) => each.waiting_at_least);
    const { reason, detail, fix } = of[0]!.why!, [skill] = of[0]!.skills;
    const one = skill !== undefined && of.every(({ skills }) => skills.length === 1 && skills[0] === skill);
    return {
      key, tone: reason === "killed" ? "bad" as const : "wait" as const, title: titled(reason, of[0]!), detail, fix, tasks: [],
      count: `${waiting}${least ? " or more wait" : waiting === 1 ? " waits" : " wait"}`, waiting,
      since: earliest(of.map((each) => each.oldest_at)), more: one
        ? { href: found(`${OPEN_LINE} ${filterWord("skill", skill)}`), name: `Open tasks that need ${safe(skill)}` }
        : { href: "#/queues", name: "All queues" },
    };
  }).sort((a, b) => b.waiting - a.waiting);
}

function titled(reason: string, queue: QueueSeen): string {
  const skills = queue.skills.map(safe).join(", "), who = WHO[queue.kind] ?? "bot", of = skills && ` for ${skills}`;
  switch (reason) {
    case "no_bot_registered":
    case "no_capable_bot": return skills ? `No ${who} can ${skills}` : `No ${who} is here`;
    case "assigned_bot_away": return `${safe(queue.assign_to ?? "The bot")} is away`;
    case "bot_not_asking": return `No ${who} asks for work${of}`;
    case "draining": return `Each ${who}${of} is drained`;
    case "bots_at_capacity": return `Each ${who}${of} is busy`;
    case "killed": return `Killed: ${skills || who}`;
    case "budget": return "The tenant is at its budget";
    case "rate_limited": return `At the rate limit${of}`;
    case "overloaded": return "The server is overloaded";
    default: return `${reason[0]!.toUpperCase()}${reason.slice(1).replaceAll("_", " ")}${of}`;
  }
}

/** Return a row for the open tasks that somebody paused. */
export function paused(open: readonly TaskFound[]): Cause[] {
  const tasks = open.filter((task) => task.holds.includes("paused"));
  if (!tasks.length) return [];
  return [{
    key: "paused", tone: "hold", title: tasks.length === 1 ? `Paused: ${safe(tasks[0]!.title)}` : `${tasks.length} tasks are paused`,
    count: "until somebody resumes", since: earliest(tasks.map((task) => task.updated_at)),
    detail: "Bots get no work of it until somebody resumes it.", fix: `swarmkeeper task resume ${tasks[0]!.id}`, tasks, more: null,
  }];
}

/** Return a row for each open task that no person holds, the oldest first; each says itself why it is not done. */
export function longest(open: readonly TaskFound[]): Cause[] {
  return open.filter((task) => task.outcome === null && !task.holds.some((hold) => hold !== "budget")).map((task) => ({
    key: task.id, tone: task.progress.failed ? "bad" as const : lookOfTask(task).tone, title: safe(task.title), since: task.created_at,
    count: `${task.progress.done} of ${task.progress.total} done${task.progress.failed ? `, ${task.progress.failed} failed` : ""}`,
    detail: "", fix: null, tasks: [task], more: { href: `#/tasks/${task.id}`, name: "Open the task" }, explain: task.id,
  }));
}

const ALIKE_WORDS = 6, ALIKE_MAX = 120;

/** What errors that are alike begin with: the first words of the first line, without numbers. */
export function alike(task: TaskFound): string {
  const said = task.error?.message || task.failure?.detail || (task.outcome ?? "failed");
  return said.split("\n")[0]!.split(/\s+/).slice(0, ALIKE_WORDS).join(" ").replace(/\d+/g, "…").slice(0, ALIKE_MAX);
}

/** The words of an error by which the server finds those that are alike. */
function like(task: TaskFound, said: string): string {
  const words = said.match(/(?<![^\s(["'])[A-Za-z_]{2,}(?![^\s)\]"':;,.])/g) ?? [];
  if (said.length === ALIKE_MAX) words.pop(); // it may be a part of one
  return task.error?.message && words.length ? ` error:"${words.join(" ")}"` : task.failure ? ` error:${task.failure.code}` : "";
}

/** Return a row for each kind of error, of the tasks that failed at `since` (a time in ms) or later. */
export function failures(tasks: readonly TaskFound[], since: number): Cause[] {
  const groups = together(tasks.filter((task) => Date.parse(ended(task)) >= since), alike);
  const after = new Date(since).toISOString().slice(0, 16);
  return [...groups].map(([words, of]) => ({
    key: `failed ${words}`, tone: "bad" as const, title: safe(words), count: of.length === 1 ? safe(of[0]!.title) : `${of.length} tasks`,
    since: of.map(ended).sort().at(-1)!, detail: of[0]!.error?.message ?? of[0]!.failure?.detail ?? "",
    fix: of.length === 1 ? `swarmkeeper task retry ${of[0]!.id}` : null, tasks: of,
    more: { href: found(`status:failed${like(of[0]!, words)} after:${after}Z`), name: "All that failed so, of the tasks of a day" },
  })).sort((a, b) => b.tasks.length - a.tasks.length || b.since.localeCompare(a.since));
}

const ended = (task: TaskFound): string => task.ended_at ?? task.updated_at;
const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);
const earliest = (times: readonly (string | null)[]): string | null => times.filter((time) => time !== null).sort()[0] ?? null;
