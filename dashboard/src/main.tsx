// Starts the dashboard: signs in with the token of the link, if there is one, and shows the page of the address.

import { effect } from "@preact/signals";
import { render, type JSX } from "preact";
import { api, ApiError } from "./api.ts";
import { ahead, Frame, PAGES, palette } from "./frame.tsx";
import { listen } from "./keys.ts";
import { later } from "./later.tsx";
import { followChanges, stopFollowing, tick } from "./live.ts";
import { Dialog } from "./parts.tsx";
import { follow, go, route } from "./route.ts";
import { keepChoices, session } from "./state.ts";
import { Inbox, type PaneProps } from "./pages/inbox.tsx";
import { ended, problem, SignIn } from "./pages/signin.tsx";

export * from "./files/app.ts";

const Tasks = later<object>(() => import("./pages/tasks.tsx"), "Tasks");
const Bots = later<object>(() => import("./pages/fleet.tsx"), "Bots");
const Queues = later<object>(() => import("./pages/fleet.tsx"), "Queues");
const TaskPage = later<{ id: string }>(() => import("./pages/task.tsx"), "TaskPage");
const Palette = later<{ pages: typeof PAGES }>(() => import("./pages/palette.tsx"), "Palette");
const Pane = later<PaneProps>(() => import("./pages/decision.tsx"), "Pane");

/** What each page shows, by what follows its name in the address. A page without a row here is not in the rail. */
const SHOWN: Record<string, (id: string | undefined) => JSX.Element> = {
  inbox: () => <Inbox pane={Pane} />,
  tasks: (id) => (id ? <TaskPage key={id} id={id} /> : <Tasks />),
  bots: () => <Bots />,
  queues: () => <Queues />,
};
const SELDOM = {
  Audit: () => import("./pages/desk/audit.tsx"),
  Costs: () => import("./pages/desk/costs.tsx"),
  Evaluations: () => import("./pages/desk/evaluations.tsx"),
  Settings: () => import("./pages/desk/settings.tsx"),
  Simulate: () => import("./pages/desk/simulate.tsx"),
};
for (const [name, load] of Object.entries(SELDOM)) {
  const Page = later<object>(load, name);
  SHOWN[name.toLowerCase()] = () => <Page key={name} />;
}
const pages = PAGES.filter(({ path }) => SHOWN[path]);

function App() {
  if (session.value === undefined) return <p class="begin" role="status">{problem.value || "Reading who you are."}</p>;
  if (session.value === null) return <SignIn />;
  const [page = "inbox", id] = route.value.path;
  return (
    <Frame pages={pages} page={page} id={id}>
      {pages.some(({ path }) => path === page) ? SHOWN[page]!(id) : (
        <div class="empty"><h1>There is no such page.</h1><p><a href="#/inbox">Go to the inbox</a></p></div>
      )}
      {palette.value && <Dialog bare title="Search" ahead={(sign) => { ahead.value += sign; }} close={() => { palette.value = null; }}><Palette pages={pages} /></Dialog>}
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
effect(() => { if (session.value) { ended.value = true; followChanges(); } else if (session.value === null) stopFollowing(); });
render(<App />, document.getElementById("app")!);
// The token is spent at once; it stays neither in the address nor in the history.
const token = /^#t=([\w-]+)$/.exec(location.hash)?.[1];
if (token) go("#/inbox", true);
void begin(token);
