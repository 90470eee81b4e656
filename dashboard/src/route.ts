// The part of the address after `#` is the whole state of a view: a path, and a query. So a view can be sent as a link,
// and nothing of it reaches the server's log.

import { signal } from "@preact/signals";

export interface Route { path: string[]; query: URLSearchParams }

export function parse(hash: string): Route {
  const text = hash.replace(/^#\/?/, "");
  const at = text.indexOf("?");
  const path = (at < 0 ? text : text.slice(0, at)).split("/").filter(Boolean).map(decoded);
  return { path, query: new URLSearchParams(at < 0 ? "" : text.slice(at + 1)) };
}

export function written(path: readonly string[], query?: URLSearchParams | Record<string, string>): string {
  const rest = new URLSearchParams(query).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${rest ? `?${rest}` : ""}`;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const now = () => (typeof location === "undefined" ? "" : location.hash);
export const route = signal<Route>(parse(now()));

export function follow(): void {
  addEventListener("hashchange", () => { route.value = parse(now()); });
}

export function go(to: string, replace = false): void {
  if (replace) history.replaceState(null, "", to);
  else location.hash = to;
  route.value = parse(to);
}

export const asked = (name: string): string => route.value.query.get(name) ?? "";

export type Changes = Record<string, string | null>;

/** The address of the page with other values; null or "" takes one out. */
export function address(changes: Changes): string {
  const query = new URLSearchParams(route.value.query);
  for (const [name, value] of Object.entries(changes)) if (value) query.set(name, value); else query.delete(name);
  return written(route.value.path, query);
}
/** What does not lead back: the next step of a list, a tab, a filter. */
export const put = (changes: Changes, replace = true): void => go(address(changes), replace);
