// Who is signed in and how pages look; keys, persons, what is stopped; and a test of the redaction. Each has an address.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { lists, type KillState } from "../../api.ts";
import { ofAlso, useRead } from "../../live.ts";
import { Act, Ago, Command, Dialog, NotDone, State, Trouble, Value, When, useAct, Fact, Table } from "../../parts.tsx";
import { address, asked } from "../../route.ts";
import { letters, may, session, theme, utc, type Theme } from "../../state.ts";
import { grouped, moment, money, safe, shortId, type Look } from "../../words.ts";
import { desk, type KeyRecord, type Person, type Redacted, type SignedIn } from "./calls.ts";
import { CALM, Confirm, Field, More, timeOf, usePages, zoneName } from "./kit.tsx";

const PARTS: Record<string, { name: string; Part: () => ComponentChildren }> = {
  you: { name: "You", Part: You },
  keys: { name: "Keys", Part: Keys },
  persons: { name: "Persons", Part: Persons },
  limits: { name: "Limits", Part: LimitsPart },
  stops: { name: "Kill switch", Part: Stops },
  redaction: { name: "Redaction", Part: Redaction },
};
const ROLES = ["client", "bot:planner", "bot:executor", "bot:evaluator", "operator", "approver", "viewer", "auditor", "admin"];
const listed = (text: string): string[] | undefined => { const found = text.split(",").map((each) => each.trim()).filter(Boolean); return found.length ? found : undefined; };

export function Settings() {
  const chosen = PARTS[asked("part")] ? asked("part") : "you", { Part } = PARTS[chosen]!;
  return (
    <div class="page settings">
      <h1 class="hidden-text">Settings</h1>
      <nav class="choices" aria-label="Settings">
        {Object.entries(PARTS).map(([path, { name }]) => <a key={path} class="tab" href={address({ part: path === "you" ? null : path })} aria-current={path === chosen ? "page" : undefined}>{name}</a>)}
      </nav>
      <Part key={chosen} />
    </div>
  );
}

// ---- You -------------------------------------------------------------------------------------------------------------

function You() {
  const who = session.value!, themes: Theme[] = ["system", "light", "dark"];
  return (
    <div class="columns">
      <section>
        <h2>How it looks</h2>
        <fieldset><legend>Theme</legend>{themes.map((each) => <label class="choice" key={each}><input type="radio" name="theme" checked={theme.value === each} onChange={() => { theme.value = each; }} /> {each}</label>)}</fieldset>
        <fieldset><legend>Times</legend>{[false, true].map((each) => <label class="choice" key={String(each)}><input type="radio" name="zone" checked={utc.value === each} onChange={() => { utc.value = each; }} /> {each ? "UTC" : "local"}</label>)}</fieldset>
        <fieldset><legend>Keys</legend><label class="choice"><input type="checkbox" checked={letters.value} onChange={(event) => { letters.value = event.currentTarget.checked; }} /> single letters are keys</label></fieldset>
        <p class="none">This browser keeps these three, and what you ask it to keep of the audit log.</p>
      </section>
      <section>
        <h2>Your session</h2>
        <dl class="facts">
          {who.person && <Fact name="person">{safe(who.person_name ?? "")} <code>{who.person}</code></Fact>}
          {who.owner && <Fact name="owner">{safe(who.owner)}</Fact>}
          <Fact name="role">{who.role}</Fact>
          <Fact name="key"><code>{safe(who.key_id)}</code></Fact>
          <Fact name="session"><code>{who.session_id ?? "–"}</code></Fact>
          <Fact name="tenant">{safe(who.tenant)}</Fact>
          <div><dt>may</dt><dd class="may">{who.may.map((each) => <code key={each}>{each}</code>)}</dd></div>
        </dl>
        <SignedInList />
      </section>
    </div>
  );
}

