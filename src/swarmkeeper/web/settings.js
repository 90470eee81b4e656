import { Fragment, el, useState } from "./runtime.js";
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
  return el("div", { class: "page settings" },
  el("h1", { class: "hidden-text" }, "Settings"),
  el("nav", { class: "choices", "aria-label": "Settings" }, Object.entries(PARTS).map(([path, { name }]) => el("a", { key: path, class: "tab", href: address({ part: path === "you" ? null : path }), "aria-current": path === chosen ? "page" : void 0 }, name))),
  el(Part, { key: chosen }));
}
function You() {
  const who = session.value, themes = ["system", "light", "dark"];
  return el("div", { class: "columns" },
  el("section", null,
  el("h2", null, "How it looks"),
  el("fieldset", null,
  el("legend", null, "Theme"), themes.map((each) => el("label", { class: "choice", key: each },
  el("input", { type: "radio", name: "theme", checked: theme.value === each, onChange: () => {
    theme.value = each;
  } }), " ", each))),
  el("fieldset", null,
  el("legend", null, "Times"), [false, true].map((each) => el("label", { class: "choice", key: String(each) },
  el("input", { type: "radio", name: "zone", checked: utc.value === each, onChange: () => {
    utc.value = each;
  } }), " ", each ? "UTC" : "local"))),
  el("fieldset", null,
  el("legend", null, "Keys"),
  el("label", { class: "choice" },
  el("input", { type: "checkbox", checked: letters.value, onChange: (event) => {
    letters.value = event.currentTarget.checked;
  } }), " single letters are keys")),
  el("p", { class: "none" }, "This browser keeps these three, and what you ask it to keep of the audit log.")),
  el("section", null,
  el("h2", null, "Your session"),
  el("dl", { class: "facts" }, who.person && el(Fact, { name: "person" }, safe(who.person_name ?? ""), " ",
  el("code", null, who.person)), who.owner && el(Fact, { name: "owner" }, safe(who.owner)),
  el(Fact, { name: "role" }, who.role),
  el(Fact, { name: "key" },
  el("code", null, safe(who.key_id))),
  el(Fact, { name: "session" },
  el("code", null, who.session_id ?? "–")),
  el(Fact, { name: "tenant" }, safe(who.tenant)),
  el("div", null,
  el("dt", null, "may"),
  el("dd", { class: "may" }, who.may.map((each) => el("code", { key: each }, each))))),
  el(SignedInList, null)));
}
function SignedInList() {
  const reading = useRead("sessions", desk.sessions, CALM);
  const doing = useAct();
  const all = reading.state.value.data?.items ?? [], others = all.filter((each) => !each.current);
  const end = (what) => void doing.run(async () => {
    for (const each of what) await desk.endSession(each.id);
  }, "Signed out.").then(reading.again);
  return el(Fragment, null,
  el("h2", null, "Signed in with this key"),
  el("p", { class: "none" }, "A session ends after 12 hours without a call, after a week, and with its key."),
  el(Trouble, { read: reading.state.value, what: "your sessions" }), doing.problem && el(NotDone, { error: doing.problem }), all.length > 0 && el(Table, { name: "Sessions", columns: ["Since", "Last used", "Ends", ""] }, all.map((each) => el("tr", { key: each.id },
  el("th", { scope: "row" },
  el(When, { time: each.created_at })),
  el("td", null, each.current ? el("span", { class: "label" }, "this browser") : el(Fragment, null,
  el(Ago, { time: each.used_at }), " ago")),
  el("td", null,
  el(When, { time: each.ends_at })),
  el("td", null,
  el("div", { class: "acts" }, !each.current && el(Act, { action: "session.open", busy: doing.busy, run: () => end([each]) }, "Sign out")))))), others.length > 1 && el("p", { class: "acts" },
  el(Act, { action: "session.open", kind: "danger", busy: doing.busy, run: () => end(others) }, "Sign out all ", others.length, " others")));
}
var LIMITS = { body_bytes: "bytes of calls at work", polls: "bots that wait for work", followers: "open streams", waits: "calls that wait for tasks" };
var sized = (bytes) => bytes < 1 << 20 ? grouped(bytes) : `${grouped(Math.floor(bytes / (1 << 20)))} MiB`;
function LimitsPart() {
  const reading = useRead("limits", desk.limits, { ...CALM, every: 1e4, seldom: 1e4 });
  const seen = reading.state.value, found = seen.data, budget = found?.budget;
  const row = (name, whose, used, most, shown = grouped) => el("tr", { key: `${name} ${whose}` },
  el("th", { scope: "row" }, safe(name.replaceAll("_", " "))),
  el("td", null, whose),
  el("td", { class: "part" }, most !== null && el("svg", { class: `share ${used >= 0.8 * most ? "near" : ""}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
  el("rect", { class: "track", width: "100", height: "6" }),
  el("rect", { width: most ? Math.min(100, 100 * used / most) : 100, height: "6" }))),
  el("td", { class: "num" }, shown(used)),
  el("td", { class: "num" }, most === null ? "no limit" : shown(most)));
  return el(Fragment, null,
  el("div", { class: "part-head" },
  el("h2", null, "Limits")),
  el(Trouble, { read: seen, what: "the limits" }), found && el(Fragment, null,
  el(Table, { name: "Use", columns: ["Limit", "Of", "", "#Used", "#At most"] }, budget && Object.entries(budget.limit).map(([name, most]) => row(name === "cost_micro_usd" ? "budget: cost" : `budget: ${name}`, "tenant", (budget.spent[name] ?? 0) + (budget.reserved[name] ?? 0), most, name === "cost_micro_usd" ? money : grouped)), found.items.map((each) => row(LIMITS[each.limit] ?? each.limit, each.scope === "key" ? "your key" : "tenant", each.used, each.most, each.limit.endsWith("bytes") ? sized : grouped))), found.rates.length > 0 && el(Table, { name: "Rates of leases", columns: ["Leases of", "#At once", "#A minute", "#Tokens a minute"] }, found.rates.map((each) => el("tr", { key: each.key },
  el("th", { scope: "row" }, safe(each.key.replace(":", " "))), [each.max, each.per_minute, each.tokens_per_minute].map((most, at) => el("td", { class: "num", key: at }, most === null ? "–" : grouped(most)))))),
  el("p", { class: "foot" }, "Who runs the server sets them: ",
  el(Command, { text: `swarmkeeper tenant set ${session.value.tenant} --max-backlog 5000` }))));
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
  return el(Fragment, null,
  el(Head, { title: "Keys", act: "Create a key…", action: "key.manage", run: () => setAsking({ what: "new" }) }),
  el(Trouble, { read: pages.seen, what: "the keys" }), keys.length > 0 && el(Table, { name: "Keys", columns: ["Key", "Role", "Whose", "Bounds", "State", "Last used", "Ends", ""] }, keys.map((key) => el("tr", { key: key.id },
  el("th", { scope: "row" },
  el("code", null, shortId(key.id)), key.id === session.value.key_id && el("span", { class: "label" }, "yours")),
  el("td", null, key.role),
  el("td", null, safe([key.person_name ?? key.owner, key.bot && `bot ${key.bot}`].filter(Boolean).join(" · ")) || "–"),
  el("td", null, [key.scope && `${key.scope} tasks`, key.skills && `skills ${key.skills.join(", ")}`, key.networks && `from ${key.networks.join(", ")}`].filter(Boolean).map((each) => safe(each)).join(" · ") || "–"),
  el("td", null,
  el(State, { look: keyLook(key) })),
  el("td", null, key.last_used ? el(Fragment, null,
  el(Ago, { time: key.last_used }), " ago") : "never"),
  el("td", null,
  el(Dated, { time: key.revoked_at ?? key.expires_at })),
  el("td", null,
  el("div", { class: "acts" }, !key.revoked_at && el(Fragment, null,
  el(Act, { action: "key.manage", run: () => setAsking({ what: "rotate", key }) }, "Rotate…"),
  el(Act, { action: "key.manage", kind: "danger", run: () => setAsking({ what: "revoke", key }) }, "Revoke…"))))))), pages.seen.data && el(More, { pages, what: "keys" }), asking?.what === "new" && el(NewKey, { close }), asking?.what === "rotate" && el(Rotate, { of: asking.key, close }), asking?.what === "revoke" && el(Confirm, { title: `Revoke ${shortId(asking.key.id)}?`, does: "Revoke", action: "key.manage", run: () => desk.revokeKey(asking.key.id), close },
  el("p", null, "The ", asking.key.role, " key of ", safe(asking.key.person_name ?? asking.key.owner ?? asking.key.bot ?? "nobody named"), " counts no more, for good. Bots without another key lose their leases.", asking.key.id === session.value.key_id && " It is yours: you are signed out with it.")));
}
var Fresh = ({ made, close }) => el("div", { class: "fresh" },
el("p", null,
el("strong", null, "Copy the key now: it is shown once."), " The server keeps only a hash of it."),
el("p", null,
el(Command, { text: made.key ?? "The answer came twice, and has no key: rotate it." })),
el("p", { class: "none" }, "Role ", made.role, ". It ends ",
el(Dated, { time: made.expires_at }), "."),
el("p", { class: "acts" },
el("button", { type: "button", class: "main", onClick: close }, "I have copied it")));
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
  return el(Dialog, { title: made ? "The new key" : "Create a key", close }, made ? el(Fresh, { made, close }) : el("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    void send(event.currentTarget);
  } },
  el(Field, { label: "Role" },
  el("select", { value: role, onChange: (event) => setRole(event.currentTarget.value) }, ROLES.map((each) => el("option", { key: each }, each)))),
  el(Field, { label: "Person" },
  el("select", { name: "person" },
  el("option", { value: "" }, "nobody"), persons.items.filter((each) => !each.disabled_at).map((each) => el("option", { key: each.id, value: each.id }, safe(each.name))))),
  el(Field, { label: "Owner", hint: "who answers for it, such as a team" },
  el("input", { name: "owner" })), role === "client" && el(Field, { label: "Sees" },
  el("select", { name: "scope" },
  el("option", { value: "own" }, "its own tasks"),
  el("option", { value: "tenant" }, "all tasks of the tenant"))), bot && el(Field, { label: "Bot", hint: "the only name it may act as" },
  el("input", { name: "bot" })), bot && el(Field, { label: "Skills", hint: "parted by commas; none: any" },
  el("input", { name: "skills" })),
  el(Field, { label: "Ends after days", hint: "0: never; nothing: as the server sets" },
  el("input", { name: "days", type: "number", min: "0", max: "3650" })),
  el(Field, { label: "Networks", hint: "such as 10.1.0.0/16; none: from anywhere" },
  el("input", { name: "networks" })), doing.problem && el(NotDone, { error: doing.problem }),
  el("p", { class: "acts" },
  el(Act, { action: "key.manage", kind: "main", busy: doing.busy, submits: true }, "Create"))));
}
function Rotate({ of, close }) {
  const doing = useAct();
  const [made, setMade] = useState(null);
  const send = () => void doing.run(() => desk.rotateKey(of.id), "The key has a new secret. Copy it now.").then((answer) => {
    if (answer) setMade(answer);
  });
  return el(Dialog, { title: made ? "The new secret" : `Rotate ${shortId(of.id)}?`, close }, made ? el(Fresh, { made, close }) : el(Fragment, null,
  el("p", null, "It gets a new secret. The old one stays valid for a day, so that bots can change over."), doing.problem && el(NotDone, { error: doing.problem }),
  el("p", { class: "acts" },
  el(Act, { action: "key.manage", kind: "main", busy: doing.busy, run: send }, "Rotate"))));
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
  return el(Fragment, null,
  el(Head, { title: "Persons", act: "Add a person…", action: "person.manage", run: () => setAsking({ what: "new" }) }),
  el(Trouble, { read: pages.seen, what: "the persons" }), doing.problem && el(NotDone, { error: doing.problem }), pages.seen.data && !pages.items.length && el("div", { class: "empty" },
  el("h2", null, "There is no person yet."),
  el("p", null, "Decisions name the person to whom a key belongs: ",
  el(Command, { text: "swarmkeeper docs persons" }))), pages.items.length > 0 && el(Table, { name: "Persons", columns: ["Name", "Id", "State", "Since", ""] }, pages.items.map((person) => el("tr", { key: person.id },
  el("th", { scope: "row" }, safe(person.name)),
  el("td", null,
  el("code", null, person.id)),
  el("td", null,
  el(State, { look: person.disabled_at ? { tone: "hold", word: "disabled" } : { tone: "ok", word: "active" } })),
  el("td", null,
  el(Dated, { time: person.disabled_at ?? person.created_at })),
  el("td", null,
  el("div", { class: "acts" },
  el(Act, { action: "person.manage", run: () => setAsking({ what: "rename", person }) }, "Rename…"), person.disabled_at ? el(Act, { action: "person.manage", busy: doing.busy, run: () => enable(person) }, "Enable") : el(Act, { action: "person.manage", kind: "danger", run: () => setAsking({ what: "disable", person }) }, "Disable…")))))), pages.items.length > 0 && el(More, { pages, what: "persons" }), asking && asking.what !== "disable" && el(Named, { person: asking.person, close }), asking?.what === "disable" && el(Confirm, { title: `Disable ${safe(asking.person.name)}?`, does: "Disable", action: "person.manage", run: () => desk.onPerson(asking.person.id, "disable"), close },
  el("p", null, "All keys, tokens and sessions of this person are refused, on every server within a second, until the person is enabled again.")));
}
function Named({ person, close }) {
  const doing = useAct();
  const send = (name) => void doing.run(async () => {
    await (person ? desk.onPerson(person.id, "rename", { name }) : desk.addPerson(name));
    close();
  }, person ? "Renamed." : "Added.");
  return el(Dialog, { title: person ? `Rename ${safe(person.name)}` : "Add a person", close }, el("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    send(String(new FormData(event.currentTarget).get("name")).trim());
  } },
  el(Field, { label: "Name" },
  el("input", { name: "name", required: true, defaultValue: person?.name ?? "" })), doing.problem && el(NotDone, { error: doing.problem }),
  el("p", { class: "acts" },
  el(Act, { action: "person.manage", kind: "main", busy: doing.busy, submits: true }, person ? "Rename" : "Add"))));
}
function Stops() {
  const pages = usePages("kills", lists.kills, (kill) => kill.id, { ...CALM, on: ofAlso("kill") });
  const [asking, setAsking] = useState(null);
  const close = () => {
    setAsking(null);
    void pages.again();
  };
  const kills = pages.seen.data?.items ?? [];
  return el(Fragment, null,
  el(Head, { title: "Kill switch", act: "Stop something…", action: "kill.manage", kind: "danger", run: () => setAsking("new") }),
  el(Trouble, { read: pages.seen, what: "what is stopped" }), pages.seen.data && !kills.length && el("div", { class: "empty" },
  el("h2", null, "Nothing is stopped."),
  el("p", null, "Bots, owners, skills or the whole tenant can be stopped at once, with a reason.")), kills.length > 0 && el(Table, { name: "Kills", columns: ["Stopped", "Reason", "By", "Since", "Until", ""] }, kills.map((kill) => el("tr", { key: kill.id },
  el("th", { scope: "row" }, kill.kind, " ", safe(kill.name)),
  el("td", { class: "long" }, safe(kill.reason)),
  el("td", null,
  el("code", null, shortId(safe(kill.placed_by)))),
  el("td", null,
  el(When, { time: kill.placed_at })),
  el("td", null, kill.until ? el(When, { time: kill.until }) : "it is lifted"),
  el("td", null,
  el("div", { class: "acts" },
  el(Act, { action: kill.kind === "tenant" ? "kill.tenant" : "kill.manage", run: () => setAsking(kill) }, "Lift…")))))), asking === "new" && el(Stop, { close }), asking && asking !== "new" && el(Confirm, { title: `Let ${asking.kind} ${safe(asking.name)} work again?`, does: "Lift", action: asking.kind === "tenant" ? "kill.tenant" : "kill.manage", run: () => lists.lift(asking.id), close },
  el("p", null, "It was stopped for: ", safe(asking.reason))));
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
  return el(Dialog, { title: "Stop something", close }, el("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    void send(event.currentTarget);
  } },
  el("p", null, "It gets no more work, at once and on every server. What it holds returns to its queue, and no crash is counted."),
  el(Field, { label: "What" },
  el("select", { value: kind, onChange: (event) => setKind(event.currentTarget.value) }, ["bot", "owner", "skill", "tenant"].map((each) => el("option", { key: each, value: each, disabled: each === "tenant" && !may("kill.tenant") }, each === "tenant" ? "the whole tenant" : each)))), kind !== "tenant" && el(Field, { label: "Name" },
  el("input", { name: "name", required: true })),
  el(Field, { label: "Reason", hint: "shown to all who wait for it" },
  el("input", { name: "reason", required: true, maxLength: 1024 })),
  el(Field, { label: "Until", hint: `in ${zoneName()}; nothing: until it is lifted` },
  el("input", { name: "until", type: "datetime-local" })), doing.problem && el(NotDone, { error: doing.problem }),
  el("p", { class: "acts" },
  el(Act, { action: kind === "tenant" ? "kill.tenant" : "kill.manage", kind: "danger", busy: doing.busy, submits: true }, "Stop it"))));
}
function Redaction() {
  const doing = useAct();
  const [found, setFound] = useState(null);
  const [text, setText] = useState("");
  const test = () => void doing.run(() => desk.redact(asJson(text)), "Redacted.").then((answer) => setFound(answer ?? null));
  return el("div", { class: "columns" }, el("section", null, el("h2", null, "What would be hidden?"), el("form", { class: "form", onSubmit: (event) => {
    event.preventDefault();
    if (text.trim()) test();
  } },
  el(Field, { label: "A text, or JSON", hint: "It is redacted as the evidence of this tenant would be. Nothing of it is stored." },
  el("textarea", { rows: 12, value: text, spellcheck: false, placeholder: '{"note": "call 555 0100", "password": "…"}', onInput: (event) => setText(event.currentTarget.value) })),
  el("p", { class: "acts" },
  el(Act, { action: "redaction.test", kind: "main", busy: doing.busy || !text.trim(), run: test }, "Redact"))), doing.problem && el(NotDone, { error: doing.problem })), found && el("section", { "aria-live": "polite" },
  el("h2", null, found.redacted_fields.length ? `${found.redacted_fields.length} hidden` : "Nothing is hidden."),
  el(Value, { value: found.value, name: "Redacted" }), found.redacted_fields.length > 0 && el(Table, { name: "What was hidden", columns: ["Where", "Rule", "How"] }, found.redacted_fields.map((each, at) => el("tr", { key: at },
  el("th", { scope: "row" },
  el("code", null, safe(each.pointer) || "the whole text"), each.in === "key" && " (its name)"),
  el("td", null, safe(each.rule)),
  el("td", null, safe(each.action))))),
  el("p", { class: "none" }, "Own rules: ",
  el(Command, { text: "swarmkeeper docs redaction-rules" }))));
}
function asJson(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : text;
  } catch {
    return text;
  }
}
var Head = ({ title, act, action, run, kind = "main" }) => el("div", { class: "part-head" }, el("h2", null, title), el(Act, { action, kind, run }, act));
var Dated = ({ time }) => time ? el("time", { dateTime: time, title: moment(time) }, time.slice(0, 10), " UTC") : el(Fragment, null, "never");
export {
  Settings
};
