// What all pages share: who is signed in, and how they want it: theme, zone of times, whether single letters are keys.

import { effect, signal } from "@preact/signals";
import type { Session } from "./api.ts";

/** undefined: not known yet; null: nobody is signed in. */
export const session = signal<Session | null | undefined>(undefined);
export const may = (action: string): boolean => session.value?.may.includes(action) ?? false;

// The roles that may do what a button does, beside `admin`: by the action, or else by what it is about. A test compares
// this with the server's table of roles.
const ROLES: Record<string, string> = {
  "task.erase": "", task: "client, operator, ", bot: "operator, ", "kill.manage": "operator, ", approval: "approver, ", audit: "auditor, ", redaction: "auditor, ",
};
export const rolesFor = (action: string): string => `${ROLES[action] ?? ROLES[action.split(".")[0]!] ?? ""}admin`;
/** Why the button is off; undefined: the role may use it. */
export const whyNot = (action: string): string | undefined => (may(action) ? undefined : `Your role may not ${action}; these may: ${rolesFor(action)}.`);

export type Theme = "system" | "light" | "dark";

// A browser may forbid pages to keep anything: then a choice lasts as long as the page.
export function kept(name: string, otherwise: string): string {
  try {
    return localStorage.getItem(`swarmkeeper.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`swarmkeeper.${name}`, value);
  } catch {
    // As above.
  }
}

export const theme = signal<Theme>(kept("theme", "system") as Theme);
export const letters = signal(kept("letters", "on") === "on");
/** Whether times are shown in UTC, and not in the zone of this machine. */
export const utc = signal(kept("zone", "local") === "utc");

export function keepChoices(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    keep("theme", theme.value);
  });
  effect(() => keep("letters", letters.value ? "on" : "off"));
  effect(() => keep("zone", utc.value ? "utc" : "local"));
}
