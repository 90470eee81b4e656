// All looks of states, and all states of the parts that pages share, on one page. The browser is given it in place of the
// page of a task (journeys/gallery.py), so nothing of it is served. WORDS is what core/states.py has.
import {
  Act, ApiError, Command, connection, Labels, lookOfEnding, lookOfItem, lookOfTask, NotDone, Progress, Refused, rolesFor, Skeleton, State, Trouble, Value, When,
} from "./app.js";
import { el as h } from "./runtime.js";

const WORDS = {};
const look = (word, found) => h("li", { "data-word": word, "data-tone": found.tone }, h(State, { look: found }), " ", h("code", {}, word));
const all = (name, of, words) => h("section", { "aria-label": name }, h("h2", {}, name), h("ul", {}, ...words.map((word) => look(word, of(word)))));
const part = (name, ...children) => h("section", { "aria-label": name }, h("h2", {}, name), ...children);
const read = (error, data) => ({ error, data, slow: false, at: Date.parse("2026-11-29T08:00:00Z") });
const error = (status, code, message) => new ApiError(status, code, message);
const lose = () => { connection.value = { live: false, failures: 3, retryAt: Date.now() + 3_600_000 }; };

export function TaskPage() {
  return h("div", { class: "pad gallery" },
    h("h1", {}, "Gallery"),
    all("Tasks", (word) => lookOfTask({ status: word, outcome: null, holds: [] }), WORDS.tasks),
    all("Outcomes", (word) => lookOfTask({ status: "FAILED", outcome: word, holds: [] }), WORDS.outcomes),
    all("Holds", (word) => lookOfTask({ status: "IN_PROGRESS", outcome: null, holds: [word] }), ["paused", "budget", "apr_1"]),
    all("Items", lookOfItem, WORDS.items),
    all("Attempts", lookOfEnding, WORDS.attempts),
    part("Progress", h(Progress, { done: 3, total: 8, failed: 2 }), h(Progress, { done: 0, total: 0, failed: 0 })),
    part("Labels", h(Labels, { labels: { team: "money", env: "prod" } })),
    part("Command", h(Command, { text: "swarmkeeper dev" }), h(When, { time: "2026-11-29T08:00:00Z" }), h(When, { time: null })),
    part("Loading", h(Trouble, { read: { ...read(undefined, undefined), slow: true }, what: "the tasks" }), h("div", { class: "shown-skeleton" }, h(Skeleton, { rows: 2 }))),
    part("Error", h(Trouble, { read: read(error(500, "internal", "It failed.")), what: "the tasks" })),
    part("Error with what was read last", h(Trouble, { read: read(error(500, "internal", "It failed."), 1), what: "the tasks" })),
    part("Forbidden", h(Trouble, { read: read(error(403, "forbidden", "This needs one of the roles auditor, admin.")), what: "the audit log" })),
    part("Missing", h(Refused, { error: error(404, "not_found", "There is none."), what: "the task", stale: false, at: 0 })),
    part("Not done", h(NotDone, { error: error(409, "conflict", "It has ended.") })),
    part("Actions", h(Act, { action: "task.pause", run() {}, kind: "main", keys: "p", children: "Pause" }), h(Act, { action: "no.such", run() {}, children: "Not mine" }), h(Act, { action: "task.pause", run() {}, kind: "danger", children: "Danger" })),
    part("Roles", h("ul", {}, ...Object.keys(WORDS.buttons).map((action) => h("li", { "data-action": action }, rolesFor(action))))),
    part("Value", h(Value, { value: { text: "a\u202eb", list: [1, 2] }, name: "A value" })),
    part("Connection", h("button", { type: "button", onClick: lose, children: "Lose the connection" })));
}
