// The audit log, the newest first; on the right the record that is open in the address, and the proof that it is in the
// signed log, checked here.

import { useState } from "preact/hooks";
import { ApiError, exactly } from "../../api.ts";
import { useKeys } from "../../keys.ts";
import { say, useRead } from "../../live.ts";
import { Act, Command, Glyph, Key, NotDone, Trouble, Value, When, useAct, Fact, NothingFits } from "../../parts.tsx";
import { address, asked, put } from "../../route.ts";
import { keep, kept, session, utc } from "../../state.ts";
import { near, safe, shortId, type Tone } from "../../words.ts";
import { desk, type AuditRecord } from "./calls.ts";
import { goesOn } from "./history.ts";
import { CALM, Field, More, timeOf, usePages, writtenTime, zoneName } from "./kit.tsx";
import { bodyStep, check, parseNote, parseProof, verifierKey, type Step } from "./proof.ts";

const FILTERS = [
  { name: "action", label: "Action", hint: "Action" },
  { name: "actor", label: "Actor", hint: "Actor’s id" },
  { name: "task", label: "Task", hint: "Task’s id" },
  { name: "on", label: "Item", hint: "Item’s id" },
  { name: "since", label: "Since", hint: "" },
  { name: "until", label: "Until", hint: "" },
];
const tone = (record: AuditRecord): Tone => (record.outcome === "accepted" ? "ok" : record.decision.effect === "deny" ? "bad" : "plain");
const who = (actor: AuditRecord["actor"]): string => (actor.id === actor.type || actor.id.startsWith(`${actor.type}_`) ? shortId(safe(actor.id)) : `${safe(actor.type)} ${shortId(safe(actor.id))}`);

export function Audit() {
  const filter = { action: asked("action"), actor: asked("actor"), task_id: asked("task"), resource: asked("on"), since: asked("since"), until: asked("until") };
  const used = FILTERS.filter((each) => asked(each.name));
  const pages = usePages(`audit ${JSON.stringify(filter)}`, (token) => desk.audit(filter, token), (each) => each.id);
  const { items, seen } = pages;
  const chosen = /^\d{1,15}$/.test(asked("record")) ? Number(asked("record")) : null;
  const at = items.findIndex((each) => each.index === chosen);
  const step = (by: number) => {
    const next = near(items, at + by);
    if (next) put({ record: String(next.index) });
  };
  useKeys({
    j: { does: "next record", run: () => step(1) },
    k: { does: "previous record", run: () => step(-1) },
    "/": { does: "filter", run: () => document.getElementById("by-action")?.focus() },
    Escape: { does: "close the record", run: () => { if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur(); else put({ record: null }); } },
  });
  return (
    <div class={`split ${chosen === null ? "" : "open"}`}>
      <h1 class="hidden-text">Audit</h1>
      <div class="side">
        <form class="narrow" role="search" key={JSON.stringify([filter, utc.value])} onSubmit={(event) => {
          event.preventDefault();
          const given = new FormData(event.currentTarget);
          put(Object.fromEntries([...FILTERS.map(({ name, hint }) => [name, hint ? String(given.get(name)).trim() : timeOf(String(given.get(name)))]), ["record", null]]));
          (document.activeElement as HTMLElement).blur();
        }}>
          {FILTERS.map(({ name, label, hint }) => (hint
            ? <label key={name}><span class="hidden-text">{label}</span><input id={`by-${name}`} name={name} type="search" defaultValue={asked(name)} placeholder={hint} spellcheck={false} /></label>
            : <label key={name} class="field time"><span>{label}</span><input name={name} type="datetime-local" defaultValue={writtenTime(asked(name))} title={`in ${zoneName()}`} /></label>))}
          <button type="submit">Filter</button>
        </form>
        <Trouble read={seen} what="the audit log" />
        {seen.data && !items.length && !pages.more && <NothingFits title={used.length ? "No record fits." : "There is no record yet."} drops={used.map(({ name, label }) => ({ name: `${label.toLowerCase()} ${asked(name)}`, drop: () => put({ [name]: null }, false) }))} />}
        <ol class="records">
          {items.map((each) => (
            <li key={each.id}>
              <a class="record" href={address({ record: String(each.index) })} aria-current={each.index === chosen ? "true" : undefined}>
                <Glyph tone={tone(each)} /><span class="num">{each.index}</span><b>{safe(each.action)}</b><span>{who(each.actor)}</span><span class="on">{shortId(safe(each.resource))}</span><When time={each.timestamp} />
              </a>
            </li>
          ))}
        </ol>
        {seen.data && <More pages={pages} what="records"> · <Key>j</Key> <Key>k</Key> open one, <Key>p</Key> proves it</More>}
      </div>
      {chosen !== null && <div class="detail"><Detail key={chosen} index={chosen} known={items[at]} /></div>}
    </div>
  );
}

