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

export function written(path: readonly string[], query?: URLSearchParams): string {
  const rest = query?.toString() ?? "";
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
