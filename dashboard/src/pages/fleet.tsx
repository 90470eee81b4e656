// The pages of bots and of queues: who is there and what each does; what waits for whom.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { lists, type Bot, type KillState, type LeaseHeld, type Page } from "../api.ts";
import { Chips, type Chip } from "../chips.tsx";
import { useKeys } from "../keys.ts";
import { useRead } from "../live.ts";
import { FIRST_TASK } from "../query.ts";
import { Act, Ago, Command, Dialog, Key, Labels, NotDone, Progress, State, Trouble, When, useAct, Fact, NothingFits } from "../parts.tsx";
import { asked, go, put, written } from "../route.ts";
import { may } from "../state.ts";
import { Windowed } from "../windowed.tsx";
import { grouped, money, safe, type Look, near, counted } from "../words.ts";
import { inOrder, killOf, lookOfBot, lookOfQueue, runBot } from "./fleet/states.ts";

const SELDOM_MS = 10_000; // no change tells that a bot asked
const QUEUES_SHOWN = 300;
const KIND: Record<string, string> = { Planner: "plans", Executor: "executes", Evaluator: "reviews" };

const killsFor = async (): Promise<KillState[]> => (may("kill.read") ? (await lists.kills()).items : []);

/** Chips of the states that there are. */
function chipsOf(looks: Look[], pressed: string): Chip[] {
  const found = new Map<string, Chip>();
  for (const look of looks) {
    const chip = found.get(look.word) ?? { ...look, id: look.word, number: 0, pressed: pressed === look.word };
    found.set(look.word, { ...chip, number: chip.number! + 1 });
  }
  return [...found.values()];
}

// ---- Bots --------------------------------------------------------------------------------------------------------------

