// The frame of all pages: rail, top bar, help, and what screen readers are told.

import type { ComponentChildren } from "preact";
import { api } from "./api.ts";
import { help, listed, useKeys } from "./keys.ts";
import { approvalsOpen, connection, pending, said, streaming } from "./live.ts";
import { Dialog, Disconnected, Key } from "./parts.tsx";
import { go } from "./route.ts";
import { letters, session, theme, type Theme } from "./state.ts";
import { safe } from "./words.ts";

const PAGES = [
  { path: "inbox", name: "Inbox", keys: "g i" },
  { path: "tasks", name: "Tasks", keys: "g t" },
  { path: "bots", name: "Bots", keys: "g b" },
  { path: "queues", name: "Queues", keys: "g q" },
];
const THEMES: Record<Theme, { next: Theme; sign: string }> = {
  system: { next: "light", sign: "◐" },
  light: { next: "dark", sign: "○" },
  dark: { next: "system", sign: "●" },
};

async function signOut(): Promise<void> {
  try {
    await api.signOut();
  } finally {
    session.value = null;
  }
}

export function Frame({ page, crumb, children }: { page: string; crumb: ComponentChildren; children: ComponentChildren }) {
  const who = session.value!;
  useKeys({
    ...Object.fromEntries(PAGES.map((each) => [each.keys, { does: `go to ${each.name}`, run: () => go(`#/${each.path}`) }])),
    "?": { does: "show the keys", run: () => { help.value = true; } },
  });
  const next = THEMES[theme.value];
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")!.focus(); }}>Skip to the content</a>
      <nav class="rail" aria-label="Pages">
        <a class="brand" href="#/inbox">swarmkeeper</a>
        <ul>
          {PAGES.map((each) => (
            <li key={each.path}>
              <a href={`#/${each.path}`} aria-current={page === each.path ? "page" : undefined}>
                {each.name}
                {each.path === "inbox" && Boolean(approvalsOpen.value) && <span class="badge" aria-label={`${approvalsOpen.value} need you`}>{approvalsOpen.value}</span>}
              </a>
            </li>
          ))}
        </ul>
        <div class="who">
          <span>{safe(who.person_name ?? who.owner ?? `key …${who.key_id.slice(-5)}`)} · {who.role}</span>
          <span>tenant {safe(who.tenant)}</span>
          <button type="button" class="small" onClick={() => void signOut()}>Sign out</button>
        </div>
      </nav>
      <header class="top">
        <div class="crumb">{crumb}</div>
        <span class={`dot ${connection.value.live ? "live" : "lost"}`}>{!connection.value.live ? "no answer" : streaming.value ? "live" : "each 3 s"}</span>
        <button type="button" class="small" onClick={() => { help.value = true; }} aria-label="Keys">?</button>
        <button type="button" class="small" onClick={() => { theme.value = next.next; }} aria-label={`Theme: ${theme.value}. Change to ${next.next}`}>{next.sign}</button>
      </header>
      <main id="main" tabIndex={-1} aria-busy={pending.value > 0}>
        <Disconnected />
        {children}
      </main>
      <p class="hidden-text" role="status" aria-live="polite">{said}</p>
      {help.value && <Help />}
    </div>
  );
}

function Help() {
  const keys = listed();
  const close = () => { help.value = false; };
  useKeys({ Escape: { does: "", run: close } }, true);
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys">
        {keys.map(({ keys: each, does }) => <div key={each}><dt>{each.split(" ").map((key) => <Key key={key}>{key}</Key>)}</dt><dd>{does}</dd></div>)}
      </dl>
      <label class="choice"><input type="checkbox" checked={letters.value} onChange={(event) => { letters.value = event.currentTarget.checked; }} /> single letters are keys</label>
    </Dialog>
  );
}