function Detail({ index, known }: { index: number; known: AuditRecord | undefined }) {
  const reading = useRead(`record ${index}`, async (before?: { record: AuditRecord; erased: number | null }) => {
    if (before) return before; // a record never changes
    const record = known ?? (await desk.record(index));
    if (!record) throw new ApiError(404, "not_found", "It is not in this log, or has left it.");
    const by = record.erased && record.task_id ? (await desk.audit({ action: "task.erase", task_id: record.task_id }, "", 1)).items[0] : undefined;
    return { record, erased: by?.index ?? null };
  }, CALM);
  const seen = reading.state.value, record = seen.data?.record;
  if (!record) return <Trouble read={seen} what="the record" />;
  const signs = (record.payload as { subject_hash?: unknown } | null)?.subject_hash;
  return (
    <article aria-labelledby="record">
      <p class="over"><button type="button" class="small back" onClick={() => put({ record: null })}>← Audit</button> Record {record.index}</p>
      <h2 id="record">{safe(record.action)}</h2>
      <dl class="facts">
        <Fact name="who">{safe(record.actor.type)} <code>{safe(record.actor.id)}</code>{record.actor.person && <> · person <code>{safe(record.actor.person)}</code></>}{record.actor.key && record.actor.key !== record.actor.id && <> · key <code>{safe(record.actor.key)}</code></>}</Fact>
        <Fact name="on what"><a href={`#/audit?on=${encodeURIComponent(record.resource)}`}><code>{safe(record.resource)}</code></a>{record.task_id && <> · <a href={`#/tasks/${encodeURIComponent(record.task_id)}`}>the task</a></>}</Fact>
        <Fact name="when"><When time={record.timestamp} /></Fact>
        <Fact name="decision">{safe(record.decision.effect)}, by policy {safe(record.decision.policy)}{record.decision.reasons.length > 0 && `: ${record.decision.reasons.map(safe).join("; ")}`} · {safe(record.outcome)}</Fact>
        {typeof signs === "string" && <Fact name="subject"><code class="hash">{safe(signs)}</code></Fact>}
        <Fact name="record’s hash"><code class="hash">{safe(record.hash)}</code></Fact>
        {record.redacted_fields.length > 0 && <Fact name="hidden">{record.redacted_fields.map((each) => `${safe(each.pointer)} (${safe(each.rule)})`).join(", ")}</Fact>}
      </dl>
      <Prove record={record} />
      <section class="card"><h3>Body</h3>
        {record.erased
          ? <p>{seen.data!.erased === null ? "It was erased." : <>It was erased by <a href={`#/audit?record=${seen.data!.erased}`}>record {seen.data!.erased}</a>.</>} The proof of the record holds all the same.</p>
          : <Value value={record.payload} name="Body" />}
      </section>
    </article>
  );
}

// ---- Proof -----------------------------------------------------------------------------------------------------------

/** What a person keeps of the log in this browser, to be held against what the server says later. */
interface Known { key?: string; note?: string }
const place = (): string => `log.${session.value!.tenant}`;
function known(): Known {
  try {
    return JSON.parse(kept(place(), "{}")) as Known;
  } catch {
    return {};
  }
}

interface Proved { steps: Step[]; note: string; keys: string[]; own: boolean }