export function Bots() {
  const line = asked("q"), only = asked("state"), open = asked("bot");
  const field = useRef<HTMLInputElement>(null);
  const reading = useRead("bots", async () => {
    const [bots, kills, costs] = await Promise.all([lists.bots(), killsFor(), may("bot.read") ? lists.costsByBot().catch(() => null) : null]);
    return { ...bots, kills, costs: new Map(costs?.items.map((each) => [each.name, each])) };
  }, { on: (change) => change.also.some((each) => each === "bot" || each === "kill") || change.tasks === "many" || change.tasks.length > 0, seldom: SELDOM_MS });
  const seen = reading.state.value, kills = seen.data?.kills ?? [];
  const all = [...(seen.data?.items ?? [])].sort(inOrder((bot) => lookOfBot(bot, kills), (bot) => bot.held, (bot) => bot.name));
  const words = line.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (bot: Bot) => words.every((word) => [bot.name, bot.type, bot.owner ?? "", bot.id, ...bot.skills].some((text) => text.toLowerCase().includes(word)));
  const named = all.filter(fits);
  const bots = named.filter((bot) => !only || lookOfBot(bot, kills).word === only);
  const chosen = bots.findIndex((bot) => bot.id === open);
  const shown = all.find((bot) => bot.id === open);
  const choose = (index: number) => { const bot = near(bots, index); if (bot) put({ bot: bot.id }); };
  useKeys({
    j: { does: "next bot", run: () => choose(chosen + 1) },
    k: { does: "previous bot", run: () => choose(chosen - 1) },
    "/": { does: "search in names and skills", run: () => field.current!.focus() },
    Escape: { does: "close the bot, then take back filters", run: () => { if (document.activeElement === field.current) field.current!.blur(); else if (open) put({ bot: "" }); else put({ q: "", state: "" }); } },
  });
  useEffect(() => { if (field.current && document.activeElement !== field.current) field.current.value = line; }, [line]);
  const row = (index: number) => {
    const bot = bots[index]!, on = index === chosen;
    return (
      <div key={bot.id} role="row" aria-rowindex={index + 2} class={`task-row bot-row ${on ? "chosen" : ""}`} aria-current={on ? "true" : undefined} onClick={() => put({ bot: bot.id })}>
        <span role="cell" class="c-state"><State look={lookOfBot(bot, kills)} /></span>
        <span role="cell" class="c-title"><a href={`#/bots?bot=${bot.id}`} tabIndex={index === Math.max(0, chosen) ? 0 : -1} onClick={(event) => event.preventDefault()}>{safe(bot.name)}</a></span>
        <span role="cell" class="c-bot">{KIND[bot.type] ?? safe(bot.type)}</span>
        <span role="cell" class="c-labels">{bot.skills.map((skill) => <span class="label" key={skill}>{safe(skill)}</span>)}{!bot.skills.length && <span class="none">–</span>}</span>
        <span role="cell" class="c-progress"><Progress use done={bot.held} total={bot.capacity} /></span>
        <span role="cell" class="c-cost">{money(seen.data?.costs.get(bot.name)?.cost_micro_usd)}</span>
        <span role="cell" class="c-changed">{bot.last_seen ? <><Ago time={bot.last_seen} /> ago</> : "–"}</span>
      </div>
    );
  };
  return (
    <div class={`tasks fleet ${shown ? "open" : ""}`}>
      <h1 class="hidden-text">Bots</h1>
      <div class="fleet-list">
        {all.length > 0 && (
          <div class="filters">
            <form role="search" class="line" onSubmit={(event) => { event.preventDefault(); put({ q: field.current!.value.trim() }); field.current!.blur(); }}>
              <label class="hidden-text" for="bots-query">Search bots</label>
              <input id="bots-query" ref={field} type="search" defaultValue={line} spellcheck={false} placeholder="name, kind, skill or owner   ( / )" />
            </form>
            <Chips chips={chipsOf(named.map((bot) => lookOfBot(bot, kills)), only)} toggle={(id) => put({ state: only === id ? "" : id })} />
          </div>
        )}
        <Trouble read={seen} what="the bots" />
        {seen.data && !all.length && <div class="empty"><h2>No bot is here yet.</h2><p>Start one, and it shows here: <Command text="swarmkeeper bot run FILE" /></p></div>}
        {all.length > 0 && !bots.length && (
          <NothingFits title="No bot fits." drops={["q", "state"].filter(asked).map((name) => ({ name: asked(name), drop: () => put({ [name]: null }) }))} />
        )}
        {bots.length > 0 && (
          <Windowed count={bots.length} row={row} chosen={chosen} label="Bots" total={bots.length} nearEnd={() => undefined}
            headRow={<div role="rowgroup" class="head"><div role="row" class="task-row bot-row" aria-rowindex={1}>
              <span role="columnheader">State</span><span role="columnheader">Name</span><span role="columnheader" class="c-bot">Kind</span><span role="columnheader" class="c-labels">Skills</span>
              <span role="columnheader">Load</span><span role="columnheader" class="c-cost">30 days</span><span role="columnheader" class="c-changed">Seen</span>
            </div></div>} />
        )}
        {bots.length > 0 && <p class="foot">{counted(bots.length, "bot")}{seen.data?.more && ", and more that are not shown"}<span class="hints"><Key>j</Key> <Key>k</Key> choose</span></p>}
      </div>
      {shown && <Inspector key={shown.id} bot={shown} kills={kills} cost={seen.data?.costs.get(shown.name)} again={reading.again} close={() => put({ bot: "" })} />}
    </div>
  );
}

interface Shown { bot: Bot; kills: KillState[]; cost: { cost_micro_usd: number; attempts: number } | undefined; again: () => Promise<void>; close: () => void }