/** The browsers that are signed in with the same key; any of them is signed out here. */
function SignedInList() {
  const reading = useRead("sessions", desk.sessions, CALM);
  const doing = useAct();
  const all = reading.state.value.data?.items ?? [], others = all.filter((each) => !each.current);
  const end = (what: SignedIn[]) => void doing.run(async () => { for (const each of what) await desk.endSession(each.id); }, "Signed out.").then(reading.again);
  return (
    <>
      <h2>Signed in with this key</h2>
      <p class="none">A session ends after 12 hours without a call, after a week, and with its key.</p>
      <Trouble read={reading.state.value} what="your sessions" />
      {doing.problem && <NotDone error={doing.problem} />}
      {all.length > 0 && (
        <Table name="Sessions" columns={["Since", "Last used", "Ends", ""]}>
          {all.map((each) => (
            <tr key={each.id}>
              <th scope="row"><When time={each.created_at} /></th><td>{each.current ? <span class="label">this browser</span> : <><Ago time={each.used_at} /> ago</>}</td><td><When time={each.ends_at} /></td>
              <td><div class="acts">{!each.current && <Act action="session.open" busy={doing.busy} run={() => end([each])}>Sign out</Act>}</div></td>
            </tr>
          ))}
        </Table>
      )}
      {others.length > 1 && <p class="acts"><Act action="session.open" kind="danger" busy={doing.busy} run={() => end(others)}>Sign out all {others.length} others</Act></p>}
    </>
  );
}

// ---- Limits ----------------------------------------------------------------------------------------------------------

// What the server calls by a word that says too little.
const LIMITS: Record<string, string> = { body_bytes: "bytes of calls at work", polls: "bots that wait for work", followers: "open streams", waits: "calls that wait for tasks" };
const sized = (bytes: number): string => (bytes < 1 << 20 ? grouped(bytes) : `${grouped(Math.floor(bytes / (1 << 20)))} MiB`);

