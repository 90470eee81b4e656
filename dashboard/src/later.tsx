// Pages that are loaded when they are first opened. If the server was upgraded meanwhile, its files do not fit to what
// is loaded here: then the page says so, and a reload helps.

import type { ComponentType } from "preact";
import { signal } from "@preact/signals";
import { pending } from "./live.ts";
import { Skeleton } from "./parts.tsx";

type Module = Record<string, unknown>;

/** Return a component that loads the module of the one named and shows it then. */
export function later<P extends object>(load: () => Promise<Module>, name: string): ComponentType<P> {
  const found = signal<ComponentType<P> | undefined>(undefined);
  const failed = signal(false);
  let loading = false;
  async function begin(): Promise<void> {
    loading = true;
    failed.value = false;
    pending.value++;
    try {
      found.value = (await load())[name] as ComponentType<P>;
    } catch {
      failed.value = true;
      loading = false;
    } finally {
      pending.value--;
    }
  }
  return function Later(props: P) {
    const Found = found.value;
    if (Found) return <Found {...props} />;
    if (failed.value) {
      return (
        <div class="trouble" role="alert">
          <strong>This page cannot be loaded.</strong> The server does not answer, or was upgraded.{" "}
          <button type="button" class="small" onClick={() => void begin()}>Try again</button>{" "}
          <button type="button" class="small" onClick={() => location.reload()}>Reload all</button>
        </div>
      );
    }
    if (!loading) void begin();
    return <Skeleton rows={8} />;
  };
}