function Inspector({ bot, kills, cost, again, close }: Shown) {
  const leases = useRead<Page<LeaseHeld>>(`leases ${bot.id}`, () => lists.leases(bot.id), { seldom: SELDOM_MS });
  const held = leases.state.value;
  const [killing, setKilling] = useState(false);
  const { busy, problem, run: once } = useAct();
  const kill = killOf(bot, kills), own = kill?.kind === "bot";
  const drained = bot.status === "draining" || bot.status === "disabled";
  const run = (what: () => Promise<unknown>, done: string) => once(async () => {
    await what();
    setKilling(false);
    await again();
  }, done);
  const drain = () => void run(() => lists.steerBot(bot.id, drained ? "enable" : "drain"), drained ? "It gets work again." : "It gets no more work.");
  const stop = () => { if (own) void run(() => lists.lift(kill.id), "The kill is lifted."); else setKilling(true); };
  useKeys({ d: { does: drained ? "enable the bot" : "drain the bot", run: drain }, x: { does: own ? "lift the kill" : "kill the bot", run: stop } });
  return (
    <aside class="inspector" aria-label={`Bot ${safe(bot.name)}`}>
      <header class="acts"><h2>{safe(bot.name)}</h2><button type="button" class="small" onClick={close}>Close</button></header>
      <p><State look={lookOfBot(bot, kills)} /> <code>{bot.id}</code></p>
      {kill && <p class="trouble">Killed{kill.kind === "bot" ? "" : ` with its ${kill.kind}`} <Ago time={kill.placed_at} /> ago: {safe(kill.reason)}{kill.until && <> Until <When time={kill.until} />.</>}</p>}
      {bot.status === "away" && <p class="trouble">It has not called for two minutes. What it held goes to others.</p>}
      <dl class="facts">
        <Fact name="Kind">{bot.type}{bot.dedicated && ", only what needs its skills"}</Fact>
        <Fact name="Version">{safe(bot.version)}</Fact>
        {bot.owner && <Fact name="Owner">{safe(bot.owner)}</Fact>}
        <Fact name="Skills">{bot.skills.length ? bot.skills.map(safe).join(", ") : "none: it takes what needs none"}</Fact>
        {Object.keys(bot.labels).length > 0 && <Fact name="Labels"><Labels labels={bot.labels} /></Fact>}
        <Fact name="Here since"><When time={bot.created_at} /></Fact>
        <Fact name="Last seen">{bot.last_seen ? <><Ago time={bot.last_seen} /> ago</> : "–"}</Fact>
        {cost && <Fact name="30 days">{money(cost.cost_micro_usd)} in {counted(cost.attempts, "attempt")} that told their cost</Fact>}
      </dl>
      <div class="acts">
        <Act action={drained ? "bot.enable" : "bot.drain"} keys="d" busy={busy} run={drain}>{drained ? "Enable" : "Drain"}</Act>
        <Act action="kill.manage" kind="danger" keys="x" busy={busy || Boolean(kill && !own)} run={stop}>{own ? "Lift the kill" : "Kill"}</Act>
      </div>
      {problem && <NotDone error={problem} />}
      <section class="card">
        <h3>{held.data ? `Works on ${grouped(held.data.items.length)}${held.data.next_page_token ? " and more" : ""}` : "Works on"}</h3>
        <Trouble read={held} what="its leases" />
        {held.data && !held.data.items.length && <p class="none">It holds nothing.</p>}
        <ul class="leases">
          {held.data?.items.map((lease) => (
            <li key={lease.lease_id}>
              <a href={`#/tasks/${lease.task_id}?subtask=${encodeURIComponent(lease.key)}`}>{safe(lease.task_title)}</a>
              <span>{safe(lease.key)}, attempt {lease.attempt} · for <Ago time={lease.granted_at} />{lease.cancelled && " · told to stop"}</span>
            </li>
          ))}
        </ul>
      </section>
      {bot.stuck.length > 0 && (
        <section class="card"><h3>Still running after its lease ended</h3>
          <ul class="leases">{bot.stuck.map((work) => <li key={work.work_id}><code>{work.work_id}</code><span>for <Ago time={work.since} /> {safe(work.where)}</span></li>)}</ul>
        </section>
      )}
      {killing && <KillDialog bot={bot} busy={busy} close={() => setKilling(false)} run={(reason) => void run(() => lists.kill({ kind: "bot", name: bot.name, reason }), "Killed.")} />}
    </aside>
  );
}

function KillDialog({ bot, busy, close, run }: { bot: Bot; busy: boolean; close: () => void; run: (reason: string) => void }) {
  const [reason, setReason] = useState("");
  return (
    <Dialog title={`Kill ${safe(bot.name)}`} close={close}>
      <form class="bulk ask" onSubmit={(event) => { event.preventDefault(); if (reason.trim() && !busy) run(reason.trim()); }}>
        <p>It gets no more work, on every server, under this name. Its leases are revoked at once: that work returns to its queue.</p>
        <label class="reason">Why?<input type="text" autofocus required maxLength={500} value={reason} onInput={(event) => setReason(event.currentTarget.value)} /></label>
        <div class="acts"><button type="submit" class="danger" disabled={!reason.trim() || busy}>Kill</button><button type="button" onClick={close}>Leave it</button></div>
      </form>
    </Dialog>
  );
}

// ---- Queues ------------------------------------------------------------------------------------------------------------