function LimitsPart() {
  const reading = useRead("limits", desk.limits, { ...CALM, every: 10_000, seldom: 10_000 });
  const seen = reading.state.value, found = seen.data, budget = found?.budget;
  const row = (name: string, whose: string, used: number, most: number | null, shown: (n: number) => string = grouped) => (
    <tr key={`${name} ${whose}`}>
      <th scope="row">{safe(name.replaceAll("_", " "))}</th><td>{whose}</td>
      <td class="part">{most !== null && <svg class={`share ${used >= 0.8 * most ? "near" : ""}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="6" /><rect width={most ? Math.min(100, (100 * used) / most) : 100} height="6" /></svg>}</td>
      <td class="num">{shown(used)}</td><td class="num">{most === null ? "no limit" : shown(most)}</td>
    </tr>
  );
  return (
    <>
      <div class="part-head"><h2>Limits</h2></div>
      <Trouble read={seen} what="the limits" />
      {found && (
        <>
          <Table name="Use" columns={["Limit", "Of", "", "#Used", "#At most"]}>
            {budget && Object.entries(budget.limit).map(([name, most]) => row(name === "cost_micro_usd" ? "budget: cost" : `budget: ${name}`, "tenant", (budget.spent[name] ?? 0) + (budget.reserved[name] ?? 0), most, name === "cost_micro_usd" ? money : grouped))}
            {found.items.map((each) => row(LIMITS[each.limit] ?? each.limit, each.scope === "key" ? "your key" : "tenant", each.used, each.most, each.limit.endsWith("bytes") ? sized : grouped))}
          </Table>
          {found.rates.length > 0 && (
            <Table name="Rates of leases" columns={["Leases of", "#At once", "#A minute", "#Tokens a minute"]}>
              {found.rates.map((each) => <tr key={each.key}><th scope="row">{safe(each.key.replace(":", " "))}</th>{[each.max, each.per_minute, each.tokens_per_minute].map((most, at) => <td class="num" key={at}>{most === null ? "–" : grouped(most)}</td>)}</tr>)}
            </Table>
          )}
          <p class="foot">Who runs the server sets them: <Command text={`swarmkeeper tenant set ${session.value!.tenant} --max-backlog 5000`} /></p>
        </>
      )}
    </>
  );
}

// ---- Keys ------------------------------------------------------------------------------------------------------------

function keyLook(key: KeyRecord): Look {
  if (key.revoked_at) return { tone: "bad", word: "revoked" };
  return key.expires_at && Date.parse(key.expires_at) < Date.now() ? { tone: "plain", word: "expired" } : { tone: "ok", word: "valid" };
}

function Keys() {
  const pages = usePages("keys", desk.keys, (key) => key.id, { ...CALM, on: ofAlso("key") });
  const [asking, setAsking] = useState<{ what: "new" | "rotate" | "revoke"; key?: KeyRecord } | null>(null);
  const close = () => { setAsking(null); void pages.again(); };
  const keys = [...pages.items].sort((a, b) => Number(Boolean(a.revoked_at)) - Number(Boolean(b.revoked_at)) || b.created_at.localeCompare(a.created_at));
  return (
    <>
      <Head title="Keys" act="Create a key…" action="key.manage" run={() => setAsking({ what: "new" })} />
      <Trouble read={pages.seen} what="the keys" />
      {keys.length > 0 && (
        <Table name="Keys" columns={["Key", "Role", "Whose", "Bounds", "State", "Last used", "Ends", ""]}>
          {keys.map((key) => (
            <tr key={key.id}>
              <th scope="row"><code>{shortId(key.id)}</code>{key.id === session.value!.key_id && <span class="label">yours</span>}</th>
              <td>{key.role}</td>
              <td>{safe([key.person_name ?? key.owner, key.bot && `bot ${key.bot}`].filter(Boolean).join(" · ")) || "–"}</td>
              <td>{[key.scope && `${key.scope} tasks`, key.skills && `skills ${key.skills.join(", ")}`, key.networks && `from ${key.networks.join(", ")}`].filter(Boolean).map((each) => safe(each as string)).join(" · ") || "–"}</td>
              <td><State look={keyLook(key)} /></td>
              <td>{key.last_used ? <><Ago time={key.last_used} /> ago</> : "never"}</td>
              <td><Dated time={key.revoked_at ?? key.expires_at} /></td>
              <td><div class="acts">{!key.revoked_at && <><Act action="key.manage" run={() => setAsking({ what: "rotate", key })}>Rotate…</Act><Act action="key.manage" kind="danger" run={() => setAsking({ what: "revoke", key })}>Revoke…</Act></>}</div></td>
            </tr>
          ))}
        </Table>
      )}
      {pages.seen.data && <More pages={pages} what="keys" />}
      {asking?.what === "new" && <NewKey close={close} />}
      {asking?.what === "rotate" && <Rotate of={asking.key!} close={close} />}
      {asking?.what === "revoke" && (
        <Confirm title={`Revoke ${shortId(asking.key!.id)}?`} does="Revoke" action="key.manage" run={() => desk.revokeKey(asking.key!.id)} close={close}>
          <p>The {asking.key!.role} key of {safe(asking.key!.person_name ?? asking.key!.owner ?? asking.key!.bot ?? "nobody named")} counts no more, for good. Bots without another key lose their leases.{asking.key!.id === session.value!.key_id && " It is yours: you are signed out with it."}</p>
        </Confirm>
      )}
    </>
  );
}

/** A key in plain text: it is in this answer, and never again. */
const Fresh = ({ made, close }: { made: KeyRecord; close: () => void }) => (
  <div class="fresh">
    <p><strong>Copy the key now: it is shown once.</strong> The server keeps only a hash of it.</p>
    <p><Command text={made.key ?? "The answer came twice, and has no key: rotate it."} /></p>
    <p class="none">Role {made.role}. It ends <Dated time={made.expires_at} />.</p>
    <p class="acts"><button type="button" class="main" onClick={close}>I have copied it</button></p>
  </div>
);

function NewKey({ close }: { close: () => void }) {
  const doing = useAct();
  const [made, setMade] = useState<KeyRecord | null>(null);
  const [role, setRole] = useState("viewer");
  const persons = usePages("persons of keys", async (token) => (may("person.read") ? desk.persons(token) : { items: [], next_page_token: "" }), (person) => person.id);
  const bot = role.startsWith("bot:") || role === "admin";
  async function send(form: HTMLFormElement): Promise<void> {
    const given = new FormData(form), text = (name: string) => String(given.get(name) ?? "").trim() || undefined;
    const days = text("days"), body = {
      role, person: text("person"), owner: text("owner"), scope: text("scope"), bot: text("bot"), skills: listed(text("skills") ?? ""),
      networks: listed(text("networks") ?? ""), expires_days: days === undefined ? undefined : Number(days),
    };
    const answer = await doing.run(() => desk.createKey(body), "The key was created. Copy it now.");
    if (answer) setMade(answer);
  }
  return (
    <Dialog title={made ? "The new key" : "Create a key"} close={close}>
      {made ? <Fresh made={made} close={close} /> : (
        <form class="form" onSubmit={(event) => { event.preventDefault(); void send(event.currentTarget); }}>
          <Field label="Role"><select value={role} onChange={(event) => setRole(event.currentTarget.value)}>{ROLES.map((each) => <option key={each}>{each}</option>)}</select></Field>
          <Field label="Person"><select name="person"><option value="">nobody</option>{persons.items.filter((each) => !each.disabled_at).map((each) => <option key={each.id} value={each.id}>{safe(each.name)}</option>)}</select></Field>
          <Field label="Owner" hint="who answers for it, such as a team"><input name="owner" /></Field>
          {role === "client" && <Field label="Sees"><select name="scope"><option value="own">its own tasks</option><option value="tenant">all tasks of the tenant</option></select></Field>}
          {bot && <Field label="Bot" hint="the only name it may act as"><input name="bot" /></Field>}
          {bot && <Field label="Skills" hint="parted by commas; none: any"><input name="skills" /></Field>}
          <Field label="Ends after days" hint="0: never; nothing: as the server sets"><input name="days" type="number" min="0" max="3650" /></Field>
          <Field label="Networks" hint="such as 10.1.0.0/16; none: from anywhere"><input name="networks" /></Field>
          {doing.problem && <NotDone error={doing.problem} />}
          <p class="acts"><Act action="key.manage" kind="main" busy={doing.busy} submits>Create</Act></p>
        </form>
      )}
    </Dialog>
  );
}

function Rotate({ of, close }: { of: KeyRecord; close: () => void }) {
  const doing = useAct();
  const [made, setMade] = useState<KeyRecord | null>(null);
  const send = () => void doing.run(() => desk.rotateKey(of.id), "The key has a new secret. Copy it now.").then((answer) => { if (answer) setMade(answer); });
  return (
    <Dialog title={made ? "The new secret" : `Rotate ${shortId(of.id)}?`} close={close}>
      {made ? <Fresh made={made} close={close} /> : (
        <>
          <p>It gets a new secret. The old one stays valid for a day, so that bots can change over.</p>
          {doing.problem && <NotDone error={doing.problem} />}
          <p class="acts"><Act action="key.manage" kind="main" busy={doing.busy} run={send}>Rotate</Act></p>
        </>
      )}
    </Dialog>
  );
}

// ---- Persons ---------------------------------------------------------------------------------------------------------

function Persons() {
  const pages = usePages("persons", desk.persons, (person) => person.id, { ...CALM, on: ofAlso("person") });
  const [asking, setAsking] = useState<{ what: "new" | "rename" | "disable"; person?: Person } | null>(null);
  const doing = useAct();
  const close = () => { setAsking(null); void pages.again(); };
  const enable = (person: Person) => void doing.run(() => desk.onPerson(person.id, "enable"), `${person.name} is enabled.`).then(() => pages.again());
  return (
    <>
      <Head title="Persons" act="Add a person…" action="person.manage" run={() => setAsking({ what: "new" })} />
      <Trouble read={pages.seen} what="the persons" />
      {doing.problem && <NotDone error={doing.problem} />}
      {pages.seen.data && !pages.items.length && <div class="empty"><h2>There is no person yet.</h2><p>Decisions name the person to whom a key belongs: <Command text="swarmkeeper docs persons" /></p></div>}
      {pages.items.length > 0 && (
        <Table name="Persons" columns={["Name", "Id", "State", "Since", ""]}>
          {pages.items.map((person) => (
            <tr key={person.id}>
              <th scope="row">{safe(person.name)}</th><td><code>{person.id}</code></td>
              <td><State look={person.disabled_at ? { tone: "hold", word: "disabled" } : { tone: "ok", word: "active" }} /></td>
              <td><Dated time={person.disabled_at ?? person.created_at} /></td>
              <td><div class="acts">
                <Act action="person.manage" run={() => setAsking({ what: "rename", person })}>Rename…</Act>
                {person.disabled_at ? <Act action="person.manage" busy={doing.busy} run={() => enable(person)}>Enable</Act> : <Act action="person.manage" kind="danger" run={() => setAsking({ what: "disable", person })}>Disable…</Act>}
              </div></td>
            </tr>
          ))}
        </Table>
      )}
      {pages.items.length > 0 && <More pages={pages} what="persons" />}
      {asking && asking.what !== "disable" && <Named person={asking.person} close={close} />}
      {asking?.what === "disable" && (
        <Confirm title={`Disable ${safe(asking.person!.name)}?`} does="Disable" action="person.manage" run={() => desk.onPerson(asking.person!.id, "disable")} close={close}>
          <p>All keys, tokens and sessions of this person are refused, on every server within a second, until the person is enabled again.</p>
        </Confirm>
      )}
    </>
  );
}

function Named({ person, close }: { person: Person | undefined; close: () => void }) {
  const doing = useAct();
  const send = (name: string) => void doing.run(async () => { await (person ? desk.onPerson(person.id, "rename", { name }) : desk.addPerson(name)); close(); }, person ? "Renamed." : "Added.");
  return (
    <Dialog title={person ? `Rename ${safe(person.name)}` : "Add a person"} close={close}>
      <form class="form" onSubmit={(event) => { event.preventDefault(); send(String(new FormData(event.currentTarget).get("name")).trim()); }}>
        <Field label="Name"><input name="name" required defaultValue={person?.name ?? ""} /></Field>
        {doing.problem && <NotDone error={doing.problem} />}
        <p class="acts"><Act action="person.manage" kind="main" busy={doing.busy} submits>{person ? "Rename" : "Add"}</Act></p>
      </form>
    </Dialog>
  );
}

// ---- Kill switch -----------------------------------------------------------------------------------------------------

function Stops() {
  const pages = usePages("kills", lists.kills, (kill) => kill.id, { ...CALM, on: ofAlso("kill") });
  const [asking, setAsking] = useState<KillState | "new" | null>(null);
  const close = () => { setAsking(null); void pages.again(); };
  const kills = pages.seen.data?.items ?? []; // one page has all
  return (
    <>
      <Head title="Kill switch" act="Stop something…" action="kill.manage" kind="danger" run={() => setAsking("new")} />
      <Trouble read={pages.seen} what="what is stopped" />
      {pages.seen.data && !kills.length && <div class="empty"><h2>Nothing is stopped.</h2><p>Bots, owners, skills or the whole tenant can be stopped at once, with a reason.</p></div>}
      {kills.length > 0 && (
        <Table name="Kills" columns={["Stopped", "Reason", "By", "Since", "Until", ""]}>
          {kills.map((kill) => (
            <tr key={kill.id}>
              <th scope="row">{kill.kind} {safe(kill.name)}</th><td class="long">{safe(kill.reason)}</td><td><code>{shortId(safe(kill.placed_by))}</code></td>
              <td><When time={kill.placed_at} /></td><td>{kill.until ? <When time={kill.until} /> : "it is lifted"}</td>
              <td><div class="acts"><Act action={kill.kind === "tenant" ? "kill.tenant" : "kill.manage"} run={() => setAsking(kill)}>Lift…</Act></div></td>
            </tr>
          ))}
        </Table>
      )}
      {asking === "new" && <Stop close={close} />}
      {asking && asking !== "new" && (
        <Confirm title={`Let ${asking.kind} ${safe(asking.name)} work again?`} does="Lift" action={asking.kind === "tenant" ? "kill.tenant" : "kill.manage"} run={() => lists.lift(asking.id)} close={close}>
          <p>It was stopped for: {safe(asking.reason)}</p>
        </Confirm>
      )}
    </>
  );
}

function Stop({ close }: { close: () => void }) {
  const doing = useAct();
  const [kind, setKind] = useState("bot");
  async function send(form: HTMLFormElement): Promise<void> {
    const given = new FormData(form), until = timeOf(String(given.get("until")));
    const body = {
      kind, name: kind === "tenant" ? session.value!.tenant : String(given.get("name")).trim(), reason: String(given.get("reason")).trim(),
      ...(until ? { until } : {}),
    };
    await doing.run(async () => { await lists.kill(body); close(); }, "It is stopped.");
  }
  return (
    <Dialog title="Stop something" close={close}>
      <form class="form" onSubmit={(event) => { event.preventDefault(); void send(event.currentTarget); }}>
        <p>It gets no more work, at once and on every server. What it holds returns to its queue, and no crash is counted.</p>
        <Field label="What"><select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>{["bot", "owner", "skill", "tenant"].map((each) => <option key={each} value={each} disabled={each === "tenant" && !may("kill.tenant")}>{each === "tenant" ? "the whole tenant" : each}</option>)}</select></Field>
        {kind !== "tenant" && <Field label="Name"><input name="name" required /></Field>}
        <Field label="Reason" hint="shown to all who wait for it"><input name="reason" required maxLength={1024} /></Field>
        <Field label="Until" hint={`in ${zoneName()}; nothing: until it is lifted`}><input name="until" type="datetime-local" /></Field>
        {doing.problem && <NotDone error={doing.problem} />}
        <p class="acts"><Act action={kind === "tenant" ? "kill.tenant" : "kill.manage"} kind="danger" busy={doing.busy} submits>Stop it</Act></p>
      </form>
    </Dialog>
  );
}

// ---- Redaction -------------------------------------------------------------------------------------------------------

function Redaction() {
  const doing = useAct();
  const [found, setFound] = useState<{ value: unknown; redacted_fields: Redacted[] } | null>(null);
  const [text, setText] = useState("");
  const test = () => void doing.run(() => desk.redact(asJson(text)), "Redacted.").then((answer) => setFound(answer ?? null));
  return (
    <div class="columns">
      <section>
        <h2>What would be hidden?</h2>
        <form class="form" onSubmit={(event) => { event.preventDefault(); if (text.trim()) test(); }}>
          <Field label="A text, or JSON" hint="It is redacted as the evidence of this tenant would be. Nothing of it is stored."><textarea rows={12} value={text} spellcheck={false} placeholder={'{"note": "call 555 0100", "password": "…"}'} onInput={(event) => setText(event.currentTarget.value)} /></Field>
          <p class="acts"><Act action="redaction.test" kind="main" busy={doing.busy || !text.trim()} run={test}>Redact</Act></p>
        </form>
        {doing.problem && <NotDone error={doing.problem} />}
      </section>
      {found && (
        <section aria-live="polite">
          <h2>{found.redacted_fields.length ? `${found.redacted_fields.length} hidden` : "Nothing is hidden."}</h2>
          <Value value={found.value} name="Redacted" />
          {found.redacted_fields.length > 0 && (
            <Table name="What was hidden" columns={["Where", "Rule", "How"]}>
              {found.redacted_fields.map((each, at) => <tr key={at}><th scope="row"><code>{safe(each.pointer) || "the whole text"}</code>{each.in === "key" && " (its name)"}</th><td>{safe(each.rule)}</td><td>{safe(each.action)}</td></tr>)}
            </Table>
          )}
          <p class="none">Own rules: <Command text="swarmkeeper docs redaction-rules" /></p>
        </section>
      )}
    </div>
  );
}

/** What is an object or a list is meant as one; all else is text. */
function asJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : text;
  } catch {
    return text;
  }
}

// ---- Parts -----------------------------------------------------------------------------------------------------------

const Head = ({ title, act, action, run, kind = "main" }: { title: string; act: string; action: string; run: () => void; kind?: "main" | "danger" }) => (
  <div class="part-head"><h2>{title}</h2><Act action={action} kind={kind} run={run}>{act}</Act></div>
);

/** A day, with its year: keys last for years. */
const Dated = ({ time }: { time: string | null | undefined }) => (time ? <time dateTime={time} title={moment(time)}>{time.slice(0, 10)} UTC</time> : <>never</>);
