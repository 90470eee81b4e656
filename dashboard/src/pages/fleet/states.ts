// How bots and queues are: from what the API says of them, in one word each, the worst first.

import type { Bot, KillState, Queue } from "../../api.ts";
import { worse, type Look } from "../../words.ts";

/** What stops a bot: itself, its owner, or the tenant is killed. */
export const killOf = (bot: Bot, kills: readonly KillState[]): KillState | undefined =>
  kills.find(({ kind, name }) => kind === "tenant" || (kind === "bot" && name === bot.name) || (kind === "owner" && name === bot.owner));

export function lookOfBot(bot: Bot, kills: readonly KillState[]): Look {
  if (killOf(bot, kills)) return { tone: "bad", word: "killed" };
  if (bot.stuck.length) return { tone: "bad", word: "stuck" };
  if (bot.status === "away") return { tone: "bad", word: "away" };
  if (bot.status === "draining") return { tone: "hold", word: "drained" };
  if (bot.status !== "active") return { tone: "hold", word: bot.status.replaceAll("_", " ") };
  if (bot.held) return { tone: "run", word: "working" };
  return bot.asking ? { tone: "ok", word: "asking" } : { tone: "hold", word: "quiet" };
}

export function lookOfQueue(queue: Queue, kills: readonly KillState[]): Look {
  if (kills.some(({ kind, name }) => kind === "tenant" || (kind === "skill" && queue.skills.includes(name)))) return { tone: "bad", word: "killed" };
  if (queue.waiting && !queue.bots) return { tone: "bad", word: "nobody can" };
  if (queue.waiting && !queue.bots_asking) return { tone: "hold", word: "nobody asks" };
  if (queue.leased || queue.out_per_minute) return { tone: "run", word: "moving" };
  return queue.waiting ? { tone: "wait", word: "waits" } : { tone: "plain", word: "quiet" };
}

/** The worst first; of two alike, what more depends on, and then by name. */
export const inOrder = <T>(look: (each: T) => Look, weight: (each: T) => number, name: (each: T) => string) => (a: T, b: T): number =>
  worse(look(a).tone, look(b).tone) || weight(b) - weight(a) || name(a).localeCompare(name(b), "en");

const BARE = /^[\w.,:=/@%+-]+$/;
const word = (text: string): string => (BARE.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** The command that starts a bot for a queue, as `task explain` names it. FILE stands for the bot's file. */
export const runBot = (queue: Pick<Queue, "skills" | "assign_to">): string =>
  ["swarmkeeper bot run FILE", ...(queue.assign_to ? [`--name ${word(queue.assign_to)}`] : []), ...queue.skills.map((skill) => `--skill ${word(skill)}`)].join(" ");