export function Queues() {
  const only = asked("state");
  const [chosen, setChosen] = useState(-1);
  const reading = useRead("queues", async () => {
    const [queues, kills] = await Promise.all([lists.queues(), killsFor()]);
    return { ...queues, kills };
  }, { seldom: SELDOM_MS });
  const seen = reading.state.value, kills = seen.data?.kills ?? [];
  const all = [...(seen.data?.items ?? [])].sort(inOrder((queue) => lookOfQueue(queue, kills), (queue) => queue.waiting, (queue) => `${queue.kind} ${queue.skills.join(" ")}`));
  const queues = all.filter((queue) => !only || lookOfQueue(queue, kills).word === only).slice(0, QUEUES_SHOWN);
  const address = (index: number) => written(["bots"], { q: [...queues[index]!.skills, queues[index]!.assign_to ?? ""].join(" ").trim() });
  useKeys({
    j: { does: "next queue", run: () => setChosen((at) => Math.min(at + 1, queues.length - 1)) },
    k: { does: "previous queue", run: () => setChosen((at) => Math.max(at - 1, 0)) },
    Enter: { does: "show the bots that can do it", run: () => { if (queues[chosen]) go(address(chosen)); } },
    Escape: { does: "take back the filter", run: () => put({ state: "" }) },
  });
  useEffect(() => document.querySelector(".queues tr.chosen")?.scrollIntoView({ block: "nearest" }), [chosen]);
  const number = (n: number, atLeast = false): ComponentChildren => (n ? `${grouped(n)}${atLeast ? "+" : ""}` : <span class="none">0</span>);
  return (
    <div class="tasks queues">
      <h1 class="hidden-text">Queues</h1>
      {all.length > 0 && <div class="filters"><Chips chips={chipsOf(all.map((queue) => lookOfQueue(queue, kills)), only)} toggle={(id) => put({ state: only === id ? "" : id })} /></div>}
      <Trouble read={seen} what="the queues" />
      {seen.data && !all.length && <div class="empty"><h2>Nothing waits, and nothing is worked on.</h2><p>The work of a task shows here: <Command text={FIRST_TASK} /></p></div>}
      {all.length > 0 && !queues.length && <NothingFits title="No queue is like this now." drops={[{ name: only, drop: () => put({ state: null }) }]} />}
      {queues.length > 0 && (
        <div class="scroll-x">
          <table>
            <thead><tr><th>State</th><th>Work</th><th class="n">Waiting</th><th class="n">Oldest</th><th class="n">Running</th><th class="n wide">In a minute</th><th class="n wide">Out a minute</th><th class="n wide">Bots asking</th></tr></thead>
            <tbody>
              {queues.map((queue, index) => {
                const look = lookOfQueue(queue, kills), helps = look.word === "nobody can" || look.word === "nobody asks";
                const kill = look.word === "killed" && kills.find(({ kind, name }) => kind === "tenant" || (kind === "skill" && queue.skills.includes(name)));
                return (
                  <tr key={`${queue.kind} ${queue.assign_to} ${queue.skills.join(" ")}`} class={index === chosen ? "chosen" : ""} aria-current={index === chosen ? "true" : undefined}>
                    <td><State look={look} /></td>
                    <td class="work">
                      <a href={address(index)}>{queue.kind}</a>{" "}
                      {queue.skills.map((skill) => <span class="label" key={skill}>{safe(skill)}</span>)}
                      {queue.assign_to && <span class="none">only {safe(queue.assign_to)}</span>}
                      {helps && <div class="help">{look.word === "nobody can" ? "No bot can do this. Start one:" : "Bots that can are here, but ask for no work. Start another:"} <Command text={runBot(queue)} /></div>}
                      {kill && <div class="help">{safe(kill.reason)} <Command text={`swarmkeeper kill lift ${kill.id}`} /></div>}
                    </td>
                    <td class="n" data-name="waiting">{number(queue.waiting, queue.waiting_at_least)}</td>
                    <td class="n" data-name="oldest">{queue.oldest_at ? <Ago time={queue.oldest_at} /> : <span class="none">–</span>}</td>
                    <td class="n" data-name="running">{number(queue.leased, queue.leased_at_least)}</td>
                    <td class="n wide">{number(queue.in_per_minute)}</td>
                    <td class="n wide">{number(queue.out_per_minute)}</td>
                    <td class="n wide">{queue.bots_asking} of {queue.bots}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {queues.length > 0 && <p class="foot">{counted(queues.length, "queue")}{(seen.data?.more || all.length > QUEUES_SHOWN) && ", and more that are not shown"}<span class="hints"><Key>j</Key> <Key>k</Key> <Key>Enter</Key> its bots</span></p>}
    </div>
  );
}