function Prove({ record }: { record: AuditRecord }) {
  const [proved, setProved] = useState<Proved | null>(null);
  const [mine, setMine] = useState(known);
  const doing = useAct();
  const doKeep = (next: Known) => { keep(place(), JSON.stringify(next)); setMine(next); };
  async function prove(): Promise<Proved> {
    // In this order: the newest checkpoint must cover what the proof was made for.
    const proof = await desk.proof(record.index);
    const [newest, log, body] = await Promise.all([desk.checkpoint(), desk.log(), record.erased ? null : desk.body(record.index)]);
    const steps = await check(record, session.value!.tenant, proof, newest, mine.key ? [mine.key] : log.keys);
    const last = steps.find((each) => each.name === "Signature");
    if (last?.holds) {
      last.note += mine.key ? ": the key that you keep" : ": the key that this server names";
      if (body) steps.push(bodyStep(proof, record, body, exactly));
    }
    const note = parseProof(proof)?.note ?? "", of = parseNote(note), before = mine.note && parseNote(mine.note);
    if (before && of && steps.every((each) => each.holds !== false)) {
      const why = await goesOn(before, of, desk.tile);
      steps.push({ name: "History", holds: why === null, note: why ?? `the log goes on from the ${before.size} records that you know` });
    }
    return { steps, note, keys: log.keys, own: Boolean(mine.key) };
  }
  const begin = () => void doing.run(prove, "").then((found) => { setProved(found ?? null); if (found) say(verdict(found, record.index).text); });
  useKeys({ p: { does: "prove the record", run: begin } });
  const { problem } = doing, said = proved && verdict(proved, record.index), server = new URL("../", document.baseURI).href;
  return (
    <section class="card proof"><h3>Proof</h3>
      <p class="acts"><Act action="audit.read" kind="main" busy={doing.busy} run={begin} keys="p">Prove</Act> <span class="none">This browser follows the hashes from the record to the signed checkpoint.</span></p>
      {problem && (problem.status === 404 && problem.message.includes("audit_key_file")
        ? <div class="trouble forbidden" role="alert"><strong>The log is not signed.</strong> A server with a key signs it within seconds: <Command text="swarmkeeper audit key --name swarm.example.org --to audit.key" /></div>
        : <NotDone error={problem} />)}
      {said && (
        <>
          <p class={`verdict tone-${said.tone}`}><Glyph tone={said.tone} /> {said.text}</p>
          <ol class="steps">
            {proved.steps.map((each) => (
              <li key={each.name}>
                <Glyph tone={each.holds ? "ok" : each.holds === null ? "plain" : "bad"} /><b>{each.name}</b>{/^[0-9a-f]{64}$/.test(each.note) ? <code class="hash">{each.note}</code> : <span>{safe(each.note)}</span>}
                {each.hops && each.hops.length > 0 && <ol class="hops">{each.hops.map((hop, level) => <li key={level}><span>with {hop.at}</span><code title={hop.sibling}>{hop.sibling.slice(0, 16)}…</code><code title={hop.result}>→ {hop.result.slice(0, 16)}…</code></li>)}</ol>}
              </li>
            ))}
          </ol>
          {!proved.own && proved.keys.map((key) => <p class="none" key={key}>Nobody but this server says that this is its key. Compare it with the one that you were given: <Command text={key} /></p>)}
          {said.tone === "ok" && (mine.note !== proved.note || !mine.key) && <p><button type="button" class="small" onClick={() => doKeep({ key: mine.key ?? proved.keys[0]!, note: proved.note })}>Keep {mine.key ? "" : "this key and "}the checkpoint of {parseNote(proved.note)!.size} records in this browser</button></p>}
        </>
      )}
      <Keeping mine={mine} keep={doKeep} />
      {said && <p class="none">The whole log, from another machine: <Command text={`swarmkeeper audit verify ${server} --key ${proved.keys[0] ?? "KEY"}`} /></p>}
    </section>
  );
}

/** What the person keeps: shown, taken out, or pasted. */
function Keeping({ mine, keep: doKeep }: { mine: Known; keep: (next: Known) => void }) {
  const [wrong, setWrong] = useState(false);
  function take(form: HTMLFormElement): void {
    const text = String(new FormData(form).get("known")).trim(), isKey = verifierKey(text) !== null, isNote = !isKey && parseNote(`${text}\n`) !== null;
    setWrong(!isKey && !isNote);
    if (isKey) doKeep({ ...mine, key: text });
    if (isNote) doKeep({ ...mine, note: `${text}\n` });
    if (isKey || isNote) form.reset();
  }
  const note = mine.note ? parseNote(mine.note) : null;
  return (
    <details>
      <summary>{mine.key || note ? `You keep ${[mine.key && "a key", note && `a checkpoint of ${note.size} records`].filter(Boolean).join(" and ")}` : "You keep no key and no checkpoint of your own"}</summary>
      <form class="form" onSubmit={(event) => { event.preventDefault(); take(event.currentTarget); }}>
        <Field label="A verifier key or a checkpoint that you were given" hint="This browser keeps it, and holds against it what the server says."><textarea name="known" rows={3} spellcheck={false} required /></Field>
        {wrong && <p class="error" role="alert">This is neither a verifier key nor a signed checkpoint.</p>}
        <p class="acts"><button type="submit">Keep</button> {(mine.key || note) && <button type="button" class="danger" onClick={() => doKeep({})}>Forget both</button>}</p>
      </form>
      {mine.key && <p><code class="hash">{safe(mine.key)}</code></p>}
    </details>
  );
}

function verdict({ steps, own }: Proved, index: number): { tone: Tone; text: string } {
  const bad = steps.find((each) => each.holds === false);
  if (bad) return { tone: "bad", text: `NOT proved: the step “${bad.name}” fails.` };
  if (steps.some((each) => each.name === "Signature" && each.holds === null)) return { tone: "hold", text: `Record ${index} is in the log of the checkpoint. The signature is not checked here: swarmkeeper audit verify checks it.` };
  return { tone: "ok", text: `Proved: record ${index} is in the signed log${own ? ", by the key that you keep" : ""}.` };
}
