import { Fragment, h, useState } from "./runtime.js";
import { lists, ofAlso, useRead, Act, Ago, Command, Dialog, NotDone, State, Trouble, Value, When, useAct, Fact, Table, address, asked, letters, may, session, theme, utc, grouped, moment, money, safe, shortId } from "./app.js";
import { desk, CALM, Confirm, Field, More, timeOf, usePages, zoneName } from "./kit.js";
// src/pages/desk/settings.tsx
var PARTS = {
  you: { name: "You", Part: You },
  keys: { name: "Keys", Part: Keys },
  persons: { name: "Persons", Part: Persons },
  limits: { name: "Limits", Part: LimitsPart },
  stops: { name: "Kill switch", Part: Stops },
  redaction: { name: "Redaction", Part: Redaction }
};
var ROLES = ["client", "bot:planner", "bot:executor", "bot:evaluator", "operator", "approver", "viewer", "auditor", "admin"];
var listed = (text) => {
  const found = text.split(",").map((each) => each.trim()).filter(Boolean);
  return found.length ? found : void 0;
};
function Settings() {
  const chosen = PARTS[asked("part")] ? asked("part") : "you", { Part } = PARTS[chosen];
  return h("div", { class: "page settings" }, h("h1", { class: "hidden-text" }, "Settings"), h("nav", { class: "choices", "aria-label": "Settings" }, Object.entries(PARTS).map(([path, { name }]) => h("a", { key: path, class: "tab", href: address({ part: path === "you" ? null : path }), "aria-current": path === chosen ? "page" : void 0 }, name))), h(Part, { key: chosen }));
}
function You() {
  const who = session.value, themes = ["system", "light", "dark"];
  return h("div", { class: "columns" }, h("section", null, h("h2", null, "How it looks"), h("fieldset", null, h("legend", null, "Theme"), themes.map((each) => h("label", { class: "choice", key: each }, h("input", { type: "radio", name: "theme", checked: theme.value === each, onChange: () => {
    theme.value = each;
  } }), " ", each))), h("fieldset", null, h("legend", null, "Times"), [false, true].map((each) => h("label", { class: "choice", key: String(each) }, h("input", { type: "radio", name: "zone", checked: utc.value === each, onChange: () => {
    utc.value = each;
  } }), " ", each ? "UTC" : "local"))), h("fieldset", null, h("legend", null, "Keys"), h("label", { class: "choice" }, h("input", { type: "checkbox", checked: letters.value, onChange: (event) => {
    letters.value = event.currentTarget.checked;
  } }), " single letters are keys")), h("p", { class: "none" }, "This browser keeps these three, and what you ask it to keep of the audit log.")), h("section", null, h("h2", null, "Your session"), h("dl", { class: "facts" }, who.person && h(Fact, { name: "person" }, safe(who.person_name ?? ""), " ", h("code", null, who.person)), who.owner && h(Fact, { name: "owner" }, safe(who.owner)), h(Fact, { name: "role" }, who.role), h(Fact, { name: "key" }, h("code", null, safe(who.key_id))), h(Fact, { name: "session" }, h("code", null, who.session_id ?? "–")), h(Fact, { name: "tenant" }, safe(who.tenant)), h("div", null, h("dt", null, "may"), h("dd", { class: "may" }, who.may.map((each) => h("code", { key: each }, each))))), h(SignedInList, null)));
}
function SignedInList() {
  const reading = useRead("sessions", desk.sessions, CALM);
  const doing = useAct();
  const all = reading.state.value.data?.items ?? [], others = all.filter((each) => !each.current);
  const end = (what) => void doing.run(async () => {
    for (const each of what) await desk.endSession(each.id);
  }, "Signed out.").then(reading.again);
  return h(Fragment, null, h("h2", null, "Signed in with this key"), h("p", { class: "none" }, "A session ends after 12 hours without a call, after a week, and with its key."), h(Trouble, { read: reading.state.value, what: "your sessions" }), doing.problem && h(NotDone, { error: doing.problem }), all.length > 0 && h(Table, { name: "Sessions", columns: ["Since", "Last used", "Ends", ""] }, all.map((each) => h("tr", { key: each.id }, h("th", { scope: "row" }, h(When, { time: each.created_at })), h("td", null, each.current ? h("span", { class: "label" }, "this browser") : h(Fragment, null, h(Ago, { time: each.used_at }), " ago")), h("td", null, h(When, { time: each.ends_at })), h("td", null, h("div", { class: "acts" }, !each.current && h(Act, { action: "session.open", busy: doing.busy, run: () => end([each]) }, "Sign out")))))), others.length > 1 && h("p", { class: "acts" }, h(Act, { action: "session.open", kind: "danger", busy: doing.busy, run: () => end(others) }, "Sign out all ", others.length, " others")));
}
var LIMITS = { body_bytes: "bytes of calls at work", polls: "bots that wait for work", followers: "open streams", waits: "calls that wait for tasks" };
var sized = (bytes) => bytes < 1 << 20 ? grouped(bytes) : `${grouped(Math.floor(bytes / (1 << 20)))} MiB`;
function LimitsPart() {
  const reading = useRead("limits", desk.limits, { ...CALM, every: 1e4, seldom: 1e4 });
  const seen = reading.state.value, found = seen.data, budget = found?.budget;
  const row = (name, whose, used, most, shown = grouped) => h("tr", { key: `${name} ${whose}` }, h("th", { scope: "row" }, safe(name.replaceAll("_", " "))), h("td", null, whose), h("td", { class: "wide" }, most !== null && h("svg", { class: `share ${used >= 0.8 * most ? "near" : ""}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, h("rect", { class: "track", width: "100", height: "6" }), h("rect", { width: most ? Math.min(100, 100 * used / most) : 100, height: "6" }))), h("td", { class: "num" }, shown(used)), h("td", { class: "num" }, most === null ? "no limit" : shown(most)));
  return h(Fragment, null, h("div", { class: "part-head" }, h("h2", null, "Limits")), h(Trouble, { read: seen, what: "the limits" }), found && h(Fragment, null, h(Table, { name: "Use", columns: ["Limit", "Of", "", "#Used", "#At most"] }, budget && Object.entries(budget.limit).map(([name, most]) => row(name === "cost_micro_usd" ? "budget: cost" : `budget: ${name}`, "tenant", (budget.spent[name] ?? 0) + (budget.reserved[name] ?? 0), most, name === "cost_micro_usd" ? money : grouped)), found.items.map((each) => row(LIMITS[each.limit] ?? each.limit, each.scope === "key" ? "your key" : "tenant", each.used, each.most, each.limit.endsWith("bytes") ? sized : grouped))), found.rates.length > 0 && h(Table, { name: "Rates of leases", columns: ["Leases of", "#At once", "#A minute", "#Tokens a minute"] }, found.rates.map((each) => h("tr", { key: each.key }, h("th", { scope: "row" }, safe(each.key.replace(":", " "))), [each.max, each.per_minute, each.tokens_per_minute].map((most, at) => h("td", { class: "num", key: at }, most === null ? "–" : grouped(most)))))), h("p", { class: "foot" }, "Who runs the server sets them: ", h(Command, { text: `swarmkeeper tenant set ${session.value.tenant} --max-backlog 5000` }))));
}
function keyLook(key) {
  if (key.revoked_at) return { tone: "bad", word: "revoked" };
  return key.expires_at && Date.parse(key.expires_at) < Date.now() ? { tone: "plain", word: "expired" } : { tone: "ok", word: "valid" };
}
function Keys() {
  const pages = usePages("keys", desk.keys, (key) => key.id, { ...CALM, on: ofAlso("key") });
  const [asking, setAsking] = useState(null);
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const keys = [...pages.items].sort((a, b) => Number(Boolean(a.revoked_at)) - Number(Boolean(b.revoked_at)) || b.created_at.localeCompare(a.created_at));
  return h(Fragment, null, h(Head, { title: "Keys", act: "Create a key…", action: "key.manage", run: () => setAsking({ what: "new" }) }), h(Trouble, { read: pages.seen, what: "the keys" }), keys.length > 0 && h(Table, { name: "Keys", columns: ["Key", "Role", "Whose", "Bounds", "State", "Last used", "Ends", ""] }, keys.map((key) => h("tr", { key: key.id }, h("th", { scope: "row" }, h("code", null, shortId(key.id)), key.id === session.value.key_id && h("span", { class: "label" }, "yours")), h("td", null, key.role), h("td", null, safe([key.person_name ?? key.owner, key.bot && `bot ${key.bot}`].filter(Boolean).join(" · ")) || "–"), h("td", null, [key.scope && `${key.scope} tasks`, key.skills && `skills ${key.skills.join(", ")}`, key.networks && `from ${key.networks.join(", ")}`].filter(Boolean).map((each) => safe(each)).join(" · ") || "–"), h("td", null, h(State, { look: keyLook(key) })), h("td", null, key.last_used ? h(Fragment, null, h(Ago, { time: key.last_used }), " ago") : "never"), h("td", null, h(Dated, { time: key.revoked_at ?? key.expires_at })), h("td", null, h("div", { class: "acts" }, !key.revoked_at && h(Fragment, null, h(Act, { action: "key.manage", run: () => setAsking({ what: "rotate", key }) }, "Rotate…"), h(Act, { action: "key.manage", kind: "danger", run: () => setAsking({ what: "revoke", key }) }, "Revoke…"))))))), pages.seen.data && h(More, { pages, what: "keys" }), asking?.what === "new" && h(NewKey, { close }), asking?.what === "rotate" && h(Rotate, { of: asking.key, close }), asking?.what === "revoke" && h(Confirm, { title: `Revoke ${shortId(asking.key.id)}?`, does: "Revoke", action: "key.manage", run: () => desk.revokeKey(asking.key.id), close }, h("p", null, "The ", asking.key.role, " key of ", safe(asking.key.person_name ?? asking.key.owner ?? asking.key.bot ?? "nobody named"), " counts no more, for good. Bots without another key lose their leases.", asking.key.id === session.value.key_id && " It is yours: you are signed out with it.")));
}
var Fresh = ({ made, close }) => h("div", { class: "fresh" }, h("p", null, h("strong", null, "Copy the key now: it is shown once."), " The server keeps only a hash of it."), h("p", null, h(Command, { text: made.key ?? "The answer came twice, and has no key: rotate it." })), h("p", { class: "none" }, "Role ", made.role, ". It ends ", h(Dated, { time: made.expires_at }), "."), h("p", { class: "acts" }, h("button", { type: "button", class: "main", onClick: close }, "I have copied it")));
function NewKey({ close }) {
  const doing = useAct();
  const [made, setMade] = useState(null);
  const [role, setRole] = useState("viewer");
  const persons = usePages("persons of keys", async (token) => may("person.read") ? desk.persons(token) : { items: [], next_page_token: "" }, (person) => person.id);
  const bot = role.startsWith("bot:") || role === "admin";
  async function send(form) {
    const given = new FormData(form), text = (name) => String(given.get(name) ?? "").trim() || void 0;
    const days = text("days"), body = {
      role,
      person: text("person"),
      owner: text("owner"),
      scope: text("scope"),
      bot: text("bot"),
      skills: listed(text("skills") ?? ""),
      networks: listed(text("networks") ?? ""),
      expires_days: days === void 0 ? void 0 : Number(days)
    };
    const answer = await doing.run(() => desk.createKey(body), "The key was created. Copy it now.");
    if (answer) setMade(answer);
  }
  return h(Dialog, { title: made ? "The new key" : "Create a key", close }, made ? h(Fresh, { made, close }) : h("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    void send(event.currentTarget);
  } }, h(Field, { label: "Role" }, h("select", { value: role, onChange: (event) => setRole(event.currentTarget.value) }, ROLES.map((each) => h("option", { key: each }, each)))), h(Field, { label: "Person" }, h("select", { name: "person" }, h("option", { value: "" }, "nobody"), persons.items.filter((each) => !each.disabled_at).map((each) => h("option", { key: each.id, value: each.id }, safe(each.name))))), h(Field, { label: "Owner", hint: "who answers for it, such as a team" }, h("input", { name: "owner" })), role === "client" && h(Field, { label: "Sees" }, h("select", { name: "scope" }, h("option", { value: "own" }, "its own tasks"), h("option", { value: "tenant" }, "all tasks of the tenant"))), bot && h(Field, { label: "Bot", hint: "the only name it may act as" }, h("input", { name: "bot" })), bot && h(Field, { label: "Skills", hint: "parted by commas; none: any" }, h("input", { name: "skills" })), h(Field, { label: "Ends after days", hint: "0: never; nothing: as the server sets" }, h("input", { name: "days", type: "number", min: "0", max: "3650" })), h(Field, { label: "Networks", hint: "such as 10.1.0.0/16; none: from anywhere" }, h("input", { name: "networks" })), doing.problem && h(NotDone, { error: doing.problem }), h("p", { class: "acts" }, h(Act, { action: "key.manage", kind: "main", busy: doing.busy, submits: true }, "Create"))));
}
function Rotate({ of, close }) {
  const doing = useAct();
  const [made, setMade] = useState(null);
  const send = () => void doing.run(() => desk.rotateKey(of.id), "The key has a new secret. Copy it now.").then((answer) => {
    if (answer) setMade(answer);
  });
  return h(Dialog, { title: made ? "The new secret" : `Rotate ${shortId(of.id)}?`, close }, made ? h(Fresh, { made, close }) : h(Fragment, null, h("p", null, "It gets a new secret. The old one stays valid for a day, so that bots can change over."), doing.problem && h(NotDone, { error: doing.problem }), h("p", { class: "acts" }, h(Act, { action: "key.manage", kind: "main", busy: doing.busy, run: send }, "Rotate"))));
}
function Persons() {
  const pages = usePages("persons", desk.persons, (person) => person.id, { ...CALM, on: ofAlso("person") });
  const [asking, setAsking] = useState(null);
  const doing = useAct();
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const enable = (person) => void doing.run(() => desk.onPerson(person.id, "enable"), `${person.name} is enabled.`).then(() => pages.again());
  return h(Fragment, null, h(Head, { title: "Persons", act: "Add a person…", action: "person.manage", run: () => setAsking({ what: "new" }) }), h(Trouble, { read: pages.seen, what: "the persons" }), doing.problem && h(NotDone, { error: doing.problem }), pages.seen.data && !pages.items.length && h("div", { class: "empty" }, h("h2", null, "There is no person yet."), h("p", null, "Decisions name the person to whom a key belongs: ", h(Command, { text: "swarmkeeper docs persons" }))), pages.items.length > 0 && h(Table, { name: "Persons", columns: ["Name", "Id", "State", "Since", ""] }, pages.items.map((person) => h("tr", { key: person.id }, h("th", { scope: "row" }, safe(person.name)), h("td", null, h("code", null, person.id)), h("td", null, h(State, { look: person.disabled_at ? { tone: "hold", word: "disabled" } : { tone: "ok", word: "active" } })), h("td", null, h(Dated, { time: person.disabled_at ?? person.created_at })), h("td", null, h("div", { class: "acts" }, h(Act, { action: "person.manage", run: () => setAsking({ what: "rename", person }) }, "Rename…"), person.disabled_at ? h(Act, { action: "person.manage", busy: doing.busy, run: () => enable(person) }, "Enable") : h(Act, { action: "person.manage", kind: "danger", run: () => setAsking({ what: "disable", person }) }, "Disable…")))))), pages.items.length > 0 && h(More, { pages, what: "persons" }), asking && asking.what !== "disable" && h(Named, { person: asking.person, close }), asking?.what === "disable" && h(Confirm, { title: `Disable ${safe(asking.person.name)}?`, does: "Disable", action: "person.manage", run: () => desk.onPerson(asking.person.id, "disable"), close }, h("p", null, "All keys, tokens and sessions of this person are refused, on every server within a second, until the person is enabled again.")));
}
function Named({ person, close }) {
  const doing = useAct();
  const send = (name) => void doing.run(async () => {
    await (person ? desk.onPerson(person.id, "rename", { name }) : desk.addPerson(name));
    close();
  }, person ? "Renamed." : "Added.");
  return h(Dialog, { title: person ? `Rename ${safe(person.name)}` : "Add a person", close }, h("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    send(String(new FormData(event.currentTarget).get("name")).trim());
  } }, h(Field, { label: "Name" }, h("input", { name: "name", required: true, defaultValue: person?.name ?? "" })), doing.problem && h(NotDone, { error: doing.problem }), h("p", { class: "acts" }, h(Act, { action: "person.manage", kind: "main", busy: doing.busy, submits: true }, person ? "Rename" : "Add"))));
}
function Stops() {
  const pages = usePages("kills", lists.kills, (kill) => kill.id, { ...CALM, on: ofAlso("kill") });
  const [asking, setAsking] = useState(null);
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const kills = pages.seen.data?.items ?? [];
  return h(Fragment, null, h(Head, { title: "Kill switch", act: "Stop something…", action: "kill.manage", kind: "danger", run: () => setAsking("new") }), h(Trouble, { read: pages.seen, what: "what is stopped" }), pages.seen.data && !kills.length && h("div", { class: "empty" }, h("h2", null, "Nothing is stopped."), h("p", null, "Bots, owners, skills or the whole tenant can be stopped at once, with a reason.")), kills.length > 0 && h(Table, { name: "Kills", columns: ["Stopped", "Reason", "By", "Since", "Until", ""] }, kills.map((kill) => h("tr", { key: kill.id }, h("th", { scope: "row" }, kill.kind, " ", safe(kill.name)), h("td", { class: "long" }, safe(kill.reason)), h("td", null, h("code", null, shortId(safe(kill.placed_by)))), h("td", null, h(When, { time: kill.placed_at })), h("td", null, kill.until ? h(When, { time: kill.until }) : "it is lifted"), h("td", null, h("div", { class: "acts" }, h(Act, { action: kill.kind === "tenant" ? "kill.tenant" : "kill.manage", run: () => setAsking(kill) }, "Lift…")))))), asking === "new" && h(Stop, { close }), asking && asking !== "new" && h(Confirm, { title: `Let ${asking.kind} ${safe(asking.name)} work again?`, does: "Lift", action: asking.kind === "tenant" ? "kill.tenant" : "kill.manage", run: () => lists.lift(asking.id), close }, h("p", null, "It was stopped for: ", safe(asking.reason))));
}
function Stop({ close }) {
  const doing = useAct();
  const [kind, setKind] = useState("bot");
  async function send(form) {
    const given = new FormData(form), until = timeOf(String(given.get("until")));
    const body = {
      kind,
      name: kind === "tenant" ? session.value.tenant : String(given.get("name")).trim(),
      reason: String(given.get("reason")).trim(),
      ...until ? { until } : {}
    };
    await doing.run(async () => {
      await lists.kill(body);
      close();
    }, "It is stopped.");
  }
  return h(Dialog, { title: "Stop something", close }, h("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    void send(event.currentTarget);
  } }, h("p", null, "It gets no more work, at once and on every server. What it holds returns to its queue, and no crash is counted."), h(Field, { label: "What" }, h("select", { value: kind, onChange: (event) => setKind(event.currentTarget.value) }, ["bot", "owner", "skill", "tenant"].map((each) => h("option", { key: each, value: each, disabled: each === "tenant" && !may("kill.tenant") }, each === "tenant" ? "the whole tenant" : each)))), kind !== "tenant" && h(Field, { label: "Name" }, h("input", { name: "name", required: true })), h(Field, { label: "Reason", hint: "shown to all who wait for it" }, h("input", { name: "reason", required: true, maxLength: 1024 })), h(Field, { label: "Until", hint: `in ${zoneName()}; nothing: until it is lifted` }, h("input", { name: "until", type: "datetime-local" })), doing.problem && h(NotDone, { error: doing.problem }), h("p", { class: "acts" }, h(Act, { action: kind === "tenant" ? "kill.tenant" : "kill.manage", kind: "danger", busy: doing.busy, submits: true }, "Stop it"))));
}
function Redaction() {
  const doing = useAct();
  const [found, setFound] = useState(null);
  const [text, setText] = useState("");
  const test = () => void doing.run(() => desk.redact(asJson(text)), "Redacted.").then((answer) => setFound(answer ?? null));
  return h("div", { class: "columns" }, h("section", null, h("h2", null, "What would be hidden?"), h("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    if (text.trim()) test();
  } }, h(Field, { label: "A text, or JSON", hint: "It is redacted as the evidence of this tenant would be. Nothing of it is stored." }, h("textarea", { rows: 12, value: text, spellcheck: false, placeholder: '{"note": "call 555 0100", "password": "…"}', onInput: (event) => setText(event.currentTarget.value) })), h("p", { class: "acts" }, h(Act, { action: "redaction.test", kind: "main", busy: doing.busy || !text.trim(), run: test }, "Redact"))), doing.problem && h(NotDone, { error: doing.problem })), found && h("section", { "aria-live": "polite" }, h("h2", null, found.redacted_fields.length ? `${found.redacted_fields.length} hidden` : "Nothing is hidden."), h(Value, { value: found.value, name: "Redacted" }), found.redacted_fields.length > 0 && h(Table, { name: "What was hidden", columns: ["Where", "Rule", "How"] }, found.redacted_fields.map((each, at) => h("tr", { key: at }, h("th", { scope: "row" }, h("code", null, safe(each.pointer) || "the whole text"), each.in === "key" && " (its name)"), h("td", null, safe(each.rule)), h("td", null, safe(each.action))))), h("p", { class: "none" }, "Own rules: ", h(Command, { text: "swarmkeeper docs redaction-rules" }))));
}
function asJson(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : text;
  } catch {
    return text;
  }
}
var Head = ({ title, act, action, run, kind = "main" }) => h("div", { class: "part-head" }, h("h2", null, title), h(Act, { action, kind, run }, act));
var Dated = ({ time }) => time ? h("time", { dateTime: time, title: moment(time) }, time.slice(0, 10), " UTC") : h(Fragment, null, "never");
export {
  Settings
};
