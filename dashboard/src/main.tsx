// Starts the dashboard: signs in with the token of the link, if there is one, and shows the page of the address.

import { effect } from "@preact/signals";
import { render } from "preact";
import { api, ApiError } from "./api.ts";
import { Frame } from "./frame.tsx";
import { listen } from "./keys.ts";
import { later } from "./later.tsx";
import { followChanges, stopFollowing, tick } from "./live.ts";
import { follow, go, route } from "./route.ts";
import { keepChoices, session } from "./state.ts";
import { Inbox } from "./pages/inbox.tsx";
import { SignIn, problem } from "./pages/signin.tsx";

export * from "./shared.ts";

const Tasks = later<object>(() => import("./pages/tasks.tsx"), "Tasks");
const Bots = later<object>(() => import("./pages/fleet.tsx"), "Bots");
const Queues = later<object>(() => import("./pages/fleet.tsx"), "Queues");
const TaskPage = later<{ id: string }>(() => import("./pages/task.tsx"), "TaskPage");

function App() {
  if (session.value === undefined) return <p class="begin" role="status">{problem.value || "Reading who you are."}</p>;
  if (session.value === null) return <SignIn />;
  const [page, id] = route.value.path;
  if (page === "tasks" && id) return <Frame page="tasks" crumb={<><a href="#/tasks">Tasks</a> / <code>{id}</code></>}><TaskPage key={id} id={id} /></Frame>;
  if (page === "tasks") return <Frame page="tasks" crumb="Tasks"><Tasks /></Frame>;
  if (page === "bots") return <Frame page="bots" crumb="Bots"><Bots /></Frame>;
  if (page === "queues") return <Frame page="queues" crumb="Queues"><Queues /></Frame>;
  if (page === undefined || page === "inbox") return <Frame page="inbox" crumb="Inbox"><Inbox /></Frame>;
  return (
    <Frame page="" crumb="Not here">
      <div class="empty"><h1>There is no such page.</h1><p><a href="#/inbox">Go to the inbox</a></p></div>
    </Frame>
  );
}

async function begin(token: string | undefined): Promise<void> {
  try {
    session.value = token ? await api.redeem(token) : await api.session();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.disconnected) {
      problem.value = "The server does not answer. Trying again.";
      setTimeout(() => void begin(token), 2000);
      return;
    }
    // A link that was used already does no harm to who is signed in.
    if (token) problem.value = error.message;
    session.value = token ? await api.session().catch(() => null) : null;
  }
}

keepChoices();
follow();
listen();
tick();
effect(() => { if (session.value) followChanges(); else if (session.value === null) stopFollowing(); });
render(<App />, document.getElementById("app")!);
// The token is spent at once; it stays neither in the address nor in the history.
const token = /^#t=([\w-]+)$/.exec(location.hash)?.[1];
if (token) go("#/inbox", true);
void begin(token);
